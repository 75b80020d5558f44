"""Terms of a gazetteer, and the file that keeps them."""

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.matching import MOST_TOKENS, TextPieces, code_points

_HEADER = "tagbelt gazetteer 1"
_MOST_RATIO = 50  # sorted terms are packed to a third, or a tenth
_CASES = {"as-written": False, "lowercase": True}
_BREAK, _TAB = ord("\n"), ord("\t")
_COMPARED_AT_ONCE = 32  # characters of two texts, of which few have more in common
_FEW_TYPES = 32
_UNKEPT = re.compile("[\t\n\r\ud800-\udfff]")


class Term(NamedTuple):
    """A listed term: its type, its tokens, and how often it occurs (0: not known)."""

    type: str
    tokens: tuple[str, ...]
    weight: float = 0.0


class Terms(NamedTuple):
    """Many terms as columns, sorted by their tokens with tabs between, then by type.

    `text` is the unpacked file. Term k has `lengths[k]` of the `tokens`, which follow each other,
    the type `types[kinds[k]]` and the weight `weights[k]`; it `is_new[k]` unless the one before
    has the same tokens. As a string each, half a million terms would take 0.5 s and 100 MB.
    """

    text: str
    tokens: TextPieces
    lengths: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    types: tuple[str, ...]
    kinds: NDArray[np.int64]
    weights: NDArray[np.float64]
    lowercase: bool

    def rows(self) -> Iterator[Term]:
        """Yield the terms one by one."""
        for line in self.text.split("\n")[1:-1]:
            kind, weight, *tokens = line.split("\t")
            yield Term(kind, tuple(tokens), float(weight))


def merge(terms: Iterable[Term], *, lowercase: bool) -> Terms:
    """Sort terms; of equal ones the highest weight counts.

    Raises `ValueError` for a term that can't be: no tokens or too many, one that is empty or that a
    file could not keep, or a weight that is negative or not finite.
    """
    weights: dict[tuple[str, str], float] = {}
    for term in terms:
        _check(term)
        text = "\t".join(term.tokens)
        key = (text.lower() if lowercase else text, term.type)
        weights[key] = max(weights.get(key, 0.0), term.weight)
    keys = sorted(weights)
    lines = [f"{kind}\t{weights[text, kind]:.17g}\t{text}\n" for text, kind in keys]
    case = "lowercase" if lowercase else "as-written"
    return parse(f"{_HEADER}\t{case}\t{len(lines)}\n" + "".join(lines), place="terms")


def _check(term: Term) -> None:
    if not term.tokens or "" in term.tokens:
        raise ValueError(f"{term}: a term needs tokens, and a token characters")
    if not 0.0 <= term.weight < math.inf:
        raise ValueError(f"{term}: a weight is 0 or more, and finite")
    text = term.type + "".join(term.tokens)
    if not text.isprintable() and _UNKEPT.search(text):
        raise ValueError(f"{term}: tabs, line breaks and lone surrogates are not allowed")


def pack(terms: Terms) -> bytes:
    """Write terms as a gzip file: a header, then lines of type, weight and tokens, tab between.

    Equal terms give equal bytes: the file says nothing of when and where it was made.
    """
    return gzip.compress(terms.text.encode("utf-8"), mtime=0)


def unzipped(packed: bytes) -> bytes:
    """Decompress a gzip file, to at most `_MOST_RATIO` times its size.

    Raises `ValueError` for one that unpacks to more, `EOFError` for one that is cut short, and
    `zlib.error` for anything else.
    """
    most = _MOST_RATIO * len(packed) + 1_000_000
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    content = stream.decompress(packed, most)
    if stream.eof and not stream.unused_data:
        return content
    if stream.eof:
        raise ValueError("something follows its end")
    if len(content) == most:
        raise ValueError(f"unpacks to more than {most:,} bytes")
    raise EOFError("it is cut short")


def unpack(packed: bytes, *, place: str) -> Terms:
    """Read what `pack` wrote.

    Raises `ValueError`, which names `place` and where it can the line, for anything else.
    """
    try:
        text = unzipped(packed).decode("utf-8")
    except (EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{place}: no gazetteer, or a damaged one: {error}") from error
    return parse(text, place=place)


def parse(text: str, *, place: str) -> Terms:
    """Read the unpacked text of a file.

    Raises `ValueError`, which names `place` and the line, for what `merge` would not make.
    """
    header = text.partition("\n")[0]
    name, case, count = (*header.split("\t"), "", "")[:3]
    if name != _HEADER or case not in _CASES:
        raise ValueError(f"{place}:1: no gazetteer of this version: {header[:60]!r}")
    terms = text.count("\n") - 1
    if str(terms) != count or not text.endswith("\n") or text.count("\t") < 2 * terms:
        raise ValueError(f"{place}:1: {count} terms announced, but {terms} there")
    points = code_points(text)
    breaks = (points == _BREAK).nonzero()[0]
    starts, ends = breaks[:-1] + 1, breaks[1:]

    def refuse(is_wrong: NDArray[np.bool_], why: str) -> None:
        for number in is_wrong.nonzero()[0][:1].tolist():
            line = text[starts[number] : ends[number]]
            raise ValueError(f"{place}:{number + 2}: {why}: {line[:60]!r}")

    tabs = (points == _TAB).nonzero()[0]
    first = tabs.searchsorted(starts)  # of each line's tabs
    tabs = np.append(tabs, [len(text)] * 2)
    type_ends, weight_ends = tabs[first], tabs[first + 1]
    refuse(weight_ends >= ends, "no term")
    weights = _numbers(text, points, type_ends + 1, weight_ends)
    refuse(~((weights >= 0.0) & (weights < math.inf)), "no term")
    tokens, lengths = _tokens(text, tabs, first, ends)
    refuse(lengths > MOST_TOKENS, f"more than {MOST_TOKENS} tokens")
    is_empty = np.append(tokens.starts == tokens.ends, False)
    refuse(np.add.reduceat(is_empty, lengths.cumsum() - lengths) > 0, "no term")
    types, kinds = _sorted_types(points, TextPieces(text, starts, type_ends))
    order = _order(text, points, weight_ends + 1, ends)
    is_risen = (order > 0) | ((order == 0) & (np.diff(kinds, prepend=-1) > 0))
    refuse(~is_risen, "no term, or out of order")
    return Terms(text, tokens, lengths, order > 0, types, kinds, weights, _CASES[case])


def _numbers(
    text: str, points: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Read the numbers that are `text[starts[k] : ends[k]]`; NaN where there is none."""
    lengths = ends - starts
    is_short = (lengths > 0) & (lengths <= 15)  # digits which a float holds exactly
    values = np.zeros(len(starts))
    for place in range(int(lengths[is_short].max(initial=0))):
        which = (is_short & (lengths > place)).nonzero()[0]
        digits = points[starts[which] + place] - np.uint32(ord("0"))  # wraps round below "0"
        values[which] = values[which] * 10 + digits
        is_short[which[digits > 9]] = False
    for number in (~is_short).nonzero()[0].tolist():
        try:
            values[number] = float(text[starts[number] : ends[number]])
        except ValueError:
            values[number] = math.nan
    return values


def _tokens(
    text: str, tabs: NDArray[np.int64], first: NDArray[np.int64], line_ends: NDArray[np.int64]
) -> tuple[TextPieces, NDArray[np.int64]]:
    """Cut lines into tokens, of which one follows each tab but the first of a line; count them."""
    bounds = np.append(first, len(tabs) - 2)  # the last two are none
    lengths = np.diff(bounds) - 1
    starts = np.delete(tabs[bounds[0] : -2], first - bounds[0]) + 1
    ends = np.append(starts[1:] - 1, 0)
    ends[lengths.cumsum() - 1] = line_ends
    return TextPieces(text, starts, ends), lengths


def _sorted_types(
    points: NDArray[np.uint32], pieces: TextPieces
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the distinct types, sorted, and which of them each piece is."""
    numbers, found = _few_types(points, pieces) or pieces.numbered()
    names = sorted(numbers)
    ranks = np.zeros(len(names) + 1, np.int64)
    ranks[[numbers[name] for name in names]] = np.arange(len(names))
    return tuple(names), ranks[found]


def _few_types(
    points: NDArray[np.uint32], pieces: TextPieces
) -> tuple[dict[str, int], NDArray[np.int64]] | None:
    """Do what `pieces.numbered()` does without strings; None for many types or long ones."""
    text, starts, ends = pieces
    lengths = ends - starts
    numbers: dict[str, int] = {}
    found = np.zeros(len(starts), np.int64)
    left = np.arange(len(starts))
    while len(left):
        start, end = int(starts[left[0]]), int(ends[left[0]])
        if len(numbers) == _FEW_TYPES or end - start > _COMPARED_AT_ONCE:
            return None
        same = left[lengths[left] == end - start]
        for place in range(end - start):
            same = same[points[starts[same] + place] == points[start + place]]
        found[same] = numbers[text[start:end]] = len(numbers) + 1
        left = left[found[left] == 0]
    return numbers, found


def _order(
    text: str, points: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Compare each `text[starts[k] : ends[k]]` with the one before: 1 where above, 0 where equal.

    Line breaks follow all of them, and are in none. The first is above.
    """
    order = np.ones(len(starts), np.int64)
    left = np.arange(1, len(starts))
    for place in range(_COMPARED_AT_ONCE):
        before, now = points[starts[left - 1] + place], points[starts[left] + place]
        is_above = (before == _BREAK) | ((now != _BREAK) & (before < now))
        differs = before != now
        order[left[differs]] = np.where(is_above[differs], 1, -1)
        order[left[~differs & (now == _BREAK)]] = 0
        left = left[~differs & (now != _BREAK)]
    for number in left.tolist():
        one, other = (text[starts[k] : ends[k]] for k in (number - 1, number))
        order[number] = (other > one) - (other < one)
    return order
