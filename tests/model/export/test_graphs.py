"""The exported graphs, run by ONNX Runtime, against the torch network they were made of."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from tagbelt.data.checkpoint.vocabulary import pad, shape_id
from tagbelt.model import cells
from tagbelt.model.batch import encode
from tagbelt.model.config import CELLS
from tagbelt.model.export.graphs import (
    input_bound,
    sequence_graph,
    sequence_int8_graph,
    words_graph,
)
from tests.model.networks import ALL_CELLS, KNOWN, PRETRAINED, UNSEEN, make_network, make_vocabulary

VOCABULARY = make_vocabulary()
FORMS = KNOWN + UNSEEN + PRETRAINED
BATCHES = [[1], [7], [4, 4], [9, 5, 5, 2, 1], [40, 1], [3] * 17]
ENCODERS = [
    {"cell": cell, "peephole": peephole, "bidirectional": both, "layers": layers, **attention}
    for cell, peephole in ALL_CELLS
    for both in (False, True)
    for layers in (1, 2)
    for attention in ({}, {"attention_heads": 2})
]
QUANTISABLE = [options for options in ENCODERS if cells.CELLS[options["cell"]].has_onnx_8bit]


def name_of(options):
    return "-".join(map(str, options.values()))


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def form_vectors(runs, network, forms, width=0):
    """What the graph says of forms, padded to at least `width` characters."""
    ids = [VOCABULARY.word_id(form) for form in forms]
    characters = [VOCABULARY.character_ids(form) for form in forms]
    padded = np.array(pad([*characters, [0] * width]), np.int64)[: len(forms)]
    inputs = {
        "embeddings": network.words.embedding.table()[ids].detach().numpy(),
        "characters": padded,
        "lengths": np.array(list(map(len, characters)), np.int32),
        "shapes": np.array([shape_id(form) for form in forms], np.int64),
    }
    wanted = {node.name for node in runs.get_inputs()}
    return runs.run(None, {name: inputs[name] for name in wanted})[0]


@pytest.mark.parametrize("shape_size", [0, 3])
@pytest.mark.parametrize("kind", ["none", "cnn", *CELLS])
def test_words_graph_equals_torch(kind, shape_size):
    network = make_network(kind=kind, shape_size=shape_size)
    runs = session(words_graph(network))
    names = {node.name for node in runs.get_inputs()}
    assert ("characters" in names) == ("lengths" in names) == (kind != "none")
    assert ("shapes" in names) == bool(shape_size)
    for forms in (FORMS, FORMS[::-1], FORMS[:1], ["a"], [""], UNSEEN[1:2]):
        batch = encode([forms], VOCABULARY).batch([0])
        with torch.no_grad():
            expected = network.words(batch)[batch.row_forms].numpy()
        for width in (0, 70):
            found = form_vectors(runs, network, forms, width)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def random_batch(lengths, width):
    """Vectors [T, B, width], rubbish behind the ends, and what torch makes a packed batch of."""
    padded = torch.randn(max(lengths), len(lengths), width)
    packed = torch.nn.utils.rnn.pack_padded_sequence(padded, torch.tensor(lengths))
    return padded.numpy(), packed.data, packed.batch_sizes


def run(runs, vectors, lengths):
    return runs.run(None, {"vectors": vectors, "lengths": np.array(lengths, np.int32)})[0]


@torch.no_grad()
def torch_scores(network, rows, batch_sizes):
    scores = network.emissions(network.encoder(rows, batch_sizes))
    return pad_packed_sequence(PackedSequence(scores, batch_sizes))[0].numpy()


@pytest.mark.parametrize("options", ENCODERS, ids=name_of)
def test_sequence_graph_equals_torch(options):
    network = make_network(**options)
    runs = session(sequence_graph(network))
    for lengths in BATCHES:
        vectors, rows, batch_sizes = random_batch(lengths, network.words.size)
        found, expected = run(runs, vectors, lengths), torch_scores(network, rows, batch_sizes)
        assert found.shape == expected.shape
        for column, length in enumerate(lengths):
            here = np.s_[:length, column]
            np.testing.assert_allclose(found[here], expected[here], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", QUANTISABLE, ids=name_of)
def test_int8_scores_are_the_same_bits_alone_and_in_any_batch(options):
    network = make_network(**options)
    runs = session(sequence_int8_graph(network, bound=input_bound(network, VOCABULARY)))
    for lengths in BATCHES:
        vectors, _, _ = random_batch(lengths, network.words.size)
        vectors[:, 0] *= 0.1  # companions of other ranges
        vectors[:, -1] *= 50.0
        together = run(runs, vectors, lengths)
        for column, length in enumerate(lengths):
            alone = run(runs, vectors[:length, column : column + 1], [length])
            assert np.array_equal(alone[:, 0], together[:length, column])


@pytest.mark.parametrize("options", QUANTISABLE, ids=name_of)
def test_int8_scores_are_close(options):
    network = make_network(**options, hidden=16)
    # What the network really meets: vectors of its own words, within the bound of the calibration.
    forms = list(VOCABULARY.words[1:]) * 2
    batch = encode([forms], VOCABULARY).batch([0])
    with torch.no_grad():
        rows = network.words(batch)[batch.row_forms]
    vectors = rows[:, None].numpy()
    exact = run(session(sequence_graph(network)), vectors, [len(forms)])
    graph = sequence_int8_graph(network, bound=input_bound(network, VOCABULARY))
    int8 = run(session(graph), vectors, [len(forms)])
    error = np.linalg.norm(int8 - exact) / np.linalg.norm(exact)
    assert 0.0 < error < 0.03


@pytest.mark.parametrize("cell", [c for c in CELLS if not cells.CELLS[c].has_onnx_8bit])
def test_a_cell_without_8_bit_form_has_no_such_graph(cell):
    assert sequence_int8_graph(make_network(cell=cell), bound=1.0) is None
