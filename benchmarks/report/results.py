"""Read what was measured: the folders of `benchmarks/results/`, their rows and their figures."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.record import Row

MISSING = "not measured"
NOT_MEASURED = f"{MISSING.capitalize()}."

RELIABILITY = ("fuzz", "soak", "faults", "killed")
"""What the page on reliability is made from, beside the folders of the machines."""

Results = Mapping[str, dict[str, Any]]
"""Name of a measurement -> what `record.write_result` wrote; those not measured are missing."""

Machines = Mapping[str, Results]
"""Kind of a machine -> what was measured on it."""

Spread = dict[str, float]
"""At least a median; quartiles `q1` and `q3` where there were several rounds."""


def read_machines(directory: Path) -> Machines:
    """The results of each machine, a folder each; none where there is no such folder."""
    folders = sorted(path.parent for path in directory.glob("*/*.json"))
    return {folder.name: read_results(folder) for folder in dict.fromkeys(folders)}


def read_results(directory: Path) -> Results:
    """All results of one machine; none where there is no such folder."""
    names = sorted(path.stem for path in directory.glob("*.json"))
    found = (read_result(directory, name) for name in names)
    return {result["name"]: result for result in found if result is not None}


def in_detail(machines: Machines) -> str:
    """The kind of machine that a page shows in detail: that of the newest whole run.

    "" where nothing was measured.
    """

    def rank(kind: str) -> tuple[int, str]:
        whole = [r for r in machines[kind].values() if not r["settings"].get("quick")]
        return len(whole), max((r["date"] for r in whole), default="")

    return max(sorted(machines), key=lambda kind: (rank(kind)[0] > 0, rank(kind)[1]), default="")


def tier_of(results: Results) -> str:
    """The tier of kernels that the results of a machine were measured with."""
    tiers = {str(result["machine"].get("tier")) for result in results.values()}
    return ", ".join(sorted(tiers))


def read_reliability(directory: Path) -> Results:
    """The results of a folder that speak of reliability."""
    found = {name: read_result(directory, name) for name in RELIABILITY}
    return {name: result for name, result in found.items() if result is not None}


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
