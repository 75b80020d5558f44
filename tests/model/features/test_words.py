"""A form's vector: its parts, that it depends on the form alone, and frozen rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tagbelt.data.checkpoint.vocabulary import UNKNOWN
from tagbelt.model.batch import encode
from tagbelt.model.config import CELLS, CharacterConfig
from tagbelt.model.features.embedding import WordEmbedding
from tagbelt.model.features.tokens import CharacterCnn, CharacterRnn
from tagbelt.model.features.vectors import Vectors
from tests.model.networks import KNOWN, PRETRAINED, UNSEEN, make_network, make_vocabulary

VOCABULARY = make_vocabulary()
KINDS = ("none", "cnn", *CELLS)
FORMS = KNOWN + UNSEEN + PRETRAINED


def vectors_of(network, forms, *, more_padding=0):
    """One row a form, in their order."""
    batch = encode([forms], VOCABULARY).batch([0])
    padded = nn.functional.pad(batch.form_characters, (0, more_padding))
    with torch.no_grad():
        return network.words(replace(batch, form_characters=padded))[batch.row_forms]


@pytest.mark.parametrize("shape_size", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_depends_on_the_form_alone(kind, shape_size):
    network = make_network(kind=kind, shape_size=shape_size)
    together = vectors_of(network, FORMS)
    assert together.shape == (len(FORMS), network.words.size)
    assert network.words.size == 6 + 4 * (kind != "none") + shape_size
    alone = torch.cat([vectors_of(network, [form]) for form in FORMS])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    wider = vectors_of(network, FORMS, more_padding=9)
    torch.testing.assert_close(together, wider, rtol=1e-5, atol=1e-6)
    backwards = vectors_of(network, FORMS[::-1]).flip(0)
    torch.testing.assert_close(together, backwards, rtol=1e-5, atol=1e-6)


def test_every_part_shows_in_the_vector():
    found = vectors_of(make_network(), ["Anna", "anna", "ANNA", "Zürich", "zürich"])
    words, characters, shapes = found.split([6, 4, 3], dim=1)
    assert torch.equal(words[0], words[1])  # one row of the table, in lower case
    assert torch.equal(words[3], words[4])  # both unknown
    assert not torch.equal(words[0], words[3])
    assert torch.equal(characters[3], characters[4])  # Z and z are unknown, too
    assert len(characters.unique(dim=0)) == 4
    assert [torch.equal(shapes[0], other) for other in shapes] == [True, False, False, True, False]


def some_characters(lengths):
    """Ids [F, C] padded with 0, and a table of vectors whose row 0 is zero."""
    characters = torch.randint(1, 9, (len(lengths), int(lengths.max())))
    characters[torch.arange(characters.shape[1]) >= lengths[:, None]] = 0
    table = torch.randn(9, 5, dtype=torch.float64)
    table[0] = 0.0
    return characters, table


def test_the_convolution_equals_a_loop_over_windows():
    torch.manual_seed(0)
    reader = CharacterCnn(5, CharacterConfig(kind="cnn", size=5, hidden=4, width=3)).double()
    lengths = torch.tensor([4, 1, 6])
    characters, table = some_characters(lengths)
    found = reader(table[reader.arranged(characters, lengths)], lengths)
    margin = torch.zeros(1, 5, dtype=torch.float64)
    for word, length, features in zip(table[characters], lengths.tolist(), found, strict=True):
        framed = torch.cat([margin, word[:length], margin])
        scores = [
            (reader.filters.weight * framed[i : i + 3].T).sum((1, 2)) + reader.filters.bias
            for i in range(length)
        ]
        torch.testing.assert_close(features, torch.stack(scores).amax(0))


@pytest.mark.parametrize("cell", CELLS)
def test_the_recurrent_reader_gives_each_word_its_own_last_states(cell):
    torch.manual_seed(0)
    reader = CharacterRnn(5, CharacterConfig(kind=cell, size=5, hidden=6)).double()
    lengths = torch.tensor([2, 5, 1, 5])
    characters, table = some_characters(lengths)
    found = reader(table[reader.arranged(characters, lengths)], lengths)
    for word, length, features in zip(table[characters], lengths.tolist(), found, strict=True):
        ones = torch.ones(length, dtype=torch.long)
        states = reader.layer(word[:length], ones)[0]
        torch.testing.assert_close(features, torch.cat([states[-1, :3], states[0, 3:]]))


@pytest.mark.parametrize("kind", ["none", "cnn"])
def test_a_recurrent_reader_of_another_kind_is_refused(kind):
    with pytest.raises(ValueError, match=f"'{kind}' is no recurrent cell"):
        CharacterRnn(5, CharacterConfig(kind=kind))


def test_both_parts_of_the_table_are_one():
    table = WordEmbedding(6, 4, 3).eval()
    table.fixed.normal_()
    words = torch.tensor([5, 0, 3, 4, 3])
    assert torch.equal(table(words), table.table()[words])
    assert torch.equal(table.table()[:4], table.trained)
    table(words).sum().backward()
    assert table.trained.grad[:, 0].tolist() == [1.0, 0.0, 0.0, 2.0]
    table.train()
    assert torch.equal(table(words[1:3]), table.trained[words[1:3]])
    with pytest.raises(IndexError):
        table(words)  # no word of the training data


def pretrained_vectors():
    words = (*PRETRAINED, "anna", "unheard-of")
    return Vectors(words, np.arange(len(words) * 6, dtype=np.float32).reshape(-1, 6))


def test_pretrained_vectors_reach_the_rows_of_their_words():
    network, vectors = make_network(), pretrained_vectors()
    before = network.words.embedding.table().clone()
    found = network.words.embedding.load_pretrained(VOCABULARY, vectors, trainable=True)
    after = network.words.embedding.table()
    have = [word for word in VOCABULARY.words if word in vectors.words]
    assert found == len(have) == 4  # went and anna are trained, river and tokyo are not
    for row, word in enumerate(VOCABULARY.words):
        if word in have:
            assert after[row].tolist() == vectors.matrix[vectors.words.index(word)].tolist()
        else:
            assert torch.equal(after[row], before[row])


@pytest.mark.parametrize("trainable", [False, True])
def test_frozen_rows_stay_and_all_others_learn(trainable):
    network, vectors = make_network(), pretrained_vectors()
    embedding = network.words.embedding
    embedding.load_pretrained(VOCABULARY, vectors, trainable=trainable)
    before = embedding.table().detach().clone()
    optimiser = torch.optim.Adam(embedding.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        embedding(torch.arange(len(before))).square().sum().backward()
        optimiser.step()
    moved = (embedding.table() != before).any(1)
    has_vector = torch.tensor([word in vectors.words for word in VOCABULARY.words])
    in_training = torch.arange(len(before)) < VOCABULARY.trained
    assert moved[UNKNOWN]
    assert torch.equal(moved, in_training if trainable else in_training & ~has_vector)


def test_no_word_with_a_vector_is_no_error():
    network = make_network()
    before = network.words.embedding.table().clone()
    nothing = Vectors(("unheard-of",), np.ones((1, 6), np.float32))
    assert network.words.embedding.load_pretrained(VOCABULARY, nothing, trainable=False) == 0
    assert torch.equal(network.words.embedding.table(), before)


def test_padding_never_gets_a_vector():
    network = make_network()
    network.train()
    for _ in range(3):
        batch = encode([FORMS], VOCABULARY).batch([0])
        network.words(
            replace(batch, form_words=torch.zeros_like(batch.form_words))
        ).sum().backward()
    assert not network.words.characters.weight.grad[0].any()
    assert network.words.characters.weight.grad[1:].any()
