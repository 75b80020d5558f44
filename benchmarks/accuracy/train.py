"""Train the rows of `accuracy.toml` with several seeds each, and write what they score.

    python -m benchmarks.accuracy.train [--rows NAME ...] [--seeds N] [--jobs J] --out DIR
    python -m benchmarks.accuracy.train --collect --out DIR
    python -m benchmarks.accuracy.train --corrected --out DIR

A row is a directory DIR/NAME, as `tagbelt train --seeds` makes it: seeds that are finished stay as
they are, one that was stopped goes on. `results/accuracy.json` is written after every row; rows
that are not asked for keep what stands there. `--collect` trains nothing and takes what is
finished. `--corrected` scores what is finished on corrected test files alone, and leaves all
else of the rows as it stands: the runs may be fewer than the row's. The page is made by
`python -m benchmarks.accuracy.report`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy.plan import PLAN, Entry, Plan, PlanError, read_plan
from benchmarks.accuracy.runs import (
    against,
    check,
    collect,
    corrected,
    fingerprint,
    finished,
    is_current,
)
from benchmarks.common.machine import ROOT
from benchmarks.common.record import RESULTS, Row, tell, write_result
from benchmarks.report.results import read_result
from tagbelt.errors import CheckpointError, ConfigError, ConllError, SeedsError, VectorError
from tagbelt.training.run.seeds import train_seeds

NAME = "accuracy"

MENDABLE = (CheckpointError, ConfigError, ConllError, OSError, SeedsError, VectorError)
"""Errors that keep one row from its result, and no other."""


@dataclass(frozen=True)
class Page:
    """Where runs lie and results go."""

    plan: Plan
    out: Path
    results: Path

    def rows(self) -> dict[str, Row]:
        """The rows that were written before, by name."""
        result: Mapping[str, Any] = read_result(self.results, NAME) or {"rows": []}
        return {row["row"]: row for row in result["rows"]}

    def runs(self, name: str) -> tuple[Path, ...]:
        """The finished runs of a row."""
        return finished(self.out / name)

    def take(self, entry: Entry) -> bool:
        """Read the finished runs of a row into the results; False where there are none."""
        runs = self.runs(entry.name)
        if not runs:
            return False
        check(entry, runs)
        rows = self.rows()
        row = rows.get(entry.name)
        if row is None or [run["digest"] for run in row["runs"]] != fingerprint(runs):
            row = collect(entry, runs)
        self._write({**rows, entry.name: row})
        return True

    def correct(self, entry: Entry) -> bool:
        """Score the finished runs of a row on its corrected file; False where either is missing."""
        row, runs = self.rows().get(entry.name), self.runs(entry.name)
        if row is None or not runs or not entry.corrected:
            return False
        check(entry, runs)
        self._write({**self.rows(), entry.name: {**row, "corrected": corrected(entry, runs)}})
        return True

    def compare(self, entry: Entry) -> None:
        """Compare a row with its base, where both have results and runs."""
        rows = self.rows()
        if entry.base not in rows or entry.name not in rows:
            return
        row, runs, bases = rows[entry.name], self.runs(entry.name), self.runs(entry.base)
        if not runs or not bases or is_current(row.get("against"), runs, bases):
            return
        found = against(row, rows[entry.base], runs, bases, entry.split)
        self._write({**rows, entry.name: {**row, "against": found}})

    def _write(self, rows: Mapping[str, Row]) -> None:
        ordered = [rows[entry.name] for entry in self.plan.entries if entry.name in rows]
        write_result(NAME, {}, ordered, directory=self.results)


def train(page: Page, entry: Entry, *, seeds: int | None, jobs: int) -> None:
    """Train what is missing of a row's seeds.

    Raises what `train_seeds` does.
    """
    train_seeds(
        ROOT / entry.config,
        entry.overrides,
        page.out / entry.name,
        count=seeds or entry.seeds,
        jobs=jobs,
        tell=tell,
    )


def work(
    page: Page,
    entries: Sequence[Entry],
    *,
    seeds: int | None,
    jobs: int | None,
    only_corrected: bool = False,
) -> int:
    """Train (unless `jobs` is None), take and compare each row; return how many steps failed."""
    failed = 0
    empty = []
    for entry in entries:
        try:
            if jobs is not None:
                train(page, entry, seeds=seeds, jobs=jobs)
            if only_corrected:
                page.correct(entry)
                continue
            if not page.take(entry):
                empty.append(entry.name)
                continue
        except MENDABLE as error:
            failed += _told(entry, error)
        for pair in page.plan.pairs(entry):
            try:
                page.compare(pair)
            except MENDABLE as error:
                failed += _told(pair, error)
    if empty:
        tell(f"no finished run: {', '.join(empty)}")
    return failed


def _told(entry: Entry, error: Exception) -> int:
    tell(f"{entry.name}: {error}")
    return 1


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a directory a row goes in here")
    parser.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="or group, or *-x")
    parser.add_argument("--seeds", type=int, help="so many seeds, not the plan's number")
    parser.add_argument("--jobs", type=int, default=1, help="so many seeds side by side")
    parser.add_argument("--collect", action="store_true", help="take what is there, train nothing")
    parser.add_argument("--corrected", action="store_true", help="score on corrected files alone")
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    try:
        plan = read_plan(given.plan)
        entries = plan.chosen(given.rows)
    except PlanError as error:
        sys.exit(f"error: {error}")
    page = Page(plan, given.out, given.results)
    jobs = None if given.collect or given.corrected else given.jobs
    failed = work(page, entries, seeds=given.seeds, jobs=jobs, only_corrected=given.corrected)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
