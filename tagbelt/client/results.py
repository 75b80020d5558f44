"""What the server answers with, as frozen values.

Members that a newer server adds are ignored.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request; `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


def _none_is_empty(value: object) -> object:
    return () if value is None else value


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the server describes it (RFC 9457).

    `request_id` finds the request in the server's log. Something between the client and the server
    that answers without problem details gives one of type "about:blank".
    """

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    instance: str = ""
    errors: Annotated[tuple[FieldProblem, ...], BeforeValidator(_none_is_empty)] = ()
    request_id: str = ""

    @property
    def slug(self) -> str:
        """The kind of problem in short, such as "too-long"; "" when there is none."""
        return self.type.partition("#")[2]


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity; `text[start:end]` of the tagged text, in the offset unit that was asked for.

    For token lists `start` and `end` are token indices. `score` is the probability that exactly
    this span has exactly this label.
    """

    label: str
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its place, in the offset unit that was asked for."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """An IOB2 tag that a token may have, with its marginal probability."""

    tag: str
    score: float


@dataclass(frozen=True, slots=True)
class PathEntity:
    """An entity of one reading; its probability is that of the reading as a whole."""

    label: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """One reading of a whole item: an IOB2 tag for each token, and its probability."""

    score: float
    tags: tuple[str, ...]
    entities: tuple[PathEntity, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one item.

    `tokens`, `tags` and `alternatives` are None unless `include` asked for them, and `paths`,
    the best first, unless `n_best` did. `model` is the name@version that tagged this item.
    """

    entities: tuple[Entity, ...]
    tokens: tuple[Token, ...] | None = None
    tags: tuple[str, ...] | None = None
    alternatives: tuple[tuple[Alternative, ...], ...] | None = None
    paths: tuple[Path, ...] | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ItemError:
    """Stands in the place of a result whose item is bad on its own."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that is served, or that could be.

    `state` is "loaded" when it answers requests, "available" when it can be loaded, "failed" when
    it could not be, for `reason`. `default` answers requests that name no model, `current` those
    that name no version. `loaded_at` is in RFC 3339.
    """

    name: str
    version: str
    digest: str
    labels: tuple[str, ...]
    scheme: str
    unit: str
    language: str
    description: str
    metrics: dict[str, Any]
    state: str = "loaded"
    default: bool = False
    current: bool = True
    loaded_at: str | None = None
    reason: str | None = None
    licence: str = ""

    @property
    def full_name(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models that are served; `default` answers when a request names none."""

    default: str
    models: tuple[ModelCard, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one model, or, in `problem`, why it could not be done.

    `digest` serves now and `previous_digest` did before; None where no checkpoint does or did.
    """

    action: Literal["load", "reload", "unload", "default"]
    model: str
    digest: str | None
    previous_digest: str | None
    seconds: float
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class WorkerTrouble:
    """A worker process that could not follow, and serves what it served before."""

    process: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Report:
    """What an admin call came to. `ok`: everything was done, in every worker process."""

    ok: bool
    default: str
    seconds: float
    changes: tuple[Change, ...]
    workers: tuple[WorkerTrouble, ...] = ()


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How many items of a file were tagged, how many could not be, and the entities found."""

    items: int = 0
    failed: int = 0
    entities: int = 0
