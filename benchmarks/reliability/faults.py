"""What a server does when the machine fails it: how much is answered, and when all is well again.

    python -m benchmarks.reliability.faults [--size quick|normal|long] [--seed N]

Of each fault: the share of the requests that was answered before, during and after it, the
wrong and the lost ones, and the seconds from its end until the server answered as before.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.reliability.http_cases import DECLARED
from benchmarks.reliability.sizes import parser
from benchmarks.serving import workload
from benchmarks.serving.ending import started
from benchmarks.serving.loadgen import LOST, Generator, Tally
from benchmarks.serving.servers import Server, serving
from benchmarks.serving.swaps import NAME, Replies, change
from tagbelt import read_conll

SECONDS = {"quick": 3.0, "normal": 8.0, "long": 60.0}
"""Each of: before, during, after."""
RATE = 20.0
CONNECTIONS = 32
TEXTS = 16
POLL_SECONDS = 0.05
MOST_SECONDS = 60.0
CYCLE_SECONDS, CPU_SHARE = 0.1, 0.1
ROOM = 32 << 20
"""Bytes above what it has, when memory is short."""
HOUR = 3600
LARGE = {"texts": ["@" * 20_000] * 4}
# Real time is what a file says it is; the time that only goes forward stays.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long jump(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("CLOCK_JUMP"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += jump();
    return code;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *into) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (into) *into = found.tv_sec;
    return found.tv_sec;
}
"""


@dataclass(frozen=True)
class Fault:
    """One kind: `begin` and `end` it; `check` is whether the server is as it was."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]
    check: Callable[[], bool]


class Course(threading.Thread):
    """Begins a fault, ends it, and waits for the server to be well again."""

    def __init__(self, fault: Fault, seconds: float) -> None:
        super().__init__(daemon=True)
        self.recovery: float | None = None
        self._fault, self._seconds = fault, seconds

    def run(self) -> None:
        """Go through it."""
        time.sleep(self._seconds)
        self._fault.begin()
        time.sleep(self._seconds)
        self._fault.end()
        began = time.perf_counter()
        while time.perf_counter() - began < MOST_SECONDS:
            if self._fault.check():
                self.recovery = time.perf_counter() - began
                break
            time.sleep(POLL_SECONDS)


def course(server: Server, fault: Fault, texts: Sequence[str], seconds: float) -> Row:
    """A fault under load."""
    tell(fault.name)
    replies = Replies(server, texts)
    wrong = [0]

    def look(status: int, raw: bytes) -> None:
        if status == HTTPStatus.OK:
            before = replies.wrong
            replies.check(status, raw)
            wrong[0] += replies.wrong - before

    going = Course(fault, seconds)
    requests = workload.single(server.url, texts)
    with Generator(server.url, requests, CONNECTIONS, on_reply=look) as generator:
        going.start()
        tally = generator.open(RATE, 3 * seconds)
    going.join()
    return _row(fault.name, tally, going.recovery, wrong[0], seconds)


def _row(name: str, tally: Tally, recovery: float | None, wrong: int, seconds: float) -> Row:
    parts = {
        part: _answered(tally, number * seconds, (number + 1) * seconds)
        for number, part in enumerate(("before", "during", "after"))
    }
    answered, lost = tally.counts[200], tally.counts[LOST]
    undeclared = sum(status >= 500 and status not in DECLARED for status in tally.statuses)
    return {
        "experiment": name,
        "requests": len(tally.statuses),
        "answered": answered,
        "refused": len(tally.statuses) - answered - lost - undeclared,
        "undeclared": undeclared,
        "lost": lost,
        "unsent": tally.held_back + tally.refused,
        "wrong": wrong,
        **parts,
        "recovery": recovery,
    }


def _answered(tally: Tally, begin: float, end: float) -> float:
    """Of the requests that were due between two moments, the share that got its 200."""
    outcomes = zip(tally.due, tally.statuses, strict=True)
    found = [status == HTTPStatus.OK for due, status in outcomes if begin <= due < end]
    return sum(found) / max(1, len(found))


def answers(server: Server) -> bool:
    """Whether a text is tagged."""
    try:
        return server.ask("POST", workload.PATH, {"text": "Toyota"})[0] == HTTPStatus.OK
    except (OSError, ValueError):
        return False


def worker_killed(server: Server) -> Fault:
    """One of two worker processes is killed."""
    before = [0]

    def begin() -> None:
        before[0] = started(server)
        os.kill(server.workers[0], signal.SIGKILL)

    return Fault("kill -9 of one of two workers", begin, lambda: None,
                 lambda: started(server) > before[0] and answers(server))  # fmt: skip


def corrupted(server: Server, checkpoint: Path) -> Fault:
    """Every file of the model is overwritten in place, and a reload is asked for; then mended."""
    kept = {path: path.read_bytes() for path in checkpoint.iterdir()}

    def begin() -> None:
        for path, content in kept.items():
            path.write_bytes(content[: len(content) // 2])
        status, report = server.ask("POST", f"/v1/models/{NAME}/reload")
        if status == HTTPStatus.OK and report["ok"]:
            raise AssertionError("a damaged model was loaded")

    def end() -> None:
        for path, content in kept.items():
            path.write_bytes(content)

    def check() -> bool:
        status, report = server.ask("POST", f"/v1/models/{NAME}/reload")
        return bool(status == HTTPStatus.OK and report["ok"]) and answers(server)

    return Fault("model files cut in half underneath, reloaded", begin, end, check)


def starved(server: Server) -> Fault:
    """The process is stopped for nine tenths of the time."""
    over = threading.Event()

    def pulse() -> None:
        while not over.is_set():
            os.kill(server.process.pid, signal.SIGSTOP)
            time.sleep(CYCLE_SECONDS * (1 - CPU_SHARE))
            os.kill(server.process.pid, signal.SIGCONT)
            time.sleep(CYCLE_SECONDS * CPU_SHARE)

    thread = threading.Thread(target=pulse, daemon=True)

    def end() -> None:
        over.set()
        thread.join()

    return Fault("a tenth of the processor (SIGSTOP, SIGCONT)", thread.start, end,
                 lambda: answers(server))  # fmt: skip


def short_of_memory(server: Server) -> Fault:
    """Memory is limited to little more than is used, while large requests are sent."""
    pid = server.process.pid
    over = threading.Event()

    def press() -> None:
        while not over.is_set():
            try:
                server.ask("POST", workload.PATH, LARGE)
            except (OSError, ValueError):
                time.sleep(POLL_SECONDS)

    thread = threading.Thread(target=press, daemon=True)

    def begin() -> None:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        data = int(status.partition("VmData:")[2].split()[0]) * 1024
        resource.prlimit(pid, resource.RLIMIT_DATA, (data + ROOM, resource.RLIM_INFINITY))
        thread.start()

    def end() -> None:
        resource.prlimit(pid, resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)
        over.set()

    return Fault("memory limited to 32 MB more (prlimit), large requests", begin, end,
                 lambda: answers(server))  # fmt: skip


def clock_jumps(server: Server, jump: Path) -> Fault:
    """The wall clock goes back by an hour, then forward by two."""

    def set_to(seconds: int) -> None:
        jump.write_text(str(seconds), encoding="ascii")

    return Fault("wall clock an hour back, then two forward", lambda: set_to(-HOUR),
                 lambda: set_to(HOUR), lambda: answers(server))  # fmt: skip


@contextmanager
def false_clock(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """The file that says how far the clock is off, and what stands before a command.

    Raises CalledProcessError or OSError where it cannot be compiled.
    """
    source, library, jump = folder / "clock.c", folder / "clock.so", folder / "jump"
    source.write_text(CLOCK, encoding="ascii")
    jump.write_text("0", encoding="ascii")
    command = ["cc", "-shared", "-fPIC", "-O1", str(source), "-o", str(library), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    yield jump, ["env", f"LD_PRELOAD={library}", f"CLOCK_JUMP={jump}"]


def faults(models: Path, seconds: float) -> list[Row]:
    """All of them, each with a server of its own."""
    texts = [" ".join(s.tokens) for s in read_conll("examples/test.conll").sentences[:TEXTS]]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "models"
        checkpoint = served / NAME / "1"
        shutil.copytree(models / "en", checkpoint)
        change(checkpoint, 0)
        with serving(served, "--threads", "1", "--workers", "2") as server:
            rows.append(course(server, worker_killed(server), texts, seconds))
        with serving(served, "--threads", "1") as server:
            rows.append(course(server, corrupted(server, checkpoint), texts, seconds))
        for fault in (starved, short_of_memory):
            with serving(served, "--threads", "1") as server:
                rows.append(course(server, fault(server), texts, seconds))
        try:
            with (
                false_clock(Path(folder)) as (jump, before),
                serving(served, "--threads", "1", before=before) as server,
            ):
                rows.append(course(server, clock_jumps(server, jump), texts, seconds))
        except (OSError, subprocess.CalledProcessError) as error:
            tell(f"clock: left out: {error}")
    return rows


def main() -> None:
    """Measure and write the part `faults`; end with 1 if a server did not recover."""
    given = parser(__doc__).parse_args()
    rows = faults(given.models, SECONDS[given.size])
    settings = {"size": given.size, "rate": RATE, "seconds": SECONDS[given.size]}
    write_result("faults", settings, rows, directory=given.results)
    if any(row["wrong"] or row["undeclared"] or row["recovery"] is None for row in rows):
        sys.exit("error: answers were wrong or undeclared 5xx, or a server did not recover")


if __name__ == "__main__":
    run_program(main)
