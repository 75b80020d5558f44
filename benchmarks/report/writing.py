"""How figures and tables of the report are written."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.report.bar import MISSING, Spread
from benchmarks.report.parts import Parts

Table = Callable[[Parts], str]
Cells = Sequence[str]

TIMES = "{:.3g}x".format


def markdown(header: Cells, body: Iterable[Cells]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *body]
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


def part_table(parts: Parts, part: str, header: Cells, body: Sequence[Cells]) -> str:
    """A table with the command that fills it, or what does when it is empty."""
    if not body:
        return f"{MISSING.capitalize()}."
    return f"{markdown(header, body)}\n\n`{parts[part]['command']}`"
