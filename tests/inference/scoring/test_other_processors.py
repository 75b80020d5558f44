"""The kernels of 64-bit ARM, cross-compiled and run by qemu, against those that run here.

Of corpora a part is tagged; with `TAGBELT_WHOLE=1` all, which takes ten minutes of a core.
"""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tagbelt.data.checkpoint.artifact import INT8_NETWORK
from tagbelt.data.conll.reading import read_conll
from tagbelt.inference.crf.algorithms import viterbi
from tagbelt.inference.native import library
from tagbelt.inference.native.quantised import TIERS, QuantisedNetwork
from tagbelt.inference.tagger import Tagger
from tests.inference.quantised_networks import GATES, made

ARM = ("neon", "neondot", "neoni8mm")
COMPILER, MACHINE = "aarch64-linux-gnu-gcc", "qemu-aarch64"
DRIVER = Path(__file__).with_name("emissions.c")
ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "inference/native"
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


def written(network, table, rows, lengths, crf=None):
    """What `emissions.c` reads."""
    kept = {array.ctypes.data: array for array in network._kept} | {None: None}
    built = network._network
    parts = [struct.pack("iii", TIERS.index(network.tier), *rows.shape)]
    parts.append(struct.pack("iii", built.layers, built.tags, built.heads))
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
    for linear in (built.scores, built.pairs):
        parts.append(struct.pack("4i", linear.outputs, linear.blocks, linear.chunks, linear.bytes))
        for address in (linear.tiles, linear.scale, linear.bias, linear.start):
            parts.append(packed(kept[address]))
    parts += [struct.pack("i", len(table)), packed(table)]
    parts += [packed(rows.astype(np.int64)), packed(lengths.astype(np.int32))]
    scores = (None,) * 3 if crf is None else (crf.start, crf.transitions, crf.end)
    return b"".join([*parts, *map(packed, scores), packed(lengths.astype(np.intp))])


def run(driver, content, shape, processor="max"):
    """Names of the tiers, emissions [T, B, K], and paths [T, B] if there was a CRF."""
    command = [MACHINE, "-cpu", processor, str(driver)]
    found = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout
    (mask,) = struct.unpack("i", found[:4])
    names = {tier for place, tier in enumerate(TIERS) if mask >> place & 1}
    emissions = np.frombuffer(found, np.float32, int(np.prod(shape)), 4).reshape(shape)
    paths = np.frombuffer(found[4 + emissions.nbytes :], np.intp)
    return names, emissions, paths.reshape(shape[:2]) if len(paths) else None


@pytest.mark.parametrize("tier", ["portable", *ARM])
@pytest.mark.parametrize("cell", sorted(GATES))
def test_emissions_on_arm_have_the_same_bits(driver, monkeypatch, cell, tier):
    rng = np.random.default_rng(len(cell))
    peephole = cell.startswith("lstm")
    shape = {"inputs": 37, "hidden": 21, "tags": 19, "layers": 2, "directions": 2}
    weights = made(rng, cell, peephole=peephole, heads=3 * (cell == "lstm"), **shape)
    weights["0.weight"][0, 0, 0] = 127
    table = rng.integers(0, 256, (40, 37)).astype(np.uint8)
    table[0] = 255
    lengths = np.array([13] * 18 + [5, 5, 2, 1], np.int32)
    rows = rng.integers(0, 40, (13, len(lengths)))
    here = QuantisedNetwork(weights, tier="portable").emissions(table, rows, lengths)
    monkeypatch.setattr("tagbelt.inference.native.quantised.tiers", lambda: (tier,))
    content = written(QuantisedNetwork(weights), table, rows, lengths)
    names, there, _ = run(driver, content, here.shape)
    assert tier in names
    assert (there == here).all()


CORPORA = [("en", "conll2003/test.txt", None), ("zh", "resume/test.bmes", " ")]
PART = 40
"""One in so many sentences is tagged."""


@pytest.fixture(scope="module", params=CORPORA, ids=[name for name, *_ in CORPORA])
def corpus(request):
    """Weights and CRF of a bundled model, and batches of a corpus with what `portable` made."""
    if "TAGBELT_DATA" not in os.environ:
        pytest.skip("TAGBELT_DATA names no directory of data sets")
    model, file, separator = request.param
    path = Path(os.environ["TAGBELT_DATA"]) / file
    corpus = read_conll(path, columns={"token": 0}, separator=separator)
    step = 1 if os.environ.get("TAGBELT_WHOLE") else PART
    batches, emissions = [], QuantisedNetwork.emissions

    def recorded(network, *given):
        made = emissions(network, *given)
        batches.append((given, made))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagbelt.inference.native.quantised.tiers", lambda: ("portable",))
        patch.setattr("tagbelt.inference.checkpoint._runs_fast", Path.exists)
        patch.setattr(QuantisedNetwork, "emissions", recorded)
        tagger = Tagger.load(ROOT / "checkpoints" / model, precision="int8", threads=1)
        batches.clear()  # of the token that loading scores
        tagger.tag_tokens([sentence.tokens for sentence in corpus.sentences[::step]])
    weights = load_file(ROOT / "checkpoints" / model / INT8_NETWORK)
    return weights, tagger._decoder._crf, batches


@pytest.mark.parametrize("tier", ARM)
def test_a_corpus_is_tagged_alike_on_arm_to_the_last_bit(driver, monkeypatch, corpus, tier):
    weights, crf, batches = corpus
    monkeypatch.setattr("tagbelt.inference.native.quantised.tiers", lambda: (tier,))
    network = QuantisedNetwork(weights)
    assert batches
    for (table, rows, lengths), here in batches:
        paths, _ = viterbi(here, lengths, crf)
        content = written(network, table, rows, lengths, crf)
        names, there, found = run(driver, content, here.shape)
        assert tier in names
        assert (there == here).all()
        assert (found == paths).all()


def test_a_tier_is_used_where_the_processor_has_what_it_needs(driver):
    weights = made(np.random.default_rng(0), "rnn", inputs=5, hidden=4, tags=2)
    table, rows = np.full((1, 5), 128, np.uint8), np.zeros((1, 1), np.int64)
    network = QuantisedNetwork(weights, tier="portable")
    content = written(network, table, rows, np.ones(1, np.int32))
    for processor, tiers in (
        ("cortex-a53", {"portable", "neon"}),
        ("neoverse-n1", {"portable", "neon", "neondot"}),
        ("max", {"portable", *ARM}),
    ):
        assert run(driver, content, (1, 1, 2), processor)[0] == tiers
