"""Tables of the report, each made from the parts, or `not measured` where its part is missing."""

from collections.abc import Mapping
from typing import Any

from benchmarks.common.record import Row
from benchmarks.report.bar import MISSING, Bar, Spread
from benchmarks.report.bars import BARS
from benchmarks.report.parts import Parts, rows, spread_of
from benchmarks.report.service_tables import SERVICE_TABLES
from benchmarks.report.writing import TIMES, Table, markdown, part_table, rounded, written

QUICK = "**Quick runs are among these: fewer rounds, smaller sizes, rough figures.**"
HEADERS = {"f1": "F1, %", "first": "first pass", "batch": "batch size"}


def bars(parts: Parts) -> str:
    """Every bar, what was measured, and how they compare."""
    body = []
    group = ""
    for bar in BARS:
        spread = bar.find(parts)
        measured = written(spread, bar.form.format)
        first = "" if bar.group == group else bar.group
        body.append((first, bar.measure, bar.bar(), measured, bar.verdict(spread)))
        group = bar.group
    table = markdown(("", "measure", "bar", "median (quartiles)", ""), body)
    is_quick = any(part["settings"].get("quick") for part in parts.values())
    return f"{QUICK}\n\n{table}" if is_quick else table


def missed(parts: Parts) -> list[Bar]:
    """The bars that are measured and not met."""
    return [bar for bar in BARS if bar.verdict(bar.find(parts)).startswith("missed")]


def machine(parts: Parts) -> str:
    """What the parts ran on, a line for each different machine, commit or day."""
    if not parts:
        return MISSING.capitalize() + "."
    told: dict[str, list[str]] = {}
    for name, part in parts.items():
        told.setdefault(_machine(part), []).append(name)
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in told.items())


def _machine(part: Mapping[str, Any]) -> str:
    found = part["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in found.get("packages", {}).items())
    pieces = [
        f"{found.get('cpu', 'an unknown processor')}, {found.get('cores', '?')} cores",
        f"{found['memory_gb']} GB" if "memory_gb" in found else "",
        " ".join(found.get("flags", [])),
        found.get("system", ""),
        f"Python {found.get('python', '?')}",
        packages,
        f"commit {found['commit']}" if found.get("commit") else "",
        part.get("date", ""),
        "a quick run: rough" if part["settings"].get("quick") else "",
    ]
    return "; ".join(piece for piece in pieces if piece)


def rates(part: str, *extra: str) -> Table:
    """Rates of systems, fastest first, with the ratio of ours to each and some columns more."""
    names = [HEADERS.get(name, name) for name in extra]

    def table(parts: Parts) -> str:
        found = sorted(rows(parts, part), key=lambda row: -row["rate"]["median"])
        body = [
            (
                row["system"],
                written(row["rate"]),
                written(spread_of(row, "ratio"), TIMES) if "ratio" in row else "",
                *(_cell(row.get(name)) for name in extra),
            )
            for row in found
        ]
        return part_table(parts, part, ("system", "tokens/s", "ratio", *names), body)

    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return rounded(value) if isinstance(value, float) else str(value)


def batch(parts: Parts) -> str:
    """Rates of systems, a line a batch size."""
    names = list(dict.fromkeys(row["system"] for row in rows(parts, "batch")))
    sizes = sorted({row["batch"] for row in rows(parts, "batch")})
    body = []
    for size in sizes:
        found = {row["system"]: row for row in rows(parts, "batch", batch=size)}
        rate = (written(spread_of(found[name], "rate")) if name in found else "" for name in names)
        body.append((f"{size:,}", *rate))
    return part_table(parts, "batch", ("tokens with padding", *names), body)


def latency(parts: Parts) -> str:
    """Percentiles of single calls, in microseconds."""
    shares = ("p50", "p90", "p99", "max")
    body = [
        (
            row["system"],
            *(rounded(row[share]) for share in shares),
            written(spread_of(row, "ratio"), TIMES) if "ratio" in row else "",
        )
        for row in rows(parts, "latency")
    ]
    header = ("system", *(f"{share}, µs" for share in shares), "p50 over ours")
    return part_table(parts, "latency", header, body)


def limits(parts: Parts) -> str:
    """The matrix products alone."""
    body = [
        (
            row["system"],
            row["product"],
            str(row.get("rows", "")),
            written(_spread(row, "seconds_per_token"), lambda value: rounded(1e6 * value)),
            written(spread_of(row, "rate")) if "rate" in row else "",
            written(spread_of(row, "share"), "{:.0%}".format) if "share" in row else "",
        )
        for row in rows(parts, "limits")
    ]
    header = ("format", "product", "rows", "µs a token", "tokens/s", "Tagbelt's share")
    return part_table(parts, "limits", header, body)


def cost(experiment: str, size: str, *, memory: bool = False) -> Table:
    """Cost per token against a size."""

    def table(parts: Parts) -> str:
        found = rows(parts, "scale", experiment=experiment)
        body = [(f"{row['size']:,}", written(_spread(row)), _peak(row)) for row in found]
        header = (size, "µs a token", "peak memory, MB")
        width = 3 if memory else 2
        return part_table(parts, "scale", header[:width], [line[:width] for line in body])

    return table


def flatness(parts: Parts) -> str:
    """The dearest size of each experiment over its cheapest."""
    body = [
        (
            row["experiment"].partition(":")[0],
            f"{row['dearest']:,}",
            f"{row['cheapest']:,}",
            written(_spread(row), "{:.3f}x".format),
        )
        for row in rows(parts, "scale", unit="x")
    ]
    return part_table(parts, "scale", ("against", "dearest at", "cheapest at", "ratio"), body)


def _spread(row: Row, *path: str) -> Spread:
    found = spread_of(row, *path)
    assert found is not None, f"no median in {row}"
    return found


def _peak(row: Row) -> str:
    return f"{row['peak_mb']:.0f}" if row.get("peak_mb") else ""


def memory(parts: Parts) -> str:
    """The memory that ever-new words take."""
    body = [
        (
            f"{row['tokens']:,}",
            f"{row['warm_mb']:.1f} MB",
            f"{row['median']:.1f} %",
            f"{row['max']:.1f} %",
            rounded(row["tokens_per_second"]),
        )
        for row in rows(parts, "memory", experiment="growth")
    ]
    header = ("tokens", "when warm", "growth at the end", "highest growth", "tokens/s")
    return part_table(parts, "memory", header, body)


def start(parts: Parts) -> str:
    """Start, memory and sizes."""
    body = [
        (row["experiment"], written(_spread(row)) + f" {row['unit']}")
        for row in rows(parts, "start")
    ]
    return part_table(parts, "start", ("", "median (quartiles)"), body)


def systems(parts: Parts) -> str:
    """What each system is and how it was set up, from all comparisons."""
    found: dict[str, tuple[str, str]] = {}
    for part in parts.values():
        for row in part["rows"]:
            if "system" in row and row.get("note"):
                versions = ", ".join(f"{n} {v}" for n, v in row.get("versions", {}).items())
                found.setdefault(row["system"], (row["note"], versions))
    body = [(name, note, versions) for name, (note, versions) in found.items()]
    return markdown(("system", "set-up", "versions"), body) if body else f"{MISSING.capitalize()}."


TABLES: Mapping[str, Table] = {
    "bars": bars,
    "machine": machine,
    "tokens": rates("tokens", "f1", "first", "batch"),
    "texts": rates("texts", "first", "batch"),
    "threads": rates("threads", "threads"),
    "chinese": rates("chinese", "tokens"),
    "batch": batch,
    "training": rates("training"),
    "latency": latency,
    "limits": limits,
    "corpus": cost("corpus", "sentences", memory=True),
    "raw texts": cost("texts", "texts", memory=True),
    "length": cost("length", "tokens a sentence"),
    "vocabulary, warm": cost("vocabulary, warm", "distinct words"),
    "vocabulary, cold": cost("vocabulary, cold", "distinct words"),
    "flatness": flatness,
    "memory": memory,
    "start": start,
    "systems": systems,
    **SERVICE_TABLES,
}
