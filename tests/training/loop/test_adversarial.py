import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.model.batch import encode
from tagbelt.model.cells.packed import batch_sizes, sequence_of_rows
from tagbelt.training.loop.adversarial import adversarial_backward, direction
from tests.model.networks import CONTEXT, make_network, vocabulary_of

SENTENCES = [["Anna", "went", "to", "Paris", "."], ["in", "1999", ",", "Anna"], ["qwertz"]]
SIZE = 0.5


def without_chance(context):
    """A network in training mode whose dropout keeps everything, and a batch with gold tags."""
    network = make_network(context=context, scale=0.3).train()
    network.encoder.dropout = 0.0
    network.words.dropout.p = 0.0
    gold = [[0] * len(words) for words in SENTENCES]
    encoded = encode(SENTENCES, vocabulary_of(network), gold)
    return network, encoded.batch(range(len(SENTENCES)))


def gradients(network):
    return {name: w.grad.clone() for name, w in network.named_parameters() if w.grad is not None}


def written_out(network, batch):
    """The same by two whole passes, each back to the weights."""
    rows = network.rows(batch)
    (gradient,) = torch.autograd.grad(network.nll(batch, rows), rows)
    moved = torch.empty_like(rows)
    sequence = sequence_of_rows(batch.batch_sizes)
    for index in range(batch.sentence_count):
        own = sequence == index
        length = SIZE * float(own.sum()) ** 0.5
        moved[own] = length * gradient[own] / gradient[own].norm()
    network.zero_grad()
    loss = network.nll(batch)
    (loss + network.nll(batch, network.rows(batch) + moved)).backward()
    return loss.item(), gradients(network)


@pytest.mark.parametrize("context", [(), CONTEXT])
def test_one_pass_through_the_words_gives_the_gradients_of_two(context):
    network, batch = without_chance(context)
    loss, wanted = written_out(network, batch)
    network.zero_grad()
    assert float(adversarial_backward(network, batch, SIZE)) == pytest.approx(loss)
    found = gradients(network)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_the_moved_input_is_harder():
    network, batch = without_chance(())
    rows = network.rows(batch).detach().requires_grad_()
    loss = network.nll(batch, rows)
    (gradient,) = torch.autograd.grad(loss, rows)
    step = 0.01 * direction(gradient, batch.batch_sizes)
    with torch.no_grad():
        assert network.nll(batch, rows + step) > loss > network.nll(batch, rows - step)


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
    scale=st.floats(1e-3, 1e3),
)
def test_every_sentence_moves_by_its_own_gradient_alone(lengths, seed, scale):
    sizes = batch_sizes(torch.tensor(sorted(lengths, reverse=True)))
    gradient = scale * torch.randn(sum(lengths), 3, generator=torch.Generator().manual_seed(seed))
    moved = direction(gradient, sizes)
    sequence = sequence_of_rows(sizes)
    for index in range(len(lengths)):
        own = sequence == index
        assert float(moved[own].square().sum(1).mean()) == pytest.approx(1.0, rel=1e-3)
        ratio = moved[own] / gradient[own]
        torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-3, atol=0.0)


def test_a_gradient_of_nothing_moves_nothing():
    sizes = batch_sizes(torch.tensor([2, 1]))
    assert not direction(torch.zeros(3, 4), sizes).any()
