"""The best path, the entities and exact probabilities under a CRF: in C, else in numpy.

The C functions (inference/native) take contiguous arrays by their addresses, so they are checked
here first. `inference.crf.reference` computes the same where the kernels were not built, and the
rows whose probabilities leave the range of float64: C scales them (Rabiner 1989, V.A) and says so.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf import reference
from tagbelt.inference.crf.parameters import (
    CrfParameters,
    FloatArray,
    IntArray,
    Spans,
    TagTable,
    rows_alive,
)
from tagbelt.inference.native import address, library

_POINTER = ctypes.c_void_p
_SIZE = ctypes.c_ssize_t
_FLOAT = 4  # bytes
_BATCH = (_POINTER, _SIZE, _SIZE, _SIZE, _SIZE, _POINTER)

# What the functions return below 0; see crf.h.
_NO_MEMORY = -1
_BAD_LENGTHS = -2


class _Crf(ctypes.Structure):
    arrays: Sequence[NDArray[np.generic]]  # that it points into
    _fields_ = (("tags", _SIZE), ("start", _POINTER), ("transitions", _POINTER), ("end", _POINTER))


class _Scheme(ctypes.Structure):
    arrays: Sequence[NDArray[np.generic]]
    _fields_ = (
        ("tags", _SIZE),
        ("labels", _SIZE),
        ("opens", _POINTER),
        ("continues", _POINTER),
        ("label", _POINTER),
        ("places", _POINTER),
        ("continuing", _POINTER),
    )


def viterbi(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> tuple[IntArray, FloatArray]:
    """Return the best paths [T, B] (0 after a row's end) and their scores [B] (Viterbi 1967).

    `emissions` float32 [T, B, K]; `lengths` [B], longest first, at least 1. In C and in numpy to
    the same bit. Raises ValueError where `rows_alive` does, and for a row without a path of finite
    score (emissions that are NaN or infinite).
    """
    kernels = crf_kernels()
    if kernels is None:
        return reference.viterbi(emissions, lengths, crf)
    return kernels.viterbi(emissions, lengths, crf)


def forward_scores(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    between: Callable[[], None] = lambda: None,
) -> tuple[FloatArray, FloatArray]:
    """Return the score [T, B, K] of the best path up to a tag, and the log-partition [B].

    A score includes the emission of its tag; what stands behind a row's end means nothing. The
    scores are the same to the bit in C and in numpy, and no path's score is above its row's
    log-partition, not even by rounding. `between` is called every so many steps; what it raises
    ends the work. Raises ValueError where `rows_alive` does.
    """
    kernels = crf_kernels()
    if kernels is None:
        return reference.forward_scores(emissions, lengths, crf, between)
    return kernels.forward_scores(emissions, lengths, crf, between)


def find_spans(paths: IntArray, lengths: IntArray, table: TagTable) -> Spans:
    """Return the entities in valid `paths` [T, B], row by row, in order."""
    kernels = crf_kernels()
    if kernels is None:
        return reference.find_spans(paths, lengths, table)
    return kernels.find_spans(paths, lengths, table)


def span_posteriors(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    spans: Spans,
    table: TagTable,
) -> FloatArray:
    """Return the probability [N], in [0, 1], that exactly these spans are entities of their labels.

    That is: all tags are as the scheme writes the entity, and the next tag does not carry it
    on (Culotta & McCallum 2004, "Confidence Estimation for Information Extraction"). The spans
    come row by row. Raises ValueError where `rows_alive` does.
    """
    kernels = crf_kernels()
    if kernels is None:
        return _plain_span_posteriors(emissions, lengths, crf, spans, table)
    result, lost = kernels.span_posteriors(emissions, lengths, crf, spans, table)
    if lost:
        again = np.isnan(result)
        part = Spans(*(a[again] for a in (spans.rows, spans.starts, spans.ends, spans.labels)))
        result[again] = _plain_span_posteriors(emissions, lengths, crf, part, table)
    return result


def token_marginals(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> FloatArray:
    """Return the probability [lengths[0], B, K] of each tag at each token; 0 after a row's end.

    Raises ValueError where `rows_alive` does.
    """
    kernels = crf_kernels()
    if kernels is None:
        return reference.LogChart(emissions, lengths, crf).token_marginals()
    result, lost = kernels.token_marginals(emissions, lengths, crf)
    if len(lost):
        exact = reference.LogChart(emissions[:, lost], lengths[lost], crf).token_marginals()
        result[:, lost] = 0.0
        result[: len(exact), lost] = exact
    return result


def _plain_span_posteriors(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    spans: Spans,
    table: TagTable,
) -> FloatArray:
    """Compute the posteriors of spans in log space, for the rows that have any."""
    rows = np.unique(spans.rows)
    if not len(rows):
        return np.zeros(0)
    chart = reference.LogChart(emissions[:, rows], lengths[rows], crf)
    moved = Spans(np.searchsorted(rows, spans.rows), spans.starts, spans.ends, spans.labels)
    return chart.span_posteriors(moved, table)


class CrfKernels:
    """The compiled functions, behind checks; safe to use from several threads.

    `emissions` are float32 [T, B, K], `lengths` [B], longest first. All raise ValueError for
    arrays that do not fit each other.
    """

    def __init__(self, kernels: ctypes.CDLL) -> None:
        self._viterbi = kernels.tagbelt_viterbi
        self._forward = kernels.tagbelt_forward
        self._find_spans = kernels.tagbelt_find_spans
        self._span_posteriors = kernels.tagbelt_span_posteriors
        self._token_marginals = kernels.tagbelt_token_marginals
        crf, scheme = ctypes.POINTER(_Crf), ctypes.POINTER(_Scheme)
        spans = (_POINTER, _POINTER, _POINTER, _POINTER, _SIZE)
        signatures = (
            (self._viterbi, (crf, *_BATCH, _POINTER, _POINTER)),
            (self._forward, (crf, *_BATCH, _SIZE, _SIZE, _POINTER, _POINTER)),
            (self._find_spans, (scheme, _POINTER, _SIZE, _SIZE, _POINTER, _POINTER)),
            (self._span_posteriors, (crf, scheme, *_BATCH, *spans, _POINTER)),
            (self._token_marginals, (crf, *_BATCH, _POINTER, _POINTER)),
        )
        for function, arguments in signatures:
            function.argtypes = arguments
            function.restype = _SIZE

    def viterbi(
        self, emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
    ) -> tuple[IntArray, FloatArray]:
        """As the public `viterbi`."""
        batch = _Batch(emissions, lengths, crf)
        paths = np.zeros(batch.shape, np.intp)
        best = np.empty(batch.shape[1])
        code = self._viterbi(_packed(crf), *batch.arguments, address(paths), address(best))
        if code > 0:
            raise ValueError(
                f"row {code - 1} has no path of finite score: its emissions are not finite"
            )
        batch.check(code)
        return paths, best

    def forward_scores(
        self,
        emissions: NDArray[np.float32],
        lengths: IntArray,
        crf: CrfParameters,
        between: Callable[[], None] = lambda: None,
    ) -> tuple[FloatArray, FloatArray]:
        """As the public `forward_scores`."""
        batch = _Batch(emissions, lengths, crf)
        steps = len(rows_alive(emissions, lengths, crf))
        scores = np.empty((steps, *emissions.shape[1:]))
        sums = np.empty(emissions.shape[1:])
        for begin in range(0, steps, reference.STEPS):
            if begin:
                between()
            stop = begin + reference.STEPS
            places = address(scores), address(sums)
            batch.check(self._forward(_packed(crf), *batch.arguments, begin, stop, *places))
        return scores, reference.log_sum(sums + crf.end, axis=1)

    def find_spans(self, paths: IntArray, lengths: IntArray, table: TagTable) -> Spans:
        """As the public `find_spans`."""
        paths = np.ascontiguousarray(paths, np.intp)
        lengths = np.ascontiguousarray(lengths, np.intp)
        if paths.ndim != 2 or lengths.shape != paths.shape[1:]:
            raise ValueError(f"{len(lengths)} lengths for paths of shape {list(paths.shape)}")
        found = np.empty((4, paths.size), np.intp)  # at most one a token
        count = self._find_spans(
            _packed_table(table),
            address(paths),
            *paths.shape,
            address(lengths),
            address(found),
        )
        if count < 0:
            raise ValueError("paths that no decoder made: a length or a tag is out of range")
        return Spans(*found[:, :count])

    def span_posteriors(
        self,
        emissions: NDArray[np.float32],
        lengths: IntArray,
        crf: CrfParameters,
        spans: Spans,
        table: TagTable,
    ) -> tuple[FloatArray, int]:
        """As the public one, but NaN for the spans of rows that leave float64's range.

        How many those are comes second.
        """
        batch = _Batch(emissions, lengths, crf)
        if len(table.tags) != len(crf.start):
            raise ValueError(f"a CRF of {len(crf.start)} tags and a table of {len(table.tags)}")
        count = len(spans.rows)
        columns = [
            np.ascontiguousarray(column, np.intp)
            for column in (spans.rows, spans.starts, spans.ends, spans.labels)
        ]
        if any(column.shape != (count,) for column in columns):
            raise ValueError("the arrays of the spans differ in length")
        result = np.empty(count)
        lost = self._span_posteriors(
            _packed(crf),
            _packed_table(table),
            *batch.arguments,
            *map(address, columns),
            count,
            address(result),
        )
        batch.check(lost)
        return result, lost

    def token_marginals(
        self, emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
    ) -> tuple[FloatArray, IntArray]:
        """As the public one, and the rows that leave float64's range.

        The numbers of those rows mean nothing.
        """
        batch = _Batch(emissions, lengths, crf)
        steps = int(lengths[0]) if len(lengths) else 0
        result = np.zeros((max(0, min(steps, len(emissions))), *emissions.shape[1:]))
        lost = np.zeros(len(lengths), np.bool_)
        code = self._token_marginals(_packed(crf), *batch.arguments, address(result), address(lost))
        batch.check(code)
        return result, np.flatnonzero(lost)


class _Batch:
    """Emissions and lengths as the functions take them. Holds the arrays that it points to."""

    def __init__(
        self, emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
    ) -> None:
        if emissions.dtype != np.float32:
            raise ValueError(f"emissions are {emissions.dtype}, expected float32")
        if emissions.ndim != 3 or emissions.shape[1:] != (len(lengths), len(crf.start)):
            rows_alive(emissions, lengths, crf)  # knows what to say
        self._crf = crf
        strides = emissions.strides
        if strides[2] != _FLOAT or strides[0] % _FLOAT or strides[1] % _FLOAT:
            emissions = np.ascontiguousarray(emissions)
            strides = emissions.strides
        self._emissions = emissions
        self._lengths = np.ascontiguousarray(lengths, np.intp)
        if self._lengths.ndim != 1:
            raise ValueError(f"lengths have shape {list(lengths.shape)}, expected [B]")
        steps, rows, _ = emissions.shape
        self.shape = (steps, rows)
        self.arguments = (
            address(self._emissions),
            strides[0] // _FLOAT,
            strides[1] // _FLOAT,
            steps,
            rows,
            address(self._lengths),
        )

    def check(self, code: int) -> None:
        """Raise what a result below 0 stands for."""
        if code >= 0:
            return
        if code == _NO_MEMORY:
            raise MemoryError("not enough memory for the tables of the CRF")
        if code == _BAD_LENGTHS:
            rows_alive(self._emissions, self._lengths, self._crf)
        raise ValueError(f"the arrays do not fit each other (code {code})")


@functools.cache
def crf_kernels() -> CrfKernels | None:
    """Return the compiled functions; None where they were not built."""
    kernels = library()
    return None if kernels is None else CrfKernels(kernels)


@functools.lru_cache(maxsize=64)
def _packed(crf: CrfParameters) -> _Crf:
    """Lay a CRF out as the functions take it; its arrays are frozen and live as long."""
    arrays = [np.ascontiguousarray(a) for a in (crf.start, crf.transitions, crf.end)]
    packed = _Crf(len(crf.start), *map(address, arrays))
    packed.arrays = arrays
    return packed


@functools.lru_cache(maxsize=64)
def _packed_table(table: TagTable) -> _Scheme:
    """Lay a table of tags out as the functions take it."""
    size = len(table.tags)
    if table.places.size and not 0 <= table.places.min() <= table.places.max() < size:
        raise ValueError(f"the table has places that are none of its {size} tags")
    flags = [np.array(a, np.bool_) for a in (table.opens, table.continues)]
    numbers = [np.array(a, np.intp) for a in (table.label, table.places)]
    arrays = [*flags, *numbers, np.array(table.continuing, np.bool_)]
    packed = _Scheme(size, len(table.labels), *map(address, arrays))
    packed.arrays = arrays
    return packed
