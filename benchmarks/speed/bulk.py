"""Bulk runs: tokens a second of processes and of Ray, memory, and exactly once after kills.

    python -m benchmarks.speed.bulk [--quick] [--sentences N] [--only kills|rates] [--model NAME]

Sentences of CoNLL-2003, over and over under ids of their own, are tagged from JSON lines by
`tagbelt tag --out`. The run with kills is on Ray with two actors: an actor is killed, later the
run itself, and the same command goes on; then each id must be there once. Rates take as many
sentences, by one process, by two, and by Ray with two actors, so that two free cores are needed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from benchmarks.common.machine import peak_mb
from benchmarks.common.materials import CONLL, sentences, tokens_in
from benchmarks.common.measure import interleaved, ratio, spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import BenchmarkError, Row, tell, write_result

WORKERS = 2
ROUNDS = 3
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 3600.0


class LostError(BenchmarkError):
    """Rows that are missing, or there twice."""


def write_input(path: Path, source: list[list[str]], count: int) -> int:
    """Write so many JSON lines; return their tokens."""
    chosen = list(islice(cycle(source), count))
    with path.open("w", encoding="utf-8") as stream:
        for number, tokens in enumerate(chosen):
            stream.write(json.dumps({"id": number, "text": " ".join(tokens)}) + "\n")
    return tokens_in(chosen)


class Run:
    """A bulk run in a process group of its own, and the peak of its memory."""

    def __init__(self, source: Path, out: Path, model: str, *, engine: str, workers: int) -> None:
        command = [sys.executable, "-m", "tagbelt", "tag", str(source), "-m", model]
        options = ["--out", str(out), "--engine", engine, "--threads", str(workers)]
        self.out = out
        self.peaks: dict[int, float] = {}
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [*command, *options], stderr=subprocess.PIPE, start_new_session=True
        )

    @property
    def shards(self) -> int:
        """How many files it has written."""
        return sum(not path.name.startswith((".", "_")) for path in self.out.glob("*"))

    def wait(self, until: Callable[[], bool] = lambda: False) -> float:
        """Wait for its end, or until something holds; return the seconds since its start."""
        while self._process.poll() is None and not until():
            for pid in [self._process.pid, *self.taggers()]:
                self.peaks[pid] = peak_mb(pid) or self.peaks.get(pid, 0.0)
            if time.monotonic() - self._began > PATIENCE_SECONDS:
                self.kill()
                raise BenchmarkError(f"{self.out}: the run did not end")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - self._began

    def finish(self) -> float:
        """Wait for its end, which must be good; return the seconds that it took."""
        seconds = self.wait()
        _, told = self._process.communicate()
        if self._process.returncode:
            raise BenchmarkError(told.decode(errors="replace")[-2000:])
        return seconds

    def taggers(self) -> list[int]:
        """The processes that have the model: those of its own, or its actors of Ray."""
        children = _descendants(self._process.pid)
        return [pid for pid in children if b"ray::" not in (name := _name(pid)) or b"Map" in name]

    def kill_actor(self) -> None:
        """Kill one of Ray's processes that tag."""
        victims = [pid for pid in self.taggers() if b"ray::" in _name(pid)]
        if not victims:
            raise BenchmarkError("no actor of Ray was found to be killed")
        os.kill(victims[0], signal.SIGKILL)

    def kill(self) -> None:
        """Kill the run, and whatever processes of its own outlive it."""
        children = _descendants(self._process.pid)
        for pid in [self._process.pid, *children]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.communicate()


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, left = [], [root]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _name(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def check(out: Path, count: int) -> None:
    """Raise LostError unless each id is there once, with entities and without an error."""
    seen = bytearray(count)
    for path in out.glob("*"):
        if path.name.startswith(("_", ".")):
            continue
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                if "entities" not in row or seen[row["id"]]:
                    raise LostError(f"{path}: id {row['id']} is bad, or is there twice")
                seen[row["id"]] = 1
    if missing := seen.count(0):
        raise LostError(f"{out}: {missing:,} of {count:,} rows are missing")


def kills(source: Path, folder: Path, model: str, count: int, tokens: int) -> list[Row]:
    """Kill an actor, then the run; run it again and count the rows."""
    out = folder / "killed"
    first = Run(source, out, model, engine="ray", workers=WORKERS)
    first.wait(lambda: first.shards >= 1)
    first.kill_actor()
    tell("an actor was killed")
    at = first.shards
    first.wait(lambda: first.shards >= at + 2)
    first.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("[!_.]*")}
    tell(f"the run was killed, with {len(kept)} files written")
    second = Run(source, out, model, engine="ray", workers=WORKERS)
    seconds = second.finish()
    check(out, count)
    again = [name for name, at in kept.items() if (out / name).stat().st_mtime_ns != at]
    if again:
        raise LostError(f"written twice: {', '.join(again)}")
    peak = max([*first.peaks.values(), *second.peaks.values()])
    return [
        {"case": "rows there once after an actor and the run were killed", "rows": count,
         "tokens": tokens, "files": second.shards, "files_before": len(kept), "seconds": seconds},
        {"case": "largest process", "peak_mb": peak},
    ]  # fmt: skip


def rates(source: Path, folder: Path, model: str, tokens: int, rounds: int) -> list[Row]:
    """Tokens a second with one process, two, and Ray with two actors, in turns."""
    ways = {
        "local, 1 process": ("local", 1),
        "local, 2 processes": ("local", WORKERS),
        "ray, 2 actors": ("ray", WORKERS),
    }

    def rate(engine: str, workers: int) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            run = Run(source, Path(out) / "out", model, engine=engine, workers=workers)
            return tokens / run.finish()

    candidates = {name: (lambda way=way: rate(*way)) for name, way in ways.items()}
    series = interleaved(candidates, rounds, tell=tell)
    one, two, ray = series.values()
    rows: list[Row] = [
        {"case": name, "tokens_per_second": spread(values)} for name, values in series.items()
    ]
    rows.append({"case": "2 processes over 1", "ratio": ratio(two, one)})
    rows.append({"case": "ray over 1 process", "ratio": ratio(ray, one)})
    rows.append({"case": "ray over 2 processes", "ratio": ratio(ray, two)})
    return rows


def main() -> None:
    """Measure, and write the result."""
    options = parser(__doc__)
    options.add_argument("--sentences", type=int, help="2,000,000 unless given; 40,000 if quick")
    options.add_argument("--only", choices=("kills", "rates"))
    options.add_argument("--model", default="en")
    given = options.parse_args()
    count = given.sentences or (40_000 if given.quick else 2_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.jsonl"
        tokens = write_input(source, sentences(given.data, CONLL.format("train")), count)
        tell(f"{count:,} sentences, {tokens:,} tokens")
        rows: list[Row] = []
        if given.only != "rates":
            rows += kills(source, folder, given.model, count, tokens)
        if given.only != "kills":
            rounds = 1 if given.quick else ROUNDS
            rows += rates(source, folder, given.model, tokens, rounds)
        for row in rows:
            tell(json.dumps(row))
        settings = {"sentences": count, "tokens": tokens, "model": given.model}
        write_result("bulk", settings, rows, directory=given.results)


if __name__ == "__main__":
    run_program(main)
