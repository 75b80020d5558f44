"""The most probable tag sequences: of a sentence, and of an item that has several.

Of a sentence by the serial list Viterbi algorithm (Seshadri & Sundberg 1994, "List Viterbi Decoding
Algorithms with Applications"). Every other sequence shares its last tags with one that is better,
has another tag before these, and begins in the best way that leads to that tag. So what can come
next are branches of the sequences found so far, and Viterbi's scores tell what each is worth
without following it. Scores are sums in float64.

Of an item by joining its sentences' lists one by one, each time by the lazy best-first search of
Huang & Chiang 2005, "Better k-best Parsing".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import numpy as np
from numpy.typing import NDArray

from inference.crf import CrfParameters, FloatArray, IntArray, rows_alive
from inference.logspace import log_partition
from inference.viterbi import best_scores


@dataclass(frozen=True, eq=False, slots=True)
class Ranked:
    """The n most probable tag sequences of a sentence of T tokens, best first.

    `paths` [T, n] are tags, `logs` [n] the natural logarithms of their probabilities.
    """

    paths: IntArray
    logs: list[float]


def best_paths(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    best: IntArray,
    wanted: Sequence[int],
) -> list[Ranked]:
    """The `wanted` [B] most probable sequences of each row, fewer where there are no more.

    `emissions`, `lengths` and errors are as in `viterbi`, and `best` [T, B] are its paths, which
    come first. No sequence comes twice. A row's result does not depend on the others.
    """
    totals = log_partition(emissions, lengths, crf)
    scores = best_scores(emissions, rows_alive(emissions, lengths, crf), crf)
    result = []
    for row, (length, number) in enumerate(zip(lengths.tolist(), wanted, strict=True)):
        lattice = _Lattice(emissions[:length, row].astype(np.float64), scores[:length, row], crf)
        paths, found = lattice.search(best[:length, row], number)
        result.append(Ranked(np.stack(paths, axis=1), (found - totals[row]).tolist()))
    return result


class _Lattice:
    """One sentence: `emissions` [T, K], and `scores` [T, K] of the best way to begin up to a tag.

    A score includes the emission of its tag.
    """

    def __init__(self, emissions: FloatArray, scores: FloatArray, crf: CrfParameters) -> None:
        self._emissions = emissions
        self._scores = scores
        self._crf = crf

    def search(self, best: IntArray, wanted: int) -> tuple[list[IntArray], FloatArray]:
        """The best sequences, which begin with `best` [T], and their scores."""
        paths = [best]
        scores = [float((self._scores[-1] + self._crf.end).max())]
        waiting: list[tuple[float, int, int, int, int]] = []
        order = count()
        stop = len(best)  # where the last one found left its parent; its own branches lie before
        while len(paths) < wanted:
            parent = len(paths) - 1
            for score, step, tag in self._branches(paths[parent], stop, wanted - len(paths)):
                heappush(waiting, (-score, next(order), parent, step, tag))
            if not waiting:
                break
            worth, _, parent, stop, tag = heappop(waiting)
            paths.append(self._branch(paths[parent], stop, tag))
            scores.append(min(-worth, scores[-1]))  # rounding must not turn the order
        return paths, np.array(scores)

    def _branches(self, path: IntArray, stop: int, most: int) -> list[tuple[float, int, int]]:
        """The best branches of a path before `stop`: scores, the last steps that differ, tags."""
        crf = self._crf
        following = np.vstack([crf.transitions.T[path[1:]], crf.end])  # [T, K] to what comes next
        own = np.take_along_axis(self._emissions + following, path[:, None], axis=1)[:, 0]
        after = np.append(own[:0:-1].cumsum()[::-1], 0.0)  # [T], what the tags after a step add
        scores = self._scores[:stop] + following[:stop] + after[:stop, None]
        np.put_along_axis(scores, path[:stop, None], -np.inf, axis=1)
        flat = scores.ravel()
        least = np.partition(flat, -most)[-most] if most < len(flat) else -np.inf
        chosen = np.flatnonzero((flat >= least) & (flat > -np.inf))
        chosen = chosen[np.argsort(-flat[chosen], kind="stable")[:most]]
        steps, tags = np.divmod(chosen, crf.size)
        return list(zip(flat[chosen].tolist(), steps.tolist(), tags.tolist(), strict=True))

    def _branch(self, parent: IntArray, step: int, tag: int) -> IntArray:
        """The parent's tags after a step, `tag` at it, and the best way to get there."""
        path = parent.copy()
        path[step] = tag
        for here in range(step, 0, -1):
            moves = self._scores[here - 1] + self._crf.transitions[:, path[here]]
            before = int(moves.argmax())
            if before == parent[here - 1]:  # the parent got here in the best way, too
                break
            path[here - 1] = before
        return path


def best_choices(
    lists: Sequence[Sequence[float]], wanted: int
) -> tuple[list[list[int]], list[float]]:
    """The `wanted` ways to choose a number from each list that have the largest sums, best first.

    Lists fall and hold at least one number. The first result is n choices, an index a list; the
    second their sums. Without a list there is one choice, of nothing, with the sum 0.
    """
    sums = [0.0]
    joined = []
    for numbers in lists:
        pairs = _best_pairs(sums, numbers, wanted)
        joined.append(pairs)
        sums = [sums[left] + numbers[right] for left, right in pairs]
    choices = []
    for place in range(len(sums)):
        choice = []
        for pairs in reversed(joined):
            place, right = pairs[place]
            choice.append(right)
        choices.append(choice[::-1])
    return choices, sums


def _best_pairs(
    left: Sequence[float], right: Sequence[float], wanted: int
) -> list[tuple[int, int]]:
    """Indices of the pairs that have the largest sums, from two lists that fall."""
    waiting = [(-(left[0] + right[0]), 0, 0)]
    found: list[tuple[int, int]] = []
    while waiting and len(found) < wanted:
        _, i, j = heappop(waiting)
        found.append((i, j))
        if j + 1 < len(right):
            heappush(waiting, (-(left[i] + right[j + 1]), i, j + 1))
        if j == 0 and i + 1 < len(left):  # each pair is reached in one way only
            heappush(waiting, (-(left[i + 1] + right[0]), i + 1, 0))
    return found
