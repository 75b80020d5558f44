"""Several processes that share each batch: two real ones, by gloo on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tagbelt.errors import ConfigError, WorkerError
from tagbelt.training.loop.ranks import device_of, together
from tagbelt.training.run.seeds import train_seeds
from tagbelt.training.search.study import search
from tests.training.tiny import ENGLISH, as_toml, merged, tiny_config

ROOT = Path(__file__).parents[3]
CHANCE = {  # in all that chance touches; a last batch of one sentence, of which one rank has none
    "model.words.word_dropout": 0.2,
    "model.characters.dropout": 0.4,
    "model.bigrams": {"size": 4, "dropout": 0.2},
    "model.encoder.dropout": 0.4,
    "optimiser.adversarial": 0.5,
    "optimiser.schedule": "constant",
    "training.batch_size": 3,
    "training.patience": 300,
}
SPARSE = {**CHANCE, "optimiser.average": 0.0}


def two_ranks(tmp_path, changes, out):
    """Two processes of one run, as `torchrun` starts them."""
    config = tmp_path / "tiny.toml"
    config.write_text(as_toml(merged(ENGLISH, changes)), encoding="utf-8")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *torchrun, "-m", "tagbelt", "train", str(config), "--out", str(out)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def epochs(directory):
    path = directory / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def assert_same_run(directory, whole):
    found, wanted = epochs(directory), epochs(whole)
    assert [line["train/loss"] for line in found] == pytest.approx(
        [line["train/loss"] for line in wanted], rel=1e-4
    )
    assert [line["dev/f1"] for line in found] == [line["dev/f1"] for line in wanted]
    reports = [json.loads((d / "report.json").read_text("utf-8")) for d in (directory, whole)]
    assert reports[0] == reports[1]


def test_two_ranks_train_as_one_process_and_one_goes_on(tmp_path, trained):
    out = tmp_path / "run"
    with two_ranks(tmp_path, {**SPARSE, "training.epochs": 5}, out) as ranks:
        said, err = ranks.communicate()
    assert ranks.returncode == 0, err
    assert said == ""
    assert "device: cpu, 1 thread; 2 ranks share each batch" in err.splitlines()[-100:]
    assert err.count("epoch   1/5") == err.count("checkpoint: ") == 1  # one rank alone tells
    more = {**SPARSE, "training.epochs": 7}
    trained(more, directory=out, resume=True)
    whole = trained(more)
    assert max(line["dev/f1"] for line in epochs(whole.directory)) > 0.5
    assert_same_run(out, whole.directory)


def rank_of(process):
    """The rank of a process's child, by its number."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("utf-8").split()
    found = {}
    for child in children:
        for line in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if line.startswith(b"RANK="):
                found[int(line.removeprefix(b"RANK="))] = int(child)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="finds the ranks in /proc")
def test_a_killed_rank_ends_all_and_the_run_goes_on(tmp_path, trained):
    out = tmp_path / "run"
    with two_ranks(tmp_path, {**CHANCE, "training.epochs": 300}, out) as ranks:
        while not epochs(out):
            assert ranks.poll() is None, ranks.communicate()[1]
            time.sleep(0.01)
        os.kill(rank_of(ranks)[1], signal.SIGKILL)
        _, err = ranks.communicate()
    assert ranks.returncode == 1
    assert "Signal 9 (SIGKILL)" in err  # torchrun's words; it may end the other before that speaks
    more = {**CHANCE, "training.epochs": len(epochs(out)) + 1}
    trained(more, directory=out, resume=True)
    assert_same_run(out, trained(more).directory)


def test_a_rank_that_is_left_alone_says_so():
    told = "rank 0: another rank has ended; all whole epochs are kept"
    with pytest.raises(WorkerError, match=told), together():
        raise RuntimeError("Connection closed by peer")


def test_seeds_and_searches_are_refused_under_torchrun(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="--seeds is not for torchrun"):
        train_seeds(tmp_path / "no.toml", [], tmp_path, count=2, jobs=1, tell=print)
    with pytest.raises(ConfigError, match="tagbelt search is not for torchrun"):
        search(tiny_config(), tmp_path, minutes=1)
    assert not list(tmp_path.iterdir())


def test_each_rank_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device_of("auto") == device_of("cuda") == torch.device("cuda", 1)
    assert chosen == [torch.device("cuda", 1)] * 2
    assert device_of("cpu") == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match=r"this machine has 2: start with --nproc-per-node 2"):
        device_of("auto")
