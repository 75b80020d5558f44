"""Cutting a long sentence into overlapping windows, so that no sentence is too long to tag.

Each token takes its emissions from the window in which it stands most central; the emissions of
the whole sentence are then decoded together, as if there had been no windows.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `stop` of a sentence go to the scorer; `keep` to `keep_stop` are used."""

    start: int
    stop: int
    keep: int
    keep_stop: int


def windows(length: int, limit: int, overlap: int) -> list[Window]:
    """Windows over `length` tokens, each of at most `limit`, neighbours sharing `overlap` or more.

    The windows' kept parts follow one another without a gap from 0 to `length`. There are as few
    windows as can be, all of one size, no longer than they must be, evenly spread. Raises
    ValueError unless 0 <= overlap < limit.
    """
    if not 0 <= overlap < limit:
        raise ValueError(f"a window of {limit} tokens cannot overlap the next by {overlap}")
    if length <= limit:
        return [Window(0, length, 0, length)]
    count = -((overlap - length) // (limit - overlap))  # (length - overlap) / step, rounded up
    size = -((overlap * (1 - count) - length) // count)  # they hold every shared token twice
    starts = [(length - size) * i // (count - 1) for i in range(count)]
    # A token nearer to the middle of the next window is kept from there.
    cuts = [(start + size + after) // 2 for start, after in pairwise(starts)]
    keeps = [0, *cuts, length]
    return [
        Window(start, start + size, keep, keep_stop)
        for start, (keep, keep_stop) in zip(starts, pairwise(keeps), strict=True)
    ]
