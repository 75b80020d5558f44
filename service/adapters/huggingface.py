"""Token classification as Hugging Face's inference API speaks it."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from tagbelt.inference import Annotation
from tagbelt.service.adapters.answering import (
    JSON,
    AdapterRoute,
    ModelName,
    Names,
    TextOrTexts,
    all_good,
    described_errors,
    listed,
    rounded,
)
from tagbelt.service.api.bodies import check_encoding, parse_aside, read_json
from tagbelt.service.api.tagging import Query, ask, rendered

OUTSIDE = "O"
Strategy = Literal["none", "simple", "first", "average", "max"]

EXAMPLES: dict[str, Example] = {
    "A text": {"value": {"inputs": "Angela Merkel visited Toyota in Nagoya."}},
    "Texts, one entry a token": {
        "value": {
            "inputs": ["Angela Merkel visited Toyota.", ""],
            "parameters": {"aggregation_strategy": "none", "ignore_labels": ["O"]},
        }
    },
}


class Parameters(BaseModel):
    """How to answer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    aggregation_strategy: Strategy | None = Field(
        default=None,
        description="`none` answers with tokens. All others answer with entities, and alike: a "
        "word is one token here, so that there are no pieces to agree. `simple` unless given.",
    )
    ignore_labels: Names | None = Field(
        default=None,
        description="Leave out these: entity types, or tags such as B-PER where the strategy is "
        "`none`. Unless given, what is outside of entities: O.",
    )
    stride: int | None = Field(
        default=None, ge=0, description="Has no effect: a long text is read whole."
    )

    @property
    def by_token(self) -> bool:
        """Whether to answer with tokens."""
        return self.aggregation_strategy == "none"

    @property
    def ignored(self) -> frozenset[str]:
        """What to leave out."""
        return frozenset([OUTSIDE] if self.ignore_labels is None else self.ignore_labels)


class TokenClassificationRequest(BaseModel):
    """A text, or texts, and how to answer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inputs: TextOrTexts = Field(description="A text, or a list of texts.")
    parameters: Parameters | None = Field(default=None, description="How to answer.")
    options: dict[str, Any] | None = Field(
        default=None,
        description="use_cache, wait_for_model and the like: they have no effect, since models "
        "are always loaded and nothing is cached.",
    )


class EntityGroup(BaseModel):
    """An entity."""

    entity_group: str = Field(description="The entity type.")
    score: float = Field(ge=0, le=1, description="Probability of exactly this span and type.")
    word: str = Field(description="The text from start to end.")
    start: int = Field(description="Where it begins, in code points.")
    end: int = Field(description="Where it ends, exclusive.")


class TokenEntity(BaseModel):
    """A token."""

    entity: str = Field(description="Its IOB2 tag.")
    score: float = Field(ge=0, le=1, description="The tag's marginal probability.")
    index: int = Field(description="Its number in the text; the first is 1.")
    word: str = Field(description="The token.")
    start: int = Field(description="Where it begins, in code points.")
    end: int = Field(description="Where it ends, exclusive.")


class HuggingFaceError(BaseModel):
    """An error as Hugging Face's API tells it."""

    error: str


Entries = list[EntityGroup] | list[TokenEntity]


class HuggingFaceRoute(AdapterRoute):
    """A route whose body is JSON also where the request does not say so, as with this API."""

    @staticmethod
    async def read(request: Request, schema: Any) -> Any:
        """The body. Raises ProblemError."""
        if request.headers.get("content-type"):
            return await read_json(request, schema)
        check_encoding(request)
        return await parse_aside(request, await request.body(), schema)


router = APIRouter(
    route_class=HuggingFaceRoute,
    tags=["Hugging Face"],
    responses=described_errors(HuggingFaceError),
)


@router.post(
    "/",
    summary="Hugging Face: tag with the default model",
    response_model=Entries | list[Entries],
)
async def default_model(
    body: Annotated[TokenClassificationRequest, Body(openapi_examples=EXAMPLES)], request: Request
) -> Response:
    """As POST /models/{name}, for clients that know only an endpoint's URL."""
    return await classify(body, request, None)


@router.post("/models/{name}", summary="Hugging Face: tag", response_model=Entries | list[Entries])
async def named_model(
    body: Annotated[TokenClassificationRequest, Body(openapi_examples=EXAMPLES)],
    request: Request,
    name: ModelName,
) -> Response:
    """Token classification. A text is answered with a list, a list with a list of lists.

    The API has no errors of single texts: one that cannot be tagged fails the request.
    """
    return await classify(body, request, name)


async def classify(
    body: TokenClassificationRequest, request: Request, model: str | None
) -> Response:
    """The reply to a request. Raises ProblemError."""
    parameters = body.parameters or Parameters()
    single = isinstance(body.inputs, str)
    query = Query(
        listed(body.inputs),
        model=model,
        # An entity's score is at hand; those of tokens are marginals.
        marginals=parameters.by_token or OUTSIDE not in parameters.ignored,
        field="inputs",
    )
    answer = await ask(request, query)
    good = all_good(answer, query.field, single=single)

    def render() -> bytes:
        pairs = zip(query.items, good, strict=True)
        lists = [entries(str(text), annotation, parameters) for text, annotation in pairs]
        return to_json(lists[0] if single else lists)

    content = await rendered(answer, render)
    return Response(content, media_type=JSON, headers=answer.headers)


def entries(text: str, annotation: Annotation, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the API's answer for one text."""
    if parameters.by_token:
        return [one for one in _tokens(annotation) if one["entity"] not in parameters.ignored]
    groups = _groups(text, annotation, outside=OUTSIDE not in parameters.ignored)
    return [one for one in groups if one["entity_group"] not in parameters.ignored]


def _tokens(annotation: Annotation) -> Iterator[dict[str, Any]]:
    rows = zip(
        annotation.tags,
        annotation.marginals or (),
        annotation.tokens,
        annotation.starts,
        strict=True,
    )
    for index, (tag, marginals, word, start) in enumerate(rows, start=1):
        yield {
            "entity": tag,
            "score": rounded(marginals.get(tag, 0.0)),
            "index": index,
            "word": word,
            "start": start,
            "end": start + len(word),
        }


def _groups(text: str, annotation: Annotation, *, outside: bool) -> list[dict[str, Any]]:
    groups = [
        _group(entity.label, entity.score, text, entity.start, entity.end)
        for entity in annotation.entities
    ]
    if outside:
        groups += _outside(text, annotation)
        groups.sort(key=lambda group: group["start"])
    return groups


def _outside(text: str, annotation: Annotation) -> Iterator[dict[str, Any]]:
    """Return the groups between entities: each run of tokens is one, its score their mean."""
    run: list[dict[str, Any]] = []
    for token in [*_tokens(annotation), None]:
        if token is not None and token["entity"] == OUTSIDE:
            run.append(token)
        elif run:
            yield _group(OUTSIDE, _mean(run), text, run[0]["start"], run[-1]["end"])
            run = []


def _mean(tokens: Sequence[dict[str, Any]]) -> float:
    total: float = sum(token["score"] for token in tokens)
    return total / len(tokens)


def _group(label: str, score: float, text: str, start: int, end: int) -> dict[str, Any]:
    return {
        "entity_group": label,
        "score": rounded(score),
        "word": text[start:end],
        "start": start,
        "end": end,
    }
