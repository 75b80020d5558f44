"""Make `docs/accuracy.md` from `accuracy.toml` and what was measured.

    python -m benchmarks.accuracy.report [--results DIR] [--docs DIR]

The prose is that of `report.md`; `{{NAME}}` in it becomes a table. Rows without results
are left out.
"""

import argparse
import re
from pathlib import Path

from benchmarks.accuracy.plan import PLAN, read_plan
from benchmarks.accuracy.tables import TABLES, Measured
from benchmarks.accuracy.train import NAME
from benchmarks.common.machine import ROOT
from benchmarks.common.record import RESULTS, tell
from benchmarks.report.results import read_result

OTHERS = ("outside", "everyday", "curves", "new_label")
TEMPLATE = Path(__file__).with_suffix(".md")
PAGE = "accuracy.md"
_PLACE = re.compile(r"\{\{([^}]+)\}\}")


def read_measured(results: Path = RESULTS, plan: Path = PLAN) -> Measured:
    """The plan, and the results that there are."""
    result = read_result(results, NAME) or {"rows": []}
    rows = {row["row"]: row for row in result["rows"]}
    others = (read_result(results, name) for name in OTHERS)
    return Measured(read_plan(plan), rows, *others)


def render(template: str, measured: Measured) -> str:
    """The page. Raises KeyError for a table that there is none of."""
    return _PLACE.sub(lambda place: TABLES[place[1]](measured), template)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    page = render(TEMPLATE.read_text(encoding="utf-8"), read_measured(given.results))
    (given.docs / PAGE).write_text(page, encoding="utf-8")
    tell(f"wrote {given.docs / PAGE}")


if __name__ == "__main__":
    main()
