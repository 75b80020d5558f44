"""Features of tokens in their sentences: pairs, matches of term lists, words of a lexicon.

They stand behind the vectors of the forms in the rows that a network reads, a row a token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.checkpoint.bigrams import UNKNOWN_PAIR, Bigrams
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.lexicon.covering import SETS, Covers
from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.native import context as native
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
    writer: native.RowWriter | None = None

    def gather(self, index: IntArray) -> Table:
        """Return the rows [*index.shape, size] of the tokens at `index`; some row for -1."""
        if self.writer is not None:
            return self.writer(np.atleast_2d(index)).reshape(*index.shape, -1)
        parts = [
            self.found.gather(index)["vector"],
            self.vectors.take(self.pairs.take(index), axis=0),
            self.values.take(self.flags.take(index, axis=0)),
        ]
        if self.covers is not None:
            parts.append(self.covers.gather(index))
        return np.concatenate(parts, axis=-1)

    def locate(self, index: IntArray) -> tuple[Table, IntArray]:
        """Return a table and where the rows [*index.shape] of the tokens at `index` stand in it."""
        if self.writer is not None:
            return self.writer.locate(index)
        rows = self.gather(index)
        return rows.reshape(index.size, -1), np.arange(index.size).reshape(index.shape)


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
    lexicon; `write` makes what the network reads of their sums, in bytes by `scale`. `finders` look
    codes up, for bigrams, gazetteer and lexicon.
    """

    bigrams: Bigrams | None
    gazetteer: "Gazetteer | None"
    vectors: Table
    values: Table
    lexicon: "SoftLexicon | None"
    words: NDArray[np.float32]
    finders: "_Finders"
    write: Callable[[Table], Table] = np.asarray
    scale: float | None = None

    @property
    def flags(self) -> int:
        """The number of flags of a token."""
        return self.gazetteer.size if self.gazetteer else 0

    @property
    def size(self) -> int:
        """The number of features of a token."""
        return int(self.vectors.shape[1] + self.flags + len(SETS) * self.words.shape[1])

    @cached_property
    def _sources(self) -> "list[Bigrams | Gazetteer | SoftLexicon]":
        return [one for one in (self.bigrams, self.gazetteer, self.lexicon) if one is not None]

    def form_row(self, vector: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of a form's row: its vector, and its code in each alphabet.

        A token is encoded as its form is met first, and found in one look-up with its vector.
        """
        codes = ("codes", np.int32, (len(self._sources),))
        return np.dtype([("vector", vector), codes], align=True)

    def form_rows(self, vectors: Table, forms: Sequence[str]) -> Table:
        """Return the rows [n] of forms with their vectors [n, size]."""
        rows = np.empty(len(forms), self.form_row(np.dtype((vectors.dtype, vectors.shape[1:]))))
        rows["vector"] = vectors
        rows["codes"] = np.stack([source.encode(forms) for source in self._sources], axis=1)
        return rows

    def written(
        self, write: Callable[[Table], Table], scale: float | None = None
    ) -> "ContextLookup":
        """Return the same features in another kind of number; `write` maps float32, row by row.

        To bytes, it does so by `scale`.
        """
        # Part by part: a table of all pairs in float32, and what is computed of it, is large.
        parts = [
            write(self.vectors[first : first + _ROWS].astype(np.float32))
            for first in range(0, len(self.vectors), _ROWS)
        ]
        vectors, values = np.concatenate(parts), write(self.values)
        return replace(self, vectors=vectors, values=values, write=write, scale=scale)

    def of(self, found: FormVectors, lengths: IntArray) -> ContextRows:
        """Look n tokens up in their sentences of `lengths`; `found` are their forms' rows."""
        count, lengths = len(found.rows) - 1, np.ascontiguousarray(lengths, np.int64)
        codes = iter(np.ascontiguousarray(found.table["codes"][found.rows[:-1]].T, np.int64))
        bigrams, gazetteer, lexicon = self.finders
        pairs = np.full(count + 1, UNKNOWN_PAIR, np.int64)
        if bigrams is not None:
            pairs[:-1] = bigrams.ids_of(next(codes), lengths)
        flags = np.zeros((count + 1, self.flags), np.uint8)
        if gazetteer is not None:
            gazetteer.mark(next(codes), lengths, flags[:-1])
        covers = words = None
        if lexicon is not None:
            covers = CoveringRows(lexicon.covers_of(next(codes), lengths), self.words, self.write)
        kernels = native.kernels()
        if kernels is None or self.scale is None or self.words.shape[1] > native.MOST_NUMBERS:
            return ContextRows(found, self.vectors, pairs, self.values, flags, covers)
        if covers is not None:
            words = self.words, covers.covers, self.scale
        size = found.table.dtype["vector"].itemsize
        writer = native.RowWriter(
            kernels,
            (found.table, size, found.rows),
            (self.vectors, pairs),
            (self.values, flags),
            words,
        )
        return ContextRows(found, self.vectors, pairs, self.values, flags, covers, writer)


class _Finders(NamedTuple):
    bigrams: Bigrams | native.CompiledBigrams | None
    gazetteer: "Gazetteer | native.CompiledGazetteer | None"
    lexicon: "SoftLexicon | native.CompiledLexicon | None"


def _finders(vocabulary: Vocabulary) -> _Finders:
    """Return what looks codes up, compiled where it can be."""
    found = _Finders(vocabulary.bigrams, vocabulary.gazetteer, vocabulary.lexicon)
    kernels = native.kernels()
    if kernels is None:
        return found
    compiled = (native.CompiledBigrams, native.CompiledGazetteer, native.CompiledLexicon)
    return _Finders(
        *(
            None if one is None else made(kernels, one)
            for one, made in zip(found, compiled, strict=True)
        )
    )


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
    finders = _finders(vocabulary)
    return ContextLookup(bigrams, gazetteer, pairs, FLAG_VALUES, lexicon, words, finders)


def check_size(vectors: int, context: ContextLookup | None, size: int) -> None:
    """Raise ValueError unless `vectors` features of a form and those of its context make `size`."""
    own = 0 if context is None else context.size
    if vectors + own != size:
        more = f" and {own} of their context" if own else ""
        raise ValueError(f"word vectors have {vectors} features{more}, the network reads {size}")
