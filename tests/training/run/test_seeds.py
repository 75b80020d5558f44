"""A series of seeds: ordinary runs side by side, whatever ended the command before."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tagbelt.commands.cli import app
from tagbelt.errors import ConfigError, SeedsError
from tagbelt.training.run.seeds import seconds_left, seed_directories, train_seeds
from tagbelt.training.rundir import held, read_saved
from tests.training.tiny import ENGLISH, EXAMPLES, as_toml, merged

ROOT = Path(__file__).parents[3]


@pytest.fixture
def in_here(monkeypatch):
    """Have the seeds trained in this process, one after the other; return those that were."""
    trained = []

    def run_here(tasks, *, jobs, begins):
        assert jobs == 1
        for seed, task in tasks.items():
            if not begins(seed):
                return
            trained.append(seed)
            yield seed, CliRunner().invoke(app, ["train", *task.arguments]).exit_code

    monkeypatch.setattr("tagbelt.training.run.seeds.run_tasks", run_here)
    return trained


@pytest.fixture
def series(in_here, tmp_path):
    """Train a series of tiny runs: `series(2, {"section.key": value})`."""

    def train(count, changes=None):
        config = tmp_path / "series.toml"
        text = as_toml(merged(ENGLISH, {"training.epochs": 2, **(changes or {})}))
        config.write_text(text, encoding="utf-8")
        del in_here[:]
        said = []
        out = tmp_path / "out"
        summary = train_seeds(config, [], out, count=count, jobs=1, tell=said.append)
        return summary, said

    return train


def sums(run):
    return (run / "checkpoint" / "SHA256SUMS").read_bytes()


def test_every_seed_is_the_run_that_it_would_be_alone(series, trained, tmp_path):
    summary, said = series(2, {"training.seed": 4})
    out = tmp_path / "out"
    assert seed_directories(out) == [out / "seed-4", out / "seed-5"]
    for seed in (4, 5):
        alone = trained({"training.epochs": 2, "training.seed": seed})
        assert sums(out / f"seed-{seed}") == sums(alone.directory)
    saved = json.loads((out / "seeds.json").read_text(encoding="utf-8"))
    assert saved == json.loads(json.dumps(summary.as_json()))
    reports = [
        json.loads((out / f"seed-{seed}" / "report.json").read_text(encoding="utf-8"))
        for seed in (4, 5)
    ]
    for split in ("dev", "test"):
        f1 = [report[split]["strict"]["micro"]["f1"] for report in reports]
        assert saved["f1"][split]["strict"]["mean"] == pytest.approx(sum(f1) / 2)
    assert [line.partition(" [")[0] for line in said] == [
        f"{what}: {out / f'seed-{n}'}" for n in (4, 5) for what in ("begins", "finished")
    ]
    scores = r"dev F1 \d+\.\d\d, test F1 \d+\.\d\d"
    assert re.fullmatch(rf".* \[#\.\] 1 of 2: {scores}; about \d+ (s|min) left", said[1])
    assert re.fullmatch(rf".* \[##\] 2 of 2: {scores}", said[3])


def test_the_time_left_counts_those_side_by_side():
    assert seconds_left(60, [], 0, 1) == 0
    assert seconds_left(60, [], 4, 1) == 240
    assert seconds_left(60, [50], 3, 2) == 120  # in two places: from 0 and from 10 on
    assert seconds_left(60, [70, 20], 0, 2) == 40


def test_what_is_finished_stays_and_more_seeds_join(series, in_here, tmp_path):
    series(1)
    report = tmp_path / "out" / "seed-1" / "report.json"
    before = report.stat().st_mtime_ns
    summary, said = series(2)
    assert in_here == [2]
    assert said[0] == "finished before: seed 1"
    assert [run.seed for run in summary.runs] == [1, 2]
    assert report.stat().st_mtime_ns == before
    assert [run.seed for run in series(1)[0].runs] == [1], "those that were asked for"
    assert in_here == []


def test_another_config_or_other_files_are_refused(series, in_here, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(EXAMPLES, data)
    series(1, {"data.root": str(data)})
    with pytest.raises(ConfigError) as caught:
        series(2, {"data.root": str(data), "training.epochs": 3})
    assert str(caught.value) == (
        f"{tmp_path / 'out' / 'seed-1'}: a run of another config is here:"
        " training.epochs (was 2, is 3)"
    )
    with (data / "test.conll").open("a", encoding="utf-8") as stream:
        stream.write("\nMore O\n")
    with pytest.raises(ConfigError, match=r"changed since this run began: test file test\.conll"):
        series(2, {"data.root": str(data)})
    assert in_here == [], "before anything is trained"


def test_a_seed_goes_on_with_the_threads_that_it_began_with(series, in_here):
    series(1, {"training.threads": 1})
    assert [run.seed for run in series(2, {"training.threads": 2})[0].runs] == [1, 2]
    assert in_here == [2]


def test_seeds_that_join_later_train_as_the_first_one_did(series, in_here, tmp_path, monkeypatch):
    """Also where the rule that sets what the config leaves out has changed since."""
    series(1)
    monkeypatch.setattr("tagbelt.training.config.FEWEST_WAITING", 500)
    series(2)
    first, second = (read_saved(run) for run in seed_directories(tmp_path / "out"))
    assert in_here == [2]
    assert first.training.patience == second.training.patience == 50


def test_a_run_does_not_go_into_the_directory_of_a_series(series, trained, tmp_path):
    series(1)
    with pytest.raises(ConfigError, match="out: a series of seeds is here; give another --out"):
        trained({"training.epochs": 1}, directory=tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_series_does_not_go_into_the_directory_of_a_run(series, trained, tmp_path):
    trained({"training.epochs": 1}, directory=tmp_path / "out")
    with pytest.raises(ConfigError, match="out: a run of one seed is here already"):
        series(1)


def test_a_seed_that_fails_before_its_first_epoch_ends_the_series(series, in_here):
    with pytest.raises(SeedsError, match="failed: seed 1; the same command tries again"):
        series(3, {"data.scheme": "BIOES"})
    assert in_here == [1]


def test_a_seed_that_fails_later_does_not(series, in_here, monkeypatch):
    from tagbelt.training.run.train import finish

    def fail_once(run):
        if run.trainer.config.training.seed == 2:
            raise FloatingPointError("too far")
        return finish(run)

    monkeypatch.setattr("tagbelt.training.run.train.finish", fail_once)
    with pytest.raises(SeedsError, match="failed: seed 2; the same command tries again"):
        series(3)
    assert in_here == [1, 2, 3]
    monkeypatch.setattr("tagbelt.training.run.train.finish", finish)
    summary, _ = series(3)
    assert in_here == [2]
    assert [run.seed for run in summary.runs] == [1, 2, 3]


def wait_until_free(directory):
    """Return once no process trains there: the seeds of a killed series end by themselves."""
    while True:
        with contextlib.suppress(ConfigError), held(directory):
            return
        time.sleep(0.01)


def test_killed_in_the_midst_and_started_again(series, tmp_path, trained):
    changes = {"training.epochs": 40, "training.patience": 40}
    config = tmp_path / "tiny.toml"
    config.write_text(as_toml(merged(ENGLISH, changes)), encoding="utf-8")
    run = tmp_path / "out" / "seed-1"
    options = ("--seeds", "1", "--jobs", "2", "--out", str(run.parent))
    with subprocess.Popen(
        [sys.executable, "-m", "tagbelt", "train", str(config), *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    ) as process:
        while not (run / "metrics.jsonl").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.kill()
        told = process.stderr.read().decode("utf-8")
    wait_until_free(run)
    assert told == f"tagbelt train: begins: {run}, log in {run / 'train.log'}\n"
    assert "types: LOC, ORG, PER" in (run / "train.log").read_text(encoding="utf-8")
    assert not (run / "report.json").exists()
    series(1, changes)
    whole = trained(changes)
    assert sums(run) == sums(whole.directory)
    report = (run / "report.json").read_text(encoding="utf-8")
    assert report == (whole.directory / "report.json").read_text(encoding="utf-8")
