"""Features of tokens in their sentences: pairs, matches of term lists, words of a lexicon.

They stand behind the vectors of the forms in the rows that a network reads, a row a token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.checkpoint.bigrams import UNKNOWN_PAIR, Bigrams
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.lexicon.covering import SETS, Covers
from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.scoring.vector_cache import FormVectors, Table

if TYPE_CHECKING:
    from tagbelt.data.lexicon.gazetteer import Gazetteer
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon

_NAMES = {"bigrams": "bigrams", "lexicon": "words of the lexicon"}
_ROWS = 8192
FLAG_VALUES = np.array([0, 1], np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class ContextRows:
    """Rows of n tokens, made when they are gathered: a batch is small, a pool may be large.

    `pairs` [n + 1] are rows of `vectors` [P, E], `flags` [n + 1, L] indices of `values` [2]; the
    last of each is for padding. `covers` are there if the network has a lexicon.
    """

    found: FormVectors
    vectors: Table
    pairs: NDArray[np.int64]
    values: Table
    flags: NDArray[np.uint8]
    covers: "CoveringRows | None" = None

    def gather(self, index: IntArray) -> Table:
        """Return the rows [*index.shape, size] of the tokens at `index`; some row for -1."""
        parts = [
            self.found.gather(index),
            self.vectors.take(self.pairs.take(index), axis=0),
            self.values.take(self.flags.take(index, axis=0)),
        ]
        if self.covers is not None:
            parts.append(self.covers.gather(index))
        return np.concatenate(parts, axis=-1)

    def locate(self, index: IntArray) -> tuple[Table, IntArray]:
        """Return a table and where the rows [*index.shape] of the tokens at `index` stand in it."""
        return self.gather(index.ravel()), np.arange(index.size).reshape(index.shape)


@dataclass(frozen=True, eq=False, slots=True)
class CoveringRows:
    """The words that cover tokens; the numbers that a network reads are made when gathered."""

    covers: Covers
    vectors: NDArray[np.float32]
    write: Callable[[Table], Table]

    def gather(self, index: IntArray) -> Table:
        """Return the rows [*index.shape, 4 E] of the tokens at `index`, those of no word for -1."""
        rows = self.write(self.covers.at(index).sums(self.vectors))
        return rows.reshape(*index.shape, rows.shape[1])


@dataclass(frozen=True, eq=False)
class ContextLookup:
    """Makes the context features of tokens; safe to use from several threads.

    `vectors` [P, E] are those of pairs, `values` [2] what an absent and a present flag are to
    the network, in the kind of number that it reads. `words` [W, E'] are the vectors of the
    lexicon; `write` makes what the network reads of their sums.
    """

    bigrams: Bigrams | None
    gazetteer: "Gazetteer | None"
    vectors: Table
    values: Table
    lexicon: "SoftLexicon | None"
    words: NDArray[np.float32]
    write: Callable[[Table], Table] = np.asarray

    @property
    def flags(self) -> int:
        """The number of flags of a token."""
        return self.gazetteer.size if self.gazetteer else 0

    @property
    def size(self) -> int:
        """The number of features of a token."""
        return int(self.vectors.shape[1] + self.flags + len(SETS) * self.words.shape[1])

    def written(self, write: Callable[[Table], Table]) -> "ContextLookup":
        """Return the same features in another kind of number; `write` maps float32, row by row."""
        # Part by part: a table of all pairs in float32, and what is computed of it, is large.
        parts = [
            write(self.vectors[first : first + _ROWS].astype(np.float32))
            for first in range(0, len(self.vectors), _ROWS)
        ]
        vectors, values = np.concatenate(parts), write(self.values)
        return replace(self, vectors=vectors, values=values, write=write)

    def of(self, found: FormVectors, forms: Sequence[str], lengths: IntArray) -> ContextRows:
        """Look n forms up in their sentences of `lengths` tokens; `found` are their vectors."""
        pairs = np.full(len(forms) + 1, UNKNOWN_PAIR, np.int64)
        if self.bigrams is not None:
            pairs[:-1] = self.bigrams.ids(forms, lengths.tolist())
        flags = np.zeros((len(forms) + 1, self.flags), np.uint8)
        if self.gazetteer is not None:
            flags[:-1] = self.gazetteer.flags(_sentences(forms, lengths))
        covers = None
        if self.lexicon is not None:
            found_words = self.lexicon.covers(_sentences(forms, lengths))
            covers = CoveringRows(found_words, self.words, self.write)
        return ContextRows(found, self.vectors, pairs, self.values, flags, covers)


def _sentences(forms: Sequence[str], lengths: IntArray) -> list[Sequence[str]]:
    ends = np.cumsum(lengths).tolist()
    return [forms[start:end] for start, end in pairwise([0, *ends])]


def context_of(vocabulary: Vocabulary, tables: Mapping[str, Table]) -> ContextLookup | None:
    """Return the context features of a model, None if it has none.

    `tables` may hold the vectors of pairs as `bigrams` [P, E] and those of words as `lexicon`
    [W, E']. Raises ValueError unless there are as many as pairs, and words.
    """
    bigrams, gazetteer, lexicon = vocabulary.bigrams, vocabulary.gazetteer, vocabulary.lexicon
    counts = {
        "bigrams": bigrams.count if bigrams else 0,
        "lexicon": len(lexicon.words) if lexicon else 0,
    }
    for name, count in counts.items():
        rows = len(tables.get(name, ()))
        if rows != count:
            raise ValueError(f"{rows} embeddings for {count} {_NAMES[name]}")
    if bigrams is None and gazetteer is None and lexicon is None:
        return None
    # Without pairs all tokens share one of no features.
    none = np.zeros((1, 0), np.float32)
    # Pairs stay as they are in the file: to be looked at inside, few of them are gathered.
    pairs, words = tables.get("bigrams", none), tables.get("lexicon", none).astype(np.float32)
    return ContextLookup(bigrams, gazetteer, pairs, FLAG_VALUES, lexicon, words)


def check_size(vectors: int, context: ContextLookup | None, size: int) -> None:
    """Raise ValueError unless `vectors` features of a form and those of its context make `size`."""
    own = 0 if context is None else context.size
    if vectors + own != size:
        more = f" and {own} of their context" if own else ""
        raise ValueError(f"word vectors have {vectors} features{more}, the network reads {size}")
