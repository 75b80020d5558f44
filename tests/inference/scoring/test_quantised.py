"""The 8-bit network in C against its equations in numpy, one sentence and one step at a time."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.inference.native import library
from tagbelt.inference.native.quantised import QuantisedNetwork, tiers, tiers_of
from tests.inference.quantised_networks import GATES, made, step

if library() is None:
    pytest.skip("the kernels are not built here", allow_module_level=True)

HERE = tiers()
SAME_BITS = [("portable", "avx2"), ("vnni", "amx")]
"""Tiers whose float arithmetic is the same; the latter look tanh up."""


def expected(weights, cell, rows):
    """Emissions [T, K] of one sentence of byte rows [T, I], in double precision."""
    x = rows.astype(np.float64) - 128
    layers = sum(name.endswith(".weight") and name[0].isdigit() for name in weights)
    for layer in range(layers):
        weight, scale, bias = (
            weights[f"{layer}.{name}"].astype(np.float64) for name in ("weight", "scale", "bias")
        )
        hidden = weight.shape[2]
        outputs = np.zeros((len(x), len(weight), hidden))
        for d in range(len(weight)):
            peephole = weights.get(f"{layer}.peephole")
            state, c = np.zeros(hidden), np.zeros(hidden)
            for t in range(len(x))[:: -1 if d else 1]:
                sums = weight[d] @ np.concatenate((x[t], state))
                gates = sums * scale[d] + bias[d]
                h, c = step(cell, gates, c, None if peephole is None else peephole[d])
                state = outputs[t, d] = np.rint(h * 127)
        x = outputs.reshape(len(x), -1)
    return (
        x / 127 @ weights["tags.weight"].T.astype(np.float64)
        + weights["tags.bias"]
        + mixed(weights, x)
    )


def mixed(weights, x):
    """What self-attention adds to the emissions [T, K], from states x [T, S] in bytes."""
    if "heads.weight" not in weights:
        return 0.0
    weight, scale, bias, values = (
        weights[f"heads.{name}"].astype(np.float64)
        for name in ("weight", "scale", "bias", "values")
    )
    # shape: [2, A, T, S / A]
    query, key = np.einsum("phds,ts->phtd", weight, x) * scale[:, :, None] + bias[:, :, None]
    shares = np.exp2(query @ key.swapaxes(1, 2))
    shares /= shares.sum(axis=2, keepdims=True)
    return np.einsum("hij,hks,js->ik", shares, values, x / 127)


def batch(rng, lengths, inputs, forms=40):
    table = rng.integers(1, 256, (forms, inputs)).astype(np.uint8)
    rows = rng.integers(0, forms, (lengths[0], len(lengths)))
    return table, rows, np.array(lengths, np.int32)


CELLS = [(cell, peephole) for cell in GATES for peephole in (False, True)]
CELLS = [(cell, peephole) for cell, peephole in CELLS if not peephole or "lstm" in cell]
BEFORE_NAMES = ("lstm", "lstm-coupled", "gru", "rnn")
"""The cells that there were when a file did not name its cell."""


@pytest.mark.parametrize("tier", HERE)
@pytest.mark.parametrize(("cell", "peephole"), CELLS)
@pytest.mark.parametrize(("layers", "directions", "heads"), [(1, 2, 0), (2, 2, 3), (3, 1, 0)])
def test_emissions_are_those_of_the_equations(cell, peephole, layers, directions, heads, tier):
    rng = np.random.default_rng(len(cell) + layers)
    shape = {"inputs": 37, "hidden": 21, "tags": 19, "layers": layers, "directions": directions}
    weights = made(rng, cell, peephole=peephole, heads=heads, **shape)
    network = QuantisedNetwork(weights, tier=tier)
    lengths = [*([140, 33] if heads else []), *([13] * 18), 5, 5, 2, 1]
    table, rows, lengths = batch(rng, lengths, 37)
    found = network.emissions(table, rows, lengths)
    for row, length in enumerate(lengths):
        right = expected(weights, cell, table[rows[:length, row]])
        # A state that lies on the border of two bytes may fall to either side of it.
        assert np.abs(found[:length, row] - right).max() < 0.06
        assert np.abs(found[:length, row] - right).mean() < 0.01
        assert (found[length:, row] == 0).all()
    assert np.abs(right).max() > 0.5


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=40),
    cell=st.sampled_from(sorted(GATES)),
    inputs=st.integers(1, 150),
    hidden=st.integers(1, 70),
    tags=st.integers(1, 40),
    forms=st.sampled_from([1, 40, 300]),
    heads=st.integers(0, 4),
    seed=st.integers(0, 100),
)
def test_a_sentence_scores_the_same_alone_and_among_others(
    lengths, cell, inputs, hidden, tags, forms, heads, seed
):
    """Products of the commonest forms are kept, and all of a short sentence: the sums are equal."""
    rng = np.random.default_rng(seed)
    weights = made(rng, cell, inputs=inputs, hidden=hidden, tags=tags, heads=heads)
    table, rows, lengths = batch(rng, sorted(lengths, reverse=True), inputs, forms)
    results = {}
    for tier in HERE:
        network = QuantisedNetwork(weights, tier=tier)
        results[tier] = network.emissions(table, rows, lengths)
        for row in (0, len(lengths) // 2, len(lengths) - 1):
            own = rows[: lengths[row], row : row + 1]
            alone = network.emissions(table, own, lengths[row : row + 1])
            assert (alone[:, 0] == results[tier][: lengths[row], row]).all()
    for family in SAME_BITS:
        ours = [results[tier] for tier in family if tier in HERE]
        assert all((result == ours[0]).all() for result in ours)


@pytest.mark.parametrize("tier", HERE)
def test_a_sentence_that_is_attended_to_in_parts_scores_the_same_among_others(tier):
    rng = np.random.default_rng(0)
    network = QuantisedNetwork(made(rng, "rnn", inputs=5, hidden=9, tags=3, heads=2), tier=tier)
    table, rows, lengths = batch(rng, [300, 129, 100, 28, 1], 5)
    found = network.emissions(table, rows, lengths)
    for row, length in enumerate(lengths):
        alone = network.emissions(table, rows[:length, row : row + 1], lengths[row : row + 1])
        assert (alone[:, 0] == found[:length, row]).all()


@pytest.mark.parametrize("weight", [127, -127])
@pytest.mark.parametrize("sentences", [1, 2, 3, 17])
def test_extreme_weights_and_bytes_do_not_overflow(sentences, weight):
    rng = np.random.default_rng(0)
    weights = made(rng, "lstm", inputs=900, hidden=100, tags=3)
    weights["0.weight"] = np.full_like(weights["0.weight"], weight)
    weights["0.scale"][:] = 1e-7  # sums reach 16 million: no gate is so full that it hides one
    table = np.full((3, 900), 255, np.uint8)
    table[1], table[2] = 1, 0  # which no vector becomes, but a byte may be
    rows = np.tile(np.array([[0], [1], [2]]), sentences)
    lengths = np.full(sentences, 3, np.int32)
    right = expected(weights, "lstm", table[rows[:, 0]])
    for tier in HERE:
        found = QuantisedNetwork(weights, tier=tier).emissions(table, rows, lengths)
        assert np.abs(found - right[:, None]).max() < 0.02


def test_vectors_become_bytes_and_are_clipped():
    rng = np.random.default_rng(0)
    network = QuantisedNetwork(made(rng, "rnn", inputs=5, hidden=4, tags=2, bound=2.0))
    vectors = np.array([[0.0, 2.0, -2.0, 9.0, -9.0], [1.0, 0.0079, -0.0078, 0.5, -1.0]], np.float32)
    rows = network.row_bytes(vectors)
    assert rows.tolist() == [[128, 255, 1, 255, 1], [192, 129, 128, 160, 64]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": np.zeros((4, 6), np.uint8)}, r"rows are uint8 \(6,\), not bytes \[5\]"),
        ({"table": np.zeros((4, 5), np.float32)}, "rows are float32"),
        ({"rows": np.array([[0, 4], [0, 0]])}, "a row outside a table of 4"),
        ({"rows": np.array([[0, -1], [0, 0]])}, "a row outside a table of 4"),
        ({"lengths": np.array([1, 2], np.int32)}, "do not fall from 2"),
        ({"lengths": np.array([3, 2], np.int32)}, "do not fall from 2"),
        ({"lengths": np.array([2, 0], np.int32)}, "do not fall from 2"),
        ({"lengths": np.array([2], np.int32)}, "do not fall from 2"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_kernel_sees_it(change, message):
    network = QuantisedNetwork(made(np.random.default_rng(0), "rnn", inputs=5, hidden=4, tags=2))
    given = {
        "table": np.zeros((4, 5), np.uint8),
        "rows": np.zeros((2, 2), np.int64),
        "lengths": np.array([2, 2], np.int32),
    }
    with pytest.raises(ValueError, match=message):
        network.emissions(**{**given, **change})


@pytest.mark.parametrize(("cell", "peephole"), [pair for pair in CELLS if pair[0] in BEFORE_NAMES])
def test_a_file_without_a_cells_name_is_read_as_before_it_had_one(cell, peephole):
    rng = np.random.default_rng(3)
    weights = made(rng, cell, inputs=5, hidden=4, tags=2, layers=2, peephole=peephole)
    given = batch(rng, [6, 3, 1], 5)
    found = QuantisedNetwork(weights).emissions(*given)
    del weights["cell"]
    assert (QuantisedNetwork(weights).emissions(*given) == found).all()


def test_a_cell_that_the_kernels_lack_is_named():
    weights = made(np.random.default_rng(0), "rnn", inputs=5, hidden=4, tags=2)
    weights["cell"] = np.frombuffer(b"qrnn", np.uint8)
    with pytest.raises(ValueError, match="cell is 'qrnn', the kernels here have lstm, "):
        QuantisedNetwork(weights)


BROKEN = {
    "cell": [np.frombuffer(b"lstm", np.uint8), np.zeros(3, np.uint8)],
    "bound": [np.zeros(1, np.float32), np.full(1, -1.0, np.float32), np.ones(2, np.float32), None],
    "0.weight": [
        np.zeros((2, 2, 4, 9), np.int8),
        np.zeros((3, 1, 4, 9), np.int8),
        np.full((2, 1, 4, 9), -128, np.int8),
        None,
    ],
    "0.scale": [np.zeros((1, 1, 1), np.float32), np.zeros((2, 1, 4)), None],
    "0.bias": [np.zeros((2, 1, 3), np.float32), None],
    "0.peephole": [np.zeros((1, 1, 1), np.float32)],
    "1.weight": [np.zeros((2, 1, 4, 9), np.int8), np.zeros((2, 1, 4, 12), np.float32), None],
    "1.scale": [np.zeros((2, 1, 1), np.float32)],
    "tags.weight": [np.zeros((2, 7), np.float32), np.zeros((3, 8), np.float32)],
    "tags.bias": [np.zeros(1, np.float32), np.zeros(33, np.float32), None],
    "heads.weight": [np.zeros((2, 3, 5, 7), np.int8), np.zeros((6, 5, 8), np.int8), None],
    "heads.scale": [np.zeros((2, 3, 4), np.float32), None],
    "heads.bias": [np.zeros((3, 5), np.float32), None],
    "heads.values": [np.zeros((3, 3, 8), np.float32), np.zeros((2, 2, 8), np.float32), None],
}


@pytest.mark.parametrize(
    ("name", "array"), [(name, array) for name, arrays in BROKEN.items() for array in arrays]
)
def test_weights_that_the_kernels_would_read_beyond_are_refused(name, array):
    weights = made(np.random.default_rng(0), "rnn", inputs=5, hidden=4, tags=2, layers=2, heads=3)
    QuantisedNetwork(weights)
    weights[name] = array
    if array is None:
        del weights[name]
    with pytest.raises(
        ValueError, match=r"^(cell|bound|\d\.\w+|(tags|heads)\.\w+) (is|has|belongs)"
    ):
        QuantisedNetwork(weights)


AVX2 = ["avx2", "fma"]
AVX512 = [*AVX2, "avx512"]
PROCESSORS = [
    ("Sandy Bridge", [], ["portable"]),
    ("Haswell, Zen 3", AVX2, ["avx2", "portable"]),
    ("Skylake server", AVX512, ["avx2", "portable"]),
    ("Alder Lake", [*AVX2, "avxvnni"], ["avxvnni", "avx2", "portable"]),
    ("Cascade Lake, Ice Lake, Zen 4", [*AVX512, "avx512vnni"], ["vnni", "avx2", "portable"]),
    (
        "Zen 5, Sapphire Rapids without leave to use its tiles",
        [*AVX512, "avx512vnni", "avxvnni"],
        ["vnni", "avxvnni", "avx2", "portable"],
    ),
    (
        "Sapphire Rapids",
        [*AVX512, "avx512vnni", "avxvnni", "amx"],
        ["amx", "vnni", "avxvnni", "avx2", "portable"],
    ),
    ("AVX-512 switched off under AMX", [*AVX2, "avxvnni", "amx"], ["avxvnni", "avx2", "portable"]),
    ("Neoverse N1", ["neon", "dotprod"], ["neondot", "neon", "portable"]),
    (
        "Neoverse V1",
        ["neon", "dotprod", "i8mm"],
        ["neoni8mm", "neondot", "neon", "portable"],
    ),
]


@pytest.mark.parametrize(
    ("features", "expected"), [row[1:] for row in PROCESSORS], ids=[row[0] for row in PROCESSORS]
)
def test_tiers_follow_from_what_the_processor_has(features, expected):
    assert tiers_of(features) == tuple(expected)


def test_a_tier_that_the_processor_lacks_is_refused(monkeypatch):
    here = ("vnni", "portable")
    monkeypatch.setattr("tagbelt.inference.native.quantised.tiers", lambda: here)
    weights = made(np.random.default_rng(0), "rnn", inputs=5, hidden=4, tags=2)
    with pytest.raises(ValueError, match="this processor has no tier avx2, only vnni, portable"):
        QuantisedNetwork(weights, tier="avx2")


def test_the_kernels_can_be_switched_off():
    code = "import tagbelt.inference.native.quantised as q; print(q.best_tier())"
    for value, absent in (("0", True), ("1", False)):
        environment = {**os.environ, "TAGBELT_NATIVE": value}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert (done.stdout.strip() == "None") is absent
