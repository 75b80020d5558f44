"""The metrics of several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagbelt.service.telemetry.shared import VARIABLE, share_metrics

ROOT = Path(__file__).parents[3]

# A worker: counts, says that it has, waits for a word, and shows everybody's metrics.
WORKER = """
import sys
from tagbelt.service.telemetry.metrics import Metrics, Moment
from tests.service.fake import FakeTagger
from tagbelt.service.models.served import Served

served = Served(FakeTagger("en", version=sys.argv[1]))
moment = Moment(queue_depth=int(sys.argv[1]), ready=True, models=[served])
metrics = Metrics()
metrics.watch(lambda: moment)
metrics.request("/v1/tag", "POST", 200, 0.003)
metrics.refresh()
print("counted", flush=True)
for line in sys.stdin:
    if line == "unload\\n":
        moment = Moment()
    metrics.refresh()
    print(metrics.exposition()[0].decode() + "# EOF", flush=True)
"""

# What the process that started them does about one that has ended.
FORGET = (
    "import sys; from tagbelt.service.telemetry.shared import forget_worker as f;"
    " f(int(sys.argv[1]))"
)


class Worker:
    def __init__(self, number: int, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {VARIABLE: str(folder)},
        )
        assert self._process.stdin
        assert self._process.stdout
        self.pid = self._process.pid
        self._in, self._out = self._process.stdin, self._process.stdout

    def wait(self) -> None:
        assert self._out.readline() == "counted\n"

    def values(self, command: str = "show") -> dict[str, float]:
        self._in.write(f"{command}\n")
        self._in.flush()
        lines = []
        while (line := self._out.readline()) != "# EOF\n":
            assert line, "the worker has ended"
            lines.append(line)
        samples = [line.rsplit(" ", 1) for line in lines if line[0] != "#"]
        return {name: float(value) for name, value in samples}

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # so that it is taken back at the end
    (tmp_path / "counter_1.db").write_bytes(b"left over")
    share_metrics(tmp_path)
    return tmp_path


@pytest.fixture
def workers(folder):
    made = [Worker(number, folder) for number in (1, 2)]
    for worker in made:
        worker.wait()
    yield made
    for worker in made:
        worker.kill()


def test_any_worker_answers_for_all_and_the_dead_leave_the_gauges(workers):
    first, second = workers
    counted = 'tagbelt_requests_total{method="POST",route="/v1/tag",status="200"}'
    bucket = 'tagbelt_request_seconds_bucket{le="0.005",route="/v1/tag"}'
    found = first.values()
    assert found == second.values()
    assert (found[counted], found[bucket]) == (2, 2)
    assert found["tagbelt_queue_depth"] == 3
    assert found["tagbelt_ready"] == 1
    assert len([name for name in found if name.startswith("tagbelt_model_info")]) == 2

    assert first.values("unload")["tagbelt_ready"] == 0  # since one of the two is not
    found = second.values()
    assert found["tagbelt_queue_depth"] == 2
    assert len([name for name in found if name.startswith("tagbelt_model_info")]) == 1

    first.kill()
    subprocess.run([sys.executable, "-c", FORGET, str(first.pid)], check=True, cwd=ROOT)
    found = second.values()
    assert found["tagbelt_ready"] == 1
    assert found[counted] == 2  # what it did, it did


def test_what_an_earlier_run_left_is_removed(folder):
    assert list(folder.iterdir()) == []
    assert os.environ[VARIABLE] == str(folder)


def test_the_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    share_metrics(tmp_path / "run" / "metrics")
    assert (tmp_path / "run" / "metrics").is_dir()


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        share_metrics(tmp_path / "file" / "metrics")
