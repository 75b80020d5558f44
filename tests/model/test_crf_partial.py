"""The likelihood of sets of tags against all paths written out."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from tagbelt.data.conll.schemes import Scheme
from tagbelt.model import crf
from tests.model.test_crf import SCHEMES, make_problem

LENGTHS = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def random_sets(problem, share):
    """Sets of tags that hold the gold one, and of the others a share."""
    sets = []
    for row, tags in zip(problem.emissions, problem.tags, strict=True):
        allowed = torch.rand(row.shape) < share
        allowed[torch.arange(len(tags)), tags] = True
        sets.append(allowed)
    return sets


def all_paths(problem, sets):
    """Sum over sentences of log Z - log Z(sets), path by path, in nats a sentence."""
    start, step, end = problem.head.scores(constrained=problem.head.constrain_training)
    total = torch.zeros((), dtype=torch.float64)
    for row, allowed in zip(problem.emissions, sets, strict=True):
        at = torch.arange(len(row))
        paths = torch.tensor(list(product(range(row.shape[1]), repeat=len(row))))
        scores = start[paths[:, 0]] + end[paths[:, -1]] + row[at, paths].sum(1)
        scores = scores + step[paths[:, :-1], paths[:, 1:]].sum(1)
        possible = torch.isfinite(scores)
        kept = possible & allowed[at, paths].all(1)
        total = total + torch.logsumexp(scores[possible], 0) - torch.logsumexp(scores[kept], 0)
    return total / len(problem.emissions)


def with_gradients(loss, problem):
    weights = [*problem.emissions, *problem.head.parameters()]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


def ours(problem, sets):
    rows = pack_sequence(problem.emissions)
    return problem.head.partial_nll(rows.data, rows.batch_sizes, pack_sequence(sets).data)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), LENGTHS, st.sampled_from(SCHEMES), st.booleans(), st.data())
def test_loss_and_gradient_are_those_of_all_paths_written_out(seed, lengths, scheme, held, data):
    problem = make_problem(seed, scheme=scheme, types=1, lengths=lengths, constrain=held)
    for row in problem.emissions:
        row.requires_grad_()
    sets = random_sets(problem, data.draw(st.sampled_from([0.0, 0.3, 0.8])))
    found, expected = ours(problem, sets), all_paths(problem, sets)
    assert found.item() == pytest.approx(expected.item(), abs=1e-9)
    pairs = zip(with_gradients(found, problem), with_gradients(expected, problem), strict=True)
    for left, right in pairs:
        assert torch.allclose(left, right, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_the_log_space_fallback_takes_sets_too(scale):
    problem = make_problem(3, scheme=Scheme.IOB2, types=1, lengths=[4, 2], scale=scale)
    sets = random_sets(problem, 0.5)
    assert ours(problem, sets).item() == pytest.approx(all_paths(problem, sets).item(), rel=1e-9)


def test_sets_stay_in_the_fast_lattice(monkeypatch):
    monkeypatch.setattr(crf, "log_forward_backward", lambda *_: pytest.fail("the slow one"))
    problem = make_problem(3, scheme=Scheme.BIOES, types=3, lengths=[9, 5, 1])
    assert torch.isfinite(ours(problem, random_sets(problem, 0.4)))


def test_nothing_known_costs_nothing_and_moves_nothing():
    problem = make_problem(5, scheme=Scheme.BIOES, types=2, lengths=[6, 3, 1])
    for row in problem.emissions:
        row.requires_grad_()
    loss = ours(problem, [torch.ones_like(row, dtype=torch.bool) for row in problem.emissions])
    assert loss.item() == 0.0
    assert all(torch.count_nonzero(g) == 0 for g in with_gradients(loss, problem))


def test_one_tag_a_token_is_the_likelihood_of_a_labelled_sentence():
    problem = make_problem(8, scheme=Scheme.BIOES, types=2, lengths=[7, 4])
    assert ours(problem, random_sets(problem, 0.0)).item() == pytest.approx(problem.nll().item())


def test_sets_that_no_tagging_fits_are_refused():
    problem = make_problem(1, scheme=Scheme.BIOES, types=1, lengths=[2])
    sets = torch.zeros_like(problem.emissions[0], dtype=torch.bool)
    sets[:, 1] = True  # B-X B-X: the first never ends
    with pytest.raises(ValueError, match="no tagging of a sentence"):
        ours(problem, [sets])
