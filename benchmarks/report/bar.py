"""A bar: a figure that Tagbelt set out to reach, and how what was measured compares."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.report.parts import Parts

Spread = dict[str, float]
Find = Callable[[Parts], Spread | None]

MISSING = "not measured"


@dataclass(frozen=True)
class Bar:
    """A figure that must be at least (`floor`) or at most `limit`; without a limit it is stated.

    `part` is the measurement that `find` takes it from; `form` writes a value.
    """

    group: str
    measure: str
    part: str
    find: Find
    limit: float | None
    floor: bool = True
    form: str = "{:.3g}x"

    def bar(self) -> str:
        """The bar in words."""
        if self.limit is None:
            return "stated"
        return f"{'at least' if self.floor else 'at most'} {self.form.format(self.limit)}"

    def verdict(self, spread: Spread | None) -> str:
        """How the median compares, and whether the middle half of the rounds agrees."""
        if spread is None:
            return MISSING
        if self.limit is None:
            return "stated"
        word = "met" if self._reaches(spread["median"]) else "missed"
        ends = {self._reaches(spread[end]) for end in ("q1", "q3") if end in spread}
        return word if len(ends) < 2 else f"{word}, within the spread"

    def _reaches(self, value: float) -> bool:
        limit = self.limit or 0.0
        return value >= limit if self.floor else value <= limit
