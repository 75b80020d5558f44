"""The health checks."""

from fastapi import APIRouter, Request

from tagbelt.service.api import problems
from tagbelt.service.api.describe import errors
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.schemas import Status

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
