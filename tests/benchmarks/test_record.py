import json

import pytest

from benchmarks.common import environments, materials
from benchmarks.common.environments import EnvironmentMissingError, make, python_of
from benchmarks.common.materials import MaterialError, checkpoint, data_file, sample, sentences
from benchmarks.common.options import parser
from benchmarks.common.record import write_result


def test_a_result_says_what_where_and_how(tmp_path):
    path = write_result("toy", {"rounds": 2}, [{"system": "a"}], directory=tmp_path / "new")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["name"] == path.stem == "toy"
    assert found["settings"] == {"rounds": 2}
    assert found["rows"] == [{"system": "a"}]
    assert {"cpu", "cores", "memory_gb", "flags", "python", "packages"} <= set(found["machine"])
    assert [file.name for file in path.parent.iterdir()] == ["toy.json"]


def test_a_sample_keeps_order_and_is_the_same_each_time():
    items = list(range(100))
    drawn = sample(items, 10)
    assert len(drawn) == 10
    assert drawn == sorted(drawn) == sample(items, 10)
    assert sample(items, 100) == sample(items, 200) == items


def test_sentences_come_from_the_first_column(tmp_path):
    file = tmp_path / "some.txt"
    file.write_text("Rome X B-LOC\nis Y O\n\nBen X B-PER\n", encoding="utf-8")
    assert sentences(tmp_path, "some.txt") == [["Rome", "is"], ["Ben"]]


def test_data_and_checkpoints_that_are_not_there_are_named(tmp_path):
    with pytest.raises(MaterialError, match="TAGBELT_DATA"):
        data_file(None, "conll2003/test.txt")
    with pytest.raises(MaterialError, match=r"no such file: .*test\.txt"):
        data_file(tmp_path, "test.txt")
    with pytest.raises(MaterialError, match="no checkpoint here"):
        checkpoint("conll2003", tmp_path, None, quick=True)


def test_a_trained_checkpoint_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(materials, "CACHE", tmp_path)
    runs = []

    def train(preset, run, data, changes):
        runs.append((preset, run.name, data, changes))
        run.mkdir()
        (run / "report.json").touch()

    monkeypatch.setattr(materials, "_train", train)
    for _ in range(2):
        found = checkpoint("resume", None, tmp_path, quick=True)
        assert found == tmp_path / "resume-quick" / "checkpoint"
    assert checkpoint("resume", None, tmp_path, quick=False).parent.name == "resume"
    assert runs == [
        ("resume", "resume-quick", tmp_path, (f"training.epochs={materials.QUICK_EPOCHS}",)),
        ("resume", "resume", tmp_path, ()),
    ]


def test_environments_are_made_once_for_their_requirements(tmp_path, monkeypatch):
    peers = tmp_path / "peers"
    peers.mkdir()
    wanted = peers / "requirements-none.txt"
    wanted.write_text("# nothing\n", encoding="utf-8")
    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "made")
    installed = []
    monkeypatch.setattr(environments.subprocess, "run", lambda words, **_: installed.append(words))
    monkeypatch.setattr(
        environments.venv, "create", lambda path, **_: _touched(path / "bin" / "python")
    )
    with pytest.raises(EnvironmentMissingError, match=r"benchmarks\.common\.environments"):
        python_of("none")
    assert environments.names() == ["none"]
    assert [make("none"), make("none")] == [True, False]
    wanted.write_text("# still nothing\n", encoding="utf-8")
    assert make("none")
    assert [words[-1] for words in installed] == [str(wanted)] * 2
    assert python_of("none") == tmp_path / "made" / "none" / "bin" / "python"


def _touched(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_options_are_shared():
    given = parser("what").parse_args(["--quick", "--data", "here"])
    assert given.quick
    assert given.data.name == "here"
    assert given.checkpoint is None
