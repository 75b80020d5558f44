"""Grouping sentences of similar length into batches of bounded padded size."""

import numpy as np

from tagbelt.inference.crf.parameters import IntArray

# A sentence shorter than this share of the longest goes to the next batch,
_CLOSE = 0.75
# unless the batch is still so small (padded tokens) that a further call costs more than padding.
_WORTH_A_CALL = 256
# The kernels compute this many rows at a time, whether or not there are as many.
_ROWS = 16


def batches(lengths: IntArray, budget: int) -> list[IntArray]:
    """Indices of `lengths` [N] in batches, longest first within and across; each exactly once.

    The padded size of a batch, its longest length times its rows, is at most `budget` tokens; a
    sentence above the budget stands alone. Sentences of one length keep their order.
    """
    if len(lengths) == 1:  # a lone sentence should not wait for the rest
        return [np.zeros(1, np.intp)]
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]  # ascending, as searchsorted wants it
    result = []
    first = 0
    while first < len(order):
        longest = max(1, -int(falling[first]))
        fitting = first + max(1, budget // longest)
        close = int(np.searchsorted(falling, -_CLOSE * longest, side="right"))
        worth = first + -(-_WORTH_A_CALL // longest)
        stop = min(fitting, max(close, worth))
        if stop - first > _ROWS and stop < len(order):
            stop -= (stop - first) % _ROWS
        result.append(order[first:stop])
        first = stop
    return result
