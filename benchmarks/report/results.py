"""Read what was measured: the files of `benchmarks/results/`, their rows and their figures."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.record import Row

MISSING = "not measured"
NOT_MEASURED = f"{MISSING.capitalize()}."

ACCURACY = ("accuracy", "outside", "everyday")
"""Results that are for another page."""

Results = Mapping[str, dict[str, Any]]
"""Name of a measurement -> what `record.write_result` wrote; those not measured are missing."""

Spread = dict[str, float]
"""At least a median; quartiles `q1` and `q3` where there were several rounds."""


def read_results(directory: Path) -> Results:
    """All results of a folder that speak of speed; none where there is no such folder."""
    names = sorted(path.stem for path in directory.glob("*.json"))
    found = (read_result(directory, name) for name in names if name not in ACCURACY)
    return {result["name"]: result for result in found if result is not None}


def read_result(directory: Path, name: str) -> dict[str, Any] | None:
    """One result of a folder, or None where it was not measured."""
    path = directory / f"{name}.json"
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def rows(results: Results, name: str, **fields: Any) -> Iterator[Row]:
    """The rows of a result whose fields have these values; none of one that is missing."""
    for row in results.get(name, {"rows": []})["rows"]:
        if all(row.get(field) == value for field, value in fields.items()):
            yield row


def spread_of(row: Row, field: str = "") -> Spread | None:
    """The spread in a field of a row (in the row itself for ""); None where there is none."""
    value: Any = row.get(field) if field else row
    if isinstance(value, float):
        return {"median": value}
    return value if isinstance(value, dict) and "median" in value else None
