"""The loss towards expected tags, against all paths written out."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from tagbelt.data.conll.schemes import Scheme, tag_set
from tagbelt.model.batch import ExpectedTags
from tagbelt.model.crf import CrfHead, certain_tags, forward_backward, log_forward_backward

TAGS = tag_set("X", Scheme.IOB2)
COUNT = len(TAGS)


def random_head(scale, *, constrain=True):
    head = CrfHead(TAGS, Scheme.IOB2, constrain_training=constrain).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return head


def random_rows(lengths, scale):
    """Emissions of sentences, longest first, packed, and their batch sizes."""
    rows = pack_sequence(
        [scale * torch.randn(n, COUNT).double() for n in sorted(lengths, reverse=True)]
    )
    return rows.data, rows.batch_sizes


def scores_of(head, *, constrained=True):
    return [part.detach() for part in head.scores(constrained=constrained)]


def mean_of(heads, sizes, all_rows):
    """What several heads expect, each with emissions of its own."""
    found = [
        forward_backward(rows, *scores_of(head), sizes)
        for head, rows in zip(heads, all_rows, strict=True)
    ]
    return ExpectedTags(
        torch.stack([lattice.marginals for lattice in found]).mean(0),
        torch.stack([lattice.steps for lattice in found]).mean(0),
    )


def log_probabilities(emissions, start, step, end):
    """Of all paths of one sentence, by path."""
    scores = {}
    for path in product(range(COUNT), repeat=len(emissions)):
        score = start[path[0]] + end[path[-1]]
        for t, tag in enumerate(path):
            score = score + emissions[t, tag] + (step[path[t - 1], tag] if t else 0.0)
        scores[path] = float(score)
    total = np.logaddexp.reduce(list(scores.values()))
    return {path: score - total for path, score in scores.items()}


@given(
    seed=st.integers(0, 2**31),
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    scale=st.sampled_from([0.1, 1.0, 5.0]),
    constrain=st.booleans(),
)
@settings(max_examples=40)
def test_the_loss_is_the_cross_entropy_from_the_mixture_itself(seed, lengths, scale, constrain):
    """Of the mixture's distribution over whole paths, which is no chain, nothing gets lost."""
    torch.manual_seed(seed)
    teachers = [random_head(scale) for _ in range(3)]
    student = random_head(scale, constrain=constrain)
    *taught, (rows, sizes) = (random_rows(lengths, scale) for _ in range(4))
    loss = student.cross_entropy(rows, sizes, mean_of(teachers, sizes, [r for r, _ in taught]))
    wanted = 0.0
    for index in range(len(lengths)):
        own = log_probabilities(
            sentence(rows, sizes, index), *scores_of(student, constrained=constrain)
        )
        for teacher, (emissions, _) in zip(teachers, taught, strict=True):
            said = log_probabilities(sentence(emissions, sizes, index), *scores_of(teacher))
            parts = [np.exp(said[path]) * own[path] for path in own if said[path] > -np.inf]
            wanted -= sum(parts) / len(teachers)
    assert loss.item() == pytest.approx(wanted / len(lengths), rel=1e-9, abs=1e-9)


def sentence(rows, sizes, index):
    """The rows of the sentence at an index, out of packed ones."""
    starts = (sizes.cumsum(0) - sizes)[sizes > index]
    return rows[starts + index]


def test_gradients_are_the_finite_differences():
    torch.manual_seed(5)
    head = random_head(1.0)
    rows, sizes = random_rows([4, 2, 1], 1.0)
    expected = mean_of([random_head(1.0), random_head(1.0)], sizes, [rows.roll(1, 0), rows.flip(0)])
    crf = head.parameters_of
    parameters = [crf.start_transitions, crf.transitions, crf.end_transitions]

    def loss(emissions, *_):
        return 3.0 * head.cross_entropy(emissions, sizes, expected)

    assert torch.autograd.gradcheck(loss, (rows.requires_grad_(), *parameters))


def test_certain_tags_are_what_a_sure_teacher_expects():
    torch.manual_seed(1)
    rows, sizes = random_rows([5, 3, 1], 1.0)
    tags = torch.randint(COUNT, (len(rows),))
    sure = torch.zeros_like(rows).scatter_(1, tags[:, None], 200.0)
    none = torch.zeros(COUNT).double()
    lattice = forward_backward(sure, none, none.expand(COUNT, -1).contiguous(), none, sizes)
    certain = certain_tags(tags, sizes, COUNT)
    torch.testing.assert_close(certain.marginals, lattice.marginals)
    torch.testing.assert_close(certain.steps, lattice.steps)


def test_its_own_expectations_leave_a_head_as_it_is():
    torch.manual_seed(2)
    head = random_head(2.0)
    rows, sizes = random_rows([6, 4, 4, 1], 2.0)
    expected = mean_of([head], sizes, [rows])
    own = head.cross_entropy(rows.requires_grad_(), sizes, expected)
    own.backward()
    for weights in (rows, *head.parameters()):
        torch.testing.assert_close(weights.grad, torch.zeros_like(weights))
    assert own.item() > 0.1  # its entropy, which no other head gets below
    for _ in range(5):
        assert random_head(2.0).cross_entropy(rows, sizes, expected) > own


@pytest.mark.parametrize("run", [forward_backward, log_forward_backward])
@pytest.mark.parametrize("lengths", [[6, 4, 4, 1], [1, 1], [3]])
def test_steps_of_each_sentence_are_those_of_it_alone(run, lengths):
    torch.manual_seed(3)
    scores = scores_of(random_head(2.0))
    rows, sizes = random_rows(lengths, 2.0)
    steps = run(rows, *scores, sizes, True).steps
    assert steps.shape == (len(lengths), COUNT, COUNT)
    for index, length in enumerate(lengths):
        alone = run(sentence(rows, sizes, index), *scores, torch.ones(length, dtype=torch.long))
        torch.testing.assert_close(steps[index], alone.steps)
    torch.testing.assert_close(steps.sum(0), run(rows, *scores, sizes).steps)
