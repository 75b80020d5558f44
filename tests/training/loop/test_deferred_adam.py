"""Deferred Adam against torch's own, which sweeps the whole table at every step."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import embedding

from tagbelt.training.loop import deferred_adam as deferred
from tagbelt.training.loop.deferred_adam import DeferredAdam

ROWS, SIZE = 6, 3
STEPS = st.lists(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=4), max_size=40)


def make(*, decay=0.0, decoupled=False):
    """The same weights twice: those of deferred Adam, and those of torch's."""
    torch.manual_seed(0)
    mine = [nn.Parameter(torch.randn(*shape).double()) for shape in ((ROWS, SIZE), (SIZE,))]
    theirs = [nn.Parameter(weight.detach().clone()) for weight in mine]
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    groups = [{"params": theirs[:1], "weight_decay": 0.0}, {"params": theirs[1:]}]
    oracle = kind(groups, 0.1, weight_decay=decay)
    fast = DeferredAdam(mine[:1], mine[1:], 0.1, weight_decay=decay, decoupled=decoupled)
    return mine, fast, theirs, oracle


def train(weights, optimiser, steps, *, sparse):
    for number, words in enumerate(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.1 / (1 + number % 5)
        rows = torch.tensor(words)
        if sparse:
            optimiser.catch_up(rows)
        optimiser.zero_grad()
        vectors = embedding(rows, weights[0], sparse=sparse)
        (vectors * weights[1]).sin().sum().backward()
        optimiser.step()


def assert_same(mine, theirs):
    for left, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(STEPS, st.sampled_from([(0.0, False), (0.1, False), (0.1, True)]))
def test_weights_are_those_of_adam(steps, kind):
    mine, fast, theirs, oracle = make(decay=kind[0], decoupled=kind[1])
    train(mine, fast, steps, sparse=True)
    train(theirs, oracle, steps, sparse=False)
    fast.settle()
    assert_same(mine, theirs)


def long_run():
    generator = torch.Generator().manual_seed(1)
    common = torch.randint(0, ROWS - 1, (700, 2), generator=generator).tolist()
    common[3].append(ROWS - 1)  # once near the start, then never again
    return common


@pytest.mark.parametrize("capacity", [4096, 300, 7])
def test_a_row_may_be_idle_for_long(capacity, monkeypatch):
    monkeypatch.setattr(deferred, "CAPACITY", capacity)
    mine, fast, theirs, oracle = make()
    train(mine, fast, long_run(), sparse=True)
    train(theirs, oracle, long_run(), sparse=False)
    before = mine[0][ROWS - 1].clone()
    fast.catch_up(torch.tensor([ROWS - 1, ROWS - 1]))
    if capacity > 700:
        assert not torch.equal(before, mine[0][ROWS - 1])
    assert_same([mine[0][ROWS - 1]], [theirs[0][ROWS - 1]])
    settled = mine[0].detach().clone()
    fast.settle()
    fast.settle()
    assert torch.equal(settled[ROWS - 1], mine[0][ROWS - 1])
    assert_same(mine, theirs)


def test_state_is_adams_and_training_goes_on_from_it():
    steps = long_run()[:50]
    mine, fast, theirs, oracle = make()
    train(mine, fast, steps, sparse=True)
    train(theirs, oracle, steps, sparse=False)
    state, expected = fast.state_dict()["state"], oracle.state_dict()["state"]
    assert state.keys() == expected.keys()
    for index, values in expected.items():
        assert state[index].keys() == values.keys()
        assert_same(state[index].values(), values.values())
    again, resumed, _, _ = make()
    for weight, value in zip(again, mine, strict=True):
        weight.data.copy_(value)
    # One that has steps behind it, of which nothing must remain.
    scratch = [weight.detach().clone() for weight in again]
    train(again, resumed, steps[:9], sparse=True)
    for weight, value in zip(again, scratch, strict=True):
        weight.data.copy_(value)
    resumed.load_state_dict(deepcopy(fast.state_dict()))
    for weights, optimiser in ((mine, fast), (again, resumed)):
        train(weights, optimiser, steps, sparse=True)
        optimiser.settle()
    for left, right in zip(mine, again, strict=True):
        assert torch.equal(left, right)


@settings(deadline=None)
@given(STEPS, STEPS)
def test_each_of_two_tables_moves_as_adam_has_it(first, second):
    """They are read at different rows, and the second one not at every step."""
    torch.manual_seed(0)
    mine = [nn.Parameter(torch.randn(ROWS, size).double()) for size in (SIZE, 2)]
    mine.append(nn.Parameter(torch.randn(1).double()))
    theirs = [nn.Parameter(weight.detach().clone()) for weight in mine]
    oracle = torch.optim.Adam(theirs, 0.1)
    fast = DeferredAdam(mine[:2], mine[2:], 0.1)
    for number, words in enumerate(first):
        rows = [torch.tensor(words), torch.tensor(second[number : number + 1]).flatten().long()]
        fast.catch_up(*rows)
        for weights, optimiser, sparse in ((mine, fast, True), (theirs, oracle, False)):
            optimiser.zero_grad()
            sums = [
                embedding(row, weight, sparse=sparse).sin().sum()
                for row, weight in zip(rows, weights, strict=False)
            ]
            (sum(sums) * weights[2]).sum().backward()
            optimiser.step()
    fast.settle()
    assert_same(mine, theirs)


def test_a_step_without_a_gradient_changes_nothing():
    mine, fast, _, _ = make()
    before = [weight.detach().clone() for weight in mine]
    fast.step()
    fast.settle()
    assert all(torch.equal(weight, value) for weight, value in zip(mine, before, strict=True))
