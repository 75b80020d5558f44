"""The engine: accepts jobs on the event loop, and keeps a thread at work on them."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

from tagbelt.service.engine.batch import Part, gather, tag
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


# A batch that takes this long has hung: one of 32,768 tokens takes less than a second.
STUCK_SECONDS = 30.0
# A thread that hangs cannot be ended, only left behind; after so many the process should be ended.
MAX_LEFT_BEHIND = 3


class Engine:
    """Tags jobs in batches on a thread of its own, which is replaced when it dies or hangs.

    There is no timer: a batch is whatever arrived while the last one ran, so a lone request never
    waits for company. Each job is answered by itself, in time or not at all.
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
    ) -> None:
        self.queue = Queue(max_jobs=max_waiting, max_characters=max_waiting_characters)
        self._budget = max_batch_tokens
        self._max_waiting_seconds = max_waiting_seconds
        self._recorder = recorder or Recorder()
        self._stuck_seconds = stuck_seconds
        self._pace = Pace()
        self._sweeper = Sweeper(self._expire, self.revive)
        self._last_success: float | None = None
        self._busy_since: float | None = None
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
        later ExpiredError, GoneError, or RuntimeError when the thread died at this job.
        """
        self._admit(job)
        self._sweeper.watch(job, gone)
        try:
            return await job.future
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
    def backlog_seconds(self) -> float:
        """Seconds that what waits and the batch at work take, at the speed of the last batches."""
        waiting = self.queue.weight
        return self._pace.seconds_for(waiting + self._at_work) if waiting else 0.0

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may wait, in requests or in seconds of work."""
        return self.queue.is_full or self.backlog_seconds >= self._max_waiting_seconds

    def _admit(self, job: Job) -> None:
        """Queue a job that can be done in time. Refusing now is kinder than being late."""
        backlog = self.backlog_seconds
        own = self._pace.seconds_for(job.weight)
        if backlog and time.monotonic() + backlog + own > job.deadline:
            self._recorder.rejected("too_late")
            raise QueueFullError
        try:
            if backlog >= self._max_waiting_seconds:
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
            self._thread = self._start()
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
                self._busy_since = began = time.monotonic()
                has_success = tag(parts, self._recorder)
                self._finish(generation, parts, time.monotonic() - began, has_success)
                parts = []
        except BaseException as error:
            log_failure("the inference thread died", error)
            for part in parts:
                part.job.error = RuntimeError("the inference thread died")
            deliver(part.job for part in parts)

    def _gather(self, parts: list[Part]) -> bool:
        found = gather(self.queue, self._budget, self._pace, parts)
        self._at_work = sum(part.weight for part in parts)
        return found

    def _finish(
        self, generation: int, parts: Sequence[Part], seconds: float, has_success: bool
    ) -> None:
        done = [part.job for part in parts if part.job.remaining == 0]
        if generation == self._generation:
            weight = self._at_work
            self._busy_since = None
            self._at_work = 0.0
            if has_success:
                self._last_success = time.monotonic()
            self._pace.add(weight, seconds + sum(part.seconds for part in parts))
        deliver(done)
