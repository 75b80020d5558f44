"""Reading the parts in `benchmarks/results/`: what was measured, or that it was not."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.record import Row

PLOTS = "plots"
"""The folder of the plots, beside the page."""

ACCURACY = ("accuracy", "accuracy_spacy")
"""Parts that are for another page."""

Parts = Mapping[str, dict[str, Any]]
"""Name of a measurement -> what `record.write_result` wrote; those not measured are missing."""


def read_parts(directory: Path) -> Parts:
    """All parts of a results folder that speak of speed; none where there is no such folder."""
    names = sorted(path.stem for path in directory.glob("*.json"))
    found = (read_part(directory, name) for name in names if name not in ACCURACY)
    return {part["name"]: part for part in found if part is not None}


def read_part(directory: Path, name: str) -> dict[str, Any] | None:
    """One part of a results folder, or None where it was not measured."""
    path = directory / f"{name}.json"
    if not path.exists():
        return None
    part: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return part


def rows(parts: Parts, part: str, **fields: Any) -> Iterator[Row]:
    """The rows of a part whose fields have these values; none of a part that is missing."""
    for row in parts.get(part, {"rows": []})["rows"]:
        if all(row.get(name) == value for name, value in fields.items()):
            yield row


def spread_of(row: Row, *path: str) -> dict[str, float] | None:
    """The spread (median, q1, q3) that a row holds under a path of names, or None without it."""
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) and "median" in value else None


def first_spread(
    parts: Parts, part: str, path: Sequence[str] = (), **fields: Any
) -> dict[str, float] | None:
    """The spread of the first row with these fields that has one."""
    found = (spread_of(row, *path) for row in rows(parts, part, **fields))
    return next((spread for spread in found if spread is not None), None)
