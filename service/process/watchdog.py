"""What keeps a process from hanging for ever, above all where memory runs out.

`Thread.start` waits until the new thread says that it has begun. One that finds no memory for its
first steps ends without a word, and whoever started it waits for ever. So the event loop is given
threads that have begun, and is watched for all else that could hold it.
"""

import asyncio
import ctypes
import faulthandler
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

from tagbelt.inference.native import library

THREADS = 6
"""For what would hold the event loop too long; one of them at a time has the interpreter."""
TICK_SECONDS = 1.0
MOST_MISSED = 30
# Of a timer that nobody here sets.
_TELL = signal.SIGVTALRM
_MESSAGE = b"error: the event loop hangs: the process is ended, to be started again; its threads:\n"


def begun_pool(threads: int = THREADS) -> ThreadPoolExecutor:
    """Return an executor whose threads have all begun: none is started by whoever submits work."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="aside")
    together = threading.Barrier(threads)
    wait([pool.submit(together.wait) for _ in range(threads)])
    return pool


@contextmanager
def watched(*, tick_seconds: float = TICK_SECONDS, most: int = MOST_MISSED) -> Iterator[None]:
    """Ends the process once the running event loop has not turned for `most` ticks in the block.

    Also while the interpreter's lock is held. Ticks are counted, not seconds: a process that was
    stopped for a while has missed none. Whoever looks after the process starts the next one.
    Nothing is watched where the kernels in C were not built.
    """
    kernels = library()
    if kernels is None:
        yield
        return
    begin, turned = kernels.tagbelt_watch, kernels.tagbelt_turned
    begin.restype, turned.restype = ctypes.c_void_p, None
    faulthandler.register(_TELL, all_threads=True)
    watch = ctypes.c_void_p(begin(ctypes.c_double(tick_seconds), most, int(_TELL), _MESSAGE))
    if not watch:
        raise MemoryError("no thread to be had that watches the event loop")

    async def turn() -> None:
        while True:
            turned(watch, 0)
            await asyncio.sleep(tick_seconds)

    turning = asyncio.create_task(turn())
    try:
        yield
    finally:
        turning.cancel()
        turned(watch, 1)
