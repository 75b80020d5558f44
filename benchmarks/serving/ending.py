"""The end under load: SIGTERM to a server that is asked, kill -9 to one of its worker processes.

    python -m benchmarks.serving.ending [--quick] [--models DIR]

What the server accepted is what its access log has. A connection that is closed before anything
of its request was read has lost nothing: HTTP clients repeat such a request.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.measure import spread
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.serving import workload
from benchmarks.serving.loadgen import LOST, Generator, LoadError, Tally
from benchmarks.serving.servers import Server, serving

TERMINATIONS, QUICK_TERMINATIONS = 20, 3
KILLS, QUICK_KILLS = 5, 1
CLIENTS = 16
BEFORE_SECONDS = 0.5
MOST_SECONDS = 60.0
STARTED = "Application startup complete"
POLL_SECONDS = 0.01


def terminated(models: Path, texts: Sequence[str], number: int) -> Row:
    """End a server in order under load, with one or two workers in turn; what was lost."""
    workers = 1 + number % 2
    tell(f"SIGTERM, {workers} workers")
    with serving(models, "--threads", "1", "--workers", str(workers)) as server:
        pause = BEFORE_SECONDS + 0.01 * number
        timer = threading.Timer(pause, server.process.send_signal, [signal.SIGTERM])
        requests = workload.single(server.url, texts)
        with Generator(server.url, requests, CLIENTS, stop_when_refused=True) as generator:
            timer.start()
            tally = generator.closed(MOST_SECONDS)
        code = server.process.wait(MOST_SECONDS)
        accepted = accepted_by(server)
    good = tally.counts[200]
    return {
        "workers": workers,
        "accepted": accepted,
        "answered": good,
        "lost": max(0, accepted - good),
        "other": sum(tally.counts.values()) - good - tally.counts[LOST],
        "unread": tally.counts[LOST],
        "exit_code": code,
    }


def accepted_by(server: Server) -> int:
    """Requests that reached the app, by its access log."""
    lines = server.log.read_text(encoding="utf-8").splitlines()
    told = (json.loads(line) for line in lines if line.startswith("{"))
    return sum(line.get("route") == workload.PATH for line in told)


class Kill(threading.Thread):
    """Kills a worker after a while, and waits for another one; `back` says how long that took."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.back: float | None = None
        self._server = server
        self.start()

    def run(self) -> None:
        """Kill, and wait."""
        time.sleep(BEFORE_SECONDS)
        before = started(self._server)
        os.kill(self._server.workers[0], signal.SIGKILL)
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < MOST_SECONDS:
            if started(self._server) > before:
                self.back = took
                break
            time.sleep(POLL_SECONDS)
        time.sleep(BEFORE_SECONDS)


def started(server: Server) -> int:
    """How many workers have come up so far."""
    return server.log.read_text(encoding="utf-8").count(STARTED)


def killed(models: Path, texts: Sequence[str]) -> Row:
    """Kill one of two workers under load; what was lost, and when there were two again.

    What the killed one had accepted is lost: at most a request a client.
    """
    tell("kill -9 of one of two workers")
    options = ("--threads", "1", "--workers", "2")
    with serving(models, *options) as server:
        with Generator(server.url, workload.single(server.url, texts), CLIENTS) as generator:
            kill = Kill(server)
            tally = generator.closed(MOST_SECONDS, lambda: not kill.is_alive())
        kill.join()
    if kill.back is None:
        raise LoadError("no other worker came up")
    return {"back": kill.back} | lost_in(tally)


def lost_in(tally: Tally) -> Row:
    """Count the requests, by outcome, of clients that connect again when they were cut off."""
    good, lost = tally.counts[200], tally.counts[LOST]
    return {
        "answered": good,
        "lost": lost,
        "other": len(tally.statuses) - good - lost,
        "refused": tally.refused,
    }


def main() -> None:
    """Measure and write the part `ending`."""
    given = workload.parser(__doc__).parse_args()
    texts = workload.joined(workload.word_lists(given.data))
    times = (QUICK_TERMINATIONS, QUICK_KILLS) if given.quick else (TERMINATIONS, KILLS)
    ends = [terminated(given.models, texts, number) for number in range(times[0])]
    kills = [killed(given.models, texts) for _ in range(times[1])]
    rows = [
        summed("SIGTERM", ends)
        | {"failures": spread([float(sum(e["lost"] + e["other"] for e in ends))])},
        summed("kill -9 of a worker", kills)
        | {
            "failures": spread([float(sum(k["other"] + k["refused"] for k in kills))]),
            "back_seconds": spread([kill["back"] for kill in kills]),
            "most_lost": max(kill["lost"] for kill in kills),
        },
    ]
    settings = {"quick": given.quick, "clients": CLIENTS, "data": workload.DATA, "threads": 1}
    write_result("ending", settings, rows, directory=given.results)


def summed(experiment: str, runs: Sequence[Row]) -> Row:
    """The counts of all runs together."""
    counted = [name for name, value in runs[0].items() if isinstance(value, int)]
    row: Row = {"experiment": experiment, "runs": len(runs), "clients": CLIENTS}
    return row | {
        name: sum(run[name] for run in runs)
        for name in counted
        if name not in ("workers", "exit_code")
    }


if __name__ == "__main__":
    run_program(main)
