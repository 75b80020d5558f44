"""The values that every other room passes around: small, frozen, without behaviour."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["word", "character"]
"""The tokens of a language: words where they are spaced, else single characters."""

OffsetUnit = Literal["codepoint", "utf16", "utf8"]
"""The unit of offsets: code points, UTF-16 code units (as in JavaScript) or UTF-8 bytes."""

Separator = Literal[" ", "\t"]
"""A character that stands between the columns of a CoNLL file."""

SeparatorName = Literal["whitespace", "tab", "space"]
SEPARATORS: dict[str, Separator | None] = {"whitespace": None, "tab": "\t", "space": " "}
"""The separators by the names that configs and command lines have for them."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An entity over tokens: token indices, `end` exclusive."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity found in a text.

    `start` and `end` are code-point offsets into the untouched text, `end` exclusive, so that
    `text[entity.start:entity.end] == entity.text`. `score` is the posterior probability, in
    [0, 1], that exactly this span carries exactly this label.
    """

    label: str
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenized sentence of a text.

    `starts` are code-point offsets into the whole text; a token ends at `start + len(word)`,
    since `text[start:start + len(word)] == word` always.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Open:
    """Tokens (of a text: code points) from `start` to before `end` of which not all is known.

    With `is_entity` they are exactly one entity, of a type that nobody stated. Without it each may
    have any tag, but for those of the types in `never`, which are in order.
    """

    start: int
    end: int
    never: tuple[str, ...] = ()
    is_entity: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an annotated file.

    `spans` are in order and do not overlap; `None` means that the file has no tags. `line` is
    the 1-based line of the first token, so that messages can name the place. `annotates` are the
    types that the file speaks of, None for all: of others, nothing is known outside the spans.
    `open` are the tokens outside the spans of which not all is known, in order, without overlap.
    """

    tokens: tuple[str, ...]
    spans: tuple[Span, ...] | None = None
    line: int = 0
    annotates: frozenset[str] | None = None
    open: tuple[Open, ...] = ()
