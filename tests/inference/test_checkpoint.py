"""Loading a checkpoint to serve it: what it says, and clear refusals."""

import gzip
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tagbelt.data.checkpoint.artifact import (
    CONFIG,
    CRF,
    EMBEDDINGS,
    INT8_GRAPH,
    INT8_NETWORK,
    SEQUENCE_GRAPH,
    SUMS,
    VOCABULARY,
    WEIGHTS,
    WORDS_GRAPH,
    digest_of,
    write_sums,
)
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.inference.checkpoint import has_int8, load_checkpoint
from tagbelt.inference.native.quantised import best_tier
from tagbelt.inference.scoring.scorer import QuantisedScorer
from tests.inference.quantised_networks import made

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
SENTENCES = [case["tokens"] for case in EXPECTED]
INPUTS = 13
"""Features of a word vector of the golden checkpoint."""
SERVING = [CONFIG, VOCABULARY, EMBEDDINGS, CRF, WORDS_GRAPH, SEQUENCE_GRAPH, INT8_GRAPH, SUMS]


def load(path, **options):
    return Tagger.load(path, threads=1, **options)


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(GOLDEN / "checkpoint", tmp_path / "copy"))


@pytest.mark.parametrize("together", [False, True])
def test_the_golden_checkpoint_gives_the_recorded_tags_and_scores(together):
    tagger = load(GOLDEN / "checkpoint")
    if together:
        found = tagger.annotate_tokens(SENTENCES)
    else:
        found = [tagger.annotate_tokens([sentence])[0] for sentence in SENTENCES]
    for case, annotation in zip(EXPECTED, found, strict=True):
        assert list(annotation.tags) == case["tags"]
        scores = [entity.score for entity in annotation.entities]
        np.testing.assert_allclose(scores, case["scores"], atol=1e-4)
    assert sum(len(case["scores"]) for case in EXPECTED) > 5


def test_int8_is_close_to_what_was_recorded():
    found = load(GOLDEN / "checkpoint", precision="int8").annotate_tokens(SENTENCES, marginals=True)
    exact = load(GOLDEN / "checkpoint").annotate_tokens(SENTENCES, marginals=True)
    for left, right in zip(found, exact, strict=True):
        for mine, other in zip(left.marginals, right.marginals, strict=True):
            for tag in mine.keys() & other.keys():
                assert mine[tag] == pytest.approx(other[tag], abs=0.05)


def test_a_tagger_knows_its_model():
    info = load(GOLDEN / "checkpoint").info
    assert (info.name, info.version, info.unit, info.scheme) == ("tiny", "1", "word", "IOB2")
    assert info.labels == ("PER", "LOC-X")
    assert info.tags == ("O", "B-PER", "I-PER", "B-LOC-X", "I-LOC-X")
    assert info.digest == digest_of(GOLDEN / "checkpoint" / SUMS)


def changed_header(copy, **changes):
    header = json.loads((copy / CONFIG).read_text(encoding="utf-8"))
    (copy / CONFIG).write_text(json.dumps({**header, **changes}), encoding="utf-8")
    write_sums(copy)


def add_network(copy, **changes):
    """Give a copy of the golden checkpoint a network in bytes, of random weights."""
    arrays = made(np.random.default_rng(0), "lstm", inputs=INPUTS, hidden=4, tags=5)
    changed = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    save_file(changed, copy / INT8_NETWORK)
    write_sums(copy)


@pytest.fixture
def opened(monkeypatch):
    """What a load opens: graphs by their files, and the network in bytes."""
    seen = []
    monkeypatch.setattr("tagbelt.inference.checkpoint.open_graph", lambda path: path.name)
    monkeypatch.setattr(
        "tagbelt.inference.checkpoint.WordVectors", lambda words, *_: seen.append(words)
    )

    def scorer(name):
        seen.append(name)
        return SimpleNamespace(check=lambda _: None)

    monkeypatch.setattr(
        "tagbelt.inference.checkpoint.OnnxScorer", lambda _, graph, __: scorer(graph)
    )
    monkeypatch.setattr(
        "tagbelt.inference.checkpoint.QuantisedScorer", lambda *_: scorer(INT8_NETWORK)
    )
    monkeypatch.setattr(
        "tagbelt.inference.checkpoint.QuantisedNetwork", lambda _: SimpleNamespace(tags=5)
    )
    return seen


@pytest.mark.parametrize("asked", ["auto", "float32", "int8"])
@pytest.mark.parametrize("default", ["float32", "int8"])
@pytest.mark.parametrize("tier", [None, "portable", "avx2", "amx"])
@pytest.mark.parametrize("without", [None, INT8_GRAPH, INT8_NETWORK])
def test_the_network_that_serves_follows_precision_tier_and_files(
    copy, monkeypatch, opened, default, asked, tier, without
):
    add_network(copy)
    if without:
        (copy / without).unlink()
    changed_header(copy, precision=default)
    monkeypatch.setattr("tagbelt.inference.checkpoint.best_tier", lambda: tier)
    fast = tier in ("avx2", "amx") and without != INT8_NETWORK
    assert has_int8(copy) is (fast or without != INT8_GRAPH)
    if asked == "int8" and not has_int8(copy):
        with pytest.raises(CheckpointError, match="nothing here runs in int8: load it in float32"):
            load_checkpoint(copy, precision=asked)
        return
    load_checkpoint(copy, precision=asked)
    if "int8" not in (asked if asked != "auto" else default) or not has_int8(copy):
        served = SEQUENCE_GRAPH
    else:
        served = INT8_NETWORK if fast else INT8_GRAPH
    assert opened == [WORDS_GRAPH, served]


@pytest.mark.skipif(best_tier() in (None, "portable"), reason="the kernels can't run here")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tags.bias": None}, "tags.bias is missing"),
        ({"0.scale": None}, "no network for this checkpoint: 0.scale is missing"),
        ({"bound": np.array([np.nan], np.float32)}, "'bound' holds values that are not finite"),
        ({"0.weight": np.zeros((2, 4, 4, 18), np.int8)}, "13 features, the network reads 14"),
        ({"0.weight": np.zeros((2, 4, 3, 16), np.int8)}, "no network"),
        (
            {"tags.bias": np.zeros(4, np.float32), "tags.weight": np.zeros((4, 8), np.float32)},
            "4 tags, config.json names 5",
        ),
        ({"tags.weight": np.zeros((5, 3), np.float32)}, "no network"),
        ({"tags.bias": np.zeros(4, np.float32)}, "no network"),
    ],
)
def test_a_network_in_bytes_that_does_not_fit_is_named(copy, change, message):
    add_network(copy, **change)
    with pytest.raises(CheckpointError, match=f"{copy}.*{message}"):
        load(copy, precision="int8")


@pytest.mark.skipif(best_tier() in (None, "portable"), reason="the kernels can't run here")
def test_a_network_in_bytes_serves(copy):
    add_network(copy)
    tagger = load(copy, precision="int8")
    assert isinstance(tagger._decoder._scorer, QuantisedScorer)
    together = tagger.annotate_tokens(SENTENCES)
    assert together == [tagger.annotate_tokens([sentence])[0] for sentence in SENTENCES]
    assert [len(found.tags) for found in together] == [len(sentence) for sentence in SENTENCES]
    words = sum(map(len, SENTENCES))
    use = tagger.vector_cache_use()
    assert use.hits + use.misses == 2 * words
    assert use.misses == len({word for sentence in SENTENCES for word in sentence})


def test_a_long_sentence_is_scored_in_windows_of_the_header(copy):
    changed_header(copy, window=9)
    lengths = []
    tagger = load(copy)
    scorer = tagger._decoder._scorer

    class Watching:
        def prepare(self, forms, own):
            self.prepared = scorer.prepare(forms, own)
            return self

        def emissions(self, index, own):
            lengths.append(own.max())
            return self.prepared.emissions(index, own)

    tagger._decoder._scorer = Watching()
    (tags,) = tagger.tag_tokens([["Anna"] * 49])
    assert len(tags) == 49
    assert max(lengths) == 9


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(threads):
    with pytest.raises(ValueError, match=f"threads must be at least 1, got {threads}"):
        Tagger.load(GOLDEN / "checkpoint", threads=threads)


def cut(path):
    path.write_bytes(path.read_bytes()[:-2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("name", SERVING)
def test_a_damaged_or_missing_file_is_named(copy, name, damage):
    damage(copy / name)
    if name == INT8_GRAPH and damage is Path.unlink:
        return
    blamed = r"\w" if name == SUMS else name  # damaged sums blame the file they are wrong about
    with pytest.raises(CheckpointError, match=f"{copy}.*{blamed}"):
        load(copy)


def test_damaged_weights_are_found_though_serving_needs_none(copy):
    flip(copy / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"{copy / WEIGHTS}: damaged"):
        load(copy)


def test_another_format_version_is_named(copy):
    changed_header(copy, format_version=99)
    with pytest.raises(CheckpointError, match="format_version is 99, this Tagbelt reads 1"):
        load(copy)


def test_a_foreign_directory_is_named(tmp_path, copy):
    with pytest.raises(CheckpointError, match=f"{tmp_path}: no checkpoint here"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        load(copy / CONFIG)
    (tmp_path / CONFIG).write_text('{"architectures": ["BertForTokenClassification"]}', "utf-8")
    with pytest.raises(CheckpointError, match=f"{tmp_path / CONFIG}: format_version is None"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags": ["O", "B-PER", "I-PER"]}, "labels: .*'LOC-X'.* are not those of the tags"),
        ({"tags": ["O", "B-PER", "I-LOC"]}, "tags: a model cannot decode"),
        ({"scheme": "BIOES"}, "tags: a model cannot decode BIOES"),
        ({"labels": ["PER"]}, "labels: .* are not those of the tags"),
    ],
)
def test_tags_that_do_not_fit_each_other_are_named(copy, changes, message):
    changed_header(copy, **changes)
    with pytest.raises(CheckpointError, match=f"{copy / CONFIG}: {message}"):
        load(copy)


def rewritten(copy, name, change):
    """Change the arrays of a file, and the sums as if it had been written so."""
    arrays = {key: value.copy() for key, value in load_file(copy / name).items()}
    change(arrays)
    save_file(arrays, copy / name)
    write_sums(copy)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "key"),
    [(EMBEDDINGS, "embeddings"), (CRF, "start"), (CRF, "transitions"), (CRF, "end")],
)
def test_weights_that_are_not_finite_are_named(copy, name, key, value):
    def spoil(arrays):
        arrays[key].flat[0] = value

    rewritten(copy, name, spoil)
    with pytest.raises(CheckpointError, match=f"{copy / name}: '{key}' .* not finite"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (CRF, lambda arrays: arrays.pop("end"), f"{CRF}: holds no 'end'"),
        (CRF, lambda arrays: arrays.update(start=np.ones(4, np.float32)), f"{CRF} and the 5 tags"),
        (
            CRF,
            lambda arrays: arrays.update(transitions=np.ones((3, 3), np.float32)),
            f"{CRF} and the 5 tags",
        ),
        (
            EMBEDDINGS,
            lambda arrays: arrays.update(embeddings=np.ones((3, 6), np.float16)),
            "3 embeddings for 14 words",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(copy, name, change, message):
    rewritten(copy, name, change)
    with pytest.raises(CheckpointError, match=f"{copy}.*{message}"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (VOCABULARY, ""),
        (EMBEDDINGS, "can't be read"),
        (CRF, "can't be read"),
        (WORDS_GRAPH, "this ONNX Runtime can't run it"),
        (SEQUENCE_GRAPH, "this ONNX Runtime can't run it"),
    ],
)
def test_a_file_that_is_something_else_is_named(copy, name, message):
    (copy / name).write_text("something else", encoding="utf-8")
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{copy / name}: {message}"):
        load(copy)


def protobuf(number, content):
    """A field with a length: of up to 127 bytes, or of more."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return (
        bytes([number << 3 & 127 | 2 | (128 if number > 15 else 0)])
        + (bytes([number >> 4]) if number > 15 else b"")
        + length
        + content
    )


LOOP = protobuf(4, b"Loop") + protobuf(5, protobuf(1, b"body") + protobuf(6, b""))


def constant(operator, *inputs):
    return protobuf(1, b"".join(protobuf(1, i) for i in inputs) + protobuf(4, operator))


@pytest.mark.parametrize("name", [WORDS_GRAPH, SEQUENCE_GRAPH])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (protobuf(7, protobuf(1, LOOP)), "a node holds a graph of its own: Loop"),
        (protobuf(25, b""), "functions of its own"),
        (protobuf(7, constant(b"Expand", b"one", b"shape")), "computes a constant, .*: Expand"),
        (protobuf(7, constant(b"ConstantOfShape", b"shape")), "computes a constant, .*: Const"),
        (protobuf(7, constant(b"Constant")), "computes a constant, .*: Constant"),
        (protobuf(7, protobuf(15, b"")), "sparse weights"),
        (b"\x07", "no ONNX model"),
        (b"\x3a\x7f", "cut short"),
    ],
)
def test_a_graph_that_could_run_forever_or_fill_the_memory_is_refused_unrun(
    copy, name, more, message
):
    with (copy / name).open("ab") as stream:
        stream.write(more)
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{name}: .*{message}"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "other"),
    [(WORDS_GRAPH, SEQUENCE_GRAPH), (SEQUENCE_GRAPH, WORDS_GRAPH), (INT8_GRAPH, WORDS_GRAPH)],
)
def test_swapped_graphs_are_refused_at_load(copy, name, other):
    shutil.copyfile(GOLDEN / "checkpoint" / other, copy / name)
    write_sums(copy)
    with pytest.raises(CheckpointError, match=name):
        load(copy, precision="int8" if name == INT8_GRAPH else "float32")


@pytest.mark.parametrize("shape", [(-1,), (1, -1, 1), (2, -1), (-1, 1)])
def test_embeddings_of_another_shape_are_refused_at_load(copy, shape):
    tables = load_file(copy / EMBEDDINGS)
    tables["embeddings"] = np.ascontiguousarray(tables["embeddings"].reshape(shape))
    save_file(tables, copy / EMBEDDINGS)
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{EMBEDDINGS}|{WORDS_GRAPH}"):
        load(copy)


@pytest.mark.parametrize("name", [EMBEDDINGS, CRF])
def test_numbers_that_numpy_lacks_are_refused_at_load(copy, name):
    header = {"embeddings": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    packed = json.dumps(header).encode()
    (copy / name).write_bytes(len(packed).to_bytes(8, "little") + packed + bytes(4))
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{name}: can't be read"):
        load(copy)


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY])
@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", '{"words": 3}', "1" * 5_000_000])
def test_json_that_is_deep_long_or_of_another_shape_is_refused(copy, name, text):
    (copy / name).write_text(text, encoding="utf-8")
    write_sums(copy)
    with pytest.raises(CheckpointError, match=name):
        load(copy)


@pytest.mark.parametrize("name", ["gazetteer.txt.gz", "lexicon.txt.gz"])
def test_a_file_that_unpacks_to_very_much_is_refused_unpacked(copy, name):
    packed = gzip.compress(bytes(200_000_000), compresslevel=1)
    (copy / name).write_bytes(packed)
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{name}: .*unpacks to more than"):
        load(copy)
