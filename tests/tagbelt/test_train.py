"""`tagbelt train`; what training itself does: tests/training."""

import os
import re
import sys

import pytest
from pydantic import BaseModel, model_serializer

from tagbelt.commands.train import RUNS
from tests.training.tiny import ENGLISH, as_toml, merged


@pytest.fixture
def config(tmp_path):
    def write(changes=None):
        path = tmp_path / "tiny.toml"
        path.write_text(as_toml(merged(ENGLISH, changes or {})), encoding="utf-8")
        return path

    return write


def test_a_run_from_config_to_tagged_text(cli, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("train", config(), "--set", "training.epochs=1", "--set", "name=mine")
    assert done.code == 0
    assert done.out == "", "results go to files and are told on standard error"
    assert "epoch   1/1 " in done.err
    assert re.search("strict (mode|and default mode alike), IOB2, seqeval", done.err)
    *_, nothing, place, example = done.err.splitlines()
    checkpoint = RUNS / "mine" / "checkpoint"
    assert (nothing, place) == ("", f"checkpoint: {checkpoint}")
    assert re.fullmatch(rf"Try:        echo '.+' \| tagbelt tag --model {checkpoint}", example)
    tagged = cli("tag", "-m", RUNS / "mine" / "checkpoint", "--to", "view", input=b"Nothing\n")
    assert tagged.out.startswith("Nothing")
    again = cli("train", config(), "--set", "name=mine")
    assert again.code == 1
    assert again.err == (
        "tagbelt train: runs/mine: a run is here already; go on with --resume, or give another"
        " --out\n"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.epoch": 1}, "{config}: training.epoch: unknown key"),
        ({"data.dev": "gone"}, "data.dev: no such file: {root}/gone"),
        ({"model.words": {"vectors": "gone.txt"}}, "gone.txt: no vector file to read"),
        ({"data.root": "$NOT_SET_HERE"}, "set the environment variable NOT_SET_HERE"),
        ({"optimiser.learning_rate": 1e38}, "lower optimiser.learning_rate or optimiser.clip"),
        ({"data.scheme": "BIOES"}, "train.conll:2: "),
    ],
)
def test_what_can_not_be_trained_is_told_without_a_traceback(
    cli, config, tmp_path, changes, message
):
    path = config({"optimiser.warmup": 0.0, **changes})
    done = cli("train", path, "--out", tmp_path / "run")
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("tagbelt train: ")
    assert message.format(config=path, root=ENGLISH["data"]["root"]) in last
    assert "Traceback" not in done.err
    # What was refused before it began has left nothing.
    assert not (tmp_path / "run").exists() or any((tmp_path / "run").iterdir())


class Stopped(BaseModel):
    """Something pydantic is writing just when Ctrl-C comes."""

    @model_serializer
    def written(self) -> None:
        raise KeyboardInterrupt


def stop_in_a_library(*_, **__):
    Stopped().model_dump()


def stop_and_fail_to_clean_up(*_, **__):
    try:
        raise KeyboardInterrupt
    finally:
        os.close(-1)


@pytest.mark.parametrize("stop", [stop_in_a_library, stop_and_fail_to_clean_up])
def test_an_interrupt_is_one_even_where_an_error_of_a_library_hides_it(
    cli, config, tmp_path, monkeypatch, stop
):
    monkeypatch.setattr("tagbelt.training.run.train.save_state", stop)
    done = cli("train", config(), "--out", tmp_path / "run")
    assert done.code == 130
    assert done.err.endswith(
        "\ntagbelt train: stopped; all whole epochs are kept: go on with --resume\n"
    )
    monkeypatch.setattr("tagbelt.training.scores.evaluate.evaluate", stop)
    done = cli("evaluate", tmp_path, "--threads", 1, "in.conll")
    assert (done.code, done.err) == (130, "tagbelt evaluate: stopped\n")


def test_seeds_end_in_a_table_and_their_failure_in_one_line(cli, config, tmp_path, monkeypatch):
    """In this process; in processes of their own: tests/training/run/test_seeds.py."""

    def run_here(tasks, *, jobs, begins):
        assert jobs == 2
        for n, task in tasks.items():
            if begins(n):
                yield n, cli("train", *task.arguments).code

    monkeypatch.setattr("tagbelt.training.run.seeds.run_tasks", run_here)
    command = ("train", config({"training.epochs": 1}), "--seeds", 2, "--jobs", 2)
    done = cli(*command, "--out", tmp_path / "out")
    assert done.code == 0
    assert done.out == ""
    assert "\n\ntiny, F1 of 2 seeds, in per cent\n" in done.err
    assert done.err.endswith(f"\n\nscores: {tmp_path / 'out' / 'seeds.json'}\n")
    done = cli(*command, "--out", tmp_path / "bad", "--set", "data.scheme=BIOES")
    assert done.code == 1
    assert done.err.endswith(
        f"tagbelt train: {tmp_path / 'bad'}: failed: seed 1; the same command tries again\n"
    )


def test_jobs_are_for_seeds(cli, config):
    done = cli("train", config(), "--jobs", 2)
    assert done.code == 2
    assert "--jobs: it takes --seeds as well" in done.err


def test_without_a_package_of_training_the_remedy_is_told(cli, config, monkeypatch):
    monkeypatch.delitem(sys.modules, "tagbelt.commands.training_view", raising=False)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    done = cli("train", config())
    assert done.code == 1
    assert done.err == (
        "tagbelt train: rich is not installed: run `make setup`, or pip install 'tagbelt[train]'\n"
    )
