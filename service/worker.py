"""The one thread that runs inference, with a bounded number of requests waiting for it."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class OverloadedError(RuntimeError):
    """As many jobs wait as may wait; nothing was queued."""


class Worker:
    """Runs jobs one at a time, in order, off the event loop.

    At most `max_waiting` jobs wait behind the one that runs. A job whose caller is cancelled
    while it waits is never run, and its place is free at once; one that runs already finishes.
    """

    def __init__(self, *, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._places = threading.BoundedSemaphore(max_waiting + 1)
        self._last_success: float | None = None

    @property
    def idle_seconds(self) -> float:
        """Seconds since a job last succeeded; infinity when none has."""
        if self._last_success is None:
            return float("inf")
        return time.monotonic() - self._last_success

    async def run(self, job: Callable[[], T]) -> T:
        """The job's value, or its exception. Raises OverloadedError when no place is free."""
        if not self._places.acquire(blocking=False):
            raise OverloadedError
        try:
            future = self._executor.submit(self._run, job)
        except RuntimeError:  # closed
            self._places.release()
            raise
        # On the thread's own future: a cancelled caller must not free the place of a running job.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def _run(self, job: Callable[[], T]) -> T:
        value = job()
        self._last_success = time.monotonic()
        return value

    def close(self) -> None:
        """Finishes the jobs at hand and ends the thread."""
        self._executor.shutdown(wait=True)
