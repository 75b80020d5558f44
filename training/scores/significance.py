"""Is one F1 better than another? A paired bootstrap over sentences, a t-test over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.types import Span

Counts = NDArray[np.int64]
"""[N, 3]: of each sentence, entities found that are right, entities found, gold entities."""

DRAWN_AT_A_TIME = 1000
TIE = 1e-12


@dataclass(frozen=True)
class Significance:
    """A difference's two-sided 95 % interval, and p: how probable one as large is by chance."""

    low: float
    high: float
    p: float


def count(gold: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> Counts:
    """Count, by sentence, the spans that match exactly in place and label."""
    rows = [
        (len(set(right) & set(ours)), len(set(ours)), len(set(right)))
        for right, ours in zip(gold, found, strict=True)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def f1_of(totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 of counts [..., 3]; 0 where there is nothing to find and nothing found."""
    right, both = totals[..., 0], totals[..., 1] + totals[..., 2]
    scores: NDArray[np.float64] = 2 * right / np.maximum(both, 1)
    return scores


def f1_interval(right: int, wrong: int, *, samples: int = 20_000) -> tuple[float, float]:
    """Return the 95 % interval of an F1 of so many right, and missed or spurious, entities.

    By the posterior of Goutte & Gaussier (2005) under Jeffreys' prior: F1 is U / (U + V), a ratio
    of gamma variables. It takes entities for independent, so it is rather too narrow.
    """
    draw = np.random.default_rng(0)
    u = draw.gamma(right + 0.5, 2.0, samples)
    v = draw.gamma(wrong + 1.0, 1.0, samples)
    low, high = np.quantile(u / (u + v), (0.025, 0.975))
    return float(low), float(high)


def paired_bootstrap(
    a: Sequence[Counts], b: Sequence[Counts], *, samples: int, seed: int = 1
) -> Significance:
    """Test the difference of mean F1, that of the models in `b` less that of those in `a`.

    All models are scored on the same samples of sentences, drawn with replacement. The interval
    is that of percentiles. For p, the samples' differences are moved so that none is expected:
    the share of those as far from it as ours is from 0 (Efron & Tibshirani 1993, chapter 16;
    Berg-Kirkpatrick et al. 2012, here two-sided), the real test set counted as one more sample.

    Raises:
        ValueError: no sentences, no model on a side, or no samples.
    """
    if not a or not b or samples < 1 or not len(a[0]):
        raise ValueError("a bootstrap needs a model on each side, sentences and samples")
    counts = np.stack([*a, *b], axis=1)  # [N, R, 3]
    observed = float(_difference(counts.sum(axis=0), len(a)))
    drawn = _difference(_resampled(counts, samples, seed), len(a))  # [samples]
    low, high = np.quantile(drawn, (0.025, 0.975))
    as_far = int((np.abs(drawn - observed) >= abs(observed) - TIE).sum())
    return Significance(float(low), float(high), (1 + as_far) / (1 + samples))


def _difference(totals: NDArray[np.int64], first: int) -> NDArray[np.float64]:
    """Return the mean F1 of totals [..., R, 3] but the first, less that of the first."""
    scores = f1_of(totals)  # [..., R]
    difference: NDArray[np.float64] = scores[..., first:].mean(-1) - scores[..., :first].mean(-1)
    return difference


def _resampled(counts: NDArray[np.int64], samples: int, seed: int) -> NDArray[np.int64]:
    """Return the totals [samples, R, 3] over sentences that were drawn with replacement.

    Sentences with equal counts make no difference to the totals, so it is drawn how many of each
    kind there are: there are far fewer kinds than sentences.
    """
    rows = counts.reshape(len(counts), -1)
    kinds, often = np.unique(rows, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    totals = []
    for start in range(0, samples, DRAWN_AT_A_TIME):
        size = min(DRAWN_AT_A_TIME, samples - start)
        totals.append(generator.multinomial(len(rows), often / len(rows), size=size) @ kinds)
    return np.concatenate(totals).reshape(samples, *counts.shape[1:])


def welch_test(a: Sequence[float], b: Sequence[float]) -> Significance | None:
    """Test the difference of the means, of `b` less of `a`, by Welch's t-test.

    The values are taken as drawn from two normal distributions, whose variances may differ
    (Welch 1947). None where a side has fewer than two values, or neither side has any spread.
    """
    if min(len(a), len(b)) < 2 or max(np.ptp(a), np.ptp(b)) == 0:
        return None
    from scipy.special import stdtr, stdtrit  # Student's t: its distribution, and the inverse

    parts = [stdev(values) ** 2 / len(values) for values in (a, b)]
    error = math.sqrt(sum(parts))
    shares = [part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)]
    freedom = sum(parts) ** 2 / sum(shares)
    difference = fmean(b) - fmean(a)
    half = float(stdtrit(freedom, 0.975)) * error
    p = 2 * float(stdtr(freedom, -abs(difference) / error))
    return Significance(difference - half, difference + half, p)
