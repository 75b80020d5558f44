"""POST /v1/tag: the reply of one request."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from fastapi.responses import Response
from pydantic_core import to_json

from tagbelt.service.api import problems
from tagbelt.service.api.bodies import JsonRoute
from tagbelt.service.api.describe import errors
from tagbelt.service.api.items import Fault
from tagbelt.service.api.problems import FieldError, ProblemError
from tagbelt.service.api.results import result
from tagbelt.service.api.schemas import (
    REPLY_EXAMPLE,
    REQUEST_EXAMPLES,
    TagOptions,
    TagReply,
    TagRequest,
)
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import AUTO, Served
from tagbelt.service.tagging import Answer, Query, ask, rendered

PATH = "/v1/tag"

router = APIRouter(route_class=JsonRoute)

_EXAMPLES: dict[str, Example] = {
    title: {"summary": title, "value": value} for title, value in REQUEST_EXAMPLES.items()
}


@router.post(
    PATH,
    tags=["tagging"],
    summary="Find the entities of texts",
    response_model=TagReply,
    responses={
        200: {"content": {"application/json": {"example": REPLY_EXAMPLE}}},
        **errors(400, 404, 413, 415, 422, 429, 500, 503, 504),
    },
)
async def tag(
    body: Annotated[TagRequest, Body(openapi_examples=_EXAMPLES)], request: Request
) -> Response:
    """Answers with one result for each input, in order.

    An input that is bad on its own (not a string, too long, half of a surrogate pair) gets an
    `error` in its place and the others are tagged. Limits are stated in the errors. The header
    `X-Request-Timeout` (seconds) says how long the answer is worth waiting for.
    """
    check_labels(request.app.state.registry, body)
    answer = await ask(request, query_of(body))
    content = await rendered(answer, lambda: reply(body, answer))
    return Response(content, media_type="application/json", headers=answer.headers)


def query_of(body: TagRequest) -> Query:
    """What a request asks of the engine."""
    return Query(
        body.items,
        tokens=body.field == "tokens",
        model=body.model,
        marginals="alternatives" in body.include,
        paths=body.n_best or 0,
        field=body.field,
    )


def check_labels(registry: Registry, body: TagOptions) -> None:
    """Raises ProblemError, 422, for a label that no model which may answer has."""
    if body.labels is None:
        return
    models = registry.served if body.model == AUTO else [registry.get(body.model)]
    known = [label for served in models for label in served.labels]
    names = " or ".join(repr(served.name) for served in models)
    unknown = [
        FieldError(f"/labels/{index}", f"{label!r} is not a label of {names}")
        for index, label in enumerate(body.labels)
        if label not in known
    ]
    if unknown:
        detail = f"{unknown[0].detail}, which has: {', '.join(dict.fromkeys(known))}"
        raise ProblemError(problems.INVALID, detail, errors=unknown)


def reply(body: TagRequest, answer: Answer) -> bytes:
    """The JSON that schemas.TagReply describes."""
    return to_json(
        {
            "model": _model(answer.served),
            "offset_unit": "token" if body.field == "tokens" else body.offset_unit,
            "results": [result_of(body, answer, index) for index in range(len(answer.outcomes))],
        }
    )


def result_of(body: TagRequest, answer: Answer, index: int) -> dict[str, Any]:
    """One entry of the results."""
    outcome = answer.outcomes[index]
    if isinstance(outcome, Fault):
        place = "text" if body.field == "text" else f"{body.field}/{index}"
        return {"error": problems.problem(outcome.kind, outcome.detail, f"{PATH}#/{place}")}
    members = result(body.items[index], outcome, body, is_tokens=body.field == "tokens")
    if body.model == AUTO:
        return {"model": answer.served[index].full_name, **members}
    return members


def _model(served: Sequence[Served]) -> dict[str, str] | None:
    first, *others = dict.fromkeys(served)
    if others:
        return None
    return {"name": first.name, "version": first.version, "digest": first.digest}
