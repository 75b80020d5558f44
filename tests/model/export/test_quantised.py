"""A torch network in bytes scores as it does in floats, but for the rounding."""

import numpy as np
import pytest
import torch

from tagbelt.inference.native import library
from tagbelt.inference.native.quantised import QuantisedNetwork
from tagbelt.model.export.graphs import quantised_network
from tests.model.networks import ALL_CELLS, make_network

LENGTHS = [9, 9, 5, 2, 1]


def scores_of(network, vectors):
    """Emissions of one sentence of vectors [T, D], by torch."""
    sizes = torch.ones(len(vectors), dtype=torch.int64)
    with torch.no_grad():
        return network.emissions(network.encoder(torch.from_numpy(vectors), sizes)).numpy()


@pytest.mark.skipif(library() is None, reason="the kernels are not built here")
@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("heads", [0, 4])
def test_emissions_are_close_to_those_of_torch(cell, peephole, layers, bidirectional, heads):
    options = {"cell": cell, "peephole": peephole, "bidirectional": bidirectional}
    options["attention_heads"] = heads
    network = make_network(layers=layers, hidden=20, **options)
    quantised = QuantisedNetwork(quantised_network(network, bound=2.0))
    rng = np.random.default_rng(0)
    vectors = rng.uniform(-2, 2, (30, network.words.size)).astype(np.float32)
    rows = rng.integers(0, len(vectors), (LENGTHS[0], len(LENGTHS)))
    lengths = np.array(LENGTHS, np.int32)
    found = quantised.emissions(quantised.row_bytes(vectors), rows, lengths)
    for row, length in enumerate(LENGTHS):
        right = scores_of(network, vectors[rows[:length, row]])
        spread = right.std()
        assert np.abs(found[:length, row] - right).max() < 0.15 * spread
        assert np.abs(found[:length, row] - right).mean() < 0.03 * spread


def test_a_unit_without_weights_has_a_scale():
    network = make_network(cell="rnn")
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            parameter.zero_()
    arrays = quantised_network(network, bound=1.0)
    assert not arrays["0.weight"].any()
    assert np.isfinite(arrays["0.scale"]).all()
