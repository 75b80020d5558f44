"""Do posteriors mean what they say: of the entities given 0.8, are 80 % right?

The expected calibration error (Naeini et al. 2015; Guo et al. 2017) of n predicted entities in
bins b is  sum over b of  n_b / n * |share of right ones in b - mean posterior in b|.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Bin:
    """The entities with a posterior in [low, high); the last bin holds 1.0 as well.

    `confidence` is the mean of their posteriors, `accuracy` the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """The error over bins of equal width, which are listed, and over bins of equal counts."""

    entities: int
    error: float
    error_equal_counts: float
    bins: tuple[Bin, ...]


def reliability(scores: Floats, right: Bools, bins: int = BINS) -> Reliability:
    """Compare the posteriors [N] of predicted entities with which of them are right [N]."""
    # Divided, 3 of 10 is the number that 0.3 is written for; 3 * 0.1 lies above it.
    edges = np.arange(bins + 1) / bins
    places = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
    listed = []
    for index in range(bins):
        inside = places == index
        low, high = float(edges[index]), float(edges[index + 1])
        listed.append(Bin(low, high, *_part(scores[inside], right[inside])))
    order = np.argsort(scores, kind="stable")
    parts = zip(
        np.array_split(scores[order], bins), np.array_split(right[order], bins), strict=True
    )
    return Reliability(
        entities=len(scores),
        error=_error([(b.count, b.confidence, b.accuracy) for b in listed]),
        error_equal_counts=_error([_part(s, r) for s, r in parts]),
        bins=tuple(listed),
    )


def _part(scores: Floats, right: Bools) -> tuple[int, float, float]:
    count = len(scores)
    return (count, float(scores.mean()), float(right.mean())) if count else (0, 0.0, 0.0)


def _error(parts: Sequence[tuple[int, float, float]]) -> float:
    total = sum(count for count, _, _ in parts)
    if not total:
        return 0.0
    return sum(count * abs(right - score) for count, score, right in parts) / total
