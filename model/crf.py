"""The CRF head: parameters held by pytorch-crf, tag constraints, and a fast likelihood.

pytorch-crf is also the oracle of the tests. Its own likelihood loops over sentences and
positions in Python and differentiates through the recursion; here forward-backward runs once,
in probability space with a scale a step (Rabiner 1989, section V.A), and the gradient is the
difference of expected and observed counts (Lafferty et al. 2001).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchcrf import CRF

from data.schemes import Scheme, allowed_transitions
from model.recurrent import last_rows, previous_rows, sequence_of_rows

# Scores within these nats and probabilities above this floor are computed without underflow: what
# one step makes of the floor, e-150 * e-50 * e-50, is far above float64's smallest number, e-308.
SAFE_SCORE = 115.0
SAFE_PROBABILITY = 1e-150


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
        scores = (emissions.double(), start.double(), step.double(), end.double())
        lattice = forward_backward(*scores, batch_sizes)
        gold = _gold_score(*scores, batch_sizes, tags)
        ctx.save_for_backward(lattice.marginals, lattice.steps, tags)
        ctx.batch_sizes = batch_sizes
        # A path that is all but certain may, by rounding, outscore the sum over all paths.
        return (lattice.log_partition.sum() - gold).clamp(min=0.0).to(emissions.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        marginals, steps, tags = ctx.saved_tensors
        rows = Rows(ctx.batch_sizes, tags.device)
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
        return (*((g * upstream).to(upstream.dtype) for g in gradients), None, None)


class Rows:
    """Where packed rows stand in their sentences.

    `first` counts the sentences (rows of position 0); `previous` [N - B] is the row before each
    later row; `last` [B] is each sentence's last row; `sentence` [N] is whose a row is.
    """

    def __init__(self, batch_sizes: Tensor, device: torch.device) -> None:
        self.first = int(batch_sizes[0])
        self.previous = previous_rows(batch_sizes).to(device)
        self.last = last_rows(batch_sizes).to(device)
        self.sentence = sequence_of_rows(batch_sizes).to(device)


def _gold_score(
    emissions: Tensor, start: Tensor, step: Tensor, end: Tensor, batch_sizes: Tensor, tags: Tensor
) -> Tensor:
    """Return the summed score of the gold paths."""
    rows = Rows(batch_sizes, emissions.device)
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

    Falls back to log space where scores are so far apart that a probability may underflow.
    """
    if _within_reach(emissions, start, step, end):
        lattice = _scaled_forward_backward(emissions, start, step, end, batch_sizes)
        if lattice is not None:
            return lattice
    return log_forward_backward(emissions, start, step, end, batch_sizes)


def _within_reach(emissions: Tensor, *scores: Tensor) -> bool:
    """Whether no score, apart from those of impossible moves, is extreme on its own."""
    spreads = [(emissions.amax(1) - emissions.amin(1)).amax()]
    spreads += [s.masked_fill(s == float("-inf"), 0.0).abs().amax() for s in scores]
    return bool((torch.stack(spreads) <= SAFE_SCORE).all())


def _scaled_forward_backward(
    emissions: Tensor, start: Tensor, step: Tensor, end: Tensor, batch_sizes: Tensor
) -> Lattice | None:
    """Return None where a probability came so close to zero that it may have lost digits.

    Only forward ones matter: what backward loses is lost from a marginal below 1e-300.
    """
    sizes = batch_sizes.tolist()
    top = emissions.amax(1, keepdim=True)  # [N, 1]
    likelihood = (emissions - top).exp_()  # [N, K]
    step_weight, end_weight = step.exp(), end.exp()
    rows = Rows(batch_sizes, emissions.device)
    forward = torch.empty_like(emissions)
    scale = torch.empty_like(top)
    for offset, size, before in _steps(sizes):
        here = slice(offset, offset + size)
        previous = forward[before : before + size]
        reach = previous @ step_weight if offset else start.exp().expand(size, -1)
        torch.mul(reach, likelihood[here], out=forward[here])
        torch.sum(forward[here], 1, keepdim=True, out=scale[here])
        forward[here].div_(scale[here])
    if bool(((forward > 0.0) & (forward < SAFE_PROBABILITY)).any()):
        return None
    mass = forward[rows.last] @ end_weight  # [B]
    log_scale = (scale.log() + top)[:, 0]
    log_partition = mass.log().index_add_(0, rows.sentence, log_scale)

    backward = torch.empty_like(emissions)
    backward[rows.last] = end_weight / mass[:, None]
    ahead = torch.empty_like(emissions)  # likelihood * backward / scale, of the row that follows
    for offset, size, before in reversed(list(_steps(sizes))):
        here = slice(offset, offset + size)
        torch.mul(likelihood[here], backward[here], out=ahead[here]).div_(scale[here])
        if offset:
            backward[before : before + size] = ahead[here] @ step_weight.T
    steps = step_weight * (forward[rows.previous].T @ ahead[rows.first :])
    marginals = forward * backward
    finite = torch.isfinite(log_partition).all() & torch.isfinite(marginals).all()
    return Lattice(log_partition, marginals, steps) if bool(finite) else None


def log_forward_backward(
    emissions: Tensor, start: Tensor, step: Tensor, end: Tensor, batch_sizes: Tensor
) -> Lattice:
    """Do the same in log space: slower, never underflows, and the oracle of the fast one."""
    sizes = batch_sizes.tolist()
    rows = Rows(batch_sizes, emissions.device)
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
