"""What keeps a process from hanging for ever, above all where memory runs out.

`Thread.start` waits until the new thread says that it has begun. One that finds no memory for its
first steps ends without a word, and whoever started it waits for ever. So the event loop is given
threads that have begun, and is watched for all else that could hold it.
"""

import asyncio
import faulthandler
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

THREADS = 6
"""For what would hold the event loop too long; one of them at a time has the interpreter."""
TICK_SECONDS = 1.0
MOST_MISSED = 30


def begun_pool(threads: int = THREADS) -> ThreadPoolExecutor:
    """Return an executor whose threads have all begun: none is started by whoever submits work."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="aside")
    together = threading.Barrier(threads)
    wait([pool.submit(together.wait) for _ in range(threads)])
    return pool


class Watchdog(threading.Thread):
    """Ends the process once its event loop has not turned for `most` ticks.

    Ticks are counted, not seconds: a process that was stopped for a while has missed none. Whoever
    looks after the process starts the next one. The thread ends when the loop is closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        tick_seconds: float = TICK_SECONDS,
        most: int = MOST_MISSED,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._loop = loop
        self._tick_seconds = tick_seconds
        self._most = most
        self._give_up = give_up or _end_process
        self._missed = 0

    def run(self) -> None:
        """Look, as long as there is a loop."""
        while not self._loop.is_closed():
            time.sleep(self._tick_seconds)
            if self._missed >= self._most:
                self._give_up()
                return
            self._missed += 1
            try:
                self._loop.call_soon_threadsafe(self._turned)
            except RuntimeError:  # closed
                return
            except MemoryError:  # as good as no answer
                continue

    def _turned(self) -> None:
        self._missed = 0


def _end_process() -> None:
    # Not by way of the logger: whoever hangs may hold its lock, and it wants memory.
    os.write(2, _MESSAGE)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(1)


_MESSAGE = b"error: the event loop hangs: the process is ended, to be started again; its threads:\n"
