"""Presidio Analyzer's API, with a model in the place of its recognizers."""

from collections.abc import Container, Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import PlainTextResponse, Response

from tagbelt.inference import Annotation
from tagbelt.service.adapters.answering import (
    JSON,
    AdapterRoute,
    Name,
    Names,
    TextOrTexts,
    all_good,
    described_errors,
    listed,
    models_of,
    rounded,
)
from tagbelt.service.api import problems
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.tagging import Query, ask, rendered
from tagbelt.service.models.served import Served
from tagbelt.service.settings import ENV_PREFIX

# What Presidio calls the types that most models have; others are in capitals, as its own are.
ENTITY_TYPES = {
    "PER": "PERSON",
    "PERSON": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "LOCATION": "LOCATION",
    "ORG": "ORGANIZATION",
    "ORGANIZATION": "ORGANIZATION",
}
# Presidio's own words, which its users know.
NO_TEXT = "No text provided"
NO_LANGUAGE = "No language provided"
NO_RECOGNIZER = "No matching recognizers were found to serve the request."

CORRELATION_HEADER = "x-correlation-id"
UP = "Tagbelt is up"

EXAMPLES: dict[str, Example] = {
    "A text": {"value": {"text": "Angela Merkel visited Toyota in Nagoya.", "language": "en"}},
    "Texts, filtered": {
        "value": {
            "text": ["Angela Merkel visited Toyota.", ""],
            "language": "en",
            "entities": ["PERSON"],
            "score_threshold": 0.6,
            "allow_list": ["Toyota"],
            "return_decision_process": True,
        }
    },
}


class AnalyzeRequest(BaseModel):
    """A text, or texts, and what to look for."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"required": ["text", "language"]}
    )

    text: TextOrTexts = Field(default=None, description="A text, or a list of texts.")
    language: Name | None = Field(
        default=None, description="Its language, such as `en`. Chooses the model."
    )
    entities: Names | None = Field(
        default=None, description="Answer only with these types, such as PERSON; all unless given."
    )
    score_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Answer only with entities of at least this score.",
    )
    return_decision_process: Annotated[bool, Field(strict=False)] | None = Field(
        default=None, description="Answer with an explanation of each entity."
    )
    correlation_id: Name | None = Field(
        default=None, description="Comes back in the header X-Correlation-ID."
    )
    allow_list: Annotated[list[str], Field(max_length=10_000)] | None = Field(
        default=None, description="Leave out entities with one of these texts."
    )
    allow_list_match: Literal["exact", "regex"] | None = Field(
        default=None,
        description="How allow_list is meant. `regex` is refused: a pattern from a request could "
        "occupy the server for hours.",
    )
    regex_flags: int | None = Field(
        default=None, description="Has no effect, as with Presidio where the match is `exact`."
    )
    ad_hoc_recognizers: list[Any] | None = Field(
        default=None, description="Refused unless empty: there are no pattern recognizers."
    )
    context: Names | None = Field(
        default=None,
        description="Has no effect, as with Presidio's own model recognizers: context words "
        "raise the score of patterns.",
    )
    trace: Any = Field(default=None, description="Has no effect, as with Presidio.")


class AnalysisExplanation(BaseModel):
    """Why something is an entity."""

    recognizer: str = Field(description="The model that found it.")
    pattern_name: None
    pattern: None
    original_score: float
    score: float
    textual_explanation: str
    score_context_improvement: float
    supportive_context_word: str
    validation_result: None
    regex_flags: None


class RecognizerResult(BaseModel):
    """An entity."""

    analysis_explanation: AnalysisExplanation | None
    end: int = Field(description="Where it ends, exclusive.")
    entity_type: str = Field(description="PERSON, LOCATION, ORGANIZATION or the model's label.")
    score: float = Field(ge=0, le=1, description="Probability of exactly this span and type.")
    start: int = Field(description="Where it begins, in code points.")


class PresidioError(BaseModel):
    """An error as Presidio tells it."""

    error: str


router = APIRouter(
    route_class=AdapterRoute,
    tags=["Presidio"],
    responses=described_errors(PresidioError),
)


@router.post(
    "/analyze",
    summary="Presidio: analyze",
    response_model=list[RecognizerResult] | list[list[RecognizerResult]],
)
async def analyze(
    body: Annotated[AnalyzeRequest, Body(openapi_examples=EXAMPLES)], request: Request
) -> Response:
    """Presidio's analyzer. A text is answered with a list, a list with a list of lists.

    The API has no errors of single texts: one that cannot be tagged fails the request.
    """
    check_honoured(body)
    served = chosen_model(request, body)
    unknown = _check_entities(request, body, served)
    single = isinstance(body.text, str)
    query = Query(listed(body.text), model=served.name, field="text")
    answer = await ask(request, query)
    answer = replace(answer, warnings=(*unknown, *answer.warnings))
    good = all_good(answer, query.field, single=single)

    def render() -> bytes:
        allowed = frozenset(body.allow_list or ())
        # All went to one model; with no texts it is still named.
        lists = [list(results(one, answer.served[0], body, allowed)) for one in good]
        return to_json(lists[0] if single else lists)

    headers = answer.headers
    if body.correlation_id:
        headers[CORRELATION_HEADER] = quote(body.correlation_id, safe=" ")
    return Response(await rendered(answer, render), media_type=JSON, headers=headers)


@router.get("/supportedentities", summary="Presidio: entity types", response_model=list[str])
async def supported_entities(request: Request, language: str | None = None) -> Response:
    """The entity types that /analyze may answer with, in a language or in any."""
    types = {
        kind for served in _speakers(request, language or None) for kind in entity_types(served)
    }
    return Response(to_json(sorted(types)), media_type=JSON)


@router.get("/recognizers", summary="Presidio: recognizers", response_model=list[str])
async def recognizers(request: Request, language: str | None = None) -> Response:
    """The models that answer, in a language or in any, the first one first."""
    names = [recognizer_name(served) for served in _speakers(request, language or None)]
    return Response(to_json(names), media_type=JSON)


@router.get(
    "/health",
    summary="Presidio: is the service up?",
    response_class=PlainTextResponse,
    responses={503: {"description": "It cannot answer now", "content": {"text/plain": {}}}},
)
async def health(request: Request) -> PlainTextResponse:
    """The same as /readyz, in words."""
    trouble = await request.app.state.health.trouble()
    return PlainTextResponse(trouble or UP, 200 if trouble is None else 503)


def check_honoured(body: AnalyzeRequest) -> None:
    """Raises ProblemError, 422, for what is missing and for what cannot be done."""
    if body.text is None:
        raise ProblemError(problems.INVALID, NO_TEXT)
    if not body.language:
        raise ProblemError(problems.INVALID, NO_LANGUAGE)
    if body.ad_hoc_recognizers:
        detail = "ad_hoc_recognizers are not supported: a model finds the entities, no patterns"
        raise ProblemError(problems.INVALID, detail)
    if body.allow_list and body.allow_list_match == "regex":
        detail = (
            "allow_list_match regex is not supported: list the exact texts, or filter the reply"
        )
        raise ProblemError(problems.INVALID, detail)


def chosen_model(request: Request, body: AnalyzeRequest) -> Served:
    """The model that answers: the first that has most of what is asked for.

    Raises ProblemError, 404, when none has any of it.
    """
    models = _speakers(request, body.language)
    if not body.entities:
        return models[0]
    wanted = set(body.entities)
    best = max(models, key=lambda served: len(wanted & entity_types(served)))
    if wanted.isdisjoint(entity_types(best)):
        raise ProblemError(problems.UNKNOWN_MODEL, NO_RECOGNIZER)
    return best


def _check_entities(request: Request, body: AnalyzeRequest, served: Served) -> list[str]:
    """What to warn of: entities that the model does not have.

    Raises ProblemError, 422, for such an entity unless the settings say to warn.
    """
    known = entity_types(served)
    unknown = sorted(set(body.entities or ()) - known)
    if not unknown:
        return []
    detail = (
        f"entities: {served.full_name} does not find {', '.join(map(repr, unknown))}, only: "
        f"{', '.join(sorted(known))}"
    )
    if request.app.state.settings.unknown_labels == "warn":
        return [detail]
    detail += f"; {ENV_PREFIX}UNKNOWN_LABELS=warn answers without them"
    raise ProblemError(problems.INVALID, detail)


def _speakers(request: Request, language: str | None) -> list[Served]:
    models = models_of(request.app.state.registry, language)
    if not models:
        raise ProblemError(problems.UNKNOWN_MODEL, NO_RECOGNIZER)
    return models


def entity_type(label: str) -> str:
    """Return Presidio's name of a model's label."""
    return ENTITY_TYPES.get(label.upper(), label.upper())


def entity_types(served: Served) -> set[str]:
    """Return Presidio's names of the labels of a model."""
    return set(map(entity_type, served.labels))


def recognizer_name(served: Served) -> str:
    """Return the name of a model among recognizers."""
    return f"Tagbelt {served.full_name}"


def results(
    annotation: Annotation, served: Served, body: AnalyzeRequest, allowed: Container[str]
) -> Iterator[dict[str, Any]]:
    """Return the API's answer for one text; `allowed` are texts to leave out."""
    for entity in annotation.entities:
        kind, score = entity_type(entity.label), rounded(entity.score)
        if body.entities and kind not in body.entities:
            continue
        if entity.score < (body.score_threshold or 0.0) or entity.text in allowed:
            continue
        explanation = _explanation(served, kind, entity.label, score)
        yield {
            "analysis_explanation": explanation if body.return_decision_process else None,
            "end": entity.end,
            "entity_type": kind,
            "score": score,
            "start": entity.start,
        }


def _explanation(served: Served, kind: str, label: str, score: float) -> dict[str, Any]:
    return {
        "recognizer": recognizer_name(served),
        "pattern_name": None,
        "pattern": None,
        "original_score": score,
        "score": score,
        "textual_explanation": f"Identified as {kind} by the model's label {label}",
        "score_context_improvement": 0,
        "supportive_context_word": "",
        "validation_result": None,
        "regex_flags": None,
    }
