"""The shapes of /v1 requests and replies, as validated and as published in the OpenAPI document."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from tagbelt.data.types import OffsetUnit

DIGEST_HEADER = "x-model-digest"
"""The header of a reply that tells which checkpoints answered: SHA-256, in hex."""

WARNING_HEADER = "x-tagbelt-warning"
"""The header of a reply that may not be what it seems; it says why."""

InputField = Literal["text", "texts", "tokens"]
INPUT_FIELDS: tuple[InputField, ...] = ("text", "texts", "tokens")

SENTENCE = "Angela Merkel visited Toyota in Nagoya on Monday."
REQUEST_EXAMPLES: dict[str, dict[str, Any]] = {
    "A text": {"text": SENTENCE},
    "Texts, with a filter": {"texts": [SENTENCE, ""], "labels": ["PER"], "min_score": 0.5},
    "The model by its language, and other readings": {
        "text": SENTENCE,
        "model": "auto",
        "n_best": 3,
    },
    "Tokens": {"tokens": [["Angela", "Merkel", "visited", "Toyota"]], "include": ["tags"]},
}
REPLY_EXAMPLE = {
    "model": {"name": "en", "version": "1", "digest": "5f2b" + "0" * 60},
    "offset_unit": "codepoint",
    "results": [
        {
            "entities": [
                {"label": "PER", "start": 0, "end": 13, "text": "Angela Merkel", "score": 0.998}
            ]
        }
    ],
}


# What an item holds is checked item by item, so that a bad one fails alone.
Texts = Annotated[list[Any], WithJsonSchema({"type": "array", "items": {"type": "string"}})]
TokenLists = Annotated[
    list[Any],
    WithJsonSchema({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
]
# Bounded, since an error quotes them.
Name = Annotated[str, Field(max_length=200)]


class TagOptions(BaseModel):
    """How to tag, and how to answer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: Name | None = Field(
        default=None,
        description="A name from /v1/models, name@version, or auto: by the language of each input.",
    )
    labels: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Answer only with entities of these labels.",
    )
    min_score: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Answer only with entities of at least this score.",
    )
    offset_unit: OffsetUnit = Field(
        default="codepoint",
        description="What start and end count in a text; for tokens they count tokens.",
    )
    include: list[Literal["tokens", "tags", "alternatives"]] = Field(
        default_factory=list,
        max_length=100,
        description="More to answer with: the tokens, their IOB2 tags, each token's likely tags.",
    )
    n_best: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Answer also with this many of the most probable readings of each input.",
    )


class TagRequest(TagOptions):
    """What to tag, in exactly one of text, texts and tokens, and how to answer."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [field]} for field in INPUT_FIELDS]}
    )

    text: str = Field(default="", description="One text.")
    texts: Texts = Field(default_factory=list, description="Texts; each is tagged on its own.")
    tokens: TokenLists = Field(
        default_factory=list, description="Sentences that are split into tokens already."
    )

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        given = [field for field in INPUT_FIELDS if field in self.model_fields_set]
        if len(given) != 1:
            what = "none is given" if not given else f"{' and '.join(given)} are given"
            raise PydanticCustomError(
                "one_input",
                "Give exactly one of text, texts and tokens; {what}",
                {"what": what},
            )
        return self

    @property
    def field(self) -> InputField:
        """The input field that was given."""
        given = self.model_fields_set
        return "text" if "text" in given else "texts" if "texts" in given else "tokens"

    @property
    def items(self) -> list[Any]:
        """The inputs, unchecked, in order."""
        items: list[Any] = [self.text] if self.field == "text" else getattr(self, self.field)
        return items


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


INSPECT_EXAMPLE: dict[str, Any] = {"text": SENTENCE, "occlude": True}


class InspectRequest(BaseModel):
    """A text to look at inside the network, and how closely."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: str = Field(description="One text, a sentence or two.")
    model: Name | None = Field(
        default=None,
        description="A name from /v1/models, name@version, auto: by the language of the text, or "
        "the name of a small model from GET /v1/inspect.",
    )
    occlude: bool = Field(
        default=False,
        description="Tell of every entity which tokens it rests on, and how far each token is "
        "remembered: each is hidden in turn.",
    )
    vectors: bool = Field(default=False, description="Answer with whole vectors, not norms alone.")


class FieldProblem(_Reply):
    """What is wrong with one field of the request."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the request's body.")
    detail: str = Field(description="What is wrong with it.")


class Problem(_Reply):
    """An error, as RFC 9457 problem details."""

    type: str = Field(description="URI reference of the kind of problem; described there.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(
        description="The HTTP status; of one item, the status it would have had alone."
    )
    detail: str = Field(description="What went wrong this time, and the remedy.")
    instance: str = Field(description="The request, or the item of it, that has the problem.")
    errors: list[FieldProblem] | None = Field(
        default=None, description="The fields at fault, when the request is invalid."
    )

    @property
    def slug(self) -> str:
        """The kind of problem in short, such as "too-long"; "" when there is none."""
        return self.type.partition("#")[2]


class TaggedEntity(_Reply):
    """An entity. For texts, text[start:end] in the reply's offset_unit is the entity's text."""

    label: str = Field(description="The entity type.")
    start: int = Field(description="Where it begins.")
    end: int = Field(description="Where it ends, exclusive.")
    text: str = Field(description="The text from start to end; tokens are joined by spaces.")
    score: float = Field(
        ge=0, le=1, description="Probability that exactly this span has exactly this label."
    )


class TaggedToken(_Reply):
    """A token and its place, in the reply's offset_unit."""

    text: str = Field(description="The token.")
    start: int = Field(description="Where it begins.")
    end: int = Field(description="Where it ends, exclusive.")


class Alternative(_Reply):
    """A tag that a token may have, with its marginal probability."""

    tag: str = Field(description="An IOB2 tag.")
    score: float = Field(ge=0, le=1, description="Its marginal probability.")


class ReadEntity(_Reply):
    """An entity of one reading. As any entity, but only the reading has a score."""

    label: str = Field(description="The entity type.")
    start: int = Field(description="Where it begins.")
    end: int = Field(description="Where it ends, exclusive.")
    text: str = Field(description="The text from start to end; tokens are joined by spaces.")


class Reading(_Reply):
    """One way to tag the whole input."""

    score: float = Field(ge=0, le=1, description="Its probability.")
    tags: list[str] = Field(description="One IOB2 tag a token.")
    entities: list[ReadEntity] = Field(description="What these tags say; labels filter it.")


class Tagged(_Reply):
    """The result of one input."""

    model: str | None = Field(
        default=None, description="name@version of who tagged it, when the model was auto."
    )

    entities: list[TaggedEntity] = Field(
        description="In the order of the text; they do not overlap."
    )
    tokens: list[TaggedToken] | None = Field(default=None, description="When asked for.")
    tags: list[str] | None = Field(default=None, description="One IOB2 tag a token.")
    alternatives: list[list[Alternative]] | None = Field(
        default=None, description="For each token its likely tags, the likeliest first."
    )
    paths: list[Reading] | None = Field(
        default=None, description="The most probable readings, best first, when n_best is given."
    )


class Failed(_Reply):
    """An input that could not be tagged; the others are not affected."""

    error: Problem = Field(description="Why.")


class StreamOptions(TagOptions):
    """The options of a stream, in its query."""

    model_config = ConfigDict(strict=False)


class StreamLine(BaseModel):
    """One line of a stream: one input."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["text"]}, {"required": ["tokens"]}]},
    )

    text: Any = Field(default=None, json_schema_extra={"type": "string"})
    tokens: Any = Field(
        default=None, json_schema_extra={"type": "array", "items": {"type": "string"}}
    )
    id: str | int | None = Field(default=None, description="Given back with the result.")


class StreamedResult(Tagged):
    """One line of the answer: the result of one line."""

    line: int = Field(description="Its number, from 1; blank lines are counted, not answered.")
    id: str | int | None = Field(default=None, description="That of the line, if it had one.")
    warnings: list[str] | None = Field(
        default=None,
        description="Why the result may not be what it seems, if there is reason to doubt.",
    )


class StreamedFailure(Failed):
    """One line of the answer: why a line could not be tagged, or why the stream ends here."""

    line: int = Field(description="Its number; of the end, that of the first line not answered.")
    id: str | int | None = Field(default=None, description="That of the line, if it had one.")


class ModelName(_Reply):
    """The model that answered."""

    name: str = Field(description="The name that requests use.")
    version: str = Field(description="The version of the checkpoint.")
    digest: str = Field(description="SHA-256 of the checkpoint, in hex.")

    @property
    def full_name(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"


class TagReply(_Reply):
    """One result for each input, in order."""

    model: ModelName | None = Field(
        description="Who answered; null when auto took several, which the results then name."
    )
    offset_unit: Literal[OffsetUnit, "token"] = Field(description="What start and end count.")
    results: list[Tagged | Failed] = Field(description="One for each input, in order.")
    warnings: list[str] | None = Field(
        default=None,
        description="Why the results may not be what they seem, if there is reason to doubt.",
    )


class InspectedDirection(_Reply):
    """One direction of one layer; lists have one value a token, in the order of the text."""

    direction: Literal["forward", "backward"] = Field(description="From where it reads.")
    gates: dict[str, list[float]] = Field(
        description="Means over the units, 0 to 1: forget, input, output; reset, update; or none."
    )
    norms: dict[str, list[float]] = Field(description="Lengths of candidate, cell and state.")
    carried: list[list[float]] | None = Field(
        description="How much of what was kept at a token (row) is left at another; null for a "
        "cell without gates."
    )
    reach: list[int] | None = Field(
        description="Over how many more tokens at least half of it is carried."
    )
    influence: list[list[float]] | None = Field(
        description="How much of a token (row) is in the memory at another, if asked for: how far "
        "the memory there departs when the token is hidden, as a share of how far it does at it."
    )
    vectors: dict[str, list[list[float]]] | None = Field(
        default=None, description="Gates, candidate, cell and state of each unit, when asked for."
    )


class InspectedEntity(TaggedEntity):
    """An entity and what it rests on; start and end count code points."""

    rests_on: list[float] | None = Field(
        description="By how much its probability falls when a token is hidden, when asked for."
    )
    gradient: list[float] | None = Field(
        description="The derivative of its probability along what is read of each token, when "
        "asked for."
    )


class InspectedSentence(_Reply):
    """One sentence, token by token."""

    tokens: list[TaggedToken] = Field(description="Its tokens; places count code points.")
    layers: list[list[InspectedDirection]] = Field(description="Layers, each by direction.")
    attention: list[list[list[float]]] | None = Field(
        description="By head, how each token (row) shares its attention; null without any."
    )
    emissions: list[list[float]] = Field(description="Scores of every tag before decoding.")
    path: list[str] = Field(description="The best tags, in the model's own scheme.")
    transitions: list[float] = Field(
        description="Scores of the path's start, of each of its steps, and of its end."
    )
    marginals: list[list[float]] = Field(description="Probabilities of every tag.")
    entities: list[InspectedEntity] = Field(description="Those of the best path.")


class SmallModel(_Reply):
    """A model that is there to be looked into, and does not tag."""

    name: str = Field(description="What `model` of the request is to say.")
    language: str = Field(description="A language tag such as `en`.")
    cell: str = Field(description="Its recurrent cell.")


class InspectOffer(_Reply):
    """What can be looked into here."""

    tokens: int = Field(description="Tokens that a text may have.")
    small_models: list[SmallModel] = Field(
        description="Small models of several cells, trained alike, to compare cells with."
    )


class InspectReply(_Reply):
    """What the network did with a text, in float32."""

    model: ModelName = Field(description="The model that was looked at.")
    cell: str = Field(description="Its recurrent cell.")
    tags: list[str] = Field(description="The order of tags in emissions and marginals.")
    sentences: list[InspectedSentence] = Field(description="None for a blank text.")


class ModelCard(ModelName):
    """A model that is served."""

    labels: list[str] = Field(description="Entity types.")
    scheme: str = Field(description="Tag scheme of its training.")
    unit: str = Field(description="What it tags: `word` or `character`.")
    language: str = Field(description="A language tag such as `en`; empty when it is not stated.")
    description: str = Field(description="A sentence for people.")
    licence: str = Field(description="On what terms it may be used; empty when it is not stated.")
    metrics: dict[str, Any] = Field(description="Quality as measured by its training.")
    examples: list[str] = Field(
        default=[], description="Sentences of its data to try it on; none where it keeps none."
    )


class Status(_Reply):
    """A health check that passed."""

    status: Literal["ok"] = Field(
        description="Always the same; trouble is a problem with status 503."
    )
