"""Whatever kills a run, and whenever: resumed, it ends as a run that nobody killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagbelt.errors import ConfigError
from tagbelt.training.run.checkpoint import check_same
from tagbelt.training.run.train import train
from tests.training.tiny import ENGLISH, as_toml, merged, tiny_config

ROOT = Path(__file__).parents[2]
TIMES = ("train/tokens_per_second", "train/seconds")


def run_python(*arguments):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def outcome(directory):
    """All that a run leaves behind, but for times and TensorBoard's file names."""
    left = {path.name for path in directory.iterdir()}
    files = {
        str(path.relative_to(directory)): path.read_bytes()
        for folder in ("checkpoint", "state")
        for path in (directory / folder).iterdir()
    }
    lines = (directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [
        {name: value for name, value in json.loads(line).items() if name not in TIMES}
        for line in lines
    ]
    return left, files, metrics, (directory / "report.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def crashes(tmp_path_factory):
    root = tmp_path_factory.mktemp("crashes")
    config = merged(ENGLISH, {"training.epochs": 2})
    program = ROOT / "benchmarks" / "reliability" / "crashes.py"
    with run_python(program, root, json.dumps(config)) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    return root, [json.loads(line) for line in out.splitlines()]


def test_a_run_killed_at_any_change_of_a_file_ends_the_same(crashes):
    root, records = crashes
    assert len(records) > 12
    whole = outcome(root / "whole")
    assert len(whole[2]) == 2
    for record in records:
        assert record["killed"] == signal.SIGKILL, record
        assert record["resumed"] == 0, record
        assert outcome(root / f"{record['at']:03d}") == whole, record


def test_a_run_killed_between_two_renames_was_among_them(crashes):
    """The moments at which there is no `state`, or no `checkpoint`, but the old one set aside."""
    _, records = crashes
    for name in ("state", "checkpoint"):
        assert any(f".{name}.old" in r["left"] and name not in r["left"] for r in records), name


def test_tensorboard_shows_each_epoch_of_a_resumed_run_once(crashes):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    root, records = crashes
    for at in (record["at"] for record in records):
        events = EventAccumulator(str(root / f"{at:03d}" / "tensorboard")).Reload()
        assert [point.step for point in events.Scalars("dev/f1")] == [1, 2], at


def wait_for_epochs(process, directory, count):
    """Return once so many epochs are in the metrics."""
    metrics = directory / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text(encoding="utf-8").count("\n") < count:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_interrupted_then_killed_then_resumed_from_the_command_line(tmp_path, trained):
    changes = {"training.epochs": 20, "training.patience": 20, "optimiser.schedule": "constant"}
    changes["optimiser.average"] = 0.0  # whose optimiser defers moves; the killed runs' does not
    config = tmp_path / "tiny.toml"
    config.write_text(as_toml(merged(ENGLISH, changes)), encoding="utf-8")
    out = tmp_path / "run"
    command = ("train", config, "--out", out)
    with run_python("-m", "tagbelt", *command) as process:
        wait_for_epochs(process, out, 3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.endswith(
        "\ntagbelt train: stopped; all whole epochs are kept: go on with --resume\n"
    )
    kept = json.loads((out / "state" / "progress.json").read_text(encoding="utf-8"))["epoch"]
    assert 2 <= kept < 16
    with run_python("-m", "tagbelt", *command, "--resume") as process:
        wait_for_epochs(process, out, kept + 4)
        process.kill()
    with run_python("-m", "tagbelt", *command, "--resume") as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert f"checkpoint: {out / 'checkpoint'}" in err
    assert outcome(out) == outcome(trained(changes, directory=tmp_path / "whole").directory)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser.name": "sgd", "optimiser.average": 0.0},
        {"optimiser.name": "sgd", "optimiser.momentum": 0.9},
        {"optimiser.name": "adamw", "optimiser.weight_decay": 0.1},
        {"optimiser.average": 0.0, "model.bigrams": {"size": 4, "dropout": 0.2}},
    ],
)
def test_every_optimiser_resumes(trained, tmp_path, changes):
    """More epochs are as good as an interrupt, where the schedule does not look ahead."""
    options = {**changes, "optimiser.schedule": "constant"}
    trained({**options, "training.epochs": 2}, directory=tmp_path)
    resumed = trained({**options, "training.epochs": 4}, directory=tmp_path, resume=True)
    assert outcome_of_weights(resumed) == outcome_of_weights(
        trained({**options, "training.epochs": 4})
    )


def outcome_of_weights(run):
    return {
        path.name: path.read_bytes() for path in (run.directory / "state").glob("*.safetensors")
    }


def test_a_finished_run_resumes_to_the_same_report(trained, tmp_path):
    first = trained(directory=tmp_path)
    before = outcome(tmp_path)
    assert trained(directory=tmp_path, resume=True).report == first.report
    assert outcome(tmp_path) == before


def test_there_must_be_a_run_to_resume(tmp_path):
    with pytest.raises(ConfigError, match=r"no run here to resume; run without --resume"):
        train(tiny_config(), tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_a_directory_is_for_one_process_at_a_time(tmp_path):
    config = tmp_path / "tiny.toml"
    text = as_toml(merged(ENGLISH, {"training.epochs": 200, "training.patience": 200}))
    config.write_text(text, encoding="utf-8")
    out = tmp_path / "run"
    with run_python("-m", "tagbelt", "train", config, "--out", out) as process:
        wait_for_epochs(process, out, 1)
        for resume in (False, True):
            with pytest.raises(ConfigError, match=r"run: another process trains here"):
                train(tiny_config(), out, resume=resume)
        process.kill()
    train(tiny_config({"training.epochs": 200, "training.patience": 1}), out, resume=True)


def test_another_config_is_refused_and_the_key_named(trained, tmp_path):
    trained({"training.epochs": 1}, directory=tmp_path)
    before = outcome(tmp_path)
    other = tiny_config({"model.encoder.cell": "gru", "optimiser.learning_rate": 0.1})
    with pytest.raises(ConfigError) as caught:
        train(other, tmp_path, resume=True)
    assert str(caught.value) == (
        f"{tmp_path / 'state'}: can't resume with another config: model.encoder.cell (was 'lstm',"
        " is 'gru'); optimiser.learning_rate (was 0.03, is 0.1)"
    )
    assert outcome(tmp_path) == before


def test_other_data_is_refused(trained, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "dev"):
        (data / name).write_text("Ada B-PER\nmet O\nBo B-PER\n", encoding="utf-8")
    splits = {"data.root": str(data), "data.train": "train", "data.dev": "dev", "data.test": []}
    out = tmp_path / "run"
    trained({**splits, "training.epochs": 1}, directory=out)
    (data / "train").write_text("Ada B-PER\nmet O\nBo O\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"state: can't resume: the training or dev files have changed"
    ):
        train(tiny_config(splits), out, resume=True)


def test_epochs_patience_device_and_threads_may_change():
    saved = tiny_config().model_dump(mode="json")
    may = {"training.epochs": 9, "training.patience": 2, "training.device": "cpu"}
    may["training.threads"] = 2
    check_same(saved, tiny_config(may), place="run")
    for key, value in {"training.seed": 7, "training.batch_size": 2, "data.train": ["x"]}.items():
        with pytest.raises(ConfigError, match=key):
            check_same(saved, tiny_config({key: value}), place="run")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run of two epochs that wants to go on to four."""
    directory = tmp_path_factory.mktemp("stopped") / "run"
    train(tiny_config({"training.epochs": 2}), directory)
    return directory


def go_on(stopped, tmp_path, damage):
    """Damage a copy of the run, and resume it."""
    copy = tmp_path / "run"
    shutil.copytree(stopped, copy)
    damage(copy)
    train(tiny_config({"training.epochs": 4}), copy, resume=True)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


STATE_FILES = ["progress.json", "network.safetensors", "average.safetensors"]


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *((name, flip) for name in STATE_FILES),
        *((STATE_FILES[0], harm) for harm in (cut, Path.unlink)),
    ],
)
def test_a_damaged_state_is_refused_and_the_file_named(stopped, tmp_path, name, harm):
    with pytest.raises(ConfigError, match=f"can't resume: .*state/{name} is (damaged|missing)"):
        go_on(stopped, tmp_path, lambda run: harm(run / "state" / name))


@pytest.mark.parametrize(
    ("name", "harm"), [(STATE_FILES[0], cut), (STATE_FILES[0], Path.unlink), (STATE_FILES[1], cut)]
)
def test_so_is_one_without_sums_as_earlier_releases_wrote_it(stopped, tmp_path, name, harm):
    def damage(run):
        (run / "state" / "SHA256SUMS").unlink()
        harm(run / "state" / name)

    with pytest.raises(ConfigError, match=r"can't resume: .*(is damaged|is missing)"):
        go_on(stopped, tmp_path, damage)


def test_a_state_without_sums_still_resumes(stopped, tmp_path):
    go_on(stopped, tmp_path, lambda run: (run / "state" / "SHA256SUMS").unlink())


def test_a_lost_state_does_not_start_anew(stopped, tmp_path):
    with pytest.raises(
        ConfigError, match=r"progress\.json is missing, though 2 epochs were trained"
    ):
        go_on(stopped, tmp_path, lambda run: shutil.rmtree(run / "state"))


@pytest.mark.parametrize("name", ["files.json", "metrics.jsonl"])
def test_a_damaged_file_of_a_run_is_named(stopped, tmp_path, name):
    def damage(run):
        (run / name).write_text('{"train": \n', encoding="utf-8")

    with pytest.raises(ConfigError, match=f"{name}.*damaged"):
        go_on(stopped, tmp_path, damage)


def test_a_full_disk_is_one_line_and_keeps_the_whole_epochs(stopped, tmp_path):
    copy, config = tmp_path / "run", tmp_path / "tiny.toml"
    shutil.copytree(stopped, copy)
    state = {path.name: path.read_bytes() for path in (copy / "state").iterdir()}
    config.write_text(as_toml(merged(ENGLISH, {"training.epochs": 4})), encoding="utf-8")
    # No file may grow beyond this: as on a full disk, writing fails in the middle of one.
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000));"
        "import tagbelt.commands.cli as c; c.app()"
    )
    arguments = ("train", config, "--out", copy, "--resume")
    with run_python("-c", program, *arguments) as process:
        _, err = process.communicate()
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "tagbelt train: " in err.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in (copy / "state").iterdir()} == state
    assert not [*copy.glob(".*")]
