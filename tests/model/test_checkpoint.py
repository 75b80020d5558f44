"""Checkpoints: the same network after reading, the same tags when serving, clear refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from tagbelt.data.checkpoint.artifact import (
    CONFIG,
    CRF,
    EMBEDDINGS,
    INT8_GRAPH,
    SUMS,
    VOCABULARY,
    WEIGHTS,
    write_sums,
)
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.model.batch import encode
from tagbelt.model.checkpoint import load_network, save_checkpoint
from tests.model.networks import (
    ALL_CELLS,
    make_header,
    make_network,
    make_sentences,
    make_vocabulary,
    torch_paths,
)

GOLDEN = Path(__file__).parents[1] / "golden"
SENTENCES = make_sentences(5, [12, 1, 5, 5, 30, 2])


def save(directory, network, scheme=Scheme.IOB2):
    save_checkpoint(directory, network, make_vocabulary(), make_header(network, scheme))
    return directory


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("saved") / "tiny", make_network())


@pytest.fixture
def copy(saved, tmp_path):
    """A checkpoint to damage."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
@pytest.mark.parametrize("kind", ["none", "cnn", "lstm"])
def test_what_was_saved_is_what_is_read(tmp_path, cell, peephole, kind):
    network = make_network(cell=cell, peephole=peephole, kind=kind, layers=2, attention_heads=2)
    save(tmp_path / "tiny", network)
    again, vocabulary, header = load_network(tmp_path / "tiny")
    assert vocabulary == make_vocabulary()
    assert header == make_header(network)
    assert again.config == network.config
    assert not again.training
    weights, expected = again.state_dict(), network.state_dict()
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(weights[name], value), name
    batch = encode(SENTENCES, vocabulary).batch(range(len(SENTENCES)))
    assert torch.equal(again(batch), network(batch))


def test_the_word_table_is_stored_once_in_half_precision(saved):
    table = load_file(saved / EMBEDDINGS)["embeddings"]
    assert table.dtype == torch.float16
    assert len(table) == len(make_vocabulary().words)
    assert not any("words.embedding" in name for name in load_file(saved / WEIGHTS))


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BIOES])
@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_the_tagger_gives_the_tags_of_the_torch_network(tmp_path, cell, peephole, scheme):
    network = make_network(3, cell=cell, peephole=peephole, scheme=scheme, layers=2)
    tagger = Tagger.load(save(tmp_path / "tiny", network, scheme), threads=1)
    tags = tagger.info.tags
    expected = [[tags[i] for i in path] for path in torch_paths(network, SENTENCES)]
    assert tagger.tag_tokens(SENTENCES, scheme=scheme) == expected
    assert len({tag for sentence in expected for tag in sentence}) > 1


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BIOES])
def test_no_weights_decode_to_an_invalid_sequence(tmp_path, scheme, precision):
    for seed in range(4):
        network = make_network(seed, scheme=scheme, scale=10.0, constrain=False)
        with torch.no_grad():  # scores that ask for what must not be
            crf = network.crf
            crf.parameters_of.transitions[~crf.step_allowed] = 50.0
            crf.parameters_of.start_transitions[~crf.start_allowed] = 50.0
            crf.parameters_of.end_transitions[~crf.end_allowed] = 50.0
        directory = save(tmp_path / str(seed), network, scheme)
        tagger = Tagger.load(directory, threads=1, precision=precision)
        for sentence, tags in zip(
            SENTENCES, tagger.tag_tokens(SENTENCES, scheme=scheme), strict=True
        ):
            assert len(tags) == len(sentence)
            tags_to_spans(tags, scheme, on_invalid="error")


def test_nothing_in_a_checkpoint_is_a_pickle(saved, monkeypatch):
    names = {path.name for path in saved.iterdir()}
    assert {Path(name).suffix for name in names - {SUMS}} == {".json", ".onnx", ".safetensors"}

    def refuse(*_, **__):
        raise AssertionError("a checkpoint was unpickled")

    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("pickle.loads", refuse)
    monkeypatch.setattr("pickle.Unpickler", refuse)
    monkeypatch.setattr("torch.load", refuse)
    load_network(saved)
    Tagger.load(saved, threads=1)


def cut(path):
    path.write_bytes(path.read_bytes()[:-2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILES = sorted(path.name for path in (GOLDEN / "checkpoint").iterdir())


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_or_missing_file_is_named(copy, name, damage):
    damage(copy / name)
    if name == INT8_GRAPH and damage is Path.unlink:
        load_network(copy)
        return
    blamed = r"\w" if name == SUMS else name  # damaged sums blame the file they are wrong about
    with pytest.raises(CheckpointError, match=f"{copy}.*{blamed}"):
        load_network(copy)


def rewritten(copy, name, change):
    """Change the tensors of a file, and the sums as if it had been written so."""
    arrays = load_file(copy / name)
    change(arrays)
    save_file(arrays, copy / name)
    write_sums(copy)


@pytest.mark.parametrize("name", [WEIGHTS, EMBEDDINGS])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_read(copy, name, value):
    def spoil(arrays):
        arrays[sorted(arrays)[0]].view(-1)[0] = value

    rewritten(copy, name, spoil)
    with pytest.raises(CheckpointError, match=f"{copy / name}: .* not finite"):
        load_network(copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])  # 1e6: as float16
def test_weights_that_are_not_finite_are_not_written(copy, value):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    network = make_network(1)
    with torch.no_grad():
        network.words.embedding.trained[3, 1] = value
    with pytest.raises(CheckpointError, match=r"not written: words\.embedding\.trained"):
        save(copy, network)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (WEIGHTS, lambda arrays: arrays.pop("emissions.bias"), "Missing key.*emissions.bias"),
        (WEIGHTS, lambda arrays: arrays.update(more=torch.ones(1)), 'Unexpected key.*"more"'),
        (EMBEDDINGS, lambda arrays: arrays.update(embeddings=torch.ones(2, 6)), "size mismatch"),
        (EMBEDDINGS, lambda arrays: arrays.clear(), "'embeddings'"),
    ],
)
def test_weights_that_do_not_fit_the_config_are_named(copy, name, change, message):
    rewritten(copy, name, change)
    with pytest.raises(CheckpointError, match=rf"{copy}.*(?s:.)*{message}"):
        load_network(copy)


def test_a_config_of_another_architecture_is_named(copy):
    header = json.loads((copy / CONFIG).read_text(encoding="utf-8"))
    header["model"]["encoder"]["cell"] = "transformer"
    (copy / CONFIG).write_text(json.dumps(header), encoding="utf-8")
    write_sums(copy)
    with pytest.raises(CheckpointError, match=rf"{copy}(?s:.)*encoder\.cell"):
        load_network(copy)


def test_a_vocabulary_that_is_none_is_named(copy):
    (copy / VOCABULARY).write_text('{"words": ["", "a"]}', encoding="utf-8")
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{copy / VOCABULARY}.*characters"):
        load_network(copy)


def test_a_copy_for_serving_cannot_be_trained(copy):
    (copy / WEIGHTS).unlink()
    assert Tagger.load(copy, threads=1).tag_tokens([["a"]])
    with pytest.raises(CheckpointError, match=f"{WEIGHTS} is missing: .* for serving only"):
        load_network(copy)


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize(
    "step",
    ["onnx.save", "tagbelt.model.checkpoint.write_sums", "tagbelt.data.checkpoint.artifact._sync"],
)
def test_a_writer_that_stops_leaves_the_old_checkpoint(copy, monkeypatch, step, stop):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}

    def interrupted(*_):
        raise stop("in the middle")

    monkeypatch.setattr(step, interrupted)
    with pytest.raises(stop, match="in the middle"):
        save(copy, make_network(1))
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert list(copy.parent.iterdir()) == [copy]
    monkeypatch.undo()
    save(copy, make_network(1))
    load_network(copy)
    assert (copy / CRF).read_bytes() != before[CRF]


def test_the_graphs_pass_the_checker(saved):
    for path in saved.glob("*.onnx"):
        onnx.checker.check_model(str(path))


def test_the_golden_checkpoint_gives_torch_the_recorded_tags():
    network, vocabulary, header = load_network(GOLDEN / "checkpoint")
    expected = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
    assert vocabulary == make_vocabulary()
    paths = torch_paths(network, [case["tokens"] for case in expected])
    assert [[header.tags[i] for i in path] for path in paths] == [case["tags"] for case in expected]
    assert np.isfinite(load_file(GOLDEN / "checkpoint" / EMBEDDINGS)["embeddings"].numpy()).all()
