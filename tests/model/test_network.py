"""The whole network on sentences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.model.batch import encode
from tagbelt.model.network import Network
from tests.model.networks import (
    ALL_CELLS,
    KNOWN,
    LABELS,
    UNSEEN,
    make_config,
    make_network,
    make_sentences,
    make_vocabulary,
    torch_emissions,
)

NETWORKS = {
    (cell, peephole): make_network(cell=cell, peephole=peephole, layers=2, attention_heads=2)
    for cell, peephole in ALL_CELLS
}


@given(
    st.sampled_from(ALL_CELLS),
    st.lists(
        st.lists(st.sampled_from(KNOWN + UNSEEN), min_size=1, max_size=6), min_size=1, max_size=5
    ),
)
@settings(max_examples=40)
def test_emissions_do_not_depend_on_batch_mates(cell, sentences):
    together = torch_emissions(NETWORKS[cell], sentences)
    for sentence, scores in zip(sentences, together, strict=True):
        assert scores.shape == (len(sentence), 5)
        (alone,) = torch_emissions(NETWORKS[cell], [sentence])
        np.testing.assert_allclose(scores, alone, rtol=1e-4, atol=1e-5)


def test_the_loss_does_not_depend_on_batch_mates():
    network, sentences = make_network(), make_sentences(1, [5, 3, 3, 1])
    encoded = encode(sentences, make_vocabulary(), [[0] * len(words) for words in sentences])
    losses = [network.nll(encoded.batch([i])).item() for i in range(4)]
    assert network.nll(encoded.batch(range(4))).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_dropout_is_for_training_alone():
    network, vocabulary = make_network(), make_vocabulary()
    batch = encode([["Anna", "went", "to", "Paris"]], vocabulary).batch([0])
    assert torch.equal(network(batch), network(batch))
    network.train()
    assert not torch.equal(network(batch), network(batch))


@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
@pytest.mark.parametrize("kind", ["cnn", "gru"])
def test_every_weight_learns(cell, peephole, kind):
    network = make_network(cell=cell, peephole=peephole, kind=kind, layers=2, attention_heads=2)
    sentences = [KNOWN, [*KNOWN[3:], "unheard-of"]]
    tags = [[0, 1, 2, 0, 3, 4, 4, 1, 0, 0, 3], [1, 2, 2, 0, 0, 3, 0, 1, 0]]
    network.nll(encode(sentences, make_vocabulary(), tags).batch([0, 1])).backward()
    without = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    assert without == []


def test_the_number_of_weights_is_the_sum_of_the_layers():
    counted = sum(weight.numel() for weight in make_network(hidden=7).parameters())
    vocabulary = make_vocabulary()
    words = vocabulary.trained * 6
    characters = vocabulary.character_count * 5 + 4 * (5 * 3 + 1)
    shapes, features = 10 * 3, 6 + 4 + 3
    encoder = 2 * 4 * 7 * (features + 7 + 1)
    tags = 1 + 2 * len(LABELS)
    assert counted == words + characters + shapes + encoder + (14 + 1) * tags + tags * (tags + 2)


def test_the_width_of_pretrained_vectors_wins():
    tags = ("O", "B-X", "I-X")
    network = Network(make_config(), make_vocabulary(), tags, "IOB2", size=9)
    assert network.words.embedding.trained.shape[1] == 9
    assert network.words.size == 9 + 4 + 3


def test_a_batch_without_tags_has_no_likelihood():
    with pytest.raises(ValueError, match="without gold tags"):
        make_network().nll(encode([["a"]], make_vocabulary()).batch([0]))
