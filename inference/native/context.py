"""Features of tokens in their sentences, as `context.c` computes them, for the numpy of `data`.

Each class does what one of `data` does, to the bit. Letters: N tokens, L flags of a token.
"""

import ctypes
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.checkpoint.bigrams import NOTHING, Bigrams
from tagbelt.data.lexicon.covering import SETS, Covers
from tagbelt.data.lexicon.matching import Codes, SequenceMatcher
from tagbelt.inference.native import address, library

if TYPE_CHECKING:
    from tagbelt.data.lexicon.gazetteer import Gazetteer
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon

MOST_NUMBERS = 1024
"""Of a word's vector, as context.c has it."""

Lengths = NDArray[np.int64]
_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64
# Places for matches of a token; where there are more, all are looked for again.
_MATCHES = 4


class _Depth(ctypes.Structure):
    _fields_ = [(name, _POINTER) for name in ("keys", "first", "sequences")]


class _Trie(ctypes.Structure):
    _fields_ = [
        *(("size", _COUNT), ("depths", ctypes.c_int32)),
        *(("depth", ctypes.POINTER(_Depth)), ("single", _POINTER)),
    ]


class _Matches(ctypes.Structure):
    _fields_ = [("count", _COUNT), *((n, _POINTER) for n in ("starts", "ends", "sequences"))]


class _Types(ctypes.Structure):
    _fields_ = [
        *((name, _POINTER) for name in ("columns", "first", "counts")),
        *(("width", _COUNT), ("scores", _POINTER), ("token_scores", _POINTER)),
    ]


class _Rows(ctypes.Structure):
    _fields_ = [
        ("tokens", _COUNT),
        *((name, _POINTER) for name in ("form_table", "pair_table", "values", "flags")),
        *((name, _POINTER) for name in ("forms", "pairs")),
        *((name, _COUNT) for name in ("form_stride", "form_size", "pair_size")),
        *((name, _COUNT) for name in ("flag_count", "word_size")),
        *((name, _POINTER) for name in ("word_table", "weights", "words", "starts")),
        ("scale", ctypes.c_float),
    ]


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """Return the compiled functions; None where they were not built."""
    found = library()
    if found is not None:
        sentences = (_POINTER, _POINTER, _COUNT)
        found.tagbelt_pairs.argtypes = (_POINTER, _COUNT, *sentences, _POINTER)
        found.tagbelt_matches.argtypes = (_POINTER, *sentences, _COUNT, _POINTER)
        found.tagbelt_flags.argtypes = (*(_POINTER,) * 3, _COUNT, _POINTER, _POINTER)
        found.tagbelt_cover_starts.argtypes = (_POINTER, _POINTER, _COUNT, _POINTER, _POINTER)
        found.tagbelt_covers.argtypes = (_POINTER,) * 6
        found.tagbelt_rows.argtypes = (_POINTER, _POINTER, _COUNT, _COUNT, _COUNT, _POINTER)
        shape = (_COUNT, _COUNT, _COUNT)
        found.tagbelt_distinct_rows.argtypes = (
            *(_POINTER, _POINTER, *shape, ctypes.c_int32),
            *(_POINTER, _POINTER, _POINTER, _POINTER),
        )
        for name in ("matches", "cover_starts", "distinct_rows"):
            getattr(found, f"tagbelt_{name}").restype = _COUNT
        for name in ("pairs", "flags", "covers", "rows"):
            getattr(found, f"tagbelt_{name}").restype = None
    return found


class _Packed:
    """A trie as the functions take it. Holds the arrays that it points to."""

    def __init__(
        self,
        size: int,
        depths: Iterable[tuple[Codes, NDArray[np.int32]]],
        single: NDArray[np.int64] | None = None,
    ) -> None:
        self._size = size
        self._kept: list[NDArray[Any]] = []
        found, above = [], size
        for keys, sequences in depths:
            # Of the nodes above, the first below each.
            first = keys.searchsorted(np.arange(above + 1) * size).astype(np.int32)
            arrays: tuple[NDArray[Any], ...] = (keys, first, sequences)
            found.append(_Depth(*map(self._pointer, arrays)))
            above = len(keys) - 1  # the last key is none
        packed = (_Depth * len(found))(*found)
        pointer = None if single is None else self._pointer(single)
        self.trie = _Trie(size, len(found), packed, pointer)

    def _pointer(self, array: NDArray[Any]) -> int:
        self._kept.append(array)
        return address(array)

    def sentences(self, codes: Codes, lengths: Lengths) -> tuple[int, int, int]:
        """Return the arguments that stand for sentences, after a check of them."""
        if codes.min(initial=0) < 0 or codes.max(initial=0) >= self._size:
            raise ValueError(f"a code outside an alphabet of {self._size}")
        if lengths.min(initial=0) < 0 or lengths.sum() != len(codes):
            raise ValueError(f"{len(codes)} tokens in sentences of {lengths.sum()}")
        return address(codes), address(lengths), len(lengths)


class CompiledBigrams:
    """Finds the rows of pairs, as `Bigrams` does."""

    def __init__(self, kernels: ctypes.CDLL, bigrams: Bigrams) -> None:
        self._find = kernels.tagbelt_pairs
        self._rows = bigrams.rows.astype(np.int32)
        self._packed = _Packed(bigrams.alphabet.size, [(bigrams.keys, self._rows)])
        (self._nothing,) = bigrams.alphabet.encode([NOTHING]).tolist()

    def ids_of(self, codes: Codes, lengths: Lengths) -> NDArray[np.int64]:
        """As `Bigrams.ids_of`."""
        sentences = self._packed.sentences(codes, lengths)
        rows = np.empty(len(codes), np.int64)
        self._find(ctypes.byref(self._packed.trie), self._nothing, *sentences, address(rows))
        return rows


class _Found(NamedTuple):
    """Matches, and the array [3, n] that they point to."""

    matches: _Matches
    columns: NDArray[np.int32]


class _Matcher:
    """Finds all matches, by rising start and then end."""

    def __init__(
        self, kernels: ctypes.CDLL, long: SequenceMatcher, single: NDArray[np.int64]
    ) -> None:
        self._find = kernels.tagbelt_matches
        self._packed = _Packed(len(single), long.depths, single)

    def find(self, codes: Codes, lengths: Lengths) -> _Found:
        sentences = self._packed.sentences(codes, lengths)
        room = _MATCHES * len(codes)
        while True:
            columns = np.empty((3, room), np.int32)
            matches = _Matches(0, *(address(column) for column in columns))
            trie = ctypes.byref(self._packed.trie)
            count = self._find(trie, *sentences, room, ctypes.byref(matches))
            if count <= room:
                matches.count = count
                return _Found(matches, columns)
            room = count


class CompiledGazetteer:
    """Flags tokens, as `Gazetteer` does."""

    def __init__(self, kernels: ctypes.CDLL, gazetteer: "Gazetteer") -> None:
        self._mark = kernels.tagbelt_flags
        self._matcher = _Matcher(kernels, gazetteer.long, gazetteer.short.table)
        types, segmenter = gazetteer.sequence_types, gazetteer.segmenter
        scores = () if segmenter is None else (segmenter.scores, segmenter.token_scores)
        self._kept = [types.first_columns, types.first, types.counts, *scores]
        pointers = [*map(address, self._kept), None, None]
        self._types = _Types(*pointers[:3], gazetteer.size, *pointers[3:5])

    def mark(self, codes: Codes, lengths: Lengths, flags: NDArray[np.uint8]) -> None:
        """As `Gazetteer.mark`.

        Raises ValueError for flags of another shape, as all do for what does not fit.
        """
        found = self._matcher.find(codes, lengths)
        if flags.shape != (len(codes), self._types.width) or not flags.flags.c_contiguous:
            raise ValueError(f"flags {list(flags.shape)} of {len(codes)} tokens")
        room = np.empty(4 * (len(codes) + 1), np.int64)
        pointers = ctypes.byref(self._types), ctypes.byref(found.matches)
        self._mark(*pointers, address(codes), len(codes), address(flags), address(room))


class CompiledLexicon:
    """Finds the words that cover tokens, as `SoftLexicon` does."""

    def __init__(self, kernels: ctypes.CDLL, lexicon: "SoftLexicon") -> None:
        self._begin, self._fill = kernels.tagbelt_cover_starts, kernels.tagbelt_covers
        self._matcher = _Matcher(kernels, lexicon.long, lexicon.short.table)
        self._counts = lexicon.counts

    def covers_of(self, codes: Codes, lengths: Lengths) -> Covers:
        """As `SoftLexicon.covers_of`."""
        found = self._matcher.find(codes, lengths)
        given = ctypes.byref(found.matches), address(self._counts)
        starts = np.zeros(len(SETS) * len(codes) + 2, np.int64)
        totals = np.zeros(len(codes))
        count = self._begin(*given, len(codes), address(starts), address(totals))
        words, weights = np.empty(count, np.int32), np.empty(count, np.float32)
        self._fill(*given, *map(address, (totals, starts, words, weights)))
        return Covers(words, weights, starts[:-1])


class RowWriter:
    """Writes rows of bytes, as `ContextRows` has numpy make them; see `struct rows`."""

    def __init__(
        self,
        kernels: ctypes.CDLL,
        forms: tuple[NDArray[Any], int, NDArray[np.intp]],
        pairs: tuple[NDArray[np.uint8], NDArray[np.int64]],
        flags: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        words: tuple[NDArray[np.float32], Covers, float] | None,
    ) -> None:
        """Of forms a table, the bytes of a vector, which begins a row, and the tokens' rows; of
        pairs a table and rows; of flags their values, and those of each token; of words their
        vectors, the covers and what makes levels of the sums.
        """
        form_table, size, form_rows = forms
        pair_table, pair_rows = pairs
        values, marked = flags
        self._write, self._write_distinct = kernels.tagbelt_rows, kernels.tagbelt_distinct_rows
        self._is_plain = not marked.shape[1] and words is None
        self._kept: list[NDArray[Any]] = [
            *(form_table, pair_table, values, marked),
            *(form_rows, pair_rows),
        ]
        pointers = [*map(address, self._kept)]
        counts = (form_table.strides[0], size, pair_table.shape[1], marked.shape[1])
        lexicon: tuple[Any, ...] = (0, None, None, None, None, 0.0)
        if words is not None:
            table, covers, scale = words
            own: list[NDArray[Any]] = [table, covers.weights, covers.words, covers.starts]
            self._kept += own
            lexicon = (table.shape[1], *map(address, own), scale)
        self._rows = _Rows(len(pair_rows) - 1, *pointers, *counts, *lexicon)
        self.size = size + counts[2] + counts[3] + len(SETS) * lexicon[0]

    def __call__(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the rows [T, B, size] of the tokens at `index` [T, B], of padding for -1."""
        index = np.ascontiguousarray(index, np.int64)
        rows = np.empty((*index.shape, self.size), np.uint8)
        shape = (*index.shape, self.size)
        self._write(ctypes.byref(self._rows), address(index), *shape, address(rows))
        return rows

    def locate(self, index: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return a table and where the rows [T, B] of the tokens at `index` stand in it.

        Without flags and words, a form and its pair have one row: the kernels keep the products of
        rows that are common.
        """
        if not self._is_plain:
            rows = self(index)
            return rows.reshape(-1, self.size), np.arange(index.size).reshape(index.shape)
        index = np.ascontiguousarray(index, np.int64)
        bits = (2 * index.size).bit_length()
        slots = np.zeros(1 << bits, np.int32)
        owners, places = np.empty(index.size, np.int64), np.empty(index.shape, np.int64)
        rows = np.empty((index.size, self.size), np.uint8)
        arrays: tuple[NDArray[Any], ...] = (slots, owners, places, rows)
        shape, pointers = (*index.shape, self.size), map(address, arrays)
        count = self._write_distinct(
            ctypes.byref(self._rows), address(index), *shape, bits, *pointers
        )
        return rows[:count], places
