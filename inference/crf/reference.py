"""The algorithms of a CRF in numpy: slow, plain, and right.

They are the oracles for the C functions of `inference.crf.algorithms`, and their fallback where
these were not built. Sums are float64, so no float32 emission can overflow them, and each row is
computed element by element, so that nothing depends on the other rows of a batch.

Viterbi 1967; forward-backward in log space, so that nothing leaves the range of float64: Rabiner
1989, "A Tutorial on Hidden Markov Models", III, with potentials in place of probabilities (Lafferty
et al. 2001). Every step of time is one vector operation over the batch.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.parameters import (
    CrfParameters,
    FloatArray,
    IntArray,
    Spans,
    TagTable,
    rows_alive,
)

STEPS = 256
"""Of time, between two calls of `between`: some milliseconds."""


def viterbi(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> tuple[IntArray, FloatArray]:
    """As `algorithms.viterbi`. Ties go to the lower tag.

    No back pointers are kept: walking back, the best predecessor is looked for again, but only of
    the one tag that was chosen.
    """
    alive = rows_alive(emissions, lengths, crf)
    if not alive:
        return np.zeros((len(emissions), 0), np.intp), np.zeros(0)
    with np.errstate(invalid="ignore"):  # NaN is reported below, with its row
        scores = best_scores(emissions, alive, crf)
        last = scores[lengths - 1, np.arange(len(lengths))] + crf.end  # [B, K]
    best = last.max(axis=1)
    if not np.isfinite(best).all():
        row = int(np.flatnonzero(~np.isfinite(best))[0])
        raise ValueError(f"row {row} has no path of finite score: its emissions are not finite")
    paths = np.zeros(emissions.shape[:2], np.intp)
    _backtrace(scores, last.argmax(axis=1), alive, crf, paths)
    return paths, best


def best_scores(
    emissions: NDArray[np.float32],
    alive: list[int],
    crf: CrfParameters,
    between: Callable[[], None] = lambda: None,
) -> FloatArray:
    """Return the score [T, B, K] of the best path up to a tag at a step, its emission included.

    `alive` [T] is what `rows_alive` tells; what stands behind a row's end means nothing. `between`
    is called every so many steps, and may raise.
    """
    # As [K, B], rows of the batch innermost: the maximum over the tag one comes from is then a
    # long contiguous operation, ten times faster than one over a short last axis.
    emissions = emissions[: len(alive)]
    steps, rows, tags = emissions.shape
    scores = np.empty((steps, tags, rows))
    scores[...] = emissions.transpose(0, 2, 1)
    scores[:1] += crf.start[:, None]
    transitions = crf.transitions[:, :, None]  # [K from, K to, 1]
    moves = np.empty((tags, tags, rows))
    best = np.empty((tags, rows))
    for step in range(1, steps):
        if not step % STEPS:
            between()
        n = alive[step]
        np.add(scores[step - 1, :, None, :n], transitions, out=moves[:, :, :n])
        np.maximum.reduce(moves[:, :, :n], axis=0, out=best[:, :n])
        scores[step, :, :n] += best[:, :n]
    return np.ascontiguousarray(scores.transpose(0, 2, 1))


def _backtrace(
    scores: FloatArray, tag: IntArray, alive: list[int], crf: CrfParameters, paths: IntArray
) -> None:
    """Fill `paths` from each row's last tag `tag` [B] backwards."""
    sources = np.ascontiguousarray(crf.transitions.T)  # [K to, K from]
    for step in range(len(alive) - 1, 0, -1):
        n = alive[step]
        paths[step, :n] = tag[:n]
        moves = sources.take(tag[:n], axis=0)  # [n, K from]
        moves += scores[step - 1, :n]
        moves.argmax(axis=1, out=tag[:n])
    paths[0] = tag


def find_spans(paths: IntArray, lengths: IntArray, table: TagTable) -> Spans:
    """As `algorithms.find_spans`."""
    tags = paths.T  # [B, T]
    inside = np.arange(tags.shape[1]) < lengths[:, None]
    carried = table.continues[tags] & inside
    closes = (table.label[tags] >= 0) & inside
    closes[:, :-1] &= ~carried[:, 1:]
    rows, starts = np.nonzero(table.opens[tags] & inside)
    ends = np.nonzero(closes)[1] + 1
    return Spans(rows, starts, ends, table.label[tags[rows, starts]])


class LogChart:
    """Forward and backward log scores [T, B, K] of a batch, and the probabilities from them.

    `log_partition` [B] is the natural logarithm of the sum over all tag sequences of a row. Raises
    ValueError where `rows_alive` does. A row whose emissions are not finite has no meaningful
    probabilities; `viterbi` refuses it.
    """

    def __init__(self, emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters):
        alive = rows_alive(emissions, lengths, crf)
        self._lengths = lengths
        self._crf = crf
        self._emissions = emissions[: len(alive)].astype(np.float64)
        self._forward = _forward(self._emissions, alive, crf)
        self._backward = self._run_backward(alive)
        self.log_partition = _log_total(self._forward, lengths, crf)  # [B]

    def _run_backward(self, alive: list[int]) -> FloatArray:
        backward, crf = np.full(self._emissions.shape, -np.inf), self._crf
        backward[self._lengths - 1, np.arange(len(self._lengths))] = crf.end
        for step in range(len(alive) - 1, 0, -1):
            n = alive[step]
            after = self._emissions[step, :n] + backward[step, :n]  # [n, K to]
            backward[step - 1, :n] = log_sum(crf.transitions + after[:, None], axis=2)
        return backward

    def token_marginals(self) -> FloatArray:
        """Return the probability [T, B, K] of each tag at each token; 0 after a row's end."""
        logs = self._forward + self._backward - self.log_partition[:, None]
        return _probabilities(logs)

    def span_posteriors(self, spans: Spans, table: TagTable) -> FloatArray:
        """Return the probability [N] that exactly these spans are entities of their labels."""
        found = zip(spans.rows, spans.starts, spans.ends, spans.labels, strict=True)
        return _probabilities(
            np.array([self._span(row, range(a, b), label, table) for row, a, b, label in found])
        )

    def _span(self, row: int, steps: range, label: int, table: TagTable) -> float:
        """Log probability of one span: all its tags, and no tag after it that carries it on."""
        alone, first, between, last = table.places[label]
        tags = [alone] if len(steps) == 1 else [first, *[between] * (len(steps) - 2), last]
        total = self._forward[steps[0], row, tags[0]]
        for step, before, tag in zip(steps[1:], tags, tags[1:], strict=False):
            total += self._crf.transitions[before, tag] + self._emissions[step, row, tag]
        if steps.stop == self._lengths[row]:
            total += self._crf.end[tags[-1]]
        else:
            after = self._emissions[steps.stop, row] + self._backward[steps.stop, row]  # [K]
            after = np.where(table.continuing[label], -np.inf, after)
            total += log_sum(self._crf.transitions[tags[-1]] + after, axis=0)
        return float(total - self.log_partition[row])


def forward_scores(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    between: Callable[[], None] = lambda: None,
) -> tuple[FloatArray, FloatArray]:
    """As `algorithms.forward_scores`."""
    alive = rows_alive(emissions, lengths, crf)
    forward = _forward(emissions[: len(alive)].astype(np.float64), alive, crf, between)
    total = _log_total(forward, lengths, crf)
    return best_scores(emissions, alive, crf, between), total


def _forward(
    emissions: FloatArray,
    alive: list[int],
    crf: CrfParameters,
    between: Callable[[], None] = lambda: None,
) -> FloatArray:
    """Log scores [T, B, K] of all ways to begin up to a tag, its emission included."""
    forward = np.full(emissions.shape, -np.inf)
    forward[:1] = crf.start + emissions[:1]
    for step in range(1, len(alive)):
        if not step % STEPS:
            between()
        n = alive[step]
        moves = forward[step - 1, :n, :, None] + crf.transitions  # [n, K from, K to]
        forward[step, :n] = log_sum(moves, axis=1) + emissions[step, :n]
    return forward


def _log_total(forward: FloatArray, lengths: IntArray, crf: CrfParameters) -> FloatArray:
    """The logarithm [B] of the sum over all tag sequences of a row."""
    return log_sum(forward[lengths - 1, np.arange(len(lengths))] + crf.end, axis=1)


def _probabilities(logs: FloatArray) -> FloatArray:
    """Exponentials; rounding cannot lift one above 1."""
    result: FloatArray = np.exp(np.minimum(logs, 0.0))
    return result


def log_sum(logs: FloatArray, axis: int) -> FloatArray:
    """Return the log of the sum of exponentials along an axis; -inf where all are -inf."""
    peak = logs.max(axis=axis, keepdims=True)
    peak[peak == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        total: FloatArray = np.log(np.exp(logs - peak).sum(axis=axis)) + peak.squeeze(axis)
    return total
