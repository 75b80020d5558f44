"""The values that a tagger returns: annotations, facts about its model, and seconds."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tagbelt.data.checkpoint.artifact import Baseline
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Entity, Unit
from tagbelt.inference.inspection import Inspection
from tagbelt.inference.notebook import to_html

Marginals = tuple[dict[str, float], ...]


class UnscoredEntity(NamedTuple):
    """An entity of one path: as `Entity`, but only the whole path has a score."""

    label: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class TagPath:
    """One way to tag a whole text or token list.

    `score` is its probability, in [0, 1], `tags` are IOB2, one a token, and `entities` are those
    of the tags, placed as in the annotation.
    """

    score: float
    tags: tuple[str, ...]
    entities: tuple[UnscoredEntity, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A text or token list with all that was found in it.

    `tags` are IOB2, one a token. For a text, `starts` are the tokens' code-point offsets and
    entities are as `Tagger.tag` returns them; for a token list, `starts` is empty and an entity's
    `start` and `end` are token indices, its `text` the tokens joined by spaces. `marginals` holds
    a dict a token, IOB2 tag -> probability, highest first, those of 0.001 or more; `paths` the
    most probable taggings, best first, no two with the same tags; `inspection` what happened inside
    the network. All three are None unless asked for.
    """

    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    tags: tuple[str, ...]
    entities: tuple[Entity, ...]
    marginals: Marginals | None = None
    paths: tuple[TagPath, ...] | None = None
    inspection: Inspection | None = None

    def _repr_html_(self) -> str:
        """Return the text with its entities marked, as a notebook shows it."""
        return to_html(self.tokens, self.starts, self.entities)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The identity of a loaded model.

    `labels` are the entity types; `tags` the CRF's tags in their order, written in
    `scheme`; `unit` is what one token is. `digest` is the checkpoint's SHA-256 in hex.
    `metrics` are those that its training recorded, `baseline` what it finds in texts like those
    of its training, if its checkpoint says so. `examples` are texts to try it on.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    scheme: Scheme
    unit: Unit
    digest: str
    language: str = ""
    description: str = ""
    licence: str = ""
    metrics: Mapping[str, object] = field(default_factory=dict, hash=False)
    baseline: Baseline | None = field(default=None, hash=False)
    examples: tuple[str, ...] = ()


@dataclass(slots=True)
class Phases:
    """Seconds in tokenizing, in the network and in decoding, summed over threads.

    `infer` is looking tokens up and scoring them, `decode` all from there to the results.
    `tokenize` is left to whoever calls `Tagger.tokenize`.
    """

    tokenize: float = 0.0
    infer: float = 0.0
    decode: float = 0.0
    _lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    def add(self, *, tokenize: float = 0.0, infer: float = 0.0, decode: float = 0.0) -> None:
        """Add seconds; safe to call from several threads at once."""
        with self._lock:
            self.tokenize += tokenize
            self.infer += infer
            self.decode += decode
