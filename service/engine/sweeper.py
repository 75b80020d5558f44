"""Looking after what waits: deadlines, and clients that leave, at next to no cost for the quick."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tagbelt.service.engine.job import DeadlineError, GoneError, Job

INTERVAL_SECONDS = 0.05
"""How often; a request that is answered sooner is never looked at."""

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
                self._expire(job, DeadlineError())
            elif gone and job not in self._listeners and now - job.arrived >= INTERVAL_SECONDS:
                self._listeners[job] = job.loop.create_task(self._listen(job, gone))
        if self._jobs and self._loop is not None:
            self._timer = self._loop.call_later(INTERVAL_SECONDS, self._sweep)

    async def _listen(self, job: Job, gone: Gone) -> None:
        await gone()
        self._expire(job, GoneError())
