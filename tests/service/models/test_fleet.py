"""Several processes that serve the same models: real ones, with a fake loader."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagbelt.service.models.desired import State, recovered
from tagbelt.service.models.fleet import Fleet, fleet_of_environment
from tagbelt.service.models.manager import Manager
from tagbelt.service.models.store import Place
from tests.service.models.folders import FakeLoad, changes_of, folder


class Worker:
    def __init__(self, root, runtime, *, patience=60, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.service.models.worker", root, runtime, str(patience)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
            | {name: str(value) for name, value in environment.items()},
        )

    @property
    def pid(self):
        return self.process.pid

    def ready(self):
        assert self.read() == "ready\n"
        return self

    def read(self):
        return self.process.stdout.readline()

    def send(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def ask(self, *command):
        self.send(*command)
        return json.loads(self.read())

    def loaded(self):
        return self.ask("loaded")["loaded"]


def until(condition):
    """Wait until something holds, with more patience than any machine needs."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def root(tmp_path):
    for full in ("en/1", "zh/1"):
        folder(tmp_path / "models" / full)
    return tmp_path / "models"


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def start(root, runtime):
    workers = []

    def start(**options):
        workers.append(Worker(root, runtime, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.send_signal(signal.SIGCONT)
        worker.process.stdin.close()
        worker.process.wait(timeout=60)
        worker.process.stdout.close()


def test_the_others_follow_before_the_answer(root, start):
    first, second = start(), start()
    first.ready(), second.ready()
    folder(root / "en" / "2")
    report = first.ask("rescan")
    assert report["ok"]
    assert [one["model"] for one in report["changes"]] == ["en@2", "en@1"]
    assert second.loaded() == first.loaded()
    assert list(second.loaded()) == ["en@2", "zh@1"]
    # The other one may lead as well.
    assert second.ask("set_default", "zh")["default"] == "zh@1"
    assert first.ask("loaded") == second.ask("loaded")
    assert second.ask("unload", "en")["ok"]
    assert list(first.loaded()) == ["zh@1"]
    # The same files, read again by all.
    before = first.ask("loaded")["stamps"]
    assert first.ask("reload", "zh")["ok"]
    assert first.ask("loaded")["stamps"] == second.ask("loaded")["stamps"] != before


def test_a_bad_model_fails_in_one_and_the_others_never_hear_of_it(root, runtime, start):
    first, second = start(), start()
    first.ready(), second.ready()
    before = second.ask("loaded")
    folder(root / "en" / "1", description="bad")
    answer = first.ask("reload", "en")
    assert answer == {"status": 409, "detail": f"{root}/en/1: no good"}
    assert first.ask("loaded") == second.ask("loaded") == before
    assert not (runtime / "desired.json").exists()


def test_two_rescans_at_once_are_one(root, start):
    first, second = start(), start()
    first.ready(), second.ready()
    folder(root / "en" / "2")
    for worker in (first, second):
        worker.send("rescan")
    reports = [json.loads(worker.read()) for worker in (first, second)]
    assert [report["ok"] for report in reports] == [True, True]
    assert sorted(len(report["changes"]) for report in reports) == [0, 2]
    assert first.ask("loaded") == second.ask("loaded")


def test_a_worker_that_cannot_follow_is_named_and_keeps_its_models(root, start):
    first, second = start(), start(CANNOT="en@2")
    first.ready(), second.ready()
    before = second.loaded()
    folder(root / "en" / "2")
    report = first.ask("rescan")
    assert report["ok"] is False
    (trouble,) = report["workers"]
    assert trouble["process"] == second.pid
    assert trouble["problem"]["status"] == 500
    assert (
        trouble["problem"]["detail"] == f"{root}/en/2: cannot be served: MemoryError: no room here"
    )
    assert second.loaded() == before
    # It does not lead before it has followed, and it is told of again.
    assert second.ask("rescan")["status"] == 500
    assert first.ask("rescan")["workers"][0]["process"] == second.pid
    shutil.rmtree(root / "en" / "2")
    assert first.ask("rescan")["ok"]
    assert second.loaded() == first.loaded() == before


def test_a_worker_that_does_not_answer_in_time_is_named(root, start):
    first, second = start(patience=0.5), start()
    first.ready(), second.ready()
    os.kill(second.pid, signal.SIGSTOP)
    folder(root / "en" / "2")
    (trouble,) = first.ask("rescan")["workers"]
    assert trouble["process"] == second.pid
    assert trouble["problem"]["detail"] == "did not answer within 0.5 s"
    os.kill(second.pid, signal.SIGCONT)
    until(lambda: second.loaded() == first.loaded())


def test_a_worker_that_was_killed_is_not_waited_for_and_its_successor_begins_alike(
    root, runtime, start
):
    first, second = start(), start()
    first.ready(), second.ready()
    second.process.kill()
    second.process.wait()
    folder(root / "en" / "2")
    assert first.ask("load", "en")["ok"]
    assert first.ask("set_default", "zh")["ok"]
    assert list(first.loaded()) == ["en@1", "en@2", "zh@1"]
    assert not (runtime / f"worker-{second.pid}.json").exists()
    third = start().ready()
    assert third.ask("loaded") == first.ask("loaded")


def test_what_is_published_while_a_worker_begins_is_followed(root, tmp_path, start):
    gate = tmp_path / "gate"
    gate.touch()
    late = start(SLOW=gate)
    first = start().ready()
    until(gate.with_suffix(".met").exists)
    folder(root / "en" / "2")
    assert first.ask("rescan")["ok"]
    gate.unlink()
    late.ready()
    until(lambda: late.loaded() == first.loaded())


def test_a_successor_takes_changed_files_and_a_rescan_makes_all_alike(root, start):
    first = start().ready()
    folder(root / "en" / "2")
    assert first.ask("rescan")["ok"]
    folder(root / "en" / "2", description="newer")
    second = start().ready()
    assert second.loaded() != first.loaded()
    assert second.ask("rescan")["ok"]
    assert second.ask("loaded") == first.ask("loaded")


def test_a_worker_that_ends_takes_its_name_from_the_list(runtime, start):
    worker = start().ready()
    mine = runtime / f"worker-{worker.pid}.json"
    assert json.loads(mine.read_text(encoding="utf-8")) == {"generation": 0, "error": None}
    worker.process.stdin.close()
    worker.process.wait(timeout=60)
    assert list(runtime.iterdir()) == []


def test_a_worker_that_ends_does_not_wait_for_the_others(root, runtime):
    changes = changes_of(root)
    fleet = Fleet(runtime)
    fleet.start(changes.follow, 0, None)
    stuck = runtime / f"worker-{os.getppid()}.json"
    stuck.write_text('{"generation": 0}', encoding="utf-8")
    manager = Manager(changes, fleet)
    folder(root / "en" / "2")
    future = manager.request_rescan()
    until((runtime / "desired.json").exists)
    manager.close()
    report = future.result(timeout=60)
    assert [one.process for one in report.workers] == [os.getppid()]
    assert not report.ok


def test_the_successor_serves_what_it_can(root):
    def model(name):
        return {
            "name": name,
            "version": "1",
            "path": root / name / "1",
            "digest": Place(name, "1", root / name / "1").digest(),
            "stamp": "s",
        }

    models = [model("en"), model("zh")]
    state = State.model_validate({"default": "en", "current": {}, "models": models})
    snapshot, trouble = recovered(state, FakeLoad())
    assert (list(snapshot.models), trouble) == (["en@1", "zh@1"], None)
    folder(root / "zh" / "1", description="bad")
    snapshot, trouble = recovered(state, FakeLoad())
    assert (list(snapshot.models), trouble) == (["en@1"], f"{root}/zh/1: no good")
    folder(root / "en" / "1", description="bad")
    with pytest.raises(Exception, match=r"en/1: no good; .*zh/1: no good"):
        recovered(state, FakeLoad())


def test_a_process_of_its_own_has_no_fleet(monkeypatch, tmp_path):
    monkeypatch.delenv("TAGBELT_RUNTIME", raising=False)
    assert fleet_of_environment() is None
    monkeypatch.setenv("TAGBELT_RUNTIME", str(tmp_path))
    assert fleet_of_environment().desired() is None
