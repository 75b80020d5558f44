"""Which pairs of neighbouring forms a model knows.

A pair is looked up as the forms stand in the text: neither case nor digits are folded.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from sys import intern
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

UNKNOWN_PAIR = 0
"""Row of the table for pairs that the model does not know."""

NOTHING = ""
"""The partner of the last token of a sentence. An empty token counts as nothing too."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Bigrams:
    """The known pairs, numbered from 1; 0 stands for every other."""

    pairs: tuple[Pair, ...]
    _ids: Mapping[Pair, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {pair: row for row, pair in enumerate(self.pairs, start=UNKNOWN_PAIR + 1)}
        if len(ids) != len(self.pairs):
            raise ValueError("bigrams name the same pair twice")
        object.__setattr__(self, "_ids", ids)

    @property
    def count(self) -> int:
        """Rows of the table, that of unknown pairs included."""
        return len(self.pairs) + 1

    def ids(self, forms: Sequence[str], lengths: Iterable[int]) -> NDArray[np.int64]:
        """Return the row [N] of the pair that each of N forms makes with the next one.

        `forms` are those of sentences of `lengths` tokens, one after the other; no pair reaches
        over the end of a sentence.
        """
        pairs = map(self._ids.get, zip(forms, _next_forms(forms, lengths), strict=True), repeat(0))
        return np.fromiter(pairs, np.int64, len(forms))

    def to_json(self) -> list[Pair]:
        """Return what `from_json` reads."""
        return list(self.pairs)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Rebuild the pairs; anything but what `to_json` returns raises `ValueError`."""
        try:
            # A form stands in many pairs; one object for all of them.
            return cls(tuple((intern(first), intern(second)) for first, second in value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"no bigrams: {error}") from error


def build_bigrams(sentences: Iterable[Sequence[str]], *, min_count: int = 1) -> Bigrams:
    """Collect the pairs of the training sentences that occur at least `min_count` times."""
    counts: Counter[Pair] = Counter()
    for sentence in sentences:
        counts.update(zip(sentence, _next_forms(sentence, [len(sentence)]), strict=True))
    kept = [(-count, pair) for pair, count in counts.items() if count >= min_count]
    return Bigrams(tuple(pair for _, pair in sorted(kept)))


def _next_forms(forms: Sequence[str], lengths: Iterable[int]) -> list[str]:
    following = [*forms[1:], NOTHING][: len(forms)]
    end = 0
    for length in lengths:
        end += length
        if length:
            following[end - 1] = NOTHING
    return following
