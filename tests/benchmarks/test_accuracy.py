"""Rows are trained, collected and compared; one that is bad harms no other."""

import json
import shutil
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from benchmarks.accuracy.plan import Entry, Plan
from benchmarks.accuracy.train import Page, work
from tagbelt.commands.cli import app
from tagbelt.errors import ConfigError
from tests.training.tiny import ENGLISH, EXAMPLES, as_toml


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A row of two seeds, trained and collected: its page and its entry."""
    folder = tmp_path_factory.mktemp("accuracy")
    config = folder / "tiny.toml"
    config.write_text(as_toml(ENGLISH), encoding="utf-8")
    entry = Entry("one", "main", "Tiny", str(config), overrides=("training.epochs=1",), seeds=2)
    again = Entry("two", "main", "Tiny", str(config), overrides=entry.overrides, base="one")
    plan = Plan((again, entry))
    page = Page(plan, folder / "runs", folder / "results")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagbelt.training.run.seeds.run_tasks", run_here)
        assert work(page, [entry], seeds=None, jobs=1) == 0
    torch.set_num_threads(threads)
    return page, entry, again


def run_here(tasks, *, jobs, begins):
    """Train in this process, one after the other."""
    assert jobs == 1
    for seed, task in tasks.items():
        assert begins(seed)
        yield seed, CliRunner().invoke(app, ["train", *task.arguments]).exit_code


@pytest.fixture
def page(trained, tmp_path):
    """A copy of the page that a test may change."""
    page, _, _ = trained
    shutil.copytree(page.out, tmp_path / "runs")
    shutil.copytree(page.results, tmp_path / "results")
    return Page(page.plan, tmp_path / "runs", tmp_path / "results")


def read_report(page, row, seed):
    path = page.out / row / f"seed-{seed}" / "report.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_row_has_every_seeds_scores_and_their_mean(trained):
    page, entry, _ = trained
    row = page.rows()["one"]
    assert row["command"] == entry.command
    assert [run["seed"] for run in row["runs"]] == [1, 2]
    for split in ("dev", "test"):
        for mode in ("strict", "default"):
            reports = [read_report(page, "one", seed)[split][mode]["micro"] for seed in (1, 2)]
            assert [run["scores"][split][mode] for run in row["runs"]] == reports
            f1 = [report["f1"] for report in reports]
            assert row["f1"][split][mode]["mean"] == pytest.approx(mean(f1))
            assert row["f1"][split][mode]["sd"] == pytest.approx(stdev(f1))
    assert set(row["files"]) == {"train", "dev", "test"}


def test_weights_are_counted(trained):
    page, _, _ = trained
    checkpoint = page.out / "one" / "seed-1" / "checkpoint"
    weights = load_file(checkpoint / "model.safetensors")
    encoder = sum(value.size for name, value in weights.items() if name.startswith("encoder."))
    counted = page.rows()["one"]["weights"]
    assert counted["encoder"] == encoder
    table = load_file(checkpoint / "embeddings.safetensors")["embeddings"]
    floats = (value for value in weights.values() if value.dtype == np.float32)
    assert counted["all"] == table.size + sum(value.size for value in floats)


def test_what_serving_takes_is_measured(trained):
    page, _, _ = trained
    checkpoint = page.out / "one" / "seed-1" / "checkpoint"
    serving = page.rows()["one"]["serving"]
    assert serving["bytes"] == sum(len(path.read_bytes()) for path in checkpoint.iterdir())
    assert serving["microseconds"] > 0


def test_what_was_collected_stays_until_the_runs_change(page, trained):
    _, entry, _ = trained
    path = page.results / "accuracy.json"
    part = json.loads(path.read_text(encoding="utf-8"))
    part["rows"][0]["collected"]["date"] = "1999-01-01"
    path.write_text(json.dumps(part), encoding="utf-8")
    assert work(page, [entry], seeds=None, jobs=None) == 0
    assert page.rows()["one"]["collected"]["date"] == "1999-01-01"
    shutil.rmtree(page.out / "one" / "seed-2")
    assert work(page, [entry], seeds=None, jobs=None) == 0
    row = page.rows()["one"]
    assert len(row["runs"]) == 1
    assert row["f1"]["test"]["strict"]["sd"] is None
    assert row["collected"]["date"] != "1999-01-01"


def test_a_row_is_compared_with_its_base_once_both_are_there(page, trained, monkeypatch):
    _, entry, again = trained
    shutil.copytree(page.out / "one" / "seed-1", page.out / "two" / "seed-1")
    monkeypatch.setattr("benchmarks.accuracy.runs.SAMPLES", 200)
    assert work(page, [again], seeds=None, jobs=None) == 0
    found = page.rows()["two"]["against"]
    assert list(page.rows()) == ["two", "one"]  # the plan's order
    values = [run["scores"]["test"]["strict"]["f1"] for run in page.rows()["one"]["runs"]]
    assert found["test"]["difference"] == pytest.approx(values[0] - mean(values))
    assert found["test"]["over_seeds"] is None
    assert 0 < found["test"]["over_sentences"]["p"] <= 1
    assert "over_sentences" not in found["dev"]
    monkeypatch.setattr("benchmarks.accuracy.train.against", None)  # not called again
    assert work(page, [entry, again], seeds=None, jobs=None) == 0
    assert page.rows()["two"]["against"] == found


def test_a_corrected_file_is_scored_and_leaves_the_row_alone(page, trained, tmp_path):
    _, entry, _ = trained
    test = (EXAMPLES / "test.conll").read_text(encoding="utf-8")
    place = tmp_path / "corrected.conll"
    place.write_text(test, encoding="utf-8")
    entry = replace(entry, corrected=str(place))
    before = page.rows()["one"]
    shutil.rmtree(page.out / "one" / "seed-2")
    assert page.correct(entry)
    row = page.rows()["one"]
    found = row.pop("corrected")
    assert row == before
    (run,) = found["runs"]
    assert run["scores"] == read_report(page, "one", 1)["test"]["strict"]["micro"]
    assert (run["seed"], run["own"]) == (1, run["scores"]["f1"])
    assert found["of"] == [before["runs"][0]["digest"]]
    place.write_text(test.replace("B-PER", "B-LOC").replace("I-PER", "I-LOC"), encoding="utf-8")
    assert page.correct(entry)
    assert page.rows()["one"]["corrected"]["file"] != found["file"]
    place.write_text("\n".join(test.split("\n")[2:]), encoding="utf-8")
    with pytest.raises(ConfigError, match="not the sentences of row one's own test file"):
        page.correct(entry)
    assert not page.correct(replace(entry, corrected=""))


def test_a_row_may_begin_with_a_checkpoint_and_leave_its_sizes_out(page, tmp_path, monkeypatch):
    config = {key: value for key, value in ENGLISH.items() if key != "model"}
    config["init_from"] = str(page.out / "one" / "seed-1" / "checkpoint")
    (tmp_path / "more.toml").write_text(as_toml(config), encoding="utf-8")
    path, overrides = str(tmp_path / "more.toml"), ("training.epochs=1",)
    entry = Entry("more", "main", "Tiny", path, overrides=overrides, seeds=1)
    page = Page(Plan((entry,)), page.out, page.results)
    monkeypatch.setattr("tagbelt.training.run.seeds.run_tasks", run_here)
    assert work(page, [entry], seeds=None, jobs=1) == 0
    assert [run["seed"] for run in page.rows()["more"]["runs"]] == [1]


def test_runs_of_another_config_are_refused_and_harm_no_other_row(page, trained, capsys):
    _, entry, again = trained
    shutil.copytree(page.out / "one" / "seed-1", page.out / "two" / "seed-1")
    path = page.out / "two" / "seed-1" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["optimiser"]["clip"] = 1.0
    config["notes"] = "what no score depends on"
    path.write_text(json.dumps(config), encoding="utf-8")
    assert work(page, [again, entry], seeds=None, jobs=None) == 1
    assert list(page.rows()) == ["one"]
    told = capsys.readouterr().err
    assert "optimiser.clip (was 1.0, is 5.0)" in told
    assert "notes" not in told


def test_a_row_that_was_not_trained_is_named(page, trained, capsys):
    _, _, again = trained
    assert work(page, [again], seeds=None, jobs=None) == 0
    assert "no finished run: two" in capsys.readouterr().err
