"""Targets: figures that Tagbelt set out to reach (`targets.toml`), and how the measured compare."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report.results import MISSING, Results, Spread, rows, spread_of


@dataclass(frozen=True)
class Target:
    """A figure that must be `at_least` or `at_most` so much; with neither it is only stated.

    It stands in `field` of the first row of a result whose fields are those of `where`; "" is the
    row itself. `inverse` takes one over it. `form` writes a value.
    """

    group: str
    measure: str
    result: str
    where: Mapping[str, Any] = field(default_factory=dict)
    field: str = "ratio"
    at_least: float | None = None
    at_most: float | None = None
    inverse: bool = False
    form: str = "{:.3g}x"

    def wanted(self) -> str:
        """The target in words."""
        if self.at_least is not None:
            return f"at least {self.form.format(self.at_least)}"
        return "stated" if self.at_most is None else f"at most {self.form.format(self.at_most)}"

    def find(self, results: Results) -> Spread | None:
        """Return the spread that was measured, or None."""
        found = (spread_of(row, self.field) for row in rows(results, self.result, **self.where))
        spread = next((spread for spread in found if spread is not None), None)
        return _inverted(spread) if spread and self.inverse else spread

    def verdict(self, spread: Spread | None) -> str:
        """How the median compares, and whether the middle half of the rounds agrees."""
        if spread is None:
            return MISSING
        if self.at_least is None and self.at_most is None:
            return "stated"
        word = "met" if self._is_met(spread["median"]) else "missed"
        ends = {self._is_met(spread[end]) for end in ("q1", "q3") if end in spread}
        return word if len(ends) < 2 else f"{word}, within the spread"

    def _is_met(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is None or value <= self.at_most


def _inverted(spread: Spread) -> Spread:
    names = {"median": "median", "q1": "q3", "q3": "q1"}
    return {name: 1 / spread[other] for name, other in names.items() if other in spread}


def read_targets(path: Path) -> Sequence[Target]:
    """The targets of a TOML file: groups, whose own keys hold for all of their targets."""
    groups = tomllib.loads(path.read_text(encoding="utf-8"))["groups"]
    return [
        Target(**{key: value for key, value in group.items() if key != "targets"} | target)
        for group in groups
        for target in group["targets"]
    ]


TARGETS = read_targets(Path(__file__).with_suffix(".toml"))
