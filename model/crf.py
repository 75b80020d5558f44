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

from tagbelt.data.conll.schemes import Scheme, allowed_transitions
from tagbelt.model.batch import ExpectedTags
from tagbelt.model.cells.packed import last_rows, previous_rows, sequence_of_rows
from tagbelt.model.native.lattice import compiled_lattice

# Scores within these nats and probabilities above this floor are computed without underflow: what
# one step makes of the floor, e-150 * e-50 * e-50, is far above float64's smallest number, e-308.
SAFE_SCORE = 115.0
SAFE_PROBABILITY = 1e-150
SAFE = SAFE_SCORE, SAFE_PROBABILITY

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
        scores = self.scores(constrained=self.constrain_training)
        total: Tensor = _Likelihood.apply(  # type: ignore[no-untyped-call]
            emissions, *scores, batch_sizes, tags.cpu()
        )
        return total / int(batch_sizes[0])

    def cross_entropy(
        self, emissions: Tensor, batch_sizes: Tensor, expected: ExpectedTags
    ) -> Tensor:
        """Return the mean cross-entropy a sentence (in nats) from other taggings to the head's.

        Those are given by how often they have each tag and each transition: the head's score of
        a tagging is a sum over these, so nothing else about them matters. `emissions` [N, K] are
        packed rows. What the head can't give a probability must not be expected.
        """
        start, step, end = self.scores(constrained=self.constrain_training)
        total: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
            emissions, start, step, end, batch_sizes, expected.marginals, expected.steps
        )
        return total / int(batch_sizes[0])

    def partial_nll(self, emissions: Tensor, batch_sizes: Tensor, allowed: Tensor) -> Tensor:
        """Return the mean negative log-likelihood a sentence of all taggings within sets of tags.

        `allowed` bool [N, K] are the tags that each row may have: -log of the probability that the
        tagging keeps to them, log Z - log Z(kept to them), exactly (Tsuboi et al. 2008). Where all
        tags are allowed it is 0, and so is its gradient.

        Raises:
            ValueError: a sentence that no tagging fits.
        """
        scores = self.scores(constrained=self.constrain_training)
        total: Tensor = _PartialLikelihood.apply(  # type: ignore[no-untyped-call]
            emissions, *scores, batch_sizes, allowed.cpu()
        )
        return total / int(batch_sizes[0])


def certain_tags(tags: Tensor, batch_sizes: Tensor, count: int) -> ExpectedTags:
    """Return gold tags [N], of `count` there are, as what is expected with certainty."""
    rows = Rows(batch_sizes)
    marginals = torch.zeros(len(tags), count, dtype=torch.float64)
    marginals.scatter_(1, tags[:, None], 1.0)
    pairs = tags[rows.previous] * count + tags[rows.first :]
    steps = torch.bincount(pairs, minlength=count * count).view(count, count)
    return ExpectedTags(marginals, steps.double())


class _FromCounts(torch.autograd.Function):
    """A loss whose gradient is a difference of tag and transition counts, kept by `forward`."""

    @staticmethod
    def keep(ctx: Any, emissions: Tensor, *gradients: Tensor) -> None:
        """Keep the gradients of emissions, start, step and end."""
        ctx.save_for_backward(*(gradient.to(emissions) for gradient in gradients))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients = [gradient * upstream for gradient in ctx.saved_tensors]
        return (*gradients, *[None] * (len(ctx.needs_input_grad) - len(gradients)))


class _Likelihood(_FromCounts):
    """Sum over sentences of log Z minus the score of the gold tags, all in float64."""

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
        found = compiled_lattice(scores, batch_sizes, SAFE, gold=tags)
        if found is None:
            gold = certain_tags(tags, batch_sizes, emissions.shape[1])
            return _CrossEntropy.forward(
                ctx, emissions, start, step, end, batch_sizes, gold.marginals, gold.steps
            )
        _FromCounts.keep(ctx, emissions, found.marginals, found.starts, found.steps, found.ends)
        return found.log_partition.sum().clamp(min=0.0).to(emissions)


class _CrossEntropy(_FromCounts):
    """Sum over sentences of log Z minus the expected score, all in float64."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        start: Tensor,
        step: Tensor,
        end: Tensor,
        batch_sizes: Tensor,
        marginals: Tensor,
        steps: Tensor,
    ) -> Tensor:
        scores = _exact(emissions), _exact(start), _exact(step), _exact(end)
        found, rows = forward_backward(*scores, batch_sizes), Rows(batch_sizes)
        expected = (marginals * scores[0]).sum()
        starts, ends = rows.ends_of(marginals)
        for weights, counts in zip(scores[1:], (starts, steps, ends), strict=True):
            # Not where nothing is expected: an impossible move scores -inf.
            expected = expected + torch.where(counts > 0.0, counts * weights, 0.0).sum()
        difference = found.marginals - marginals
        starts, ends = rows.ends_of(difference)
        _FromCounts.keep(ctx, emissions, difference, starts, found.steps - steps, ends)
        # A path that is all but certain may, by rounding, outscore the sum over all paths.
        return (found.log_partition.sum() - expected).clamp(min=0.0).to(emissions)


class _PartialLikelihood(_FromCounts):
    """Sum over sentences of log Z minus log Z of the taggings allowed, all in float64."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        start: Tensor,
        step: Tensor,
        end: Tensor,
        batch_sizes: Tensor,
        allowed: Tensor,
    ) -> Tensor:
        free, moves = _exact(emissions), (_exact(start), _exact(step), _exact(end))
        every = forward_backward(free, *moves, batch_sizes)
        kept = free.masked_fill(~allowed, float("-inf"))
        fitting = forward_backward(kept, *moves, batch_sizes)
        if not torch.isfinite(fitting.log_partition).all():
            raise ValueError("no tagging of a sentence keeps to the tags that are allowed")
        difference = every.marginals - fitting.marginals
        starts, ends = Rows(batch_sizes).ends_of(difference)
        _FromCounts.keep(ctx, emissions, difference, starts, every.steps - fitting.steps, ends)
        each = every.log_partition - fitting.log_partition  # [B]
        return each.clamp(min=0.0).sum().to(emissions)


class Rows:
    """Places of packed rows in their sentences.

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

    def ends_of(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Sum values [N, K] over all first rows, and over all last ones, each [K]."""
        return values[: self.first].sum(0), values[self.last].sum(0)


def _exact(scores: Tensor) -> Tensor:
    return scores.to("cpu", torch.float64)


@dataclass(frozen=True)
class Lattice:
    """The result of forward-backward: `log_partition` [B], `marginals` [N, K] (each row sums to 1)
    and `steps` [K, K], how often each transition is expected in the whole batch, or [B, K, K], in
    each sentence.
    """

    log_partition: Tensor
    marginals: Tensor
    steps: Tensor


def forward_backward(
    emissions: Tensor,
    start: Tensor,
    step: Tensor,
    end: Tensor,
    batch_sizes: Tensor,
    each: bool = False,
) -> Lattice:
    """Run forward-backward on packed rows: emissions [N, K] float64, scores may be -inf.

    With `each`, transitions are counted by sentence. All on the CPU: what a step does is too
    little for any other device to gain by it. In C where that is compiled. Falls back to log space
    where scores are so far apart that a probability may underflow.
    """
    found = compiled_lattice((emissions, start, step, end), batch_sizes, SAFE, each=each)
    if found is not None:
        return Lattice(found.log_partition, found.marginals, found.steps)
    arrays = emissions.numpy(), start.numpy(), step.numpy(), end.numpy()
    if _within_reach(*arrays):
        with np.errstate(all="ignore"):  # what is not finite is found at the end
            lattice = _scaled_forward_backward(*arrays, Rows(batch_sizes), each)
        if lattice is not None:
            return lattice
    return log_forward_backward(emissions, start, step, end, batch_sizes, each)


def _within_reach(emissions: Floats, *scores: Floats) -> bool:
    """Whether no score, apart from those of impossible moves, is extreme on its own."""
    top, low = emissions.max(axis=1, keepdims=True), emissions.min(axis=1, keepdims=True)
    if np.isneginf(low).any():  # tags that a row must not have
        low = np.where(np.isneginf(emissions), top, emissions).min(axis=1, keepdims=True)
    spread = (top - low).max()
    largest = max(np.abs(s, where=s > -np.inf, out=np.zeros_like(s)).max() for s in scores)
    return bool(spread <= SAFE_SCORE and largest <= SAFE_SCORE)


def _scaled_forward_backward(
    emissions: Floats, start: Floats, step: Floats, end: Floats, rows: Rows, each: bool
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
    pairs = forward[previous], ahead[rows.first :]
    expected = step_weight * (_products(*pairs, rows) if each else pairs[0].T @ pairs[1])
    backward *= forward
    if not (np.isfinite(log_partition).all() and np.isfinite(backward).all()):
        return None
    return Lattice(*(torch.from_numpy(a) for a in (log_partition, backward, expected)))


def _products(left: Floats, right: Floats, rows: Rows) -> Floats:
    """Return [B, K, K] left.T @ right of each sentence's rows; both are [N - B, K]."""
    sentence = rows.sentence[rows.first :].numpy()
    order = np.argsort(sentence, kind="stable")
    ends = np.searchsorted(sentence[order], np.arange(1, rows.first))
    parts = zip(np.split(left[order], ends), np.split(right[order], ends), strict=True)
    return np.stack([before.T @ after for before, after in parts])


def log_forward_backward(
    emissions: Tensor,
    start: Tensor,
    step: Tensor,
    end: Tensor,
    batch_sizes: Tensor,
    each: bool = False,
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
    steps = _probability(pairs - log_mass[rows.first :, :, None])  # [N - B, K, K]
    if each:
        found = steps.new_zeros(sizes[0], *step.shape)
        steps = found.index_add_(0, rows.sentence[rows.first :], steps)
    return Lattice(
        log_partition,
        _probability(forward + backward - log_mass),
        steps if each else steps.sum(0),
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
