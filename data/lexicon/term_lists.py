"""A user's own list of terms, one a line."""

import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from tagbelt.data.lexicon.terms import Term
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Unit
from tagbelt.errors import DataError


def read_term_list(
    path: Path, kind: str, unit: Unit, max_terms: int | None = None
) -> Iterator[Term]:
    """Yield the terms of a UTF-8 file, the first `max_terms` of them.

    A line is a term, which may be followed by a tab and its frequency. Blank lines and lines that
    begin with `#` are skipped.

    Raises `DataError`, which names file and line, for a frequency that is none, and for a file
    that is not UTF-8 or has no terms.
    """
    found = islice(_lines(path, kind, unit), max_terms)
    first = next(found, None)
    if first is None:
        raise DataError(f"{path}: no terms in it")
    yield first
    yield from found


def _lines(path: Path, kind: str, unit: Unit) -> Iterator[Term]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        text, tab, given = line.partition("\t")
        if not line.strip() or line.startswith("#"):
            continue
        weight = _weight(given) if tab else 0.0
        tokens = term_tokens(text, unit)
        if weight is None or not tokens:
            raise DataError(
                f"{path}:{number}: a line is a term, or term, tab and frequency, not {line!r}"
            )
        yield Term(kind, tokens, weight)


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if 0.0 < weight < math.inf else None


def tokenized(kind: str, texts: Iterable[str], unit: Unit) -> Iterator[Term]:
    """Yield each text as a term without weight; blank texts are left out."""
    for text in texts:
        tokens = term_tokens(text, unit)
        if tokens:
            yield Term(kind, tokens)


def term_tokens(text: str, unit: Unit) -> tuple[str, ...]:
    """Return the tokens of a term, cut as a request's text is, though never into sentences."""
    return tuple(chain.from_iterable(sentence.words for sentence in tokenize(text, unit)))
