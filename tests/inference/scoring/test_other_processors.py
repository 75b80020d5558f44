"""The kernels of 64-bit ARM, cross-compiled and run by qemu, against those that run here."""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tagbelt.inference.native import library
from tagbelt.inference.native.quantised import TIERS, QuantisedNetwork
from tests.inference.quantised_networks import GATES, made

COMPILER, MACHINE = "aarch64-linux-gnu-gcc", "qemu-aarch64"
DRIVER = Path(__file__).with_name("emissions.c")
NATIVE = Path(__file__).parents[3] / "inference/native"
OPTIONS = ("-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-static")

pytestmark = [
    pytest.mark.skipif(library() is None, reason="the kernels are not built here"),
    pytest.mark.skipif(
        shutil.which(COMPILER) is None or shutil.which(MACHINE) is None,
        reason=f"{COMPILER} and {MACHINE} are not here",
    ),
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """`emissions.c` with the kernels, for ARM."""
    path = tmp_path_factory.mktemp("arm") / "emissions"
    command = [COMPILER, *OPTIONS, str(DRIVER), *map(str, NATIVE.glob("*.c")), "-lm", "-o", path]
    subprocess.run(command, check=True)
    return path


def packed(array):
    content = b"" if array is None else np.ascontiguousarray(array).tobytes()
    return struct.pack("i", len(content)) + content


def written(network, table, rows, lengths):
    """What `emissions.c` reads."""
    kept = {array.ctypes.data: array for array in network._kept} | {None: None}
    built = network._network
    parts = [struct.pack("iii", TIERS.index(network.tier), *rows.shape)]
    parts.append(struct.pack("iiii", built.layers, built.tags, built.tag_blocks, built.tag_chunks))
    for layer in built.layer[: built.layers]:
        numbers = (
            layer.cell,
            layer.directions,
            layer.unit_blocks,
            layer.input_bytes,
            layer.chunks,
            layer.hidden,
        )
        parts.append(struct.pack("6i", *numbers))
        for address in (layer.tiles, layer.scale, layer.bias, layer.peephole, *layer.start):
            parts.append(packed(kept[address]))
    for address in (built.tag_tiles, built.tag_scale, built.tag_bias, built.tag_start):
        parts.append(packed(kept[address]))
    parts += [struct.pack("i", len(table)), packed(table)]
    return b"".join([*parts, packed(rows.astype(np.int64)), packed(lengths)])


def run(driver, content, shape, processor="max"):
    """Names of the tiers, and emissions."""
    command = [MACHINE, "-cpu", processor, str(driver)]
    found = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout
    (mask,) = struct.unpack("i", found[:4])
    names = {tier for place, tier in enumerate(TIERS) if mask >> place & 1}
    return names, np.frombuffer(found[4:], np.float32).reshape(shape)


@pytest.mark.parametrize("tier", ["portable", "neon", "neondot"])
@pytest.mark.parametrize("cell", sorted(GATES))
def test_emissions_on_arm_have_the_same_bits(driver, monkeypatch, cell, tier):
    rng = np.random.default_rng(len(cell))
    peephole = cell.startswith("lstm")
    shape = {"inputs": 37, "hidden": 21, "tags": 19, "layers": 2, "directions": 2}
    weights = made(rng, cell, peephole=peephole, **shape)
    weights["0.weight"][0, 0, 0] = 127
    table = rng.integers(0, 256, (40, 37)).astype(np.uint8)
    table[0] = 255
    lengths = np.array([13] * 18 + [5, 5, 2, 1], np.int32)
    rows = rng.integers(0, 40, (13, len(lengths)))
    here = QuantisedNetwork(weights, tier="portable").emissions(table, rows, lengths)
    monkeypatch.setattr("tagbelt.inference.native.quantised.tiers", lambda: (tier,))
    content = written(QuantisedNetwork(weights), table, rows, lengths)
    names, there = run(driver, content, here.shape)
    assert tier in names
    assert (there == here).all()


def test_dot_products_are_used_where_the_processor_has_them(driver):
    weights = made(np.random.default_rng(0), "rnn", inputs=5, hidden=4, tags=2)
    table, rows = np.full((1, 5), 128, np.uint8), np.zeros((1, 1), np.int64)
    network = QuantisedNetwork(weights, tier="portable")
    content = written(network, table, rows, np.ones(1, np.int32))
    for processor, tiers in (
        ("cortex-a53", {"portable", "neon"}),
        ("max", {"portable", "neon", "neondot"}),
    ):
        assert run(driver, content, (1, 1, 2), processor)[0] == tiers
