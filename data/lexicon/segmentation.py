"""The most probable words of a text, of the words that were found in it."""

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.matching import Matches

_SCALE = 1 << 20
_NEVER = -(1 << 62)


class Segmenter:
    """A unigram model: the probability of a word is its share of all weights.

    `weights` [K] are those of the token sequences; those of weight 0 are not words. `tokens` [A]
    are the weights of the single-token ones by code; a token without weight is as likely a
    word as the rarest that has one. Log-probabilities are whole numbers (in 2^-20 of a nat): the
    rounding of sums of floats would let other sentences of a batch decide between equal choices.
    """

    def __init__(self, weights: NDArray[np.float64], tokens: NDArray[np.float64]) -> None:
        has_weight = weights > 0
        rarest = weights[has_weight].min()
        logs = np.log(np.where(has_weight, weights, 1.0) / weights.sum())
        self.scores = np.where(has_weight, _whole(logs), _NEVER)
        self.token_scores = _whole(np.log(np.where(tokens > 0, tokens, rarest) / weights.sum()))

    def words(self, long: Matches, short: Matches, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which matches are words of the most probable segmentation of `codes` [N].

        `long` are the matches of several tokens, by rising end, `short` those of one; first come
        all long ones. A token that no longer word covers is a word of its own.
        """
        before = np.zeros(len(codes) + 1, np.int64)
        self.token_scores[codes].cumsum(out=before[1:])
        gains = self.scores[long.sequences] - (before[long.ends] - before[long.starts])
        chosen = best_schedule(long.starts, long.ends, gains)
        is_word = np.zeros(len(long.ends) + len(short.ends), np.bool_)
        is_word[chosen] = True
        if len(short.ends):
            steps = np.zeros(len(codes) + 1, np.int64)
            steps[long.starts[chosen]] += 1
            steps[long.ends[chosen]] -= 1
            alone = steps.cumsum()[short.starts] == 0
            is_word[len(long.ends) :] = alone & (self.scores[short.sequences] > _NEVER)
        return is_word


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(values * _SCALE).astype(np.int64)


def best_schedule(
    starts: NDArray[np.int64], ends: NDArray[np.int64], gains: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the indices of intervals that do not overlap and whose gains sum to the most.

    Intervals are given, and returned, by rising end (exclusive). Weighted interval scheduling
    (Kleinberg & Tardos, Algorithm Design, section 6.1); none without a gain is taken, and of
    equal choices the one whose last interval comes first.
    """
    worth = (gains > 0).nonzero()[0]
    # Only the first previous[k] intervals are over where interval k starts.
    previous = ends[worth].searchsorted(starts[worth], side="right").tolist()
    best = [0]
    last = 0
    for over, gain in zip(previous, gains[worth].tolist(), strict=True):
        taken = best[over] + gain
        if taken > last:
            last = taken
        best.append(last)
    chosen = []
    left = len(previous)
    while left:
        if best[left] == best[left - 1]:
            left -= 1
        else:
            chosen.append(left - 1)
            left = previous[left - 1]
    return worth[chosen[::-1]]
