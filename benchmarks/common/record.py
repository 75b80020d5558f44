"""Where measurements go: one JSON file each, in a folder of `benchmarks/results/` a machine."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.common.machine import machine

RESULTS = Path(__file__).resolve().parents[1] / "results"
CACHE = Path(__file__).resolve().parents[1] / ".cache"

Row = dict[str, Any]


class BenchmarkError(Exception):
    """An obstacle to a measurement that a user can remove; the base of such errors."""


def write_result(
    name: str, settings: dict[str, Any], rows: Sequence[Row], *, directory: Path = RESULTS
) -> Path:
    """Write one measurement with the machine it ran on; the file is replaced whole."""
    directory.mkdir(parents=True, exist_ok=True)
    part = {
        "name": name,
        "date": datetime.now(UTC).date().isoformat(),
        "command": command(),
        "machine": machine(),
        "settings": settings,
        "rows": list(rows),
    }
    path = directory / f"{name}.json"
    fresh = path.with_suffix(".json.part")
    fresh.write_text(json.dumps(part, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)
    tell(f"{name}: wrote {path}")
    return path


def command() -> str:
    """The command that runs this program, as a reader would type it: places of ours left out."""
    module = sys.modules["__main__"].__spec__
    called = f"-m {module.name}" if module else Path(sys.argv[0]).name
    given = (Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])
    return " ".join(["python", called, *given])


def tell(message: str) -> None:
    """Say how far a measurement is."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
