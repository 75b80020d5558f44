"""POST /v1/tag: from a request to a query, and from annotations to the JSON of the reply."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from fastapi.responses import Response
from pydantic_core import to_json

from tagbelt.data.types import OffsetUnit
from tagbelt.inference import Annotation, TagPath
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import JsonRoute
from tagbelt.service.api.describe import errors
from tagbelt.service.api.problems import FieldError, ProblemError
from tagbelt.service.api.schemas import (
    REPLY_EXAMPLE,
    REQUEST_EXAMPLES,
    TagOptions,
    TagReply,
    TagRequest,
)
from tagbelt.service.api.tagging import Answer, ItemFault, Query, ask, rendered
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import AUTO, Served


def convert(text: str, positions: Iterable[int], unit: OffsetUnit) -> dict[int, int]:
    """Each code-point position of `text` -> the same place counted in `unit`.

    Takes time linear in the text, whatever the number of positions. `text` must be free of lone
    surrogates, and a position must be in [0, len(text)]; otherwise ValueError.
    """
    ordered = sorted(set(positions))
    if ordered and not 0 <= ordered[0] <= ordered[-1] <= len(text):
        raise ValueError(f"positions {ordered[0]}..{ordered[-1]} leave a text of {len(text)}")
    if unit == "codepoint" or text.isascii():
        return {position: position for position in ordered}
    converted: dict[int, int] = {}
    before = units = 0
    for position in ordered:
        units += _units(text[before:position], unit)
        converted[position] = units
        before = position
    return converted


def _units(piece: str, unit: OffsetUnit) -> int:
    if unit == "utf8":
        return len(piece.encode("utf-8"))
    return len(piece.encode("utf-16-le")) // 2


# Scores come from float32 emissions; further digits would be noise.
SCORE_DIGITS = 6


def result(
    item: Any, annotation: Annotation, options: TagOptions, *, is_tokens: bool
) -> dict[str, Any]:
    """The JSON object that schemas.Tagged describes. `item` is the text or the token list."""
    place: Callable[[int], int] = int
    if not is_tokens and options.offset_unit != "codepoint":
        place = _places(item, annotation, options)
    members: dict[str, Any] = {"entities": _entities(annotation, options, place)}
    if "tokens" in options.include:
        members["tokens"] = [
            {"text": token, "start": place(start), "end": place(end)}
            for token, (start, end) in zip(annotation.tokens, _token_spans(annotation), strict=True)
        ]
    if "tags" in options.include:
        members["tags"] = list(annotation.tags)
    if "alternatives" in options.include:
        members["alternatives"] = [
            [{"tag": tag, "score": _score(score)} for tag, score in tags.items()]
            for tags in annotation.marginals or ()
        ]
    if annotation.paths is not None:
        members["paths"] = [_reading(path, options, place) for path in annotation.paths]
    return members


def _reading(path: TagPath, options: TagOptions, place: Callable[[int], int]) -> dict[str, Any]:
    wanted = None if options.labels is None else frozenset(options.labels)
    return {
        "score": _score(path.score),
        "tags": list(path.tags),
        "entities": [
            {"label": label, "start": place(start), "end": place(end), "text": text}
            for label, start, end, text in path.entities
            if wanted is None or label in wanted
        ],
    }


def _entities(
    annotation: Annotation, options: TagOptions, place: Callable[[int], int]
) -> list[dict[str, Any]]:
    labels = None if options.labels is None else frozenset(options.labels)
    least = options.min_score or 0.0
    return [
        {
            "label": entity.label,
            "start": place(entity.start),
            "end": place(entity.end),
            "text": entity.text,
            "score": _score(entity.score),
        }
        for entity in annotation.entities
        if (labels is None or entity.label in labels) and entity.score >= least
    ]


def _score(probability: float) -> float:
    return round(probability, SCORE_DIGITS)


def _token_spans(annotation: Annotation) -> list[tuple[int, int]]:
    if not annotation.starts:  # token input: places are token indices
        return [(index, index + 1) for index in range(len(annotation.tokens))]
    return [
        (start, start + len(token))
        for token, start in zip(annotation.tokens, annotation.starts, strict=True)
    ]


def _places(item: str, annotation: Annotation, options: TagOptions) -> Callable[[int], int]:
    """Return the function from the tagger's positions to those of the reply."""
    spans = [(entity.start, entity.end) for entity in annotation.entities]
    if "tokens" in options.include:
        spans += _token_spans(annotation)
    spans += [(one.start, one.end) for path in annotation.paths or () for one in path.entities]
    positions = (position for span in spans for position in span)
    return convert(item, positions, options.offset_unit).__getitem__


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
    unknown = check_labels(request, body)
    query = query_of(body)
    answer = await ask(request, query)
    if unknown:
        answer = replace(answer, warnings=(*unknown, *answer.warnings))
    headers = answer.headers
    content = await rendered(answer, lambda: reply(body, query, answer))
    return Response(content, media_type="application/json", headers=headers)


def route() -> JsonRoute:
    """The route that answers."""
    return next(one for one in router.routes if isinstance(one, JsonRoute))


def query_of(body: TagRequest) -> Query:
    """Return the query that a request makes."""
    field = body.field
    return Query(
        body.items,
        tokens=field == "tokens",
        model=body.model,
        marginals="alternatives" in body.include,
        paths=body.n_best or 0,
        field=field,
    )


def check_labels(request: Request, body: TagOptions) -> list[str]:
    """What to warn of: labels that no model which may answer has.

    Raises ProblemError, 422, for such a label unless the settings say to warn.
    """
    registry: Registry = request.app.state.registry
    if body.labels is None:
        return []
    models = registry.served if body.model == AUTO else [registry.get(body.model)]
    known = [label for served in models for label in served.labels]
    names = " or ".join(repr(served.name) for served in models)
    unknown = [
        FieldError(f"/labels/{index}", f"{label!r} is not a label of {names}")
        for index, label in enumerate(body.labels)
        if label not in known
    ]
    if not unknown:
        return []
    detail = f"{unknown[0].detail}, which has: {', '.join(dict.fromkeys(known))}"
    if request.app.state.settings.unknown_labels == "warn":
        return [detail]
    raise ProblemError(problems.INVALID, detail, errors=unknown)


def reply(body: TagOptions, query: Query, answer: Answer) -> bytes:
    """The JSON that schemas.TagReply describes."""
    head = to_json(
        {
            "model": _model(answer.served),
            "offset_unit": "token" if query.tokens else body.offset_unit,
        }
    )
    # One by one: the objects of a large reply take ten times as much memory as its text.
    results = b",".join(
        to_json(result_of(body, query, answer, index)) for index in range(len(answer.outcomes))
    )
    warnings = b',"warnings":' + to_json(answer.warnings) if answer.warnings else b""
    return head[:-1] + b',"results":[' + results + b"]" + warnings + b"}"


def result_of(body: TagOptions, query: Query, answer: Answer, index: int) -> dict[str, Any]:
    """One entry of the results."""
    outcome = answer.outcomes[index]
    if isinstance(outcome, ItemFault):
        place = "text" if query.field == "text" else f"{query.field}/{index}"
        return {"error": problems.problem(outcome.kind, outcome.detail, f"{PATH}#/{place}")}
    members = result(query.items[index], outcome, body, is_tokens=query.tokens)
    if body.model == AUTO:
        return {"model": answer.served[index].full_name, **members}
    return members


def _model(served: Sequence[Served]) -> dict[str, str] | None:
    first, *others = dict.fromkeys(served)
    if others:
        return None
    return {"name": first.name, "version": first.version, "digest": first.digest}
