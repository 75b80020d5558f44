"""Several worker processes, and what becomes of the service when one of them dies."""

import os
import re
import signal
import stat
from pathlib import Path

import httpx
import pytest

from tagbelt.service.models.fleet import RUNTIME_VARIABLE as FLEET_VARIABLE
from tagbelt.service.process.supervisor import RUNTIME_VARIABLE
from tagbelt.service.telemetry.shared import VARIABLE as METRICS_VARIABLE
from tests.service.process.hammer import Hammer
from tests.service.process.running import is_alive, running, until

TWO = {"workers": 2, "drain_seconds": 0}
MEGABYTE = 1 << 20


def environment(pid):
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if entry)


def memory(pid):
    """Resident bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def test_two_workers_share_the_port_and_their_supervisor_is_small(tmp_path):
    # The fake fails unless each gets this share of the threads.
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    with running(tmp_path, threads=threads, settings=TWO) as server:
        assert server.said.count("Try: ") == 1
        assert len(server.workers) == 2
        with Hammer(server.url, 8) as hammer:
            hammer.wait_for(200)
        assert memory(server.process.pid) < min(map(memory, server.workers)) - 20 * MEGABYTE
        assert server.end() == 0
        counts = [len(path.read_text(encoding="utf-8")) for path in tmp_path.glob("count-*")]
        assert len(counts) == 2
        assert set(hammer.counts) == {"right"}


def test_the_workers_have_a_private_folder_which_goes_with_them(tmp_path):
    with running(tmp_path, settings=TWO) as server:
        first, second = map(environment, server.workers)
        assert RUNTIME_VARIABLE == FLEET_VARIABLE
        folder = Path(first[RUNTIME_VARIABLE])
        assert second[RUNTIME_VARIABLE] == str(folder)
        assert first[METRICS_VARIABLE] == second[METRICS_VARIABLE] == str(folder / "metrics")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert server.end() == 0
        assert not folder.exists()


def test_a_killed_worker_is_replaced_while_the_others_go_on(tmp_path):
    with running(tmp_path, settings=TWO) as server:
        before = server.workers
        with Hammer(server.url, 6, stop_when_refused=False) as hammer:
            hammer.wait_for(100)
            os.kill(before[0], signal.SIGKILL)
            until(lambda: is_new_and_up(server, before), "a new worker")
            hammer.wait_for(hammer.counts["right"] + 300)
        counts = hammer.counts
        # What the killed one had accepted is lost, at most one request a client; no other is.
        assert counts["unread"] + counts["broken"] <= 6, hammer.errors
        assert counts["refused"] == counts["wrong"] == 0
        assert before[1] in server.workers
        assert "was ended by SIGKILL; another starts in 0 s" in server.log
        assert server.end() == 0
        begun, done = server.count()
        assert done <= begun


def is_new_and_up(server, before):
    return [pid for pid in server.workers if pid not in before] and started(server) == 3


def started(server):
    """How many workers have come up so far."""
    return server.log.count("Application startup complete")


def test_a_worker_that_cannot_start_is_tried_again_and_its_reason_told(tmp_path):
    with running(tmp_path, settings=TWO) as server:
        (tmp_path / "bad").touch()
        os.kill(server.workers[0], signal.SIGKILL)
        until(lambda: "models: damaged; another starts in 0.5 s" in server.log, "the reason")
        assert httpx.get(f"{server.url}/livez").status_code == 200
        (tmp_path / "bad").unlink()
        until(lambda: started(server) == 3, "the new worker")
        assert server.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_start_is_told_once(tmp_path, workers):
    (tmp_path / "bad").touch()
    with running(tmp_path, greets=False, settings={"workers": workers}) as server:
        assert server.process.wait(60) == 1
        assert server.process.stdout.read() == ""
        assert server.log == "tagbelt serve: models: damaged\n"


def test_workers_end_when_their_supervisor_is_killed(tmp_path):
    with running(tmp_path, settings=TWO) as server:
        workers, url = server.workers, server.url
        folder = Path(environment(workers[0])[RUNTIME_VARIABLE])
        assert all(map(is_alive, workers))
        server.process.kill()
        server.process.wait()
        until(lambda: not any(map(is_alive, workers)), "the end of the workers")
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez")
        assert not folder.exists()


def test_sighup_reaches_one_worker_with_models_and_all_with_keys(tmp_path):
    with running(tmp_path, settings=TWO) as server:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(reloads(tmp_path)) == 2, "the reload")
        until(lambda: "models\n" in "".join(reloads(tmp_path)), "the scan")
        assert sorted(reloads(tmp_path)) == ["keys\n", "keys\nmodels\n"]
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert server.end() == 0


def test_sighup_reaches_a_single_process(tmp_path):
    with running(tmp_path) as server:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: reloads(tmp_path) == ["keys\nmodels\n"], "the reload")
        assert httpx.get(f"{server.url}/livez").status_code == 200


def reloads(folder):
    return [path.read_text(encoding="utf-8") for path in folder.glob("reloads-*")]


def test_a_worker_that_is_killed_before_all_are_up_is_replaced(tmp_path):
    with running(tmp_path, greets=False, settings=TWO) as server:
        # The second is started when the first is ready.
        until(lambda: len(server.workers) == 2, "the second worker")
        os.kill(max(server.workers), signal.SIGKILL)
        server.read_greeting()
        assert "was ended by SIGKILL; another starts in 0 s" in server.log
        assert len(server.workers) == 2
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert server.end() == 0
