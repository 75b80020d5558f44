"""Do posteriors mean what they say: of the entities given 0.8, are 80 % right?

The expected calibration error (Naeini et al. 2015; Guo et al. 2017) of n predicted entities in
bins b is  sum over b of  n_b / n * |share of right ones in b - mean posterior in b|.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.analysis.tagged import Tagged

BINS = 10
LIMIT = 0.03
"""An error above this is worth a word."""


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
class Calibration:
    """The error over bins of equal width, which are listed, and over bins of equal counts."""

    entities: int
    error: float
    error_equal_counts: float
    bins: tuple[Bin, ...]


def calibration(tagged: Sequence[Tagged], bins: int = BINS) -> Calibration:
    """Compare the posterior of each predicted entity with whether gold has exactly that one."""
    pairs = [
        (score, span in item.gold)
        for item in tagged
        for span, score in zip(item.found, item.scores, strict=True)
    ]
    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    right = np.array([is_right for _, is_right in pairs], dtype=np.float64)
    # 0.3 * 10 is a little more than 3: edges are compared, not computed from the score.
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
    listed = []
    for index in range(bins):
        inside = places == index
        count = int(inside.sum())
        listed.append(
            Bin(
                float(edges[index]),
                float(edges[index + 1]),
                count,
                float(scores[inside].mean()) if count else 0.0,
                float(right[inside].mean()) if count else 0.0,
            )
        )
    order = np.argsort(scores, kind="stable")
    return Calibration(
        entities=len(pairs),
        error=_error([(b.count, b.confidence, b.accuracy) for b in listed]),
        error_equal_counts=_error(_parts(scores[order], right[order], bins)),
        bins=tuple(listed),
    )


def _parts(
    scores: NDArray[np.float64], right: NDArray[np.float64], bins: int
) -> list[tuple[int, float, float]]:
    """Cut sorted scores into parts of nearly equal counts."""
    cut = zip(np.array_split(scores, bins), np.array_split(right, bins), strict=True)
    return [(len(s), float(s.mean()), float(r.mean())) for s, r in cut if len(s)]


def _error(parts: Sequence[tuple[int, float, float]]) -> float:
    total = sum(count for count, _, _ in parts)
    if not total:
        return 0.0
    return sum(count * abs(right - score) for count, score, right in parts) / total
