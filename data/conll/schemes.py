"""Tag schemes: the ways of writing entities as one tag per token, and back.

A tag is `O` or a prefix, a hyphen and a type (`B-PER`, `I-ORG-COMPANY`). What a prefix says does
not depend on the scheme: B opens an entity, E and L close one, S and U do both, I and M do
neither. A scheme only chooses which of them to write where, so tags are read the same way in all
schemes, and are valid when writing what was read gives the same tags back.

Reading follows the conlleval convention of the CoNLL-2000 shared task: an entity that begins in
the middle begins there, one of another type ends the one before, an unfinished one ends where it
stops.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from operator import ne
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.types import Span
from tagbelt.errors import TagError

OUTSIDE = "O"
OnInvalid = Literal["error", "repair", "drop"]


class Scheme(StrEnum):
    """The prefixes that a file writes. IOB2 is also called BIO, BIOES IOBES, BILUO BILOU."""

    IO = "IO"
    IOB1 = "IOB1"
    IOB2 = "IOB2"
    BMES = "BMES"
    BIOES = "BIOES"
    BILUO = "BILUO"


class _Prefixes(NamedTuple):
    """The prefix of a token by its place in the entity; "" where the scheme has none."""

    first: str
    inside: str
    last: str
    only: str
    first_again: str  # of an entity right behind one of the same type
    only_again: str


_PREFIXES = {
    Scheme.IO: _Prefixes("I", "I", "I", "I", "", ""),
    Scheme.IOB1: _Prefixes("I", "I", "I", "I", "B", "B"),
    Scheme.IOB2: _Prefixes("B", "I", "I", "B", "B", "B"),
    Scheme.BMES: _Prefixes("B", "M", "E", "S", "B", "S"),
    Scheme.BIOES: _Prefixes("B", "I", "E", "S", "B", "S"),
    Scheme.BILUO: _Prefixes("B", "I", "L", "U", "B", "U"),
}
CONTINUING = frozenset("IMEL")
"""Prefixes that, in schemes that tell where an entity begins, never stand on its first token."""
_OPENING = frozenset("BSU")
_CLOSING = frozenset("ELSU")
_ORDER = "BIMELSU"  # in which a scheme's prefixes are listed


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Which tags may start a sentence [K], follow one another [K, K] (from, to) and end it [K]."""

    start: NDArray[np.bool_]
    step: NDArray[np.bool_]
    end: NDArray[np.bool_]


def prefixes(scheme: Scheme) -> tuple[str, ...]:
    """The prefixes that the scheme writes, in the order B I M E L S U."""
    return tuple(sorted(set(_PREFIXES[scheme]) - {""}, key=_ORDER.index))


@lru_cache(maxsize=1 << 12)
def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into prefix and type: `("B", "PER")`; `("O", "")` for the outside.

    Raises ValueError if it is neither `O` nor a known prefix with a type.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if not hyphen:
        raise ValueError(f"{tag!r} is not a tag: neither O nor a prefix, a hyphen and a type")
    if len(prefix) != 1 or prefix not in _ORDER:
        raise ValueError(f"{tag!r} is not a tag: {prefix!r} is none of {', '.join(_ORDER)}")
    if not label:
        raise ValueError(f"{tag!r} is not a tag: no type behind the prefix")
    return prefix, label


@lru_cache(maxsize=1 << 12)
def check_tag(tag: str, scheme: Scheme | None) -> str | None:
    """Say why the scheme, or without one any scheme, does not have a tag; `None` if it has."""
    try:
        prefix, label = split_tag(tag)
    except ValueError as error:
        return str(error)
    if not label or scheme is None or prefix in _PREFIXES[scheme]:
        return None
    known = ", ".join(f"{known}-" for known in prefixes(scheme))
    return f"{tag!r} is not a tag of {scheme}, which has O, {known}"


def tags_to_spans(
    tags: Sequence[str], scheme: Scheme, *, on_invalid: OnInvalid = "error"
) -> tuple[Span, ...]:
    """Read the entities of one sentence, in order.

    Raises TagError at the first tag that is not valid in the scheme; with "repair" and "drop"
    only at one that has no place in the scheme at all (`parse_tags` reports the others). "repair"
    takes broken entities as they are read, "drop" leaves them out.
    """
    check_on_invalid(on_invalid)
    spans, problems = parse_tags(tags, scheme)
    if problems and on_invalid == "error":
        raise problems[0]
    return whole_spans(spans, problems) if on_invalid == "drop" else spans


def whole_spans(spans: tuple[Span, ...], problems: Sequence["TagError"]) -> tuple[Span, ...]:
    """The entities all of whose tags are as the scheme writes them."""
    broken = {problem.index for problem in problems}
    return tuple(s for s in spans if broken.isdisjoint(range(s.start, s.end)))


def parse_tags(
    tags: Sequence[str], scheme: Scheme
) -> tuple[tuple[Span, ...], tuple[TagError, ...]]:
    """Read the entities of one sentence, and each tag that the scheme writes otherwise.

    Raises TagError at a tag that has no place in the scheme.
    """
    spans, written = _read(tags, scheme)
    if not _differences(tags, written):
        return spans, ()
    pairs = enumerate(zip(tags, written, strict=True))
    return spans, tuple(
        TagError(index, tag, _misfit(tags, index, reading, scheme), reading=reading)
        for index, (tag, reading) in pairs
        if tag != reading
    )


def check_on_invalid(on_invalid: str) -> None:
    """Raise ValueError for anything but "error", "repair" and "drop"."""
    if on_invalid not in ("error", "repair", "drop"):
        raise ValueError(f"on_invalid is 'error', 'repair' or 'drop', not {on_invalid!r}")


def spans_to_tags(spans: Iterable[Span], length: int, scheme: Scheme) -> tuple[str, ...]:
    """Write entities, in any order, as the tags of a sentence of `length` tokens.

    Raises ValueError for spans that are empty, have no label, reach beyond the sentence or
    overlap, and for two of a type side by side in IO, which would run together.
    """
    layout = _PREFIXES[scheme]
    tags = [OUTSIDE] * length
    end, label = 0, ""
    for span in sorted(spans):
        _check_span(span, end, length)
        again = span.start == end and span.label == label
        if again and not layout.first_again:
            raise ValueError(f"{scheme} cannot tell {span} from the {label} right before it")
        tags[span.start : span.end] = _write(span, layout, again)
        end, label = span.end, span.label
    return tuple(tags)


def tag_set(types: Iterable[str], scheme: Scheme) -> tuple[str, ...]:
    """All tags for these entity types: `O`, then type by type the scheme's prefixes.

    Raises ValueError for an empty or repeated type.
    """
    types = tuple(types)
    if "" in types or len(set(types)) < len(types):
        raise ValueError(f"entity types must be distinct and not empty: {types}")
    return (OUTSIDE, *(f"{prefix}-{label}" for label in types for prefix in prefixes(scheme)))


def allowed_transitions(tags: Sequence[str], scheme: Scheme) -> Transitions:
    """Tell which moves between the K tags valid sequences of the scheme are made of.

    A sequence is valid exactly if its start, each of its steps and its end are allowed.
    Raises TagError for a tag that has no place in the scheme.
    """
    places = [_place(tag, index, scheme) for index, tag in enumerate(tags)]
    step = [[_may_follow(before, after) for after in places] for before in places]
    return Transitions(
        start=np.array([place.starts for place in places], dtype=np.bool_),
        step=np.array(step, dtype=np.bool_).reshape(len(tags), len(tags)),
        end=np.array([place.ends for place in places], dtype=np.bool_),
    )


class _Role(NamedTuple):
    """The meaning of a tag by itself."""

    opens: bool
    closes: bool
    label: str  # "" outside


class _Place(NamedTuple):
    """Where in entities of one type a scheme writes a tag."""

    label: str
    starts: bool  # a first token, not behind an entity of the same type
    starts_again: bool  # a first token behind one of the same type
    continues: bool  # not the first token
    goes_on: bool  # not the last token
    ends: bool  # the last token


def _read(tags: Sequence[str], scheme: Scheme) -> tuple[tuple[Span, ...], Sequence[str]]:
    """The entities, and the tags that the scheme writes for them."""
    if tags.count(OUTSIDE) == len(tags):
        return (), tags
    roles = {tag: _role(tag, tags, scheme) for tag in dict.fromkeys(tags)}
    spans = []
    start, inside = 0, ""
    for index, tag in enumerate(tags):
        opens, closes, label = roles[tag]
        if inside and (opens or label != inside):
            spans.append(Span(start, index, inside))
            inside = ""
        if label and not inside:
            start, inside = index, label
        if closes:
            spans.append(Span(start, index + 1, inside))
            inside = ""
    if inside:
        spans.append(Span(start, len(tags), inside))
    return tuple(spans), spans_to_tags(spans, len(tags), scheme)


def _role(tag: str, tags: Sequence[str], scheme: Scheme) -> _Role:
    prefix, label = _checked(tag, tags.index(tag), scheme)
    return _Role(prefix in _OPENING, prefix in _CLOSING, label)


def _checked(tag: str, index: int, scheme: Scheme) -> tuple[str, str]:
    fault = check_tag(tag, scheme)
    if fault:
        raise TagError(index, tag, fault)
    return split_tag(tag)


def _differences(tags: Sequence[str], written: Sequence[str]) -> int:
    return 0 if tags is written else sum(map(ne, tags, written))


def _misfit(tags: Sequence[str], index: int, reading: str, scheme: Scheme) -> str:
    before = repr(tags[index - 1]) if index else "the start"
    after = repr(tags[index + 1]) if index + 1 < len(tags) else "the end"
    place = f"{tags[index]!r} between {before} and {after}"
    return f"{place} is not valid in {scheme}, which has {reading!r} there"


def _check_span(span: Span, free: int, length: int) -> None:
    if not 0 <= span.start < span.end <= length:
        raise ValueError(f"{span} is empty or outside a sentence of {length} tokens")
    if not span.label:
        raise ValueError(f"{span} has no label")
    if span.start < free:
        raise ValueError(f"{span} overlaps the span before it, which ends at {free}")


def _write(span: Span, layout: _Prefixes, again: bool) -> list[str]:
    length = span.end - span.start
    if length == 1:
        return [f"{layout.only_again if again else layout.only}-{span.label}"]
    first = f"{layout.first_again if again else layout.first}-{span.label}"
    inside = f"{layout.inside}-{span.label}"
    return [first, *[inside] * (length - 2), f"{layout.last}-{span.label}"]


def _place(tag: str, index: int, scheme: Scheme) -> _Place:
    prefix, label = _checked(tag, index, scheme)
    if not label:  # the outside is an entity of its own on each token, so to say
        return _Place("", True, True, False, False, True)
    layout = _PREFIXES[scheme]
    return _Place(
        label,
        starts=prefix in (layout.first, layout.only),
        starts_again=prefix in (layout.first_again, layout.only_again),
        continues=prefix in (layout.inside, layout.last),
        goes_on=prefix in (layout.first, layout.first_again, layout.inside),
        ends=prefix in (layout.last, layout.only, layout.only_again),
    )


def _may_follow(before: _Place, after: _Place) -> bool:
    same = before.label == after.label
    if same and before.goes_on and after.continues:
        return True
    return before.ends and (after.starts_again if same else after.starts)
