"""The engine: accepts jobs on the event loop, and keeps a thread at work on them."""

import asyncio
import threading
import time
from collections.abc import Sequence

from tagbelt.service.engine.batch import Part, gather, tag
from tagbelt.service.engine.job import DeadlineError, GoneError, Job, Outcome, deliver
from tagbelt.service.engine.pace import Pace
from tagbelt.service.engine.queue import OverloadedError, Queue
from tagbelt.service.engine.recorder import Recorder
from tagbelt.service.engine.sweeper import Gone, Sweeper
from tagbelt.service.quietlog import log_failure, logger

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

        `gone` returns when the client has left. Raises OverloadedError or ClosedError at once,
        later DeadlineError, GoneError, or RuntimeError when the thread died at this job.
        """
        self._admit(job)
        self._sweeper.watch(job, gone)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._expire(job, GoneError())
            raise
        except DeadlineError:
            self._recorder.rejected("deadline")
            raise
        except GoneError:
            self._recorder.rejected("disconnected")
            raise
        finally:
            self._sweeper.forget(job)

    @property
    def backlog_seconds(self) -> float:
        """How long it takes, at the pace of late, to do what waits and the batch before it."""
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
            raise OverloadedError
        try:
            if backlog >= self._max_waiting_seconds:
                raise OverloadedError
            self.queue.put(job)
        except OverloadedError:
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
                tag(parts, self._recorder)
                self._finish(generation, parts, time.monotonic() - began)
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

    def _finish(self, generation: int, parts: Sequence[Part], seconds: float) -> None:
        if generation == self._generation:
            self._busy_since = None
            self._at_work = 0.0
            reading = sum(part.seconds for part in parts)
            self._pace.add(sum(part.weight for part in parts), seconds + reading)
            if any(part.has_success for part in parts):
                self._last_success = time.monotonic()
        deliver(part.job for part in parts if part.job.remaining == 0)
