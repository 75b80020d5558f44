"""Whether the service can answer requests, and the endpoints that tell."""

import asyncio
import time

from fastapi import APIRouter, Request

from tagbelt.service.api import problems
from tagbelt.service.api.describe import errors
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.schemas import Status
from tagbelt.service.engine.engine import Engine
from tagbelt.service.engine.queue import ClosedError, ExpiredError, Failure, Job, QueueFullError
from tagbelt.service.engine.recorder import Work
from tagbelt.service.models.loading import smoke_text
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served
from tagbelt.service.private_logging import log_failure

# A batch that succeeded this recently answers for the models; no test sentence is needed.
RECENT_SECONDS = 5.0
PATIENCE_SECONDS = 5.0


class Health:
    """Readiness of the models behind an engine."""

    def __init__(self, registry: Registry, engine: Engine) -> None:
        self._registry = registry
        self._engine = engine
        self._warming = True
        self.is_draining = False

    @property
    def is_ready(self) -> bool:
        """Whether requests can be answered, as far as can be told without a try."""
        return not self.is_draining and not self._warming and self._engine.is_alive

    async def warm_up(self) -> None:
        """Runs every model once, so that the first request is as fast as the next."""
        try:
            await self._try_models()
        except Exception as error:
            log_failure("the warm-up failed", error)
        self._warming = False

    def drain(self) -> None:
        """Be not ready from now on: the end is near."""
        self.is_draining = True

    async def trouble(self) -> str | None:
        """Return why requests cannot be answered now; None when they can."""
        if self.is_draining:
            return "the server is ending"
        if self._warming:
            return "the models are warming up"
        if not self._engine.is_alive:
            self._engine.revive()
            return "the inference thread is dead or hangs; it is being replaced"
        if self._engine.idle_seconds < RECENT_SECONDS:
            return None
        try:
            await self._try_models()
        except (ExpiredError, QueueFullError):
            return f"nothing was tagged in the last {RECENT_SECONDS:g} s and work is waiting"
        except ClosedError:
            return "the server is ending"
        except Exception as error:
            log_failure("the test sentence failed", error)
            return "a model fails on a test sentence"
        return None

    async def _try_models(self) -> None:
        await asyncio.gather(*(self._try(served) for served in self._registry.served))

    async def _try(self, served: Served) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        text = smoke_text(served)
        job = Job(served, [text], deadline, Work(), characters=len(text))
        outcomes = await self._engine.run(job)
        if any(isinstance(outcome, Failure) for outcome in outcomes):
            raise RuntimeError(f"model {served.full_name} fails on the test sentence")


router = APIRouter()


@router.get(
    "/livez",
    tags=["health"],
    summary="Is the process alive?",
    response_model=Status,
    responses=errors(),
)
async def livez() -> dict[str, str]:
    """Answers as long as the event loop turns. Restart the process when it does not."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    tags=["health"],
    summary="Can requests be answered?",
    response_model=Status,
    responses=errors(503),
)
async def readyz(request: Request) -> dict[str, str]:
    """Asks the models: 503 while they warm up, when they fail or hang, and while ending."""
    trouble = await request.app.state.health.trouble()
    if trouble is not None:
        raise ProblemError(problems.NOT_READY, trouble)
    return {"status": "ok"}
