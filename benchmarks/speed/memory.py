"""Memory over ten million tokens of ever-new words, in a process of its own.

    python -m benchmarks.speed.memory [--quick] [--checkpoint DIR]

Texts of twenty words that never repeat go through `Tagger.stream`, one thread. Resident memory is
read every 500,000 tokens; what the first million reach is the warm level that growth is counted
from. Every word needs its characters read, so the whole takes some minutes. Linux only.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.common import machine
from benchmarks.common.machine import ROOT
from benchmarks.common.materials import checkpoint
from benchmarks.common.measure import spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.speed import words
from tagbelt.inference.tagger import Tagger

TOKENS, QUICK_TOKENS = 10_000_000, 2_000_000
SAMPLE, QUICK_SAMPLE = 500_000, 100_000
WARM = 1_000_000
"""By then the table of words has been full several times."""

LENGTH = 20


def texts(count: int) -> Iterator[str]:
    """Sentences of words that never repeat."""
    source = words.new_words()
    for _ in range(count):
        yield " ".join(islice(source, LENGTH)).capitalize() + "."


def child(path: Path, tokens: int, sample: int) -> None:
    """Tag, and write a line of JSON for each sample: tokens, seconds and MB so far."""
    tagger = Tagger.load(path, threads=1)
    start = time.perf_counter()
    each = sample // LENGTH
    for done, _ in enumerate(tagger.stream(texts(tokens // LENGTH)), start=1):
        if done % each == 0:
            state = {
                "tokens": done * LENGTH,
                "seconds": round(time.perf_counter() - start, 2),
                "rss_mb": machine.resident_mb(),
            }
            sys.stdout.write(json.dumps(state) + "\n")
            sys.stdout.flush()


def samples(path: Path, tokens: int, sample: int) -> list[dict[str, float]]:
    """Return the samples that a fresh process reports."""
    command = [sys.executable, "-m", "benchmarks.speed.memory", "--checkpoint", str(path)]
    command += ["--child", str(tokens), str(sample)]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            found.append(json.loads(line))
            tell(f"{found[-1]['tokens']:>10,} tokens  {found[-1]['rss_mb']:7.1f} MB")
    if process.returncode:
        raise SystemExit("the process that tags has failed")
    return found


def growth(found: list[dict[str, float]], warm: int) -> Row:
    """The row of the growth in per cent, from the warm level to the last sample and the highest."""
    level = next(state["rss_mb"] for state in found if state["tokens"] >= warm)
    later = [100 * (s["rss_mb"] / level - 1) for s in found if s["tokens"] > warm]
    return {
        "candidate": "tagbelt",
        "experiment": "growth",
        "unit": "%",
        "median": later[-1],
        "q1": later[-1],
        "q3": later[-1],
        "min": min(later),
        "max": max(later),
        "warm_mb": level,
        "tokens": int(found[-1]["tokens"]),
        "tokens_per_second": found[-1]["tokens"] / found[-1]["seconds"],
    }


def main() -> None:
    """Measure and write the part `memory`."""
    made = parser(__doc__)
    made.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    given = made.parse_args()
    path = checkpoint("conll2003", given.checkpoint, given.data, quick=given.quick).resolve()
    if given.child:
        child(path, *given.child)
        return
    tokens, sample = (QUICK_TOKENS, QUICK_SAMPLE) if given.quick else (TOKENS, SAMPLE)
    found = samples(path, tokens, sample)
    rows: list[Row] = [
        {
            "candidate": "tagbelt",
            "experiment": "resident",
            "size": state["tokens"],
            "unit": "MB",
            **spread([state["rss_mb"]]),
        }
        for state in found
    ]
    settings = {
        "quick": given.quick,
        "threads": 1,
        "tokens": tokens,
        "warm": WARM,
    }
    write_result("memory", settings, [growth(found, WARM), *rows], directory=given.results)


if __name__ == "__main__":
    run_program(main)
