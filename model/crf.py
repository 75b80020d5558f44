"""The CRF head: parameters held by pytorch-crf, tag constraints, and a fast likelihood.

pytorch-crf is also the oracle of the tests. Its own likelihood loops over sentences and
positions in Python and differentiates through the recursion; here forward-backward runs once,
in probability space with a scale a step (Rabiner 1989, section V.A), and the gradient is the
difference of expected and observed counts (Lafferty et al. 2001).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchcrf import CRF

from data.schemes import Scheme, allowed_transitions
from model.recurrent import last_rows, previous_rows, sequence_of_rows

# Scores within these nats and probabilities above this floor are computed without underflow: what
# one step makes of the floor, e-150 * e-50 * e-50, is far above float64's smallest number, e-308.
SAFE_SCORE = 115.0
SAFE_PROBABILITY = 1e-150

Floats = NDArray[np.float64]


class CrfHead(nn.Module):
    """A linear-chain CRF over K tags that gives impossible sequences no probability.

    With `constrain_training = False` the constraints hold in decoding alone.
    """

    start_allowed: Tensor
    step_allowed: Tensor
    end_allowed: Tensor

    def __init__(
        self, tags: tuple[str, ...], scheme: Scheme, *, constrain_training: bool = True
    ) -> None:
        super().__init__()
        allowed = allowed_transitions(tags, scheme)
        self.parameters_of = CRF(len(tags))
        self.register_buffer("start_allowed", torch.from_numpy(allowed.start), persistent=False)
        self.register_buffer("step_allowed", torch.from_numpy(allowed.step), persistent=False)
        self.register_buffer("end_allowed", torch.from_numpy(allowed.end), persistent=False)
        self.constrain_training = constrain_training

    def scores(self, *, constrained: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Return start [K], step [K, K] (from, to) and end [K]; impossible ones are -inf."""
        crf = self.parameters_of
        start, step, end = crf.start_transitions, crf.transitions, crf.end_transitions
        if not constrained:
            return start, step, end
        impossible = float("-inf")
        return (
            start.masked_fill(~self.start_allowed, impossible),
            step.masked_fill(~self.step_allowed, impossible),
            end.masked_fill(~self.end_allowed, impossible),
        )

    def nll(self, emissions: Tensor, batch_sizes: Tensor, tags: Tensor) -> Tensor:
        """Return the mean negative log-likelihood a sentence (>= 0, in nats).

        `emissions` [N, K] and gold `tags` [N] are packed rows, `batch_sizes` [T] on the CPU.
        """
        start, step, end = self.scores(constrained=self.constrain_training)
        total: Tensor = _NegativeLogLikelihood.apply(  # type: ignore[no-untyped-call]
            emissions, start, step, end, batch_sizes, tags
        )
        return total / int(batch_sizes[0])


class _NegativeLogLikelihood(torch.autograd.Function):
    """Sum over sentences of log Z minus the gold path's score, all in float64."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        start: Tensor,
        step: Tensor,
        end: Tensor,
        batch_sizes: Tensor,
        tags: Tensor,
    ) -> Tensor:
        scores = _exact(emissions), _exact(start), _exact(step), _exact(end)
        lattice, tags = forward_backward(*scores, batch_sizes), tags.cpu()
        gold = _gold_score(*scores, batch_sizes, tags)
        ctx.save_for_backward(lattice.marginals, lattice.steps, tags)
        ctx.batch_sizes = batch_sizes
        # A path that is all but certain may, by rounding, outscore the sum over all paths.
        return (lattice.log_partition.sum() - gold).clamp(min=0.0).to(emissions)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        marginals, steps, tags = ctx.saved_tensors
        rows = Rows(ctx.batch_sizes)
        count = marginals.shape[1]
        emissions = marginals.scatter_add(
            1, tags[:, None], -torch.ones_like(marginals[:, :1])
        )  # [N, K]
        pairs = tags[rows.previous] * count + tags[rows.first :]
        observed = torch.bincount(pairs, minlength=count * count).view(count, count)
        gradients = (
            emissions,
            emissions[: rows.first].sum(0),
            steps - observed,
            emissions[rows.last].sum(0),
        )
        return (*(g.to(upstream) * upstream for g in gradients), None, None)


class Rows:
    """Where packed rows stand in their sentences.

    `sizes` are the batch sizes, `first` counts the sentences (rows of position 0); `previous`
    [N - B] is the row before each later row; `last` [B] is each sentence's last row; `sentence`
    [N] is whose a row is.
    """

    def __init__(self, batch_sizes: Tensor) -> None:
        self.sizes: list[int] = batch_sizes.tolist()
        self.first = self.sizes[0]
        self.previous = previous_rows(batch_sizes)
        self.last = last_rows(batch_sizes)
        self.sentence = sequence_of_rows(batch_sizes)


def _exact(scores: Tensor) -> Tensor:
    return scores.to("cpu", torch.float64)


def _gold_score(
    emissions: Tensor, start: Tensor, step: Tensor, end: Tensor, batch_sizes: Tensor, tags: Tensor
) -> Tensor:
    """Return the summed score of the gold paths."""
    rows = Rows(batch_sizes)
    score = emissions.gather(1, tags[:, None]).sum()
    score = score + start[tags[: rows.first]].sum() + end[tags[rows.last]].sum()
    return score + step[tags[rows.previous], tags[rows.first :]].sum()


@dataclass(frozen=True)
class Lattice:
    """What forward-backward finds: `log_partition` [B], `marginals` [N, K] (each row sums to 1)
    and `steps` [K, K], how often each transition is expected in the whole batch.
    """

    log_partition: Tensor
    marginals: Tensor
    steps: Tensor


def forward_backward(
    emissions: Tensor, start: Tensor, step: Tensor, end: Tensor, batch_sizes: Tensor
) -> Lattice:
    """Run forward-backward on packed rows: emissions [N, K] float64, scores may be -inf.

    All on the CPU: what a step does is too little for any other device to gain by it. Falls back
    to log space where scores are so far apart that a probability may underflow.
    """
    arrays = emissions.numpy(), start.numpy(), step.numpy(), end.numpy()
    if _within_reach(*arrays):
        with np.errstate(all="ignore"):  # what is not finite is found at the end
            lattice = _scaled_forward_backward(*arrays, Rows(batch_sizes))
        if lattice is not None:
            return lattice
    return log_forward_backward(emissions, start, step, end, batch_sizes)


def _within_reach(emissions: Floats, *scores: Floats) -> bool:
    """Whether no score, apart from those of impossible moves, is extreme on its own."""
    spread = np.ptp(emissions, axis=1).max()
    largest = max(np.abs(s, where=s > -np.inf, out=np.zeros_like(s)).max() for s in scores)
    return bool(spread <= SAFE_SCORE and largest <= SAFE_SCORE)


def _scaled_forward_backward(
    emissions: Floats, start: Floats, step: Floats, end: Floats, rows: Rows
) -> Lattice | None:
    """Return None where a probability came so close to zero that it may have lost digits.

    Only forward ones matter: what backward loses is lost from a marginal below 1e-300. All is done
    in numpy: the arrays of a step are so small that the calls cost more than the arithmetic.
    """
    steps = _steps(rows.sizes)
    top = emissions.max(axis=1, keepdims=True)  # [N, 1]
    likelihood = np.exp(emissions - top)  # [N, K]
    step_weight, end_weight = np.exp(step), np.exp(end)
    forward = np.empty_like(emissions)
    scale = np.empty_like(top)
    np.multiply(np.exp(start), likelihood[: rows.first], out=forward[: rows.first])
    for offset, size, before in steps:
        here = slice(offset, offset + size)
        now = forward[here]
        if offset:
            np.matmul(forward[before : before + size], step_weight, out=now)
            now *= likelihood[here]
        now /= np.add.reduce(now, axis=1, keepdims=True, out=scale[here])
    if ((forward > 0.0) & (forward < SAFE_PROBABILITY)).any():
        return None
    previous, last = rows.previous.numpy(), rows.last.numpy()
    mass = forward[last] @ end_weight  # [B]
    log_scale = (np.log(scale) + top)[:, 0]
    log_partition = np.log(mass) + np.bincount(rows.sentence.numpy(), log_scale)

    backward = np.empty_like(emissions)
    backward[last] = end_weight / mass[:, None]
    ahead = likelihood / scale  # times backward: of the row that follows, seen from the one before
    for offset, size, before in reversed(steps):
        here = slice(offset, offset + size)
        ahead[here] *= backward[here]
        if offset:
            np.matmul(ahead[here], step_weight.T, out=backward[before : before + size])
    expected = step_weight * (forward[previous].T @ ahead[rows.first :])
    backward *= forward
    if not (np.isfinite(log_partition).all() and np.isfinite(backward).all()):
        return None
    return Lattice(*(torch.from_numpy(a) for a in (log_partition, backward, expected)))


def log_forward_backward(
    emissions: Tensor, start: Tensor, step: Tensor, end: Tensor, batch_sizes: Tensor
) -> Lattice:
    """Do the same in log space: slower, never underflows, and the oracle of the fast one."""
    rows = Rows(batch_sizes)
    sizes = rows.sizes
    forward = torch.empty_like(emissions)
    backward = torch.empty_like(emissions)
    backward[rows.last] = end.expand(sizes[0], -1)
    for offset, size, before in _steps(sizes):
        previous = forward[before : before + size, :, None]
        reach = torch.logsumexp(previous + step, 1) if offset else start.expand(size, -1)
        forward[offset : offset + size] = reach + emissions[offset : offset + size]
    log_partition = torch.logsumexp(forward[rows.last] + end, 1)  # [B]
    ahead = torch.empty_like(emissions)
    for offset, size, before in reversed(list(_steps(sizes))):
        here = slice(offset, offset + size)
        torch.add(emissions[here], backward[here], out=ahead[here])
        if offset:
            reach = torch.logsumexp(ahead[here, None, :] + step, 2)
            backward[before : before + size] = reach
    log_mass = log_partition[rows.sentence][:, None]
    pairs = forward[rows.previous, :, None] + step + ahead[rows.first :, None, :]
    return Lattice(
        log_partition,
        _probability(forward + backward - log_mass),
        _probability(pairs - log_mass[rows.first :, :, None]).sum(0),
    )


def _probability(logarithm: Tensor) -> Tensor:
    """Never above 1, however coarse the rounding of huge scores is."""
    return logarithm.clamp_(max=0.0).exp_()


def _steps(sizes: list[int]) -> list[tuple[int, int, int]]:
    """List (offset, rows, offset of the position before) for each position."""
    offsets = [0]
    for size in sizes[:-1]:
        offsets.append(offsets[-1] + size)
    return list(zip(offsets, sizes, [0, *offsets[:-1]], strict=True))
