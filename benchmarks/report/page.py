"""Make `docs/benchmarks.md`, its plots and `docs/reliability.md` from `benchmarks/results/`.

    python -m benchmarks.report.page [--results DIR] [--docs DIR]

The prose is `benchmarks/report/page.md`, and `reliability.md` beside it; `{{table NAME}}` and
`{{plot NAME}}` in them become a table of `tables.py` and a plot of `plots.py`, `{{missed}}` the
targets that are missed, `{{machine}}` the kind of machine that is shown in detail. What was not
measured is said to be so.
"""

import argparse
import re
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.record import RESULTS, tell
from benchmarks.report.results import (
    MISSING,
    Machines,
    in_detail,
    read_machines,
    read_reliability,
)
from benchmarks.report.tables import missed, table

TEMPLATE = Path(__file__).with_suffix(".md")
PAGE = "benchmarks.md"
RELIABILITY = "reliability.md"
PLOTS = "plots"
"""The folder of the plots, beside the page."""
_PLACE = re.compile(r"\{\{(\w+)(?: ([^}|]+?))?(?:\|([^}]*))?\}\}")


def render(template: str, machines: Machines, docs: Path) -> str:
    """The page. Raises KeyError for a table that there is none of."""

    def fill(place: re.Match[str]) -> str:
        kind, name, text = place.groups()
        if kind == "table":
            return table(name, machines)
        if kind == "plot":
            return _plot(docs, name, text)
        if kind == "missed":
            return _missed(machines)
        if kind == "machine":
            return in_detail(machines) or MISSING
        raise KeyError(f"{place[0]}: no such placeholder")

    return _PLACE.sub(fill, template)


def _plot(docs: Path, name: str, text: str) -> str:
    path = Path(PLOTS) / f"{name}.svg"
    if not (docs / path).exists():
        return f"{MISSING.capitalize()}, so no plot."
    return f"![{text or name}]({path.as_posix()})"


def _missed(machines: Machines) -> str:
    kinds: dict[str, list[str]] = {}
    for kind, results in machines.items():
        for one in missed(results):
            line = f"- {one.group}, {one.measure}: {one.wanted()}"
            kinds.setdefault(line, []).append(kind)
    found = [f"{line} ({', '.join(names)})" for line, names in kinds.items()]
    return "\n".join(found) or "Of what was measured, nothing."


def main() -> None:
    """Draw the plots and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--only", choices=(PAGE, RELIABILITY), help="one of the two pages")
    given = parser.parse_args()
    if given.only != PAGE:
        _write(given.docs, RELIABILITY, reliability(given.results))
    if given.only != RELIABILITY:
        _write(given.docs, PAGE, _benchmarks(given.results, given.docs))


def reliability(directory: Path) -> str:
    """The page on reliability, of a folder of results."""
    template = TEMPLATE.with_name(RELIABILITY).read_text(encoding="utf-8")
    return render(template, {"the suite": read_reliability(directory)}, directory)


def _benchmarks(directory: Path, docs: Path) -> str:
    from benchmarks.report.plots import draw_all  # needs matplotlib, and the tables do not

    machines = read_machines(directory)
    draw_all(machines.get(in_detail(machines), {}), docs / PLOTS)
    return render(TEMPLATE.read_text(encoding="utf-8"), machines, docs)


def _write(docs: Path, name: str, page: str) -> None:
    docs.mkdir(parents=True, exist_ok=True)
    (docs / name).write_text(page, encoding="utf-8")
    tell(f"wrote {docs / name}")


if __name__ == "__main__":
    main()
