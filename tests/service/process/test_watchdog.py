"""A process whose event loop hangs ends; threads for work aside have begun before there is any."""

import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from tagbelt.inference.native import library
from tagbelt.service.process.watchdog import begun_pool
from tests.service.process.running import running, until

needs_kernels = pytest.mark.skipif(library() is None, reason="the kernels were not built")

PROGRAM = """
import asyncio, ctypes, threading, time
from tagbelt.service.process.watchdog import watched
async def main():
    with watched(tick_seconds=0.01, most={most}):
        await asyncio.sleep(0.1)
        {then}
asyncio.run(main())
time.sleep({after})
"""


def started(most, then, after=0):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(most=most, then=then, after=after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@needs_kernels
@pytest.mark.parametrize(
    "then",
    [
        "threading.Event().wait()",
        # With the interpreter's lock in hand, no thread of Python does anything.
        "ctypes.PyDLL(None).sleep(600)",
        "threading.Thread(target=ctypes.PyDLL(None).sleep, args=(600,)).start()",
    ],
    ids=["waits", "holds the lock", "another thread holds the lock"],
)
def test_a_process_whose_event_loop_hangs_ends_and_says_where(then):
    with started(100, then) as process:
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert said.startswith("error: the event loop hangs")
    assert "in main" in said


@needs_kernels
def test_nobody_has_to_read_what_it_says():
    fill = "os.set_blocking(2, False); os.write(2, b'.' * (1 << 20)); os.set_blocking(2, True)"
    with started(100, f"import os; {fill}; threading.Event().wait()") as process:
        assert process.wait(60) == -signal.SIGALRM


@needs_kernels
def test_a_process_that_was_stopped_goes_on():
    with started(300, "print(end='.', flush=True); await asyncio.sleep(1)") as process:
        assert process.stdout.read(1) == "."
        process.send_signal(signal.SIGSTOP)
        time.sleep(5)  # longer than it may hang
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_a_loop_that_turns_is_left_alone_and_so_is_what_comes_after_it():
    with started(300, "await asyncio.sleep(4)", after=4) as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


@needs_kernels
def test_a_server_that_holds_the_interpreters_lock_ends(tmp_path):
    with running(tmp_path, hangs_for=2) as server:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/hang", timeout=60)
        assert server.process.wait(60) == 1


@needs_kernels
def test_a_worker_that_holds_the_interpreters_lock_is_replaced(tmp_path):
    with running(tmp_path, settings={"workers": 2}, hangs_for=2) as server:
        before = server.workers
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/hang", timeout=60)
        until(lambda: len(set(server.workers) - set(before)) == 1, "another worker")
        assert "the event loop hangs" in server.log
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert server.end() == 0


def test_the_pool_starts_no_thread_when_work_comes(monkeypatch):
    with begun_pool(3) as pool:

        def refuse(_):
            raise AssertionError("a thread was started")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        gate = threading.Event()
        busy = [pool.submit(gate.wait) for _ in range(3)]
        waiting = pool.submit(lambda: "done")
        gate.set()
        assert waiting.result(30) == "done"
        assert all(one.result(30) for one in busy)
