"""Start and size: `tagbelt serve` from process start to ready, resident memory, sizes on disk.

    python -m benchmarks.speed.start [--quick] [--models DIR]

The server is started again and again with one and with two models in turn, each time from the
page cache, and asked for /readyz until it answers 200; then it tags some texts and its memory is
read. Where only one model is bundled, a copy of it under another name is the second.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path

from benchmarks.common import machine
from benchmarks.common.machine import ROOT
from benchmarks.common.measure import interleaved, spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.serving.loadgen import LoadError
from benchmarks.serving.servers import POLL_SECONDS, serving
from tagbelt.data.checkpoint.artifact import CONFIG, write_sums
from tagbelt.service.models.store import Store

REPEATS = 10
REQUESTS = 50
IMAGE = "tagbelt"
"""The image that `docker compose build` makes."""

TEXT = "Angela Merkel visited Toyota in Nagoya on Monday, as Reuters wrote from Tokyo."
# What is no part of the packages, or would make copying them slow.
_NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "*.so", "build", "dist", "runs", "results", "wheels"
)


def checkpoints(source: Path) -> list[Path]:
    """The checkpoints that a server would find there."""
    return [place.path for place in Store(source).scan().places]


def models_folder(source: Path, count: int, target: Path) -> Path:
    """A folder with `count` models: those at `source`, and renamed copies where it has fewer."""
    bundled = checkpoints(source)
    for number in range(count):
        copy = target / f"{number}"
        shutil.copytree(bundled[number % len(bundled)], copy)
        if number >= len(bundled):
            _rename(copy, f"copy-{number}")
    return target


def _rename(checkpoint: Path, name: str) -> None:
    path = checkpoint / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"name": name}, ensure_ascii=False), encoding="utf-8")
    write_sums(checkpoint)


def start(models: Path, resident: list[float]) -> float:
    """Seconds from starting the process to its first 200 of /readyz; adds its MB after requests."""
    with serving(models) as server:
        for _ in range(REQUESTS):
            status, _ = server.ask("POST", "/v1/tag", {"text": TEXT})
            if status != HTTPStatus.OK:
                raise LoadError(f"the server answered {status} to a text")
        memory = machine.resident_mb(server.process.pid)
        if memory is not None:
            resident.append(memory)
        return server.ready_seconds


def starts(source: Path, repeats: int) -> list[Row]:
    """Rows of the time to ready and of the memory, with one model and with two."""
    resident: dict[str, list[float]] = {"1 model": [], "2 models": []}
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[], float]] = {}
        for count, (name, memory) in enumerate(resident.items(), start=1):
            models = models_folder(source, count, Path(folder) / str(count))
            runs[name] = partial(start, models, memory)
        interleaved(runs, 1)  # fills the page cache
        seconds = interleaved(runs, repeats, tell=tell)
    rows: list[Row] = []
    for name, memory in resident.items():
        rows.append(_row(f"ready, {name}", "s", seconds[name]))
        if memory:
            rows.append(_row(f"resident, {name}", "MB", memory))
    return rows


def _row(experiment: str, unit: str, values: list[float]) -> Row:
    return {"candidate": "tagbelt", "experiment": experiment, "unit": unit, **spread(values)}


def sizes(source: Path) -> list[Row]:
    """Rows of the sizes in MB: checkpoints, wheel, image; what is not there is left out."""
    rows = [
        _row(f"size, checkpoint {path.name}", "MB", [_size(path)]) for path in checkpoints(source)
    ]
    for name, size in (("size, wheel", wheel_mb()), ("size, image", image_mb())):
        if size is None:
            tell(f"{name}: not to be had here")
        else:
            rows.append(_row(name, "MB", [size]))
    return rows


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def wheel_mb() -> float | None:
    """Size of the wheel, built from a copy, since a build leaves its traces; None if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        copy, out = Path(folder) / "source", Path(folder) / "wheel"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=_NOT_COPIED)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        done = subprocess.run([*command, "-w", str(out), str(copy)], check=False)
        wheels = list(out.glob("*.whl"))
        return wheels[0].stat().st_size / 1e6 if not done.returncode and wheels else None


def image_mb() -> float | None:
    """Size of the image, where there is an engine that has built it."""
    for engine in filter(shutil.which, ("docker", "podman")):
        command = [engine, "image", "inspect", IMAGE, "--format", "{{.Size}}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.returncode:
            return int(done.stdout) / 1e6
    return None


def main() -> None:
    """Measure and write the part `start`."""
    made = parser(__doc__)
    made.add_argument("--models", type=Path, default=ROOT / "checkpoints")
    given = made.parse_args()
    repeats = 3 if given.quick else REPEATS
    rows = starts(given.models, repeats) + sizes(given.models)
    settings = {
        "quick": given.quick,
        "repeats": repeats,
        "requests": REQUESTS,
        "poll_seconds": POLL_SECONDS,
    }
    write_result("start", settings, rows, directory=given.results)


if __name__ == "__main__":
    run_program(main)
