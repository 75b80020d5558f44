"""The engine: accepts jobs on the event loop, and keeps a thread at work on them."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from tagbelt.service.engine.batch import Part, begun, gather, read, tag
from tagbelt.service.engine.queue import (
    ExpiredError,
    GoneError,
    Job,
    Outcome,
    Pace,
    Queue,
    QueueFullError,
    deliver,
)
from tagbelt.service.engine.recorder import Recorder
from tagbelt.service.private_logging import log_failure, logger
from tagbelt.service.shortage import is_shortage

INTERVAL_SECONDS = 0.05
"""Time between two looks; a request that is answered sooner is never looked at."""

Gone = Callable[[], Awaitable[object]]
"""Returns when the client has left."""


class Sweeper:
    """Calls `expire(job, error)` for jobs whose time is over or whose client has left.

    Used from the event loop only. `tick` is called once a round.
    """

    def __init__(self, expire: Callable[[Job, Exception], None], tick: Callable[[], object]):
        self._expire = expire
        self._tick = tick
        self._jobs: dict[Job, Gone | None] = {}
        self._listeners: dict[Job, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, job: Job, gone: Gone | None) -> None:
        """Look after a job from now on."""
        self._jobs[job] = gone
        if self._timer is None or self._loop is not job.loop:
            self._loop = job.loop
            self._timer = job.loop.call_later(INTERVAL_SECONDS, self._sweep)

    def forget(self, job: Job) -> None:
        """Stop looking after it."""
        self._jobs.pop(job, None)
        if listener := self._listeners.pop(job, None):
            listener.cancel()

    def _sweep(self) -> None:
        self._timer = None
        self._tick()
        now = time.monotonic()
        for job, gone in list(self._jobs.items()):
            if now >= job.deadline:
                self._expire(job, ExpiredError())
            elif gone and job not in self._listeners and now - job.arrived >= INTERVAL_SECONDS:
                self._listeners[job] = job.loop.create_task(self._listen(job, gone))
        if self._jobs and self._loop is not None:
            self._timer = self._loop.call_later(INTERVAL_SECONDS, self._sweep)

    async def _listen(self, job: Job, gone: Gone) -> None:
        await gone()
        self._expire(job, GoneError())


LOOP_WEIGHT = 4_000
"""Work, as `Job.weight` counts it, that the event loop does in one go: a millisecond or so.

A few sentences: to have another thread tag them takes longer than to tag them.
"""
# Of a processor; a model that is slower than that is left to the thread.
_LOOP_SECONDS = 0.003
# Goes that may wait. Whoever asks for something else waits for one of them, never for all; and two
# threads at small jobs wait for each other, at the interpreter's lock, more than they get done.
_MOST_GOES = 50

# After so long at one batch, as a text of 100,000 characters can take, small jobs get their turn
# within it, in goes of this weight.
_MEANWHILE_SECONDS = 0.05
_MEANWHILE_WEIGHT = 20_000

# Work of a batch that tells of the pace. A single sentence takes four times as long for its
# length, and the first one after a start a hundred times: honest requests would be refused.
_TELLING_WEIGHT = 1_000

# Of the time that a job has, what waits before it may take this part, by what is known of the pace:
# work that ends just too late is lost, and a shorter queue loses none.
_MOST_BEFORE = 0.5

# A batch that takes this long has hung: one of 32,768 tokens takes less than a second.
STUCK_SECONDS = 30.0
# A thread that hangs cannot be ended, only left behind; after so many the process should be ended.
MAX_LEFT_BEHIND = 3


class Engine:
    """Tags jobs in batches on a thread of its own, which is replaced when it dies or hangs.

    There is no timer: a batch is whatever arrived while the last one ran, so a lone request never
    waits for company. Each job is answered by itself, in time or not at all.

    While the thread has nothing to do, the event loop tags small jobs itself, those that came in
    one turn together, and no more than `loop_weight` of work in a turn; 0 leaves all to the thread.
    """

    def __init__(
        self,
        *,
        max_waiting: int,
        max_waiting_characters: int,
        max_batch_tokens: int,
        max_waiting_seconds: float = float("inf"),
        recorder: Recorder | None = None,
        stuck_seconds: float = STUCK_SECONDS,
        loop_weight: float = 0.0,
        telling_weight: float = _TELLING_WEIGHT,
        meanwhile_seconds: float = _MEANWHILE_SECONDS,
    ) -> None:
        self.queue = Queue(max_jobs=max_waiting, max_characters=max_waiting_characters)
        self.coming = 0.0
        """Work that was let in and is about to be queued: bytes of bodies that were just read."""
        self._budget = max_batch_tokens
        self._max_waiting_seconds = max_waiting_seconds
        self._recorder = recorder or Recorder()
        self._stuck_seconds = stuck_seconds
        self._telling_weight = telling_weight
        self._meanwhile_after = meanwhile_seconds
        self._loop_weight = loop_weight
        # Small jobs that the event loop is about to tag, and the work in them.
        self._near: deque[Job] = deque()
        self._near_weight = 0.0
        self._pace = Pace()
        # That of small batches, in seconds of the processor.
        self._loop_pace = Pace()
        self._sweeper = Sweeper(self._expire, self.revive)
        self._last_success: float | None = None
        self._busy_since: float | None = None
        # Of the time since then, what went to small jobs within the batch.
        self._meanwhile_seconds = 0.0
        # The weight of the batch that is being tagged.
        self._at_work = 0.0
        self._left_behind = 0
        # Which thread counts: one that was left behind finds that the number has changed.
        self._generation = 0
        self._lock = threading.Lock()
        self._thread = self._start()

    @property
    def idle_seconds(self) -> float:
        """Seconds since an item was last tagged; infinity when none was."""
        done = self._last_success
        return float("inf") if done is None else time.monotonic() - done

    @property
    def is_alive(self) -> bool:
        """Whether a thread is there and does not hang."""
        return self._thread.is_alive() and not self._hangs()

    async def run(self, job: Job, gone: Gone | None = None) -> Sequence[Outcome]:
        """The outcomes of a job's items, in order.

        `gone` returns when the client has left. Raises QueueFullError or ClosedError at once,
        later ExpiredError, GoneError, and when the thread died at this job MemoryError, if that was
        why, or RuntimeError.
        """
        if self._is_near(job):
            self._tag_soon(job)
        else:
            self._admit(job)
        self._sweeper.watch(job, gone)
        try:
            await job.future
            return job.result()
        except asyncio.CancelledError:
            self._expire(job, GoneError())
            raise
        except ExpiredError:
            self._recorder.rejected("deadline")
            raise
        except GoneError:
            self._recorder.rejected("disconnected")
            raise
        finally:
            self._sweeper.forget(job)

    @property
    def waiting(self) -> tuple[int, int]:
        """The jobs that wait, for the thread or the event loop, and the characters in them."""
        near = [job.characters for job in self._near]
        return len(self.queue) + len(near), self.queue.characters + sum(near)

    @property
    def backlog_seconds(self) -> float:
        """Seconds that what waits and the batch at work take, at the speed of the last batches."""
        waiting = self.queue.weight + self._near_weight + self.coming
        return self._pace.seconds_for(waiting + self._at_work) if waiting else 0.0

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may wait, in requests or in seconds of work."""
        return self.queue.is_full or self.backlog_seconds >= self._max_waiting_seconds

    def would_be_late(self, weight: float, seconds: float) -> bool:
        """Whether a job of that weight, with so many seconds left, is better refused at once."""
        backlog = self.backlog_seconds
        own = self._pace.seconds_for(weight)
        return backlog > 0 and backlog / _MOST_BEFORE + own > seconds

    def _is_near(self, job: Job) -> bool:
        """Whether the event loop is to tag a job itself."""
        if not self.queue.is_idle or job.paths or job.inspect is not None:
            return False
        if len(job.items) > self._budget:  # it is for the thread to take it in parts
            return False
        room = _MOST_GOES * self._loop_weight - self._near_weight
        return job.weight <= room and self._fits(job.weight)

    def _tag_soon(self, job: Job) -> None:
        if not self._near or self._near[-1].loop is not job.loop:
            job.loop.call_soon(self._tag_near, job.loop)
        self._near.append(job)
        self._near_weight += job.weight

    def _tag_near(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tag small jobs on the event loop; what is left comes after others have had their turn."""
        parts: list[Part] = []
        near, weight = self._near, 0.0
        began, cpu = time.monotonic(), time.thread_time()
        while near and (not parts or self._fits(weight + near[0].weight)):
            job = near.popleft()
            if job.is_over:
                continue
            weight += job.weight
            parts.append(part := begun(job))
            read(part, self._budget)
        self._near_weight = sum(job.weight for job in near)
        if near:
            loop.call_soon(self._tag_near, loop)
        try:
            has_success = tag(parts, self._recorder)
        except BaseException as error:  # as on the thread: whoever waits is told
            for part in parts:
                part.job.error = _told(error, "tagging failed")
                part.job.settle()
            log_failure("tagging on the event loop failed", error)
            return
        cpu = time.thread_time() - cpu
        self._learn(parts, time.monotonic() - began, cpu, has_success)
        for part in parts:
            if part.job.remaining == 0:
                part.job.settle()
            elif not part.job.is_over:
                self.queue.put_back(part.job)

    def _fits(self, weight: float) -> bool:
        """Whether the event loop may do so much in one go."""
        seconds = self._loop_pace.seconds_for(weight)
        return weight <= self._loop_weight and seconds <= _LOOP_SECONDS

    def _admit(self, job: Job) -> None:
        """Queue a job that can be done in time. Refusing now is kinder than being late."""
        if self.would_be_late(job.weight, job.deadline - time.monotonic()):
            self._recorder.rejected("too_late")
            raise QueueFullError
        try:
            if self.backlog_seconds >= self._max_waiting_seconds:
                raise QueueFullError
            self.queue.put(job)
        except QueueFullError:
            self._recorder.rejected("queue_full")
            raise

    def revive(self) -> bool:
        """Replace the thread if it died or hangs. True when it was replaced."""
        with self._lock:
            if self.is_alive or self.queue.is_closed:
                return False
            if self._thread.is_alive():
                if self._left_behind >= MAX_LEFT_BEHIND:
                    return False
                self._left_behind += 1
            logger.error("the inference thread is dead or hangs; it is replaced")
            try:
                self._thread = self._start()
            except (MemoryError, RuntimeError) as error:
                # The next look tries again.
                log_failure("no inference thread could be started", error)
                return False
            return True

    def close(self, timeout: float | None = None) -> None:
        """Finish the jobs at hand and end the thread."""
        self.queue.close()
        self._thread.join(timeout)

    def _expire(self, job: Job, error: Exception) -> None:
        """Give up on a job: nothing more is computed for it."""
        if not job.is_over:
            job.error = error
        self.queue.remove(job)
        job.settle()

    def _hangs(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > self._stuck_seconds

    def _start(self) -> threading.Thread:
        self._generation += 1
        self._busy_since = None
        self._at_work = 0.0
        thread = threading.Thread(
            target=self._live, args=(self._generation,), name="inference", daemon=True
        )
        thread.start()
        return thread

    def _live(self, generation: int) -> None:
        """The thread's life, until the queue is closed or it was left behind."""
        parts: list[Part] = []
        try:
            while generation == self._generation and self._gather(parts):
                read_in = sum(part.seconds for part in parts)
                cpu, self._busy_since = time.thread_time() - read_in, time.monotonic()
                began = self._busy_since - read_in
                self._meanwhile_seconds = 0.0
                has_success = tag(parts, self._recorder, self._meanwhile)
                began += self._meanwhile_seconds
                took = time.monotonic() - began, time.thread_time() - cpu
                self._finish(generation, parts, *took, has_success)
                parts = []
        except BaseException as error:
            for part in parts:
                part.job.error = _told(error, "the inference thread died")
            deliver(part.job for part in parts)
            log_failure("the inference thread died", error)

    def _meanwhile(self) -> None:
        """Tag small jobs that wait within a batch that takes long; on the inference thread only."""
        since = self._busy_since
        if since is None or threading.current_thread() is not self._thread:
            return
        began = time.monotonic()
        if began - since < self._meanwhile_after or not len(self.queue):
            return
        parts: list[Part] = []
        budget = self._budget
        for job in self.queue.take_small(_MEANWHILE_WEIGHT):
            if budget > 0:
                parts.append(part := begun(job))
                budget -= read(part, budget)
            if job.taken < len(job.items):
                self.queue.put_back(job)
        try:
            tag(parts, self._recorder)
        finally:
            deliver(part.job for part in parts if part.job.remaining == 0)
            self._meanwhile_seconds += time.monotonic() - began

    def _gather(self, parts: list[Part]) -> bool:
        found = gather(self.queue, self._budget, self._pace, parts)
        self._at_work = sum(part.weight for part in parts)
        return found

    def _finish(
        self,
        generation: int,
        parts: Sequence[Part],
        seconds: float,
        cpu: float,
        has_success: bool,
    ) -> None:
        done = [part.job for part in parts if part.job.remaining == 0]
        if generation == self._generation:
            self._busy_since = None
            self._at_work = 0.0
            self._learn(parts, seconds, cpu, has_success)
        deliver(done)

    def _learn(self, parts: Sequence[Part], seconds: float, cpu: float, has_success: bool) -> None:
        """Take note of a batch, and how long it took, on the clock and on the processor."""
        if has_success:
            self._last_success = time.monotonic()
        weight = sum(part.weight for part in parts)
        if weight >= self._telling_weight:
            self._pace.add(weight, seconds)
        if weight <= self._loop_weight:
            self._loop_pace.add(weight, cpu)


def _told(error: BaseException, otherwise: str) -> Exception:
    """What whoever waits is told of an error."""
    return MemoryError() if is_shortage(error) else RuntimeError(otherwise)
