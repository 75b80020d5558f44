import os
from pathlib import Path

import pytest

from tagbelt.inference.tagger import Tagger
from tagbelt.inference.threads import available_threads, cpu_quota

GOLDEN = Path(__file__).parents[1] / "golden"
V2 = "cpu.max"
V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


@pytest.fixture
def cgroup(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="ascii")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({V2: "max 100000\n"}, None),
        ({V2: "150000 100000\n"}, 1.5),
        ({V2: "50000 100000\n"}, 0.5),
        ({V2: "max 100000\n", V1[0]: "100000\n", V1[1]: "100000\n"}, None),
        ({V1[0]: "-1\n", V1[1]: "100000\n"}, None),
        ({V1[0]: "400000\n", V1[1]: "100000\n"}, 4.0),
        ({V1[0]: "400000\n"}, None),
        ({V2: "", V1[0]: "200000\n", V1[1]: "100000\n"}, 2.0),
        ({V2: "many few\n"}, None),
        ({V2: "100000 0\n"}, None),
    ],
)
def test_the_quota_of_a_cgroup(cgroup, files, quota):
    assert cpu_quota(cgroup(files)) == quota


@pytest.mark.parametrize(
    ("quota", "cores", "threads"),
    [("max", 8, 8), ("350000", 8, 3), ("50000", 8, 1), ("1600000", 8, 8), ("max", 1, 1)],
)
def test_threads_are_the_cores_that_may_be_used(cgroup, monkeypatch, quota, cores, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert available_threads(cgroup({V2: f"{quota} 100000\n"})) == threads


@pytest.mark.parametrize(("count", "threads"), [(6, 6), (None, 1)])
def test_a_system_without_affinity_counts_its_cores(tmp_path, monkeypatch, count, threads):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert available_threads(tmp_path) == threads


@pytest.mark.parametrize(("threads", "workers"), [(None, 5), (3, 3), (1, 1)])
def test_a_tagger_has_a_worker_a_thread_and_sessions_of_one(monkeypatch, threads, workers):
    monkeypatch.setattr("tagbelt.inference.tagger.available_threads", lambda: 5)
    tagger = Tagger.load(GOLDEN / "checkpoint", threads=threads)
    assert tagger._decoder._workers.count == workers
    session = tagger._decoder._scorer._sequence
    assert session.get_session_options().intra_op_num_threads == 1
