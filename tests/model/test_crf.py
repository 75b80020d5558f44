"""The CRF head against pytorch-crf, and against all paths written out."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence, pad_sequence
from torchcrf import CRF

from tagbelt.data.conll.schemes import Scheme, tag_set
from tagbelt.model import crf
from tagbelt.model.crf import CrfHead, certain_tags, forward_backward, log_forward_backward

SCHEMES = [Scheme.IO, Scheme.IOB2, Scheme.BIOES]
NEVER = -1e4  # what an impossible move scores in pytorch-crf, which has no constraints
INFINITY = float("inf")


@dataclass
class Problem:
    """A head with random scores, and sentences with random, possible tags."""

    head: CrfHead
    emissions: list[Tensor]  # [n, K] of each sentence, longest first
    tags: list[Tensor]  # [n]

    @property
    def packed(self) -> tuple[Tensor, Tensor, Tensor]:
        rows = pack_sequence(self.emissions)
        return rows.data, rows.batch_sizes, pack_sequence(self.tags).data

    def nll(self) -> Tensor:
        return self.head.nll(*self.packed)


def make_problem(seed, *, scheme, types, lengths, scale=1.0, dtype=torch.float64, constrain=True):
    torch.manual_seed(seed)
    tags = tag_set("XYZ"[:types], scheme)
    head = CrfHead(tags, scheme, constrain_training=constrain).to(dtype)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    sizes = sorted(lengths, reverse=True)
    emissions = [scale * torch.randn(size, len(tags), dtype=dtype) for size in sizes]
    return Problem(head, emissions, [possible_tags(head, size) for size in sizes])


def possible_tags(head: CrfHead, length: int) -> Tensor:
    """A random path, drawn backwards so that it always ends in a tag that may end."""
    able = [head.end_allowed]  # tags from which the rest of the sentence can be finished
    for _ in range(length - 1):
        able.insert(0, (head.step_allowed & able[0]).any(1))
    path: list[int] = []
    for t, finishes in enumerate(able):
        allowed = head.start_allowed if t == 0 else head.step_allowed[path[-1]]
        path.append(int(torch.multinomial((allowed & finishes).double(), 1)))
    return torch.tensor(path)


def oracle_of(head: CrfHead, *, constrained: bool) -> CRF:
    """pytorch-crf in float64 with the head's scores."""
    oracle = CRF(len(head.start_allowed)).double()
    names = ("start_transitions", "transitions", "end_transitions")
    with torch.no_grad():
        for name, scores in zip(names, head.scores(constrained=constrained), strict=True):
            getattr(oracle, name).copy_(scores.double().clamp(min=NEVER))
    return oracle


def oracle_nll(oracle: CRF, emissions: list[Tensor], tags: list[Tensor]) -> Tensor:
    mask = pad_sequence([torch.ones(len(row), dtype=torch.bool) for row in tags])
    scores = pad_sequence(emissions).double()
    return -oracle(scores, pad_sequence(tags), mask, reduction="mean")


def gradients(scores: CRF) -> list[Tensor]:
    """Of start, step and end; pytorch-crf has none for steps where no sentence takes one."""
    names = ("start_transitions", "transitions", "end_transitions")
    parameters = [getattr(scores, name) for name in names]
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


PROBLEMS = st.builds(
    make_problem,
    st.integers(0, 2**31),
    scheme=st.sampled_from(SCHEMES),
    types=st.integers(0, 3),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    scale=st.sampled_from([0.1, 1.0, 10.0, 60.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    constrain=st.booleans(),
)


@given(PROBLEMS)
@settings(max_examples=60)
def test_the_loss_is_that_of_pytorch_crf(problem):
    oracle = oracle_of(problem.head, constrained=problem.head.constrain_training)
    expected = oracle_nll(oracle, problem.emissions, problem.tags)
    loss = problem.nll()
    assert loss.dtype == problem.emissions[0].dtype
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    assert loss >= 0.0


@given(PROBLEMS)
@settings(max_examples=60)
def test_gradients_are_those_of_autograd_through_pytorch_crf(problem):
    constrained = problem.head.constrain_training
    oracle = oracle_of(problem.head, constrained=constrained)
    leaves = [row.clone().requires_grad_() for row in problem.emissions]
    oracle_nll(oracle, leaves, problem.tags).backward()
    mine = [row.clone().requires_grad_() for row in problem.emissions]
    Problem(problem.head, mine, problem.tags).nll().backward()
    for left, right in zip(mine, leaves, strict=True):
        torch.testing.assert_close(left.grad, right.grad, rtol=1e-5, atol=1e-6)
    for left, right in zip(gradients(problem.head.parameters_of), gradients(oracle), strict=True):
        torch.testing.assert_close(left.double(), right, rtol=1e-5, atol=1e-6)


def test_gradients_are_the_finite_differences():
    problem = make_problem(3, scheme=Scheme.BIOES, types=1, lengths=[4, 2, 1])
    rows, sizes, tags = problem.packed
    assert torch.autograd.gradcheck(
        lambda emissions: 3.0 * problem.head.nll(emissions, sizes, tags), rows.requires_grad_()
    )


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4, 1e30])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_impossible_moves_have_no_gradient_and_nothing_is_ever_nan(scheme, scale):
    for seed in range(5):
        problem = make_problem(seed, scheme=scheme, types=2, lengths=[6, 3, 1], scale=scale)
        rows, sizes, tags = problem.packed
        loss = problem.head.nll(rows.requires_grad_(), sizes, tags)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(rows.grad).all()
        head = problem.head
        allowed = (head.start_allowed, head.step_allowed, head.end_allowed)
        for gradient, may in zip(gradients(head.parameters_of), allowed, strict=True):
            assert torch.isfinite(gradient).all()
            assert not gradient[~may].any()
    if scheme != Scheme.IO:
        assert not head.step_allowed.all()


def test_constraints_may_be_left_out_of_training_but_not_of_the_scores():
    free = make_problem(1, scheme=Scheme.IOB2, types=2, lengths=[5, 2], constrain=False)
    free.nll().backward()
    assert free.head.parameters_of.transitions.grad[~free.head.step_allowed].all()
    bound = Problem(CrfHead(tag_set("XY", Scheme.IOB2), Scheme.IOB2).double(), [], [])
    bound.head.load_state_dict(free.head.state_dict())
    bound.emissions, bound.tags = free.emissions, free.tags
    assert bound.nll() < free.nll()
    for free_scores, scores in zip(free.head.scores(), bound.head.scores(), strict=True):
        assert torch.equal(free_scores, scores)
    assert torch.isneginf(scores_between(bound.head, "O", "I-X"))


def scores_between(head: CrfHead, before: str, after: str) -> Tensor:
    tags = tag_set("XY", Scheme.IOB2)
    return head.scores()[1][tags.index(before), tags.index(after)]


@given(PROBLEMS)
@settings(max_examples=40)
def test_the_loss_is_a_mean_that_does_not_depend_on_the_batch(problem):
    alone = [
        Problem(problem.head, [row], [tags]).nll()
        for row, tags in zip(problem.emissions, problem.tags, strict=True)
    ]
    torch.testing.assert_close(problem.nll(), torch.stack(alone).mean(), rtol=1e-5, atol=1e-6)


def test_a_certain_sentence_costs_nothing_and_never_less():
    problem = make_problem(0, scheme=Scheme.IOB2, types=3, lengths=[9] * 20, scale=3.0)
    for row, tags in zip(problem.emissions, problem.tags, strict=True):
        row[torch.arange(len(row)), tags] += 45.0
    assert problem.nll().item() == pytest.approx(0.0, abs=1e-9)
    losses = [
        Problem(problem.head, [row], [tags]).nll()
        for row, tags in zip(problem.emissions, problem.tags, strict=True)
    ]
    assert min(losses) >= 0.0


def scores_of(problem: Problem) -> tuple[Tensor, ...]:
    rows, sizes, _ = problem.packed
    scores = problem.head.scores(constrained=problem.head.constrain_training)
    return rows.double(), *(score.detach().double() for score in scores), sizes


def enumerated(emissions, start, step, end):
    """log Z, marginals [n, K] and expected steps [K, K] of one sentence, over all K^n paths."""
    length, count = emissions.shape
    paths = np.array(list(product(range(count), repeat=length)))
    scores = start[paths[:, 0]] + end[paths[:, -1]]
    for t in range(length):
        scores = scores + emissions[t, paths[:, t]]
    for t in range(1, length):
        scores = scores + step[paths[:, t - 1], paths[:, t]]
    weights = np.exp(scores - scores.max())
    log_partition = scores.max() + np.log(weights.sum())
    weights /= weights.sum()
    marginals = np.stack([np.bincount(row, weights, count) for row in paths.T])
    steps = np.zeros((count, count))
    for t in range(1, length):
        np.add.at(steps, (paths[:, t - 1], paths[:, t]), weights)
    return log_partition, marginals, steps


@given(
    st.builds(
        make_problem,
        st.integers(0, 2**31),
        scheme=st.sampled_from([Scheme.IO, Scheme.IOB2]),
        types=st.integers(0, 2),
        lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
        scale=st.sampled_from([0.1, 1.0, 10.0, 100.0, 1000.0]),
        dtype=st.just(torch.float32),
        constrain=st.booleans(),
    )
)
@settings(max_examples=80)
def test_forward_backward_equals_all_paths_written_out(problem):
    emissions, start, step, end, sizes = scores_of(problem)
    scores = [score.numpy() for score in (start, step, end)]
    found = [enumerated(row.double().numpy(), *scores) for row in problem.emissions]
    marginals = pack_sequence([torch.from_numpy(marginals) for _, marginals, _ in found]).data
    for run in (forward_backward, in_numpy, log_forward_backward):
        lattice = run(emissions, start, step, end, sizes)
        np.testing.assert_allclose(lattice.log_partition, [logz for logz, _, _ in found], 1e-9)
        torch.testing.assert_close(lattice.marginals, marginals, rtol=1e-7, atol=1e-9)
        expected = torch.from_numpy(np.sum([steps for _, _, steps in found], axis=0))
        torch.testing.assert_close(lattice.steps, expected, rtol=1e-7, atol=1e-9)


@pytest.fixture
def in_log_space(monkeypatch):
    """How often forward-backward had to fall back."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return log_forward_backward(*arguments)

    monkeypatch.setattr(crf, "log_forward_backward", counted)
    return calls


def in_numpy(*arguments):
    """Forward-backward where the kernels are not compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crf, "compiled_lattice", lambda *_, **__: None)
        return forward_backward(*arguments)


@given(problem=PROBLEMS, each=st.booleans())
@settings(max_examples=60)
def test_probability_space_equals_log_space(problem, each):
    arguments = (*scores_of(problem), each)
    slow = log_forward_backward(*arguments)
    for run in (forward_backward, in_numpy):
        fast = run(*arguments)
        for name in ("log_partition", "marginals", "steps"):
            left, right = getattr(fast, name), getattr(slow, name)
            torch.testing.assert_close(left, right, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(fast.marginals.sum(1), torch.ones(len(fast.marginals)).double())


@given(problem=PROBLEMS)
@settings(max_examples=40)
def test_the_likelihood_of_gold_tags_is_their_cross_entropy(problem):
    rows, sizes, tags = problem.packed
    results = []
    for loss in (
        lambda leaf: problem.head.nll(leaf, sizes, tags),
        lambda leaf: problem.head.cross_entropy(
            leaf, sizes, certain_tags(tags, sizes, rows.shape[1])
        ),
    ):
        leaf = rows.clone().requires_grad_()
        value = loss(leaf)
        wanted = [leaf, *problem.head.parameters()]
        results.append([value, *torch.autograd.grad(value, wanted)])
    for left, right in zip(*results, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6)


def test_ordinary_scores_stay_in_probability_space(in_log_space):
    problem = make_problem(0, scheme=Scheme.BIOES, types=3, lengths=[200, 30, 1], scale=5.0)
    problem.nll()
    assert not in_log_space


# Tags that never change: a sentence has one path a tag, whose score is the sum of its column. All
# are as likely as each other, though each is at times too unlikely for a float64.
EQUAL_PATHS = {
    "one step": [[0.0, -800.0], [-800.0, 0.0]],
    "two steps up": [[0.0, -800.0], [-400.0, 0.0], [-400.0, 0.0]],
    "two steps down": [[0.0, -400.0], [0.0, -400.0], [-800.0, 0.0]],
    "many steps": [[0.0, -30.0]] * 50 + [[-30.0, 0.0]] * 50,
    "few digits left": [[-460.0, 0.0], [0.0, -742.0], [-282.0, 0.0]],
    # The second tag is lost where the two others are small, too, so the scale is small.
    "lost at one step": [[0.0, -340.0, -340.0], [-340.0, -410.0, 0.0], [-410.0, 0.0, -410.0]],
    "lost in many steps": [
        [0.0, -105.0, -115.0],
        *[[0.0, -105.0, 0.0]] * 5,
        [-115.0, -115.0, 0.0],
        *[[-105.0, 0.0, -105.0]] * 6,
    ],
}


def check_equal_paths(rows: Tensor, start: Tensor, end: Tensor) -> None:
    length, count = rows.shape
    step = torch.full((count, count), -INFINITY, dtype=torch.float64).fill_diagonal_(0.0)
    lattice = forward_backward(rows, start, step, end, torch.ones(length, dtype=torch.long))
    torch.testing.assert_close(lattice.marginals, torch.full_like(rows, 1 / count))
    expected = (rows.sum(0) + start + end)[:1] + np.log(count)
    torch.testing.assert_close(lattice.log_partition, expected)
    torch.testing.assert_close(lattice.steps, torch.eye(count).double() * (length - 1) / count)


@pytest.mark.parametrize("case", EQUAL_PATHS)
def test_scores_too_far_apart_for_a_probability_are_not_lost(case, in_log_space):
    rows = torch.tensor(EQUAL_PATHS[case], dtype=torch.float64)
    none = torch.zeros(rows.shape[1], dtype=torch.float64)
    check_equal_paths(rows, none, none)
    assert in_log_space


@pytest.mark.parametrize(
    ("rows", "start", "end"),
    [
        ([[0.0, 0.0], [-400.0, 0.0], [-400.0, 0.0]], [0.0, -800.0], [0.0, 0.0]),
        ([[0.0, -400.0], [0.0, -400.0]], [0.0, 0.0], [-800.0, 0.0]),
        ([[500.0, 0.0], [500.0, 0.0]], [0.0, 500.0], [0.0, 500.0]),
        ([[0.0]], [-740.0], [-740.0]),
    ],
)
def test_starts_and_ends_too_far_apart_are_not_lost(rows, start, end, in_log_space):
    check_equal_paths(*(torch.tensor(part, dtype=torch.float64) for part in (rows, start, end)))
    assert in_log_space


def test_a_tag_that_cannot_be_reached_does_no_harm_however_likely(in_log_space):
    rows = torch.tensor([[-100.0, 0.0]] * 20, dtype=torch.float64)
    start = torch.tensor([0.0, -INFINITY], dtype=torch.float64)
    step = torch.tensor([[0.0, -INFINITY], [0.0, 0.0]], dtype=torch.float64)
    none = torch.zeros(2, dtype=torch.float64)
    lattice = forward_backward(rows, start, step, none, torch.ones(20, dtype=torch.long))
    assert torch.equal(lattice.marginals, torch.tensor([[1.0, 0.0]] * 20, dtype=torch.float64))
    assert lattice.log_partition.item() == pytest.approx(-2000.0)
    assert in_log_space


def test_transitions_too_far_apart_are_not_lost(in_log_space):
    rows = torch.zeros(3, 2, dtype=torch.float64)
    step = torch.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], dtype=torch.float64)
    none = torch.zeros(2, dtype=torch.float64)
    lattice = forward_backward(rows, none, step, none, torch.ones(3, dtype=torch.long))
    assert lattice.log_partition.item() == pytest.approx(2000.0 + np.log(2.0))
    assert in_log_space
