"""Interleaved repeats, and what is said of them: medians, spread and ratios of one round."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Series = dict[str, list[float]]
"""Name of a candidate -> its figure in each round."""


def interleaved(
    candidates: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Series:
    """Call every candidate once a round and keep what each returns.

    A disturbance of the machine then hits all of them. Each round starts with another candidate,
    so that none always follows the same one. `tell` is told of every round.
    """
    names = list(candidates)
    series: Series = {name: [] for name in names}
    for number in range(rounds):
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            series[name].append(candidates[name]())
        tell(f"round {number + 1} of {rounds}")
    return series


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles, extremes and the values themselves.

    Raises ValueError where there are none.
    """
    if not values:
        raise ValueError("no values, so no median")
    lower, middle, upper = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    )
    return {
        "median": middle,
        "q1": lower,
        "q3": upper,
        "min": min(values),
        "max": max(values),
        "values": list(values),
    }


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Spread of the ratios of each round: the two of a round met the same machine.

    Raises ValueError where the rounds of one are not those of the other.
    """
    return spread([a / b for a, b in zip(above, below, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values, so no percentile")
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, rank - 1)]
