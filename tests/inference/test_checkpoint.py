"""Loading a checkpoint to serve it: what it says, and clear refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data.artifact import (
    CONFIG,
    CRF,
    EMBEDDINGS,
    INT8_GRAPH,
    SEQUENCE_GRAPH,
    SUMS,
    VOCABULARY,
    WEIGHTS,
    WORDS_GRAPH,
    CheckpointError,
    digest_of,
    write_sums,
)
from inference import Tagger
from inference.checkpoint import load_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
SENTENCES = [case["tokens"] for case in EXPECTED]
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


@pytest.mark.parametrize("asked", ["auto", "float32", "int8"])
@pytest.mark.parametrize("default", ["float32", "int8"])
def test_which_graph_serves(copy, monkeypatch, default, asked):
    changed_header(copy, precision=default)
    opened = []
    monkeypatch.setattr(
        "inference.checkpoint.OnnxScorer",
        lambda words, sequence, *_: opened.extend((words, sequence)),
    )
    monkeypatch.setattr("inference.checkpoint.open_graph", lambda path, threads: (path, threads))
    load_checkpoint(copy, threads=3, precision=asked)
    graph = INT8_GRAPH if "int8" in (asked if asked != "auto" else default) else SEQUENCE_GRAPH
    assert opened == [(copy / WORDS_GRAPH, 3), (copy / graph, 3)]


def test_a_long_sentence_is_scored_in_windows_of_the_header(copy):
    changed_header(copy, window=9)
    shapes = []
    tagger = load(copy)
    scorer = tagger._decoder._scorer
    emissions = scorer.emissions
    scorer.emissions = lambda sentences: shapes.append(len(sentences[0])) or emissions(sentences)
    (tags,) = tagger.tag_tokens([["Anna"] * 50])
    assert len(tags) == 50
    assert max(shapes) == 9


def test_a_checkpoint_without_8_bit_graph_says_so(copy):
    (copy / INT8_GRAPH).unlink()
    assert load(copy).tag_tokens([["a"]])
    with pytest.raises(CheckpointError, match=f"{copy}: no {INT8_GRAPH} here: load it in float32"):
        load(copy, precision="int8")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_some(threads):
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
