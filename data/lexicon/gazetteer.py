"""Term lists as features: which tokens of a sentence begin, continue, end or are a listed term.

After SoftLexicon (Ma et al. 2020) and the lexicon features of Chiu & Nichols (2016): a flag for
every type and position of a match, without vectors of the terms. If terms have frequencies, a
second set of flags tells which matches are words of the most probable segmentation.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.matching import (
    Alphabet,
    Codes,
    SequenceMatcher,
    TokenMatcher,
    chunks,
)
from tagbelt.data.lexicon.segmentation import Segmenter
from tagbelt.data.lexicon.terms import Term, Terms, merge, pack, unpack

__all__ = ["FILE", "POSITIONS", "Gazetteer", "Term"]

FILE = "gazetteer.txt.gz"

POSITIONS = "BMES"
"""The flags of a type: first, middle, last token of a match; a match of one token."""

_CHUNK = 1 << 16  # tokens at a time, which bounds the memory for their matches


class Gazetteer:
    """Terms by type, and the flags of their matches.

    `types` are sorted; a token has `size` flags: for each type those of `POSITIONS`, and if any
    term has a weight, the same again for the words of the segmentation alone. A term of type ""
    has no flags and only takes part in the segmentation; one without weight takes no part in it.
    With `lowercase`, terms and tokens are compared in lower case.

    Raises `ValueError` for a term that can't be; see `tagbelt.data.lexicon.terms.merge`.
    """

    def __init__(self, terms: Iterable[Term], *, lowercase: bool = False) -> None:
        merged = merge(terms, lowercase=lowercase)
        self._set_up(merged, pack(merged))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; anything else raises a `ValueError` that names file and line."""
        packed = path.read_bytes()
        gazetteer = cls.__new__(cls)
        gazetteer._set_up(unpack(packed, place=str(path)), packed)
        return gazetteer

    def save(self, path: Path) -> None:
        """Write all terms to one file; equal terms give equal bytes, in whatever order given."""
        path.write_bytes(self._packed)

    def terms(self) -> Iterator[Term]:
        """Yield all terms in the file's order. They are unpacked at each call, to save memory."""
        return unpack(self._packed, place=FILE).rows()

    def _set_up(self, terms: Terms, packed: bytes) -> None:
        self._packed = packed
        self.lowercase = terms.lowercase
        # The sequence of each term: those of several types stand one behind the other.
        sequences = terms.is_new.cumsum() - 1
        self.sequence_types = _Types(terms.types, terms.kinds, sequences)
        self.types = self.sequence_types.names
        known, codes = terms.tokens.numbered()
        self._alphabet = Alphabet(known)
        starts = terms.lengths.cumsum() - terms.lengths
        starts, lengths = starts[terms.is_new], terms.lengths[terms.is_new]
        long, short = np.flatnonzero(lengths > 1), np.flatnonzero(lengths == 1)
        self.long = SequenceMatcher(codes, starts[long], lengths[long], long, self._alphabet)
        single = codes[starts[short]]
        self.short = TokenMatcher(single, short, self._alphabet)
        weights, token_weights = np.zeros(len(starts)), np.zeros(self._alphabet.size)
        np.maximum.at(weights, sequences, terms.weights)
        token_weights[single] = weights[short]
        self.segmenter = Segmenter(weights, token_weights) if weights.any() else None
        self.size = len(self.types) * len(POSITIONS) * (2 if self.segmenter else 1)

    def flags(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.uint8]:
        """Return [N, size] of 0 and 1 for the N tokens of all sentences, in their order.

        Every overlapping match counts; none reaches from one sentence into the next. A sentence's
        flags do not depend on the others. Takes time linear in the tokens, times the most tokens
        that some term and some text begin alike with, and in the lengths of all matches.
        """
        flags = np.zeros((sum(map(len, sentences)), self.size), np.uint8)
        row = 0
        for chunk in chunks(sentences, _CHUNK):
            lengths = np.fromiter(map(len, chunk), np.int64, len(chunk))
            codes = self.encode(chain.from_iterable(chunk))
            self.mark(codes, lengths, flags[row : row + len(codes)])
            row += len(codes)
        return flags

    def encode(self, tokens: Iterable[str]) -> Codes:
        """Return what `mark` knows of each token."""
        return self._alphabet.encode(map(str.lower, tokens) if self.lowercase else tokens)

    def mark(self, codes: Codes, lengths: NDArray[np.int64], flags: NDArray[np.uint8]) -> None:
        """Set the flags [N, size], zeros so far, of tokens by codes, in sentences of `lengths`."""
        long, short = self.long.find(codes, lengths), self.short.find(codes)
        matches = long.joined(short)
        which, columns = self.sequence_types.columns(matches.sequences)
        if self.segmenter:
            is_word = self.segmenter.words(long, short, codes)[which]
            which = np.concatenate((which, which[is_word]))
            columns = np.concatenate((columns, columns[is_word] + self.size // 2))
        _mark(flags, matches.starts[which], matches.ends[which], columns)


def _mark(
    flags: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> None:
    """Set the flags of matches, for each of which `columns` is that of the first of `POSITIONS`."""
    begin, middle, end, single = range(len(POSITIONS))
    width = flags.shape[1]
    flat = flags.reshape(-1)  # a view: one index a flag is faster than two
    lengths = ends - starts
    is_single = lengths == 1
    first = starts * width + columns
    flat[first + np.where(is_single, single, begin)] = 1
    flat[(ends - 1) * width + columns + np.where(is_single, single, end)] = 1
    inner = np.flatnonzero(lengths > 2)
    counts = lengths[inner] - 2
    before = counts.cumsum() - counts
    places = np.repeat(first[inner] + (1 - before) * width + middle, counts)
    flat[places + np.arange(len(places)) * width] = 1


class _Types:
    """Which types each token sequence has: one, several, or none if its only type is "".

    Term k is of type `types[kinds[k]]` and has the sequence `sequences[k]`, rising from 0.
    """

    def __init__(
        self, types: Sequence[str], kinds: NDArray[np.int64], sequences: NDArray[np.int64]
    ) -> None:
        self.names = tuple(name for name in types if name)
        found = kinds - (len(types) - len(self.names))  # "" is the first of the sorted ones
        flagged = found >= 0
        size = sequences[-1] + 1 if len(sequences) else 0
        # The columns of sequence k are first_columns[first[k] : first[k] + counts[k]].
        self.first_columns = found[flagged] * len(POSITIONS)
        self.counts = np.bincount(sequences[flagged], minlength=size)
        self.first = self.counts.cumsum() - self.counts

    def columns(self, sequences: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return each match once for each of its types: index into the matches, first column."""
        counts = self.counts[sequences]
        which = np.arange(len(counts)).repeat(counts)
        skipped = counts.cumsum() - counts
        places = np.arange(len(which)) + (self.first[sequences] - skipped)[which]
        return which, self.first_columns[places]
