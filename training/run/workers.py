"""Tasks side by side, each in a process of its own that ends with the process that started it."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import NoReturn

GRACE = 3.0
"""So many seconds a process has to leave after it was asked to: an import can lose the request."""


@dataclass(frozen=True)
class Task:
    """What a process is to do: `work` returns its exit code. It and its arguments are pickled.

    With `log`, what the process writes to standard output and error goes to the end of that file.
    """

    work: Callable[..., int]
    arguments: tuple[object, ...]
    log: Path | None = None


def run_tasks(
    tasks: Mapping[int, Task], *, jobs: int, begins: Callable[[int], bool]
) -> Iterator[tuple[int, int]]:
    """Run at most `jobs` of the numbered tasks at a time; yield number and exit code of each.

    `begins` is asked before a task starts; none does after it has said False. Processes that are
    still running when the caller stops early, as after ^C, are ended. A process that a signal
    ended has an exit code below 0.
    """
    waiting = deque(tasks)
    running: list[tuple[int, SpawnProcess]] = []
    try:
        while True:
            while waiting and len(running) < jobs:
                number = waiting.popleft()
                if begins(number):
                    running.append((number, _start(tasks[number])))
                else:
                    waiting.clear()
            if not running:
                return
            wait([process.sentinel for _, process in running])
            ended = [pair for pair in running if pair[1].exitcode is not None]
            running = [pair for pair in running if pair not in ended]
            for number, process in ended:
                yield number, process.exitcode or 0
    finally:
        for _, process in running:
            process.terminate()
        for _, process in running:
            process.join(GRACE)
            process.kill()
            process.join()


def _start(task: Task) -> SpawnProcess:
    # A fork would take the threads' locks of this process along, and torch's state.
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(task,), daemon=True)
    process.start()
    return process


def _run(task: Task) -> None:
    # ^C reaches every process of the terminal; the one that started us ends us then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A progress bar on the terminal gives the cursor back as an exception passes it.
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if task.log is not None:
        _write_to(task.log)
    sys.exit(task.work(*task.arguments))


def _leave(signum: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)


def _end_with_parent() -> None:
    """Wait until the parent process is gone, however it ended, and end as well.

    Left alone, this one would write to a directory that a second start writes to as well.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_to(path: Path) -> None:
    with path.open("ab") as stream:
        for standard in (sys.stdout, sys.stderr):
            standard.flush()
            os.dup2(stream.fileno(), standard.fileno())
