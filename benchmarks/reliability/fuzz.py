"""Fuzzing: endpoints, tokenizer, readers, converters, bulk runs, configs, checkpoints, kernels.

Parts named guided_ are led by coverage.

    python -m benchmarks.reliability.fuzz [--size quick|normal|long] [--seed N]

Each part is a process of its own, so that a crash is one of a part. What it draws follows from the
seed and the number of a case, which a failure names.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.measure import percentile
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.reliability import cases, http_cases, sanitized
from benchmarks.reliability.sizes import parser
from benchmarks.serving.servers import serving

MS = 1000.0
PARTS = ("bodies", "raw", *cases.PARTS, "kernels")
# (quick, normal, long) of each part; long is 300,000 together, some 20 minutes.
COUNTS: Mapping[str, tuple[int, int, int]] = {
    "bodies": (1000, 8000, 60_000),
    "raw": (300, 2000, 20_000),
    "tokenizer": (1000, 8000, 30_000),
    "conll": (500, 5000, 30_000),
    "converters": (500, 4000, 20_000),
    "bulk": (300, 3000, 10_000),
    "config": (300, 3000, 10_000),
    "checkpoint": (400, 3000, 15_000),
    "guided_words": (200, 2000, 10_000),
    "guided_rows": (200, 2000, 10_000),
    "guided_formats": (200, 2000, 10_000),
    "guided_cbor": (500, 5000, 50_000),
    "guided_connection": (500, 4000, 20_000),
    "kernels": (100, 1000, 5000),
}
TOLD = 2000
"""Characters of what a process that crashed wrote last."""


def in_process(command: Sequence[str], count: int, variables: Mapping[str, str] | None) -> Row:
    """What a process of cases tells; one that ends otherwise is a crash, one without end a hang."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=cases.HANG_SECONDS + 5.0 * count,
        )
    except subprocess.TimeoutExpired:
        return {"cases": count, "hangs": 1, "shown": ["the process did not end"]}
    if done.returncode:
        said = done.stderr[-TOLD:]
        return {"cases": count, "crashes": 1, "shown": [f"exit {done.returncode}: {said}"]}
    told: Row = json.loads(done.stdout.splitlines()[-1])
    return told


def kernels(count: int, seed: int) -> Row:
    """The kernels, built anew with sanitizers; no case where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        try:
            sanitized.build(library)
            variables = sanitized.variables()
        except (OSError, subprocess.CalledProcessError) as error:
            return {"cases": 0, "shown": [f"no sanitizers here: {error}"]}
        command = ("benchmarks.reliability.sanitized", str(library), str(count), str(seed))
        return in_process(command, count, variables)


def over_http(count: Mapping[str, int], seed: int) -> list[Row]:
    """Bodies and raw bytes at one server, while its /livez is watched."""
    rows = []
    with serving(cases.GOLDEN, "--threads", "1") as server:
        for part in (http_cases.bodies, http_cases.raw):
            name = part.__name__
            tell(f"{name}: {count[name]} cases")
            part(server, count[name] // 10, seed + 1)  # so that memory has settled
            before = server.resident_mb()
            watch = http_cases.Watch(server)
            watch.start()
            row = part(server, count[name], seed)
            watch.over.set()
            watch.join()
            http_cases.alive(server)
            late = {"p50": percentile(watch.late, 0.5), "most": max(watch.late)}
            rows.append(
                {"part": name}
                | row
                | {"grown_mb": round(server.resident_mb() - before, 1)}
                | {f"livez_{which}_ms": MS * value for which, value in late.items()}
            )
    return rows


def fuzz(counts: Mapping[str, int], seed: int) -> list[Row]:
    """All parts; a row each."""
    rows = over_http(counts, seed)
    for name in cases.PARTS:
        tell(f"{name}: {counts[name]} cases")
        command = ("benchmarks.reliability.cases", name, str(counts[name]), str(seed))
        rows.append({"part": name} | in_process(command, counts[name], None))
    tell(f"kernels: {counts['kernels']} cases")
    rows.append({"part": "kernels"} | kernels(counts["kernels"], seed))
    whole = {"failures": 0, "hangs": 0, "crashes": 0}
    return [whole | row for row in rows]


def main() -> None:
    """Fuzz, write the part `fuzz`, and end with 1 if anything failed."""
    given = parser(__doc__).parse_args()
    size = ("quick", "normal", "long").index(given.size)
    counts = {name: sizes[size] for name, sizes in COUNTS.items()}
    rows = fuzz(counts, given.seed)
    settings = {"size": given.size, "seed": given.seed}
    write_result("fuzz", settings, rows, directory=given.results)
    if any(row["failures"] + row["hangs"] + row["crashes"] for row in rows):
        sys.exit("error: cases failed: see `shown` in the result")


if __name__ == "__main__":
    run_program(main)
