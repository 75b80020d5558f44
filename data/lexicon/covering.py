"""The words of a lexicon that cover tokens, and what a network reads of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SETS = "BMES"
"""The words that a token begins, continues, ends or is."""


@dataclass(frozen=True, eq=False, slots=True)
class Covers:
    """The words that cover N tokens.

    Those of set k of token n are `words[starts[4 n + k] : starts[4 n + k + 1]]`; their `weights`,
    over all four sets of a token, sum to 4, or to 0 where no word covers it.
    """

    words: NDArray[np.int32]
    weights: NDArray[np.float32]
    starts: NDArray[np.int64]

    def at(self, tokens: NDArray[np.int64]) -> "Covers":
        """Return the covers of some tokens, in their order; of -1, none."""
        bags = (tokens.ravel()[:, None] * len(SETS) + np.arange(len(SETS))).ravel()
        # Clipped, the sets of token -1 begin and end at 0.
        begins = self.starts.take(bags, mode="clip")
        counts = self.starts.take(bags + 1, mode="clip") - begins
        starts = run_starts(counts)
        places = np.repeat(begins - starts[:-1], counts) + np.arange(starts[-1])
        return Covers(self.words[places], self.weights[places], starts)

    def sums(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return [N, 4 E]: the weighted sum of the vectors [W, E] of each set's words."""
        counts = np.diff(self.starts)
        sums = np.zeros((len(counts), vectors.shape[1]), np.float32)
        # The first words of all sets, then the second: sums of floats depend on their order.
        left = counts.nonzero()[0]
        for place in range(int(counts.max(initial=0))):
            left = left[counts[left] > place]
            which = self.starts[left] + place
            sums[left] += vectors.take(self.words[which], axis=0) * self.weights[which, None]
        return sums.reshape(-1, len(SETS) * vectors.shape[1])


def run_starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return [n + 1] where each of n runs begins, and the end of the last."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
