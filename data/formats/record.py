"""A text with the spans marked in it, which all formats are read into and written from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Any

from tagbelt.data.conll.partial import UNKNOWN
from tagbelt.data.types import OffsetUnit, Open
from tagbelt.errors import DataError


class Format(StrEnum):
    """The formats that are read. doccano-entities is Doccano's form with relations."""

    conll = "conll"
    doccano = "doccano"
    doccano_entities = "doccano-entities"
    labelstudio = "labelstudio"
    prodigy = "prodigy"
    brat = "brat"
    spacy = "spacy"
    kaggle = "kaggle"


READ_ONLY = frozenset((Format.spacy, Format.kaggle))
"""Formats that nothing is written in."""


UNANNOTATED = frozenset(("not-annotated", "only-predicted", "skipped", "not-accepted"))
"""Texts that nobody annotated, or not to the end: they are left out, since no entity in them would
be learned as none."""

MENDED = frozenset(("trimmed", "joined", "moved", "latin-1"))
"""What is carried over, though not as it stands."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A labelled span of a text: code-point offsets, `end` exclusive."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Record:
    """One text. `path` and `line` say where it was read.

    `tokens` are the offsets of its tokens, if the source has them: then it is one sentence.
    `open` are the parts outside the marks of which not all is known, in code points.
    `document` numbers the document it is a sentence of. `fields` is what else the source says
    of it, which is written where the target has room for it.
    """

    text: str
    marks: tuple[Mark, ...]
    tokens: tuple[tuple[int, int], ...] | None = None
    document: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    line: int | None = None
    open: tuple[Open, ...] = ()


@dataclass(slots=True)
class Losses:
    """The losses of a conversion; all are counted and the first of a kind kept.

    Of the kinds `UNANNOTATED` and `MENDED` nothing that somebody annotated is lost.
    """

    max_examples: int = 10
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, path: str, line: int | None, message: str) -> None:
        """Count one loss."""
        self.counts[kind] += 1
        kept = self.examples.setdefault(kind, [])
        if len(kept) < self.max_examples:
            kept.append(f"{place(path, line)}: {message}")

    @property
    def lost(self) -> int:
        """How many annotations cannot be carried over."""
        return self.counts.total() - self.left_out - sum(self.counts[kind] for kind in MENDED)

    @property
    def left_out(self) -> int:
        """How many texts are left out since nobody annotated them."""
        return sum(self.counts[kind] for kind in UNANNOTATED)


class Offsets:
    """Offsets into one text, from a unit to code points and back."""

    def __init__(self, text: str, unit: OffsetUnit) -> None:
        self._forth: list[int] | None = None
        self._length = len(text)
        if unit == "utf16" and any(c > "\uffff" for c in text):
            self._forth = list(accumulate((1 + (c > "\uffff") for c in text), initial=0))
        elif unit == "utf8" and not text.isascii():
            self._forth = list(accumulate((len(c.encode("utf-8")) for c in text), initial=0))
        self._back = {n: point for point, n in enumerate(self._forth or ())}

    def point(self, offset: object) -> int | None:
        """The code point at an offset; `None` if that is no offset of this text."""
        if not isinstance(offset, int) or isinstance(offset, bool):
            return None
        if self._forth is None:
            return offset if 0 <= offset <= self._length else None
        return self._back.get(offset)

    def has(self, point: int) -> bool:
        """Tell if there is such a code point, or if it is the end."""
        return 0 <= point <= self._length

    def offset(self, point: int) -> int:
        """The offset of a code point."""
        return point if self._forth is None else self._forth[point]


def place(path: str, line: int | None) -> str:
    """Where something stands, as `file:line`."""
    return path if line is None else f"{path}:{line}"


def checked_text(text: object, path: str, line: int | None) -> str:
    """The text of a record. Raises DataError if it is none, or half of a surrogate pair."""
    if not isinstance(text, str):
        raise DataError(f"{place(path, line)}: the text is no string but {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place(path, line)}: half of a surrogate pair at character {error.start}"
        ) from error
    return text


def read_mark(
    text: str,
    offsets: Offsets,
    span: tuple[object, object, object],
    where: tuple[str, int | None],
    losses: Losses,
    *,
    stated: object = None,
) -> Mark | None:
    """Read a span (start, end, label); what is none in this text is a loss.

    `stated` is the text that the source says the span has; another one is a loss too, as then
    the offsets count something else than was assumed.
    """
    start, end, label = offsets.point(span[0]), offsets.point(span[1]), span[2]
    if start is None or end is None or start >= end:
        reason = "no span of this text"
        losses.add("bad-span", *where, f"{span[0]!r} to {span[1]!r} ({label!r}) is {reason}")
    elif not isinstance(label, str) or label.strip() in ("", UNKNOWN):
        losses.add("bad-span", *where, f"{text[start:end]!r} has no label")
    elif isinstance(stated, str) and _folded(stated) != _folded(text[start:end]):
        losses.add(
            "other-text",
            *where,
            f"{span[0]} to {span[1]} is {text[start:end]!r} and said to be {stated!r}; "
            "is --offset-unit right?",
        )
    else:
        return Mark(start, end, label)
    return None


def read_tokens(
    value: object, offsets: Offsets, where: tuple[str, int | None]
) -> tuple[tuple[int, int], ...] | None:
    """Read `[[start, end], ...]`. Raises DataError if these are no tokens of the text."""
    if value is None:
        return None
    tokens = []
    reached = 0
    for pair in value if isinstance(value, list) else [None]:
        first, last = pair if isinstance(pair, list | tuple) and len(pair) == 2 else (None, None)
        start, end = offsets.point(first), offsets.point(last)
        if start is None or end is None or not reached <= start <= end:
            raise DataError(f"{place(*where)}: tokens: {pair!r} is no token of this text")
        tokens.append((start, end))
        reached = end
    return tuple(tokens)


def _folded(text: str) -> str:
    """The text as tools show it: line breaks as spaces (brat), or as backslash and n."""
    return " ".join(text.replace("\\n", " ").split())
