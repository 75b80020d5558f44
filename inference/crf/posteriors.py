"""Exact probabilities under a CRF: of a sentence's tags, of each token's tag, of whole entities.

Forward-backward with scaled probabilities (Rabiner 1989, V.A): one [K, K] @ [K, B] product a step
and direction, rows of the batch innermost. A row in which a number could have been lost below
float64's range is found by a bound and computed again in log space (`inference.crf.logspace`).

`span_posteriors` and `token_marginals` do this in C where the kernels were built
(native/posteriors.c); `Posteriors` is their fallback and their oracle.
"""

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.logspace import LogChart
from tagbelt.inference.crf.parameters import CrfParameters, FloatArray, IntArray, rows_alive
from tagbelt.inference.decoding.tags import BoolArray, Spans, TagTable
from tagbelt.inference.native.crf import functions


def span_posteriors(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    spans: Spans,
    table: TagTable,
) -> FloatArray:
    """As `Posteriors.span_posteriors`, in C where that was built, and only for rows with a span.

    The spans come row by row.
    """
    native = functions()
    if native is None:
        return _some_posteriors(emissions, lengths, crf, spans, table)
    result, lost = native.span_posteriors(emissions, lengths, crf, spans, table)
    if lost:
        again = np.isnan(result)
        part = Spans(*(a[again] for a in (spans.rows, spans.starts, spans.ends, spans.labels)))
        result[again] = _some_posteriors(emissions, lengths, crf, part, table)
    return result


def token_marginals(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> FloatArray:
    """As `Posteriors.token_marginals`, in C where that was built."""
    native = functions()
    if native is None:
        return Posteriors(emissions, lengths, crf).token_marginals()
    result, lost = native.token_marginals(emissions, lengths, crf)
    if len(lost):
        exact = Posteriors(emissions[:, lost], lengths[lost], crf).token_marginals()
        result[:, lost] = 0.0
        result[: len(exact), lost] = exact
    return result


def _some_posteriors(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    spans: Spans,
    table: TagTable,
) -> FloatArray:
    """Posteriors of spans, computed for the rows that have any."""
    rows = np.unique(spans.rows)
    if not len(rows):
        return np.zeros(0)
    posteriors = Posteriors(emissions[:, rows], lengths[rows], crf)
    moved = Spans(np.searchsorted(rows, spans.rows), spans.starts, spans.ends, spans.labels)
    return posteriors.span_posteriors(moved, table)


class Posteriors:
    """The probabilities of a batch: `emissions` [T, B, K], `lengths` [B], longest first.

    `log_partition` [B] is the natural logarithm of the sum over all tag sequences of a row.

    Raises ValueError where `rows_alive` does. A row whose emissions are not finite has no
    meaningful probabilities; `viterbi` refuses it.
    """

    def __init__(self, emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters):
        alive = rows_alive(emissions, lengths, crf)
        self._scaled = _ScaledChart(emissions[: len(alive)], lengths, alive, crf)
        self._lost = np.flatnonzero(~self._scaled.safe)
        self._exact = None
        self.log_partition = self._scaled.log_partition
        if len(self._lost):
            self._exact = LogChart(emissions[:, self._lost], lengths[self._lost], crf)
            self.log_partition[self._lost] = self._exact.log_partition

    def token_marginals(self) -> FloatArray:
        """Probability [lengths[0], B, K] of each tag at each token; 0 after a row's end."""
        result = self._scaled.token_marginals()
        if self._exact is not None:
            exact = self._exact.token_marginals()
            result[: len(exact), self._lost] = exact
        return result

    def span_posteriors(self, spans: Spans, table: TagTable) -> FloatArray:
        """Probability [N], in [0, 1], that exactly these spans are entities of their labels.

        That is: all tags are as the scheme writes the entity, and the next tag does not carry it
        on (Culotta & McCallum 2004, "Confidence Estimation for Information Extraction").
        """
        result = self._scaled.span_posteriors(spans, table)
        if self._exact is not None:
            again = np.flatnonzero(np.isin(spans.rows, self._lost))
            rows = np.searchsorted(self._lost, spans.rows[again])
            part = Spans(rows, spans.starts[again], spans.ends[again], spans.labels[again])
            result[again] = self._exact.span_posteriors(part, table)
        return result


class _ScaledChart:
    """Forward rows that sum to 1 and backward rows scaled to match, both [T, K, B].

    `local` [T, K, B] is what a tag contributes at a step, divided by the step's scale, so that
    forward[t] = (moves^T @ forward[t - 1]) * local[t] and backward[t - 1] = moves @ (local[t] *
    backward[t]); then forward * backward is the marginal.
    """

    def __init__(
        self,
        emissions: NDArray[np.float32],
        lengths: IntArray,
        alive: list[int],
        crf: CrfParameters,
    ):
        self._lengths = lengths
        # Everything is shifted to a largest exponential of 1; the shifts go to the log partition.
        start, start_peak = _exponentials(crf.start)
        self._moves, moves_peak = _exponentials(crf.transitions)
        self._end, end_peak = _exponentials(crf.end)
        with np.errstate(all="ignore"):  # a row that leaves float64's range is not `safe`
            self._local = np.ascontiguousarray(emissions.transpose(0, 2, 1), np.float64)
            peaks = self._local.max(axis=1)  # [T, B]
            self._local -= peaks[:, None]
            np.exp(self._local, out=self._local)
            scales = self._run_forward(start, alive)
            self._local /= scales[:, None]
            closing = self._run_backward(alive)
            # A number that underflowed was below 5e-324. What it could still have added to a
            # probability is that times this factor: below 1e-15 if the factor is a number.
            factors = self._backward.max(axis=1) / scales  # [T, B]
            self.safe: BoolArray = np.isfinite(factors).all(axis=0)
            inside = np.arange(len(alive))[:, None] < lengths  # [T, B]
            total = np.where(inside, np.log(scales) + peaks, 0.0).sum(axis=0)
            shift = start_peak + end_peak + moves_peak * (lengths - 1)
            self.log_partition: FloatArray = total + np.log(closing) + shift

    def _run_forward(self, start: FloatArray, alive: list[int]) -> FloatArray:
        """Fill the forward rows; the sums [T, B] they were divided by, 1 after a row's end."""
        self._forward = np.zeros(self._local.shape)
        scales = np.ones((len(alive), len(self._lengths)))
        into = np.ascontiguousarray(self._moves.T)
        for step, n in enumerate(alive):
            now, scale = self._forward[step, :, :n], scales[step, :n]
            if step == 0:
                now[...] = start[:, None]
            else:
                np.matmul(into, self._forward[step - 1, :, :n], out=now)
            now *= self._local[step, :, :n]
            np.add.reduce(now, axis=0, out=scale)
            now /= scale
        return scales

    def _run_backward(self, alive: list[int]) -> FloatArray:
        """Fill the backward rows; the probability [B] with which the last tags may end."""
        self._backward = np.zeros(self._local.shape)
        rows = np.arange(len(self._lengths))
        closing: FloatArray = self._forward[self._lengths - 1, :, rows] @ self._end
        self._backward[self._lengths - 1, :, rows] = self._end / closing[:, None]
        after = np.empty(self._local.shape[1:])
        for step in range(len(alive) - 1, 0, -1):
            n = alive[step]
            np.multiply(self._local[step, :, :n], self._backward[step, :, :n], out=after[:, :n])
            np.matmul(self._moves, after[:, :n], out=self._backward[step - 1, :, :n])
        return closing

    def token_marginals(self) -> FloatArray:
        with np.errstate(all="ignore"):
            product = self._forward * self._backward
        return np.minimum(product.transpose(0, 2, 1), 1.0)

    def span_posteriors(self, spans: Spans, table: TagTable) -> FloatArray:
        if not len(spans):
            return np.zeros(0)
        sizes = spans.ends - spans.starts
        # The tokens of all spans in one row; span i has those from heads[i] to tails[i].
        heads = np.cumsum(sizes) - sizes
        tails = heads + sizes - 1
        span = np.repeat(np.arange(len(spans)), sizes)
        steps = np.arange(len(span)) - heads[span] + spans.starts[span]
        alone, first, between, last = table.places[spans.labels].T
        tags = between[span]
        tags[tails] = last
        tags[heads] = np.where(sizes == 1, alone, first)
        with np.errstate(all="ignore"):
            factors = self._moves[np.roll(tags, 1), tags]
            factors *= self._local[steps, tags, spans.rows[span]]
            factors[heads] = self._forward[spans.starts, tags[heads], spans.rows]
            inside = np.multiply.reduceat(factors, heads)
            return np.minimum(inside * self._closing(spans, tags[tails], table), 1.0)

    def _closing(self, spans: Spans, tail: IntArray, table: TagTable) -> FloatArray:
        """Scaled probability [N] of all that may follow a span whose last tag is `tail` [N]."""
        at_end = self._backward[spans.ends - 1, tail, spans.rows]
        after = np.minimum(spans.ends, len(self._local) - 1)
        following = self._local[after, :, spans.rows] * self._backward[after, :, spans.rows]
        following *= self._moves[tail]  # [N, K]
        following[table.continuing[spans.labels]] = 0.0
        return np.where(spans.ends == self._lengths[spans.rows], at_end, following.sum(axis=1))


def _exponentials(logs: FloatArray) -> tuple[FloatArray, float]:
    """Exponentials scaled to a largest value of 1, and the logarithm of what they lack."""
    peak = float(logs.max())
    if peak == -np.inf:
        peak = 0.0
    with np.errstate(under="ignore"):
        return np.exp(logs - peak), peak
