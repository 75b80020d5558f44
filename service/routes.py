"""The endpoints under /v1 and the health checks."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from fastapi.responses import Response

from service import problems
from service.problems import KINDS, MEDIA_TYPE, ProblemError
from service.schemas import (
    REPLY_EXAMPLE,
    REQUEST_EXAMPLES,
    ModelCard,
    ModelList,
    Status,
    TagReply,
    TagRequest,
)
from service.taggers import Registry, Tagger
from service.tagging import PATH as TAG_PATH

router = APIRouter()

_EXAMPLES: dict[str, Example] = {
    title: {"summary": title, "value": value} for title, value in REQUEST_EXAMPLES.items()
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the problems that an endpoint answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles: dict[int | str, str] = {
        status: "; ".join(kind.title for kind in KINDS if kind.status == status)
        for status in statuses
    }
    return {
        status: {"description": title, "content": content}
        for status, title in [*titles.items(), ("default", "Any other error")]
    }


@router.post(
    TAG_PATH,
    tags=["tagging"],
    summary="Find the entities of texts",
    response_model=TagReply,
    responses={
        200: {"content": {"application/json": {"example": REPLY_EXAMPLE}}},
        **_errors(400, 404, 413, 415, 422, 429, 500),
    },
)
async def tag(
    body: Annotated[TagRequest, Body(openapi_examples=_EXAMPLES)], request: Request
) -> Response:
    """Answers with one result for each input, in order.

    An input that is bad on its own (not a string, too long, half of a surrogate pair) gets an
    `error` in its place and the others are tagged. Limits are stated in the errors.
    """
    return Response(await request.app.state.tagging.answer(body), media_type="application/json")


@router.get(
    "/v1/models",
    tags=["models"],
    summary="List the models",
    response_model=ModelList,
    responses=_errors(),
)
async def models(request: Request) -> dict[str, Any]:
    """The models that are served, and which one answers when a request names none."""
    registry: Registry = request.app.state.registry
    return {
        "default": registry.default,
        "models": [_card(tagger) for tagger in registry.taggers.values()],
    }


@router.get(
    "/v1/models/{name}",
    tags=["models"],
    summary="Describe a model",
    response_model=ModelCard,
    responses=_errors(404),
)
async def model(name: str, request: Request) -> dict[str, Any]:
    """Labels, tag scheme, digest and measured quality of one model."""
    return _card(request.app.state.registry.get(name))


def _card(tagger: Tagger) -> dict[str, Any]:
    info = tagger.info
    return {
        "name": info.name,
        "version": info.version,
        "digest": info.digest,
        "labels": list(info.labels),
        "scheme": str(info.scheme),
        "unit": info.unit,
        "language": info.language,
        "description": info.description,
        "metrics": dict(info.metrics),
    }


@router.get("/livez", tags=["health"], summary="Is the process alive?", response_model=Status)
async def livez() -> dict[str, str]:
    """Answers as long as the event loop turns. Restart the process when it does not."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    tags=["health"],
    summary="Can requests be answered?",
    response_model=Status,
    responses=_errors(503),
)
async def readyz(request: Request) -> dict[str, str]:
    """Asks the models: 503 until they are warmed up, and when they fail or hang."""
    trouble = await request.app.state.health.trouble()
    if trouble is not None:
        raise ProblemError(problems.NOT_READY, trouble)
    return {"status": "ok"}
