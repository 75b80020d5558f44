"""Training killed by SIGKILL, at random moments and in the middle of its writes, and resumed.

    python -m benchmarks.reliability.training [--size quick|normal|long] [--seed N]

Each run is killed once and resumed; it must end with the checkpoint and the state, byte for byte,
of a run that nobody killed. A second part runs out of disk space, on a small tmpfs where one can be
mounted, and goes on when there is room.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.machine import ROOT
from benchmarks.common.options import run as run_program
from benchmarks.common.record import BenchmarkError, Row, tell, write_result
from benchmarks.reliability import crashes
from benchmarks.reliability.sizes import chance, parser
from tagbelt.training.config import RunConfig, parse_config

# (at random moments, aimed at changes of files)
KILLS = {"quick": (3, 3), "normal": (10, 10), "long": (200, 100)}
CONFIG: dict[str, Any] = {
    "name": "killed",
    "language": "en",
    "data": {"root": str(ROOT / "examples"), "train": "train.conll", "dev": "dev.conll"},
    "model": {
        "words": {"size": 12},
        "characters": {"size": 6, "hidden": 8},
        "encoder": {"hidden": 12},
    },
    "training": {"epochs": 3, "batch_size": 8, "threads": 1},
}
DISK_SHARE = 0.6
"""Of what a whole run needs, what the small disk has."""
REFUSED = 3
TRIES = 10


def weights(directory: Path) -> dict[str, bytes]:
    """The bytes of all files of the checkpoint and of the state."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for folder in ("checkpoint", "state")
        for path in (directory / folder).iterdir()
    }


def killed(config: RunConfig, root: Path, kills: tuple[int, int], seed: int) -> list[Row]:
    """Kill so many runs at random moments and so many at changes of files; a row for each kind."""
    began = time.perf_counter()
    kinds = crashes.count_changes(config, root / "whole", root / "changes")
    seconds = time.perf_counter() - began
    whole = weights(root / "whole")
    rows = []
    for kind, count in zip(("at random moments", "at changes of files"), kills, strict=True):
        tell(f"{count} kills {kind}")
        outcomes = []
        for number in range(count):
            directory, drawn = root / "killed", chance(seed, kind, number)
            if kind == "at random moments":
                code = _killed_at_random(config, directory, drawn, seconds)
            else:
                code = crashes.killed_run(config, directory, drawn.randint(1, len(kinds)))
            resumed = crashes.resumed_run(config, directory) if code else 0
            is_same = not resumed and weights(directory) == whole
            outcomes.append((code == signal.SIGKILL, resumed == 0, is_same))
            shutil.rmtree(directory, ignore_errors=True)  # one killed at once has made none
        rows.append(
            {
                "experiment": f"SIGKILL {kind}",
                "runs": count,
                "killed": sum(one[0] for one in outcomes),
                "resumed": sum(one[1] for one in outcomes),
                "same": sum(one[2] for one in outcomes),
            }
        )
    return rows


def _killed_at_random(
    config: RunConfig, directory: Path, drawn: random.Random, seconds: float
) -> int:
    """Kill a run at a moment of its time; one that was faster is begun anew, and has less."""
    for _ in range(TRIES):
        moment = drawn.uniform(0, seconds)
        code = crashes.forked(lambda: crashes.run(config, directory), moment)
        if code:
            break
        shutil.rmtree(directory)
        seconds = moment
    return code


@contextmanager
def small_disk(megabytes: float) -> Iterator[Path]:
    """A tmpfs of that size. Raises BenchmarkError where it may not be mounted."""
    with tempfile.TemporaryDirectory() as folder:
        size = f"size={int(1024 * megabytes)}k"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BenchmarkError(f"no tmpfs can be mounted here: {error}") from error
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def disk_full(config: RunConfig, whole: Path) -> Row:
    """Run out of space, then go on with more: no traceback, and the same end."""
    tell("a full disk")
    needed = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file()) / 2**20
    row: Row = {"experiment": "disk full", "runs": 1, "killed": 0}

    def work() -> None:
        try:
            crashes.run(config, place / "run")
        except OSError:  # as `train` says
            os._exit(REFUSED)

    try:
        with small_disk(DISK_SHARE * needed) as place:
            code = os.waitstatus_to_exitcode(crashes.forked(work))
            more = f"remount,size={int(4096 * needed)}k"
            subprocess.run(["mount", "-o", more, str(place)], check=True)
            resumed = crashes.resumed_run(config, place / "run")
            is_same = not resumed and weights(place / "run") == weights(whole)
            return row | {
                "refused": code == REFUSED,
                "resumed": 1 - bool(resumed),
                "same": int(is_same),
            }
    except BenchmarkError as error:
        return row | {"runs": 0, "skipped": str(error)}


def main() -> None:
    """Kill, resume, and write the part `killed`; end with 1 if a run was lost or another."""
    given = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    config = parse_config(CONFIG, place="killed")
    with tempfile.TemporaryDirectory() as folder:
        rows = killed(config, Path(folder), KILLS[given.size], given.seed)
        rows.append(disk_full(config, Path(folder) / "whole"))
    settings = {"size": given.size, "seed": given.seed, "epochs": config.training.epochs}
    write_result("killed", settings, rows, directory=given.results)
    if any(row["runs"] and row["same"] < row["runs"] for row in rows):
        sys.exit("error: a run did not end as the whole one")


if __name__ == "__main__":
    run_program(main)
