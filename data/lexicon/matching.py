"""All places where one of many token sequences occurs.

Every token that occurs in a sequence has a number, and the sequences form a trie. It is kept as
one sorted array for each depth: numpy makes these of half a million sequences sooner, and in less
memory, than an automaton (Aho & Corasick 1975) is made. A text is looked up depth by depth, all of
its places at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

_UNKNOWN = 0  # the number of every token that occurs in no sequence
_CODE_POINTS = 0x110000

Codes = NDArray[np.int64]
"""Numbers of tokens in an alphabet."""
MOST_TOKENS = 1000
"""Tokens of a sequence: each adds a depth, which takes its time however few reach it."""


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


class TextPieces(NamedTuple):
    """Pieces of a text, piece k of which is `text[starts[k] : ends[k]]`.

    As strings, the million tokens of a large dictionary would take 80 MB.
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def characters(cls, text: str) -> Self:
        """Return each character as a piece."""
        starts = np.arange(len(text))
        return cls(text, starts, starts + 1)

    def numbered(self) -> tuple[dict[str, int], NDArray[np.int64]]:
        """Return numbers for the distinct pieces, from 1, and that of each piece."""
        is_single = self.ends - self.starts == 1
        points = code_points(self.text)[self.starts[is_single]]
        table = np.zeros(_CODE_POINTS, np.int64)
        table[points] = 1
        distinct = table.nonzero()[0]
        table[distinct] = np.arange(1, len(distinct) + 1)
        known = dict(zip(map(chr, distinct.tolist()), range(1, len(distinct) + 1), strict=True))
        numbers = np.empty(len(self.starts), np.int64)
        numbers[is_single] = table[points]
        longer = np.flatnonzero(~is_single)
        bounds = zip(self.starts[longer].tolist(), self.ends[longer].tolist(), strict=True)
        found = (known.setdefault(self.text[start:end], len(known) + 1) for start, end in bounds)
        numbers[longer] = np.fromiter(found, np.int64, len(longer))
        return known, numbers


class Alphabet:
    """The numbers of tokens, from 1; 0 is that of all others. `size` is one above the highest."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self._numbers = numbers
        self.size = len(numbers) + 1

    def encode(self, tokens: Iterable[str]) -> Codes:
        """Return the numbers of tokens."""
        found = list(map(self._numbers.get, tokens, repeat(_UNKNOWN)))
        return np.array(found, np.int64)


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of a text as numbers."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


class _Depth(NamedTuple):
    """The beginnings of sequences that are of one length.

    `keys` are their last tokens, and where those before stand one depth above, as one number,
    rising; the last is above all. `sequences` tells which sequence is no longer than that, or -1.
    """

    keys: NDArray[np.int64]
    sequences: NDArray[np.int32]


class SequenceMatcher:
    """Finds sequences of two or more tokens.

    Distinct sequences are `codes[starts[k] : starts[k] + lengths[k]]`, of at most `MOST_TOKENS`;
    `numbers` [K] are what matches call them.
    """

    def __init__(
        self,
        codes: NDArray[np.int64],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        numbers: NDArray[np.int64],
        alphabet: Alphabet,
    ) -> None:
        self._size = alphabet.size
        self.depths: list[_Depth] = []
        above = codes[starts]
        for depth in range(1, int(lengths.max(initial=0))):
            longer = lengths > depth
            starts, lengths, numbers = starts[longer], lengths[longer], numbers[longer]
            wanted = above[longer] * self._size + codes[starts + depth]
            keys, above = np.unique(wanted, return_inverse=True)
            found = np.full(len(keys) + 1, -1, np.int32)
            is_whole = lengths == depth + 1
            found[above[is_whole]] = numbers[is_whole]
            keys = np.append(keys, np.iinfo(np.int64).max)
            self.depths.append(_Depth(keys, found))

    def find(self, codes: Codes, lengths: NDArray[np.int64]) -> Matches:
        """Return all matches, overlapping ones too, that lie within one sentence.

        They are in the order of their ends, of those with the same end the longest first.
        `lengths` are those of the sentences, in tokens, that `codes` holds without a gap.
        """
        ended = np.append(codes, _UNKNOWN)  # which no sequence goes on with
        starts = codes.nonzero()[0]
        above = codes[starts]
        found = [(starts[:0], starts[:0], starts[:0])]
        for length, (keys, sequences) in enumerate(self.depths, start=2):
            wanted = above * self._size + ended[starts + (length - 1)]
            above = keys.searchsorted(wanted)
            goes_on = (keys[above] == wanted).nonzero()[0]
            starts, above = starts[goes_on], above[goes_on]
            if not len(starts):
                break
            here = sequences[above]
            whole = (here >= 0).nonzero()[0]
            found.append((starts[whole], starts[whole] + length, here[whole].astype(np.int64)))
        matches = Matches(*map(np.concatenate, zip(*found, strict=True)))
        matches = matches.at(np.argsort(matches.ends * len(ended) + matches.starts))
        if len(lengths) < 2:
            return matches
        sentences = np.repeat(np.arange(len(lengths)), lengths)
        return matches.at(sentences[matches.starts] == sentences[matches.ends - 1])


class TokenMatcher:
    """Finds sequences of a single token, for which a table will do.

    `sequences` [K] are their codes, `numbers` [K] what matches call them.
    """

    def __init__(
        self, sequences: NDArray[np.int64], numbers: NDArray[np.int64], alphabet: Alphabet
    ) -> None:
        self.table = np.full(alphabet.size, -1, np.int64)
        self.table[sequences] = numbers

    def find(self, codes: Codes) -> Matches:
        """Return the matches by rising start."""
        found = self.table[codes]
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
