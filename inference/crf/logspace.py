"""Forward-backward in log space: slow, plain, never out of range.

The oracle for `inference.crf.posteriors`, and its fallback for sentences whose probabilities leave
the range of float64. Equations: Rabiner 1989, "A Tutorial on Hidden Markov Models", III, with
potentials in place of probabilities (Lafferty et al. 2001).
"""

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.parameters import CrfParameters, FloatArray, IntArray, rows_alive
from tagbelt.inference.decoding.tags import Spans, TagTable


class LogChart:
    """Forward and backward log scores [T, B, K] of a batch, and what follows from them."""

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
            backward[step - 1, :n] = _log_sum(crf.transitions + after[:, None], axis=2)
        return backward

    def token_marginals(self) -> FloatArray:
        """Probability [T, B, K] of each tag at each token; 0 after a row's end."""
        logs = self._forward + self._backward - self.log_partition[:, None]
        return _probabilities(logs)

    def span_posteriors(self, spans: Spans, table: TagTable) -> FloatArray:
        """Probability [N] that exactly these spans are entities of their labels."""
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
            total += _log_sum(self._crf.transitions[tags[-1]] + after, axis=0)
        return float(total - self.log_partition[row])


def log_partition(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> FloatArray:
    """As `LogChart.log_partition` [B], without the rest of the chart."""
    alive = rows_alive(emissions, lengths, crf)
    forward = _forward(emissions[: len(alive)].astype(np.float64), alive, crf)
    return _log_total(forward, lengths, crf)


def _forward(emissions: FloatArray, alive: list[int], crf: CrfParameters) -> FloatArray:
    """Log scores [T, B, K] of all ways to begin up to a tag, its emission included."""
    forward = np.full(emissions.shape, -np.inf)
    forward[:1] = crf.start + emissions[:1]
    for step in range(1, len(alive)):
        n = alive[step]
        moves = forward[step - 1, :n, :, None] + crf.transitions  # [n, K from, K to]
        forward[step, :n] = _log_sum(moves, axis=1) + emissions[step, :n]
    return forward


def _log_total(forward: FloatArray, lengths: IntArray, crf: CrfParameters) -> FloatArray:
    """The logarithm [B] of the sum over all tag sequences of a row."""
    return _log_sum(forward[lengths - 1, np.arange(len(lengths))] + crf.end, axis=1)


def _probabilities(logs: FloatArray) -> FloatArray:
    """Exponentials; rounding cannot lift one above 1."""
    result: FloatArray = np.exp(np.minimum(logs, 0.0))
    return result


def _log_sum(logs: FloatArray, axis: int) -> FloatArray:
    """Log of the sum of exponentials along an axis; -inf where all are -inf."""
    peak = logs.max(axis=axis, keepdims=True)
    peak[peak == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        total: FloatArray = np.log(np.exp(logs - peak).sum(axis=axis)) + peak.squeeze(axis)
    return total
