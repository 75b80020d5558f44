"""All places where one of many token sequences occurs, in one pass over the tokens.

Aho & Corasick 1975, over tokens instead of characters: every token that occurs in a sequence
stands for one code point, and so a text of tokens is a string of as many code points. A match can
thus only begin and end between tokens, and a token may hold any characters.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import ahocorasick_rs
import numpy as np
from numpy.typing import NDArray

_UNKNOWN = "\0"  # stands for every token that occurs in no sequence
_SURROGATES = range(0xD800, 0xE000)
_MAX_TOKENS = 0x110000 - len(_SURROGATES) - 1


class Matches(NamedTuple):
    """Matches as token indices (`ends` exclusive); `sequences` tells what was found there."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    sequences: NDArray[np.int64]

    def at(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Matches":
        """Return the matches of a mask or of indices."""
        return Matches(self.starts[which], self.ends[which], self.sequences[which])

    def joined(self, other: "Matches") -> "Matches":
        """Return these matches, then the others."""
        return Matches(*map(np.concatenate, zip(self, other, strict=True)))


class Alphabet:
    """Which code point stands for which token: 1 and up in the order given, surrogates left out.

    Tokens hold no tab.
    Raises `ValueError` for more distinct tokens than there are code points (1.1 million).
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        distinct = list(dict.fromkeys(tokens))
        if len(distinct) > _MAX_TOKENS:
            raise ValueError(f"{len(distinct):,} distinct tokens, at most {_MAX_TOKENS:,} fit")
        self.size = len(distinct) + len(_SURROGATES) + 1
        # Copies, made in one go: a few tokens that live on among a million strings that do not
        # would keep the memory of all of them (75 MB with the dictionary of jieba).
        copies = "\t".join(distinct).split("\t")
        self._codes = {token: _code_point(n) for n, token in enumerate(copies, start=1)}

    def encode(self, tokens: Iterable[str]) -> str:
        """Return one code point a token."""
        return "".join(map(self._codes.get, tokens, repeat(_UNKNOWN)))


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of an encoded text as numbers, all below `Alphabet.size`."""
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _code_point(number: int) -> str:
    return chr(number if number < _SURROGATES.start else number + len(_SURROGATES))


class SequenceMatcher:
    """Finds sequences of two or more tokens.

    `sequences` are distinct and encoded; `numbers` [K] are what matches call them.
    """

    def __init__(self, sequences: Sequence[str], numbers: NDArray[np.int64]) -> None:
        self._numbers = numbers
        # The compact automaton: 2.5 times as fast as pyahocorasick's, a tenth of the DFA's memory.
        self._automaton = ahocorasick_rs.AhoCorasick(
            sequences,
            implementation=ahocorasick_rs.Implementation.ContiguousNFA,
            store_patterns=False,
        )

    def find(self, text: str, lengths: Sequence[int]) -> Matches:
        """Return all matches by rising end, overlapping ones too, that lie within one sentence.

        `lengths` are those of the sentences, in tokens, that `text` encodes without a gap.
        """
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        values = np.fromiter(chain.from_iterable(found), np.int64, 3 * len(found))
        sequences, starts, ends = values.reshape(-1, 3).T
        matches = Matches(starts, ends, self._numbers[sequences])
        if len(lengths) < 2:
            return matches
        sentences = np.repeat(np.arange(len(lengths)), lengths)
        return matches.at(sentences[starts] == sentences[ends - 1])


class TokenMatcher:
    """Finds sequences of a single token, for which a table will do.

    `sequences` [K] are their code points, `numbers` [K] what matches call them.
    """

    def __init__(
        self, sequences: NDArray[np.uint32], numbers: NDArray[np.int64], alphabet: Alphabet
    ) -> None:
        self._table = np.full(alphabet.size, -1, np.int64)
        self._table[sequences] = numbers

    def find(self, codes: NDArray[np.uint32]) -> Matches:
        """Return the matches by rising start."""
        found = self._table[codes]
        starts = np.flatnonzero(found >= 0)
        return Matches(starts, starts + 1, found[starts])


def chunks(sentences: Iterable[Sequence[str]], size: int) -> Iterator[list[Sequence[str]]]:
    """Cut sentences into runs of at least `size` tokens, but for the last."""
    chunk: list[Sequence[str]] = []
    tokens = 0
    for sentence in sentences:
        chunk.append(sentence)
        tokens += len(sentence)
        if tokens >= size:
            yield chunk
            chunk, tokens = [], 0
    if chunk:
        yield chunk
