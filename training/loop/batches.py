"""Which sentences meet in a batch: much the same length, another order each epoch."""

import random
from collections.abc import Sequence

POOL = 64
"""Batches' worth of sentences that are sorted together: long enough to keep padding low, short
enough that batches differ from epoch to epoch."""


def bucketed_batches(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """Return the indices of each batch; every sentence stands in exactly one.

    The order depends on `seed` and `epoch` alone, so that a resumed run goes on as an
    uninterrupted one would.
    """
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    generator.shuffle(order)
    span = POOL * batch_size
    batches: list[list[int]] = []
    for begin in range(0, len(order), span):
        pool = sorted(order[begin : begin + span], key=lambda i: lengths[i])
        batches.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    generator.shuffle(batches)
    return batches
