"""Which words of a lexicon cover each character, in the manner of SoftLexicon (Ma et al. 2020).

A character may begin (B), continue (M), end (E) or be (S) a word. For each of these four sets a
network reads the mean of the words' vectors, those of frequent words weighing more. Nothing is
segmented: all overlapping words count, and a word as often as it occurs there.
"""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.covering import SETS, Covers, run_starts
from tagbelt.data.lexicon.matching import (
    MOST_TOKENS,
    Alphabet,
    Codes,
    Matches,
    SequenceMatcher,
    TextPieces,
    TokenMatcher,
    chunks,
)
from tagbelt.data.lexicon.terms import unzipped

_UNKEPT = frozenset("\t\n\r")
_HEADER = "tagbelt lexicon 1"
_CHUNK = 1 << 16  # tokens at a time, which bounds the memory for their matches


class SoftLexicon:
    """Words with their frequencies in the training text, in the order of their vectors.

    Raises ValueError for a word that is empty or there twice, or that no file could keep, and for
    a frequency below 1.
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int]) -> None:
        if len(set(words)) != len(words) or len(words) != len(counts) or "" in words:
            raise ValueError("a lexicon needs distinct words, and a frequency for each")
        if not _UNKEPT.isdisjoint("".join(words)) or min(counts, default=1) < 1:
            raise ValueError("a word has no tab or line break, and a frequency of 1 or more")
        if max(map(len, words), default=0) > MOST_TOKENS:
            raise ValueError(f"a word has at most {MOST_TOKENS} characters")
        self.words = tuple(words)
        self.counts = np.array(counts, np.int64)
        known, codes = TextPieces.characters("".join(words)).numbered()
        self._alphabet = Alphabet(known)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        starts = lengths.cumsum() - lengths
        long, short = np.flatnonzero(lengths > 1), np.flatnonzero(lengths == 1)
        self.long = SequenceMatcher(codes, starts[long], lengths[long], long, self._alphabet)
        self.short = TokenMatcher(codes[starts[short]], short, self._alphabet)

    @classmethod
    def counted(cls, words: Sequence[str], sentences: Iterable[Sequence[str]]) -> Self:
        """Make a lexicon with the words' frequencies in sentences, and one more for each.

        An occurrence within that of a longer word does not count.
        """
        lexicon = cls(words, [1] * len(words))
        counts = np.ones(len(words), np.int64)
        for chunk in chunks(sentences, _CHUNK):
            codes = lexicon.encode(chain.from_iterable(chunk))
            matches = lexicon._matches(codes, _lengths(chunk))
            free = matches.at(~_is_within_another(matches))
            counts += np.bincount(free.sequences, minlength=len(words))
        lexicon.counts = counts
        return lexicon

    def covers(self, sentences: Sequence[Sequence[str]]) -> Covers:
        """Return the covers of the N tokens of all sentences, in their order.

        No word reaches from one sentence into the next; a sentence's covers do not depend on the
        others.
        """
        parts = [
            self.covers_of(self.encode(chain.from_iterable(chunk)), _lengths(chunk))
            for chunk in chunks(sentences, _CHUNK)
        ]
        if not parts:
            return Covers(np.empty(0, np.int32), np.empty(0, np.float32), np.zeros(1, np.int64))
        return Covers(
            np.concatenate([part.words for part in parts]),
            np.concatenate([part.weights for part in parts]),
            run_starts(np.concatenate([np.diff(part.starts) for part in parts])),
        )

    def encode(self, tokens: Iterable[str]) -> Codes:
        """Return what `covers_of` knows of each token."""
        return self._alphabet.encode(tokens)

    def covers_of(self, codes: Codes, lengths: NDArray[np.int64]) -> Covers:
        """As `covers`, of N tokens that were encoded, in sentences of `lengths`.

        The words of a set are ordered by where they begin, then by where they end.
        """
        size = len(codes)
        matches = self._matches(codes, lengths)
        matches = matches.at(np.lexsort((matches.ends, matches.starts)))
        lengths = matches.ends - matches.starts
        which = np.repeat(np.arange(len(lengths)), lengths)
        inside = np.arange(len(which)) - np.repeat(lengths.cumsum() - lengths, lengths)
        tokens = matches.starts[which] + inside
        begin, middle, end, single = range(len(SETS))
        kinds = np.where(inside == 0, begin, middle)
        kinds[inside == lengths[which] - 1] = end
        kinds[lengths[which] == 1] = single
        bags = tokens * len(SETS) + kinds
        order = np.argsort(bags, kind="stable")
        words = matches.sequences[which[order]]
        counts = self.counts[words].astype(np.float64)
        tokens = tokens[order]
        totals = np.bincount(tokens, counts, minlength=size)
        weights = len(SETS) * counts / totals[tokens]
        starts = run_starts(np.bincount(bags, minlength=size * len(SETS)))
        return Covers(words.astype(np.int32), weights.astype(np.float32), starts)

    def _matches(self, codes: Codes, lengths: NDArray[np.int64]) -> Matches:
        return self.long.find(codes, lengths).joined(self.short.find(codes))

    def save(self, path: Path) -> None:
        """Write words and frequencies to one file; equal lexicons give equal bytes."""
        rows = zip(self.counts.tolist(), self.words, strict=True)
        lines = [f"{count}\t{word}\n" for count, word in rows]
        text = f"{_HEADER}\t{len(lines)}\n" + "".join(lines)
        path.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; anything else raises a ValueError that names the file."""
        try:
            header, *lines = unzipped(path.read_bytes()).decode("utf-8").split("\n")
            rows = [line.split("\t") for line in lines[:-1]]
            if header != f"{_HEADER}\t{len(rows)}" or lines[-1:] != [""]:
                raise ValueError(f"no lexicon of this version: {header[:60]!r}")
            return cls([word for _, word in rows], [int(count) for count, _ in rows])
        except (EOFError, ValueError, zlib.error) as error:
            raise ValueError(f"{path}: no lexicon, or a damaged one: {error}") from error


def _lengths(sentences: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    return np.fromiter(map(len, sentences), np.int64, len(sentences))


def _is_within_another(matches: Matches) -> NDArray[np.bool_]:
    """Tell which matches lie within a longer one."""
    starts, ends = matches.starts, matches.ends
    furthest = np.zeros(int(starts.max(initial=-1)) + 2, np.int64)
    np.maximum.at(furthest, starts + 1, ends)  # of those that begin here
    before = np.maximum.accumulate(furthest)[starts]  # of those that begin earlier
    within: NDArray[np.bool_] = (before >= ends) | (furthest[starts + 1] > ends)
    return within
