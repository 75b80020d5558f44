"""Tables of the report: those of `tables.toml`, and the few that are more than rows and columns."""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common.record import Row
from benchmarks.report.results import (
    MISSING,
    NOT_MEASURED,
    Machines,
    Results,
    Spread,
    in_detail,
    rows,
    spread_of,
    tier_of,
)
from benchmarks.report.targets import TARGETS, Target

PROMISES = Path(__file__).with_name("promises.toml")
Table = Callable[[Results], str]
"""Of one machine."""
Cells = Sequence[str]

QUICK = "**Quick runs are among these: fewer rounds, smaller sizes, rough figures.**"


def markdown(header: Cells, body: Sequence[Cells]) -> str:
    """A Markdown table, or the remark that nothing was measured."""
    if not body:
        return NOT_MEASURED
    lines: Iterable[Cells] = (header, ["---"] * len(header), *body)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rounded(value: float) -> str:
    """Three digits that count: 148,000; 9.87; 0.0123."""
    value = float(f"{value:.3g}")
    digits = 0
    size = abs(value)
    while size and size < 100 and digits < 6:
        size, digits = size * 10, digits + 1
    return f"{value:,.{digits}f}"


def written(spread: Spread | None, form: Callable[[float], str] = rounded) -> str:
    """A median with the quartiles of its rounds."""
    if spread is None:
        return MISSING
    median = form(spread["median"])
    low, high = (form(spread.get(end, spread["median"])) for end in ("q1", "q3"))
    return median if low == high == median else f"{median} ({low} to {high})"


def with_command(results: Results, name: str, header: Cells, body: Sequence[Cells]) -> str:
    """A table of a result, with the command that measures it."""
    table = markdown(header, body)
    return f"{table}\n\n`{results[name]['command']}`" if body else table


@dataclass(frozen=True)
class Column:
    """A column of a table; see `tables.toml`."""

    heading: str
    fields: str
    form: str = ""
    factor: float = 1

    def cell(self, row: Row) -> str:
        """The row's values, as text; "" for those that it lacks."""
        if not self.fields:
            return self._text(row)
        return ", ".join(self._text(row.get(name)) for name in self.fields.split(" "))

    def _text(self, value: Any) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        form = self.form.format if self.form else rounded
        if isinstance(value, int) and not self.form:
            return f"{value:,}"
        if isinstance(value, dict):
            return written(spread_of(value), lambda number: form(self.factor * number))
        return form(self.factor * value)


@dataclass(frozen=True)
class RowTable:
    """A line for each row of a result; see `tables.toml`."""

    result: str
    columns: Sequence[Column]
    where: Mapping[str, Any] = field(default_factory=dict)
    fastest_first: bool = False

    def __call__(self, results: Results) -> str:
        """The table."""
        found = list(rows(results, self.result, **self.where))
        if self.fastest_first:
            found.sort(key=lambda row: -float(row["rate"]["median"]))
        header = [column.heading for column in self.columns]
        body = [[column.cell(row) for column in self.columns] for row in found]
        return with_command(results, self.result, header, body)


def read_tables(path: Path) -> dict[str, Table]:
    """The tables of a TOML file, by name."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: RowTable(**table | {"columns": [Column(*column) for column in table["columns"]]})
        for name, table in found.items()
    }


def targets(machines: Machines) -> str:
    """Every target and, of each machine, what was measured and how they compare."""
    body = []
    group = ""
    for target in TARGETS:
        first = "" if target.group == group else target.group
        line = [first, target.measure, target.wanted()]
        for results in machines.values():
            spread = target.find(results)
            line += [written(spread, target.form.format), target.verdict(spread)]
        body.append(line)
        group = target.group
    heads = (
        f"{kind}, tier `{tier_of(found)}`: median (quartiles)" for kind, found in machines.items()
    )
    header = ["", "measure", "bar", *(cell for head in heads for cell in (head, ""))]
    table = markdown(header, body) if machines else NOT_MEASURED
    is_quick = any(
        result["settings"].get("quick") for found in machines.values() for result in found.values()
    )
    return f"{QUICK}\n\n{table}" if is_quick else table


def missed(results: Results) -> list[Target]:
    """The targets that are measured and not met."""
    return [target for target in TARGETS if target.verdict(target.find(results))[:6] == "missed"]


def machine(machines: Machines) -> str:
    """A line for each machine, commit and day that the results come from."""
    told: dict[str, list[str]] = {}
    for kind, results in machines.items():
        for name, result in results.items():
            told.setdefault(f"{kind}: {_machine(result)}", []).append(name)
    lines = (f"- {text}: {', '.join(names)}" for text, names in told.items())
    return "\n".join(lines) or NOT_MEASURED


def _machine(result: Mapping[str, Any]) -> str:
    found = result["machine"]
    pieces = [
        f"{found.get('cpu', 'an unknown processor')}, {found.get('cores', '?')} cores",
        f"{found['memory_gb']} GB" if "memory_gb" in found else "",
        f"tier {found['tier']}" if found.get("tier") else "",
        " ".join(found.get("flags", [])),
        found.get("system", ""),
        f"Python {found.get('python', '?')}",
        _versions(found.get("packages", {})),
        f"commit {found['commit']}" if found.get("commit") else "",
        result.get("date", ""),
        "a quick run: rough" if result["settings"].get("quick") else "",
        f"size {result['settings']['size']}" if "size" in result["settings"] else "",
    ]
    return "; ".join(filter(None, pieces))


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in packages.items())


def batch(results: Results) -> str:
    """Rates of systems, a line a batch size."""
    found = {(row["batch"], row["system"]): row for row in rows(results, "batch")}
    names = list(dict.fromkeys(name for _, name in found))
    body = []
    for size in sorted({size for size, _ in found}):
        rates = (spread_of(found.get((size, name), {}), "rate") for name in names)
        body.append((f"{size:,}", *(written(rate) if rate else "" for rate in rates)))
    return with_command(results, "batch", ("tokens with padding", *names), body)


def flatness(results: Results) -> str:
    """The dearest size of each experiment over its cheapest."""
    body = [
        (
            row["experiment"].partition(":")[0],
            f"{row['dearest']:,}",
            f"{row['cheapest']:,}",
            written(spread_of(row), "{:.3f}x".format),
        )
        for row in rows(results, "scale", unit="x")
    ]
    return with_command(results, "scale", ("against", "dearest at", "cheapest at", "ratio"), body)


def start(results: Results) -> str:
    """Start, memory and sizes, each in its unit."""
    body = [
        (row["experiment"], f"{written(spread_of(row))} {row['unit']}")
        for row in rows(results, "start")
    ]
    return with_command(results, "start", ("", "median (quartiles)"), body)


def systems(results: Results) -> str:
    """Each system and how it was set up, from all comparisons."""
    found: dict[str, Cells] = {}
    for row in (row for result in results.values() for row in result["rows"]):
        if "system" in row and row.get("note"):
            line = (row["system"], row["note"], _versions(row.get("versions", {})))
            found.setdefault(row["system"], line)
    return markdown(("system", "set-up", "versions"), list(found.values()))


def promises(results: Results) -> str:
    """What is promised, the tests that hold it, and what the suite found; see `promises.toml`."""
    body = []
    for promise in tomllib.loads(PROMISES.read_text(encoding="utf-8"))["promise"]:
        found = list(rows(results, promise["result"], **promise.get("where", {})))
        figures = [promise["figure"].format_map(row) for row in found] or [MISSING]
        cases = sum(row[promise["cases"]] for row in found)
        tests = ", ".join(f"`{name}`" for name in promise["tests"])
        body.append((promise["says"], tests, f"{cases:,}", "; ".join(figures)))
    return markdown(("promise", "held in `make test` by", "cases of the suite", "found"), body)


def load(results: Results) -> str:
    """How busy the machine was with anything when each part ended."""
    told = (
        f"{name} {result['machine']['load']:.0f}"
        for name, result in results.items()
        if "load" in result["machine"]
    )
    return f"Load of the machine at the end of each part: {', '.join(told) or MISSING}."


TABLES: Mapping[str, Table] = {
    **read_tables(Path(__file__).with_suffix(".toml")),
    "batch": batch,
    "flatness": flatness,
    "start": start,
    "systems": systems,
}

OF_RELIABILITY: Mapping[str, Table] = {
    **read_tables(PROMISES.with_name("reliability.toml")),
    "promises": promises,
    "load": load,
}
"""Those of the page on reliability."""

OF_MACHINES: Mapping[str, Callable[[Machines], str]] = {"targets": targets, "machine": machine}


def table(name: str, machines: Machines) -> str:
    """A table by its name: of all machines, or of the one that is shown in detail.

    Raises KeyError for one that there is none of.
    """
    if name in OF_MACHINES:
        return OF_MACHINES[name](machines)
    return {**TABLES, **OF_RELIABILITY}[name](machines.get(in_detail(machines), {}))
