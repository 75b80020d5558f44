"""Whether the service can answer: it asks the models, not itself."""

import asyncio

from service.quietlog import log_failure
from service.taggers import Registry
from service.worker import OverloadedError, Worker

# A job that succeeded this recently answers for the models; no test sentence is needed.
RECENT_SECONDS = 5.0
PATIENCE_SECONDS = 5.0


class Health:
    """Readiness of the models behind a worker."""

    def __init__(self, registry: Registry, worker: Worker) -> None:
        self._registry = registry
        self._worker = worker
        self._warming = True

    async def warm_up(self) -> None:
        """Runs every model once, so that the first request is as fast as the next."""
        try:
            await self._worker.run(self._registry.smoke)
        except Exception as error:
            log_failure("the warm-up failed", error)
        self._warming = False

    async def trouble(self) -> str | None:
        """Why requests cannot be answered now; None when they can."""
        if self._warming:
            return "the models are warming up"
        if self._worker.idle_seconds < RECENT_SECONDS:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._worker.run(self._registry.smoke)
        except (TimeoutError, OverloadedError):
            return f"nothing was tagged in the last {RECENT_SECONDS:g} s and work is waiting"
        except Exception as error:
            log_failure("the test sentence failed", error)
            return "a model fails on a test sentence"
        return None
