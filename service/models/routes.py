"""The endpoints that tell of the models and change what is served."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from tagbelt.service.api import problems
from tagbelt.service.api.bodies import read_json
from tagbelt.service.api.describe import errors
from tagbelt.service.api.problems import FieldError, ProblemError
from tagbelt.service.api.schemas import DIGEST_HEADER
from tagbelt.service.models.cards import card, cards
from tagbelt.service.models.changes import Changes
from tagbelt.service.models.manager import Manager, Steps
from tagbelt.service.models.schemas import (
    CHANGE_EXAMPLES,
    REPORT_EXAMPLE,
    CanaryRequest,
    ChangeRequest,
    ModelState,
    ModelStates,
    Report,
)

router = APIRouter(tags=["models"])

_REPORTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": REPORT_EXAMPLE}}},
    **errors(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
}
_EXAMPLES = {title: {"summary": title, "value": body} for title, body in CHANGE_EXAMPLES.items()}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": ChangeRequest.model_json_schema(),
                "examples": _EXAMPLES,
            }
        },
    }
}


_CANARY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": CanaryRequest.model_json_schema(),
                "examples": {"A tenth": {"value": {"version": "2", "share": 0.1}}},
            }
        },
    }
}


async def _version(name: str, request: Request) -> tuple[str, str | None]:
    """Name and version, which may stand in the path, as name@version, or in the body."""
    body = await read_json(request, ChangeRequest) if await request.body() else ChangeRequest()
    return _agreed(name, body)


def _agreed(name: str, body: ChangeRequest) -> tuple[str, str | None]:
    plain, _, version = name.partition("@")
    if version and body.version not in (None, version):
        detail = f"the path says version {version!r} and the body {body.version!r}"
        raise ProblemError(problems.INVALID, detail, errors=[FieldError("/version", detail)])
    return plain, body.version or version or None


_Which = Annotated[tuple[str, str | None], Depends(_version)]


def _manager(request: Request) -> Manager:
    manager: Manager = request.app.state.models
    return manager


@router.get(
    "/v1/models", summary="List the models", response_model=ModelStates, responses=errors(401, 403)
)
async def models(request: Request) -> ModelStates:
    """The models that are served, those on the disk that could be, and which one is the default."""
    changes = _manager(request).changes
    found = await asyncio.to_thread(cards, changes)
    return ModelStates(default=changes.registry.default, models=found)


@router.get(
    "/v1/models/{name}",
    summary="Describe a model",
    response_model=ModelState,
    responses=errors(401, 403, 404),
)
async def model(name: str, request: Request, response: Response) -> ModelState:
    """Labels, tag scheme, digest and measured quality of one model, by name or name@version."""
    found = await asyncio.to_thread(card, _manager(request).changes, name)
    if found.digest:
        response.headers[DIGEST_HEADER] = found.digest
    return found


@router.post(
    "/v1/models/{name}/load",
    summary="Load a model",
    response_model=Report,
    responses=_REPORTS,
    openapi_extra=_BODY,
)
async def load(which: _Which, request: Request, response: Response) -> Report:
    """Loads a version from the disk, the newest unless one is given.

    It is verified, tried on a sentence and warmed before it serves. What the plain name means
    does not change, unless the name is new. Nothing is done when it is loaded as it is.
    """
    return await _carry_out(request, response, lambda changes: changes.load(*which))


@router.post(
    "/v1/models/{name}/reload",
    summary="Read a model again",
    response_model=Report,
    responses=_REPORTS,
    openapi_extra=_BODY,
)
async def reload(which: _Which, request: Request, response: Response) -> Report:
    """Reads a loaded version from the disk again, the one that the name means unless given.

    The old one serves until the new one can, and goes on if that fails.
    """
    return await _carry_out(request, response, lambda changes: changes.reload(*which))


@router.post(
    "/v1/models/{name}/unload",
    summary="Unload a model",
    response_model=Report,
    responses=_REPORTS,
    openapi_extra=_BODY,
)
async def unload(which: _Which, request: Request, response: Response) -> Report:
    """Unloads a version, or all of the name unless one is given.

    Requests that it has begun are answered by it. The default model cannot be unloaded.
    """
    return await _carry_out(request, response, lambda changes: changes.unload(*which))


@router.post(
    "/v1/models/{name}/default",
    summary="Choose the default",
    response_model=Report,
    responses=_REPORTS,
    openapi_extra=_BODY,
)
async def set_default(which: _Which, request: Request, response: Response) -> Report:
    """Without a version: this name answers when a request names no model.

    With one: this version answers when a request names the model without a version. The choice
    outlives the server; where it cannot be kept, `warning` says why.
    """
    return _answered(await _manager(request).set_default(*which), response)


@router.post(
    "/v1/models/{name}/canary",
    summary="Try a version on a share of the requests",
    response_model=Report,
    responses=_REPORTS,
    openapi_extra=_CANARY_BODY,
)
async def set_canary(name: str, request: Request, response: Response) -> Report:
    """A loaded version answers a share of the requests for the name; 0 ends it.

    The version that the name means tags those texts too, after the reply, and /metrics compares the
    two. A request's id decides; one that names a version is never diverted. The choice outlives the
    server, as that of the default does.
    """
    body = await read_json(request, CanaryRequest)
    which = _agreed(name, body)
    if body.share and which[1] is None:
        detail = "a canary is a version: say name@version in the path, or version in the body"
        raise ProblemError(problems.INVALID, detail, errors=[FieldError("/version", detail)])
    return _answered(await _manager(request).set_canary(*which, body.share), response)


@router.post(
    "/v1/reload",
    summary="Scan the disk again",
    response_model=Report,
    responses=_REPORTS,
)
async def rescan(request: Request, response: Response) -> Report:
    """Makes what is served fit what is on the disk, as SIGHUP does.

    New names and versions are loaded, changed ones reloaded, vanished ones unloaded. What fails
    is reported with its problem, `ok` is false then, and what served before goes on serving.
    """
    return await _carry_out(request, response, Changes.rescan)


async def _carry_out(request: Request, response: Response, steps: Steps) -> Report:
    return _answered(await _manager(request).carry_out(steps), response)


def _answered(report: Report, response: Response) -> Report:
    digests = {change.digest for change in report.changes}
    if len(digests) == 1 and None not in digests:
        response.headers[DIGEST_HEADER] = digests.pop() or ""
    return report
