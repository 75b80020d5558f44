"""What a tagger answers: values without behaviour."""

from dataclasses import dataclass
from typing import NamedTuple

from tagbelt.data.types import Entity
from tagbelt.inference.notebook import to_html

Marginals = tuple[dict[str, float], ...]


class Named(NamedTuple):
    """An entity of one path: as `Entity`, but only the whole path has a score."""

    label: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """One way to tag a whole text or token list.

    `score` is its probability, in [0, 1], `tags` are IOB2, one a token, and `entities` are those
    of the tags, placed as in the annotation.
    """

    score: float
    tags: tuple[str, ...]
    entities: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One text or token list with everything that was found in it.

    `tags` are IOB2, one a token. For a text, `starts` are the tokens' code-point offsets and
    entities are as `Tagger.tag` returns them; for a token list, `starts` is empty and an entity's
    `start` and `end` are token indices, its `text` the tokens joined by spaces. `marginals` holds
    a dict a token, IOB2 tag -> probability, highest first, those of 0.001 or more; `paths` the
    most probable taggings, best first, no two with the same tags. Both are None unless asked for.
    """

    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    tags: tuple[str, ...]
    entities: tuple[Entity, ...]
    marginals: Marginals | None = None
    paths: tuple[Path, ...] | None = None

    def _repr_html_(self) -> str:
        """Return the text with its entities marked, as a notebook shows it."""
        return to_html(self.tokens, self.starts, self.entities)
