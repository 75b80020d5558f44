"""Features of tokens in their sentences: pairs with the next token, and matches of term lists.

They stand behind the vectors of the forms in the rows that a network reads, a row a token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.bigrams import UNKNOWN_PAIR, Bigrams
from data.vocabulary import Vocabulary
from inference.crf import IntArray
from inference.lexicon import Found, Table

if TYPE_CHECKING:
    from data.gazetteer import Gazetteer

FLAG_VALUES = np.array([0, 1], np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class InContext:
    """Rows of n tokens, made when they are gathered: a batch is small, a pool may be large.

    `pairs` [n + 1] are rows of `vectors` [P, E], `flags` [n + 1, L] indices of `values` [2]; the
    last of each is for padding.
    """

    found: Found
    vectors: Table
    pairs: NDArray[np.int64]
    values: Table
    flags: NDArray[np.uint8]

    def gather(self, index: IntArray) -> Table:
        """Return the rows [*index.shape, size] of the tokens at `index`; some row for -1."""
        parts = [
            self.found.gather(index),
            self.vectors.take(self.pairs.take(index), axis=0),
            self.values.take(self.flags.take(index, axis=0)),
        ]
        return np.concatenate(parts, axis=-1)


@dataclass(frozen=True, eq=False)
class Context:
    """Makes the context features of tokens; safe to use from several threads.

    `vectors` [P, E] are those of pairs, `values` [2] what an absent and a present flag are to
    the network, in the kind of number that it reads.
    """

    bigrams: Bigrams | None
    gazetteer: "Gazetteer | None"
    vectors: Table
    values: Table

    @property
    def size(self) -> int:
        """How many features a token has."""
        flags = self.gazetteer.size if self.gazetteer else 0
        return int(self.vectors.shape[1]) + flags

    def written(self, write: Callable[[Table], Table]) -> "Context":
        """Return the same features in another kind of number; `write` maps any array."""
        return replace(self, vectors=write(self.vectors), values=write(self.values))

    def of(self, found: Found, forms: Sequence[str], lengths: IntArray) -> InContext:
        """Look n forms up in their sentences of `lengths` tokens; `found` are their vectors."""
        pairs = np.full(len(forms) + 1, UNKNOWN_PAIR, np.int64)
        if self.bigrams is not None:
            pairs[:-1] = self.bigrams.ids(forms, lengths.tolist())
        flags = np.zeros((len(forms) + 1, self.size - self.vectors.shape[1]), np.uint8)
        if self.gazetteer is not None:
            ends = np.cumsum(lengths).tolist()
            sentences = [forms[start:end] for start, end in pairwise([0, *ends])]
            flags[:-1] = self.gazetteer.flags(sentences)
        return InContext(found, self.vectors, pairs, self.values, flags)


def context_of(vocabulary: Vocabulary, vectors: NDArray[np.float16] | None) -> Context | None:
    """Return the context features of a model, None if it has none.

    `vectors` [P, E] are those of its pairs. Raises ValueError unless there are as many as pairs.
    """
    bigrams, gazetteer = vocabulary.bigrams, vocabulary.gazetteer
    rows, pairs = 0 if vectors is None else len(vectors), bigrams.count if bigrams else 0
    if rows != pairs:
        raise ValueError(f"{rows} embeddings for {pairs} bigrams")
    if bigrams is None and gazetteer is None:
        return None
    # Without pairs all tokens share one of no features.
    table = np.zeros((1, 0), np.float32) if vectors is None else vectors.astype(np.float32)
    return Context(bigrams, gazetteer, table, FLAG_VALUES)


def check_size(vectors: int, context: Context | None, size: int) -> None:
    """Raise ValueError unless `vectors` features of a form and those of its context make `size`."""
    own = 0 if context is None else context.size
    if vectors + own != size:
        more = f" and {own} of their context" if own else ""
        raise ValueError(f"word vectors have {vectors} features{more}, the network reads {size}")
