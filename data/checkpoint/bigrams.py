"""Which pairs of neighbouring forms a model knows.

A pair is looked up as the forms stand in the text: neither case nor digits are folded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from sys import intern
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.matching import Alphabet, Codes

UNKNOWN_PAIR = 0
"""Row of the table for pairs that the model does not know."""

NOTHING = ""
"""The partner of the last token of a sentence. An empty token counts as nothing too."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Bigrams:
    """The known pairs, numbered from 1; 0 stands for every other.

    Pair `rows[k]` is, as one number, `keys[k]`: the codes of its forms in `alphabet`. Keys rise,
    the last is above all.
    """

    pairs: tuple[Pair, ...]
    alphabet: Alphabet = field(init=False, repr=False, compare=False)
    keys: NDArray[np.int64] = field(init=False, repr=False, compare=False)
    rows: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        forms = dict.fromkeys(chain((NOTHING,), chain.from_iterable(self.pairs)))
        alphabet = Alphabet(dict(zip(forms, count(1))))
        codes = alphabet.encode(chain.from_iterable(self.pairs)).reshape(-1, 2)
        keys = codes[:, 0] * alphabet.size + codes[:, 1]
        order = np.argsort(keys)
        if not np.diff(keys[order]).all():
            raise ValueError("bigrams name the same pair twice")
        above = np.iinfo(np.int64).max
        object.__setattr__(self, "alphabet", alphabet)
        object.__setattr__(self, "keys", np.append(keys[order], above))
        object.__setattr__(self, "rows", np.append(order + 1, UNKNOWN_PAIR))

    @property
    def count(self) -> int:
        """Rows of the table, that of unknown pairs included."""
        return len(self.pairs) + 1

    def ids(self, forms: Sequence[str], lengths: Sequence[int]) -> NDArray[np.int64]:
        """Return the row [N] of the pair that each of N forms makes with the next one.

        `forms` are those of sentences of `lengths` tokens, one after the other; no pair reaches
        over the end of a sentence.
        """
        return self.ids_of(self.encode(forms), np.array(lengths, np.int64))

    def encode(self, forms: Iterable[str]) -> Codes:
        """Return what `ids_of` knows of each form."""
        return self.alphabet.encode(forms)

    def ids_of(self, codes: Codes, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """As `ids`, of forms that were encoded."""
        nothing = self.alphabet.encode([NOTHING])
        following = np.append(codes[1:], nothing)[: len(codes)]
        following[lengths.cumsum()[lengths > 0] - 1] = nothing
        wanted = codes * self.alphabet.size + following
        found = self.keys.searchsorted(wanted)
        return np.where(self.keys[found] == wanted, self.rows[found], UNKNOWN_PAIR)

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
        counts.update(zip(sentence, [*sentence[1:], NOTHING], strict=False))
    kept = [(-count, pair) for pair, count in counts.items() if count >= min_count]
    return Bigrams(tuple(pair for _, pair in sorted(kept)))
