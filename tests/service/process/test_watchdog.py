"""A process whose event loop hangs ends; threads for work aside have begun before there is any."""

import asyncio
import subprocess
import sys
import threading

from tagbelt.service.process.watchdog import Watchdog, begun_pool

HANGING = """
import asyncio, threading
from tagbelt.service.process.watchdog import Watchdog
async def main():
    Watchdog(asyncio.get_running_loop(), tick_seconds=0.01, most=3).start()
    threading.Event().wait()
asyncio.run(main())
"""


def test_a_process_whose_event_loop_hangs_ends_and_says_where():
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the event loop hangs")
    assert "in main" in done.stderr


def test_a_loop_that_turns_is_left_alone_and_outlived_by_nothing():
    given_up = threading.Event()

    async def main():
        # Of ticks shorter than a turn of the loop may be, many are allowed.
        dog = Watchdog(
            asyncio.get_running_loop(), tick_seconds=0.001, most=5_000, give_up=given_up.set
        )
        dog.start()
        turns = 0
        while turns < 100:
            await asyncio.sleep(0.001)
            turns += 1
        return dog

    dog = asyncio.run(main())
    dog.join(30)
    assert not dog.is_alive()
    assert not given_up.is_set()


def test_missed_turns_end_at_the_limit_and_not_before():
    loop = asyncio.new_event_loop()
    given_up = threading.Event()
    dog = Watchdog(loop, tick_seconds=0.001, most=3, give_up=given_up.set)
    dog.start()
    dog.join(30)
    assert given_up.is_set()
    loop.close()


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
