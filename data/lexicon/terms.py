"""Terms of a gazetteer, and the file that keeps them."""

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_HEADER = "tagbelt gazetteer 1"
_MOST_RATIO = 50  # sorted terms are packed to a third, or a tenth
_CASES = {"as-written": False, "lowercase": True}
_UNKEPT = re.compile("[\t\n\r\ud800-\udfff]")


class Term(NamedTuple):
    """A listed term: its type, its tokens, and how often it occurs (0: not known)."""

    type: str
    tokens: tuple[str, ...]
    weight: float = 0.0


class Terms(NamedTuple):
    """Many terms as columns, sorted by text, then type; a text is the tokens, tab between.

    Columns of strings load several times as fast as half a million tuples would.
    """

    texts: list[str]
    types: list[str]
    weights: list[float]
    lowercase: bool

    def rows(self) -> Iterator[Term]:
        """Yield the terms one by one."""
        for text, kind, weight in zip(self.texts, self.types, self.weights, strict=True):
            yield Term(kind, tuple(text.split("\t")), weight)


def merge(terms: Iterable[Term], *, lowercase: bool) -> Terms:
    """Sort terms; of equal ones the highest weight counts.

    Raises `ValueError` for a term that can't be: no tokens, one that is empty or that a file
    could not keep, or a weight that is negative or not finite.
    """
    weights: dict[tuple[str, str], float] = {}
    for term in terms:
        _check(term)
        text = "\t".join(term.tokens)
        key = (text.lower() if lowercase else text, term.type)
        weights[key] = max(weights.get(key, 0.0), term.weight)
    keys = sorted(weights)
    texts, types = [text for text, _ in keys], [kind for _, kind in keys]
    return Terms(texts, types, [weights[key] for key in keys], lowercase)


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
    case = "lowercase" if terms.lowercase else "as-written"
    columns = zip(terms.types, terms.weights, terms.texts, strict=True)
    lines = [f"{kind}\t{weight:.17g}\t{text}\n" for kind, weight, text in columns]
    text = f"{_HEADER}\t{case}\t{len(lines)}\n" + "".join(lines)
    return gzip.compress(text.encode("utf-8"), mtime=0)


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
        header, *lines = unzipped(packed).decode("utf-8").split("\n")
    except (EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{place}: no gazetteer, or a damaged one: {error}") from error
    name, case, count = (*header.split("\t"), "", "")[:3]
    if name != _HEADER or case not in _CASES:
        raise ValueError(f"{place}:1: no gazetteer of this version: {header[:60]!r}")
    if str(len(lines) - 1) != count or lines[-1]:
        raise ValueError(f"{place}:1: {count} terms announced, but {len(lines) - 1} there")
    terms = Terms([], [], [], _CASES[case])
    previous = ("", "")
    for number, line in enumerate(lines[:-1], start=2):
        try:
            kind, weight, text = line.split("\t", 2)
            terms.weights.append(float(weight))
        except ValueError as error:
            raise ValueError(f"{place}:{number}: no term: {line[:60]!r}") from error
        has_gap = "\t\t" in f"\t{text}\t"
        if has_gap or (text, kind) <= previous or not 0.0 <= terms.weights[-1] < math.inf:
            raise ValueError(f"{place}:{number}: no term, or out of order: {line[:60]!r}")
        previous = (text, kind)
        terms.texts.append(text)
        terms.types.append(kind)
    return terms
