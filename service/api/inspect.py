"""POST /v1/inspect: what happens inside a model while it reads a text."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response
from pydantic_core import to_json

from tagbelt.errors import CheckpointError, InputError
from tagbelt.inference import Inspection
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import JsonRoute
from tagbelt.service.api.describe import errors
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.schemas import (
    INSPECT_EXAMPLE,
    InspectOffer,
    InspectReply,
    InspectRequest,
    SmallModel,
)
from tagbelt.service.api.tagging import ItemFault, Query, ask, text_fault
from tagbelt.service.models.served import Served
from tagbelt.service.models.small import SmallModels, small_models
from tagbelt.service.settings import ENV_PREFIX, Settings

PATH = "/v1/inspect"
MOST_CHARACTERS = 4096
"""Code points of a text; a longer one is refused before it is tokenized."""

router = APIRouter(route_class=JsonRoute)
plain = APIRouter()


@plain.get(
    PATH,
    tags=["tagging"],
    summary="Whether models can be looked into here",
    response_model=InspectOffer,
    responses=errors(404),
)
async def offer(request: Request) -> InspectOffer:
    """Answers how long a text may be, and which small models are there to be looked into.

    The small models are there to compare cells with: they have the same data, size and training,
    and can be named here alone. Where looking inside is turned off, the answer is 404.
    """
    limit = _limit(request)
    headers = await asyncio.to_thread(small_models)
    small = [
        SmallModel(name=name, language=header.language, cell=str(header.model["encoder"]["cell"]))
        for name, header in headers.items()
    ]
    return InspectOffer(tokens=limit, small_models=small)


@router.post(
    PATH,
    tags=["tagging"],
    summary="Look inside a model while it reads a text",
    response_model=InspectReply,
    responses=errors(400, 404, 409, 413, 415, 422, 429, 500, 503, 504),
)
async def inspect(
    body: Annotated[InspectRequest, Body(openapi_examples={"A text": {"value": INSPECT_EXAMPLE}})],
    request: Request,
) -> Response:
    """Answers with gates, memory, attention, scores and probabilities of every token.

    The network is run in float32, token by token, which takes a thousand times as long as tagging:
    texts are short, and the work waits in the same queue, counted as what it costs.
    """
    settings: Settings = request.app.state.settings
    limit = _limit(request)
    if len(body.text) > MOST_CHARACTERS:
        detail = f"the text has {len(body.text)} characters and the limit is {MOST_CHARACTERS}"
        raise ProblemError(problems.TOO_LONG, detail)
    if fault := text_fault(body.text, settings):
        raise ProblemError(fault.kind, fault.detail)
    served = await _model(request, body)
    await asyncio.to_thread(_check, served, body.text, limit)
    query = Query([body.text], field="text", served=served, inspect="all" if body.occlude else ())
    answer = await ask(request, query)
    (outcome,) = answer.outcomes
    if isinstance(outcome, ItemFault):
        raise ProblemError(outcome.kind, outcome.detail)
    assert outcome.inspection is not None  # it was asked for
    content = await asyncio.to_thread(_reply, outcome.inspection, served, vectors=body.vectors)
    return Response(content, media_type="application/json", headers=answer.headers)


def _limit(request: Request) -> int:
    """The tokens that a text may have. Raises ProblemError where looking inside is off."""
    limit: int = request.app.state.settings.inspect_tokens
    if not limit:
        detail = f"looking inside is turned off here: {ENV_PREFIX}INSPECT_TOKENS is 0"
        raise ProblemError(problems.NOT_FOUND, detail)
    return limit


async def _model(request: Request, body: InspectRequest) -> Served:
    """The model that is served by that name, or else the small one. Raises ProblemError."""
    try:
        (served,) = request.app.state.registry.route([body.text], body.model)
    except ProblemError:
        small: SmallModels = request.app.state.small_models
        if body.model is None or body.model not in small_models():
            raise
        return await asyncio.to_thread(small.get, body.model)
    found: Served = served
    return found


def _check(served: Served, text: str, limit: int) -> None:
    """Raises ProblemError for a text, or a model, that cannot be looked at."""
    item = served.tagger.tokenize(text)
    if item.tokens > limit:
        detail = f"the text has {item.tokens} tokens and the limit is {limit}; send a sentence"
        raise ProblemError(problems.TOO_LONG, detail)
    try:
        served.tagger.check_inspect(item)
    except InputError as error:
        raise ProblemError(problems.TOO_LONG, str(error)) from error
    except CheckpointError as error:
        raise ProblemError(problems.MODEL_UNUSABLE, str(error)) from error


def _reply(inspection: Inspection, served: Served, *, vectors: bool) -> bytes:
    """The JSON that schemas.InspectReply describes."""
    model = {"name": served.name, "version": served.version, "digest": served.digest}
    return to_json({**inspection.to_json(vectors=vectors), "model": model})
