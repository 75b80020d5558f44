"""The most probable tag sequences: of a sentence, and of an item that has several.

Of a sentence by the serial list Viterbi algorithm (Seshadri & Sundberg 1994, "List Viterbi Decoding
Algorithms with Applications"). Every other sequence shares its last tags with one that is better,
has another tag before these, and begins in the best way that leads to that tag. So what can come
next are branches of the sequences found so far, and Viterbi's scores tell what each is worth
without following it. Scores are sums in float64.

Of an item by joining its sentences' lists one by one, each time by the lazy best-first search of
Huang & Chiang 2005, "Better k-best Parsing": a sentence's next sequence is searched for when it is
that sequence's turn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.algorithms import forward_scores
from tagbelt.inference.crf.parameters import CrfParameters, FloatArray, IntArray
from tagbelt.inference.crf.reference import STEPS


class HasLogProbability(Protocol):
    """Any object with the natural logarithm of its probability."""

    @property
    def log(self) -> float:
        """The logarithm."""


R = TypeVar("R", bound=HasLogProbability)


class TagSequence(NamedTuple):
    """A tag sequence [T] of a sentence, and the natural logarithm of its probability."""

    path: IntArray
    log: float


def best_paths(
    emissions: NDArray[np.float32],
    lengths: IntArray,
    crf: CrfParameters,
    best: IntArray,
    wanted: Sequence[int],
    between: Callable[[], None] = lambda: None,
) -> list[Iterator[TagSequence]]:
    """Search the `wanted` [B] most probable sequences of each row, fewer where there are no more.

    They come best first and are searched for one by one, as they are read. `emissions`, `lengths`
    and errors are as in `viterbi`, and `best` [T, B] are its paths, which come first. No sequence
    comes twice. A row's result does not depend on the others. `between` is called every so many
    steps of what is computed at once; what it raises ends the work.
    """
    scores, totals = forward_scores(emissions, lengths, crf, between)
    return [
        _Lattice(emissions[:n, row], scores[:n, row], crf, float(totals[row]), between).search(
            best[:n, row], most
        )
        for row, (n, most) in enumerate(zip(lengths.tolist(), wanted, strict=True))
    ]


class _Lattice:
    """One sentence: `emissions` [T, K], and `scores` [T, K] of the best way to begin up to a tag.

    A score includes the emission of its tag. `total` is the logarithm of all sequences' sum.
    """

    def __init__(
        self,
        emissions: NDArray[np.float32],
        scores: FloatArray,
        crf: CrfParameters,
        total: float,
        between: Callable[[], None],
    ) -> None:
        self._steps = np.arange(len(emissions))
        self._emissions = emissions
        self._scores = scores
        self._crf = crf
        self._total = total
        self._between = between

    def search(self, best: IntArray, wanted: int) -> Iterator[TagSequence]:
        """Yield the best sequences, which begin with `best` [T]."""
        paths = [best]
        score = float((self._scores[-1] + self._crf.end).max())
        yield TagSequence(best, score - self._total)
        waiting: list[tuple[float, int, int, int, int]] = []
        order = count()
        stop = len(best)  # where the last one found left its parent; its own branches lie before
        while len(paths) < wanted:
            parent = len(paths) - 1
            for worth, step, tag in self._branches(paths[parent], stop, wanted - len(paths)):
                heappush(waiting, (-worth, next(order), parent, step, tag))
            if not waiting:
                return
            loss, _, parent, stop, tag = heappop(waiting)
            paths.append(self._branch(paths[parent], stop, tag))
            score = min(-loss, score)  # rounding must not turn the order
            yield TagSequence(paths[-1], score - self._total)

    def _branches(self, path: IntArray, stop: int, most: int) -> list[tuple[float, int, int]]:
        """Return the best branches of a path before `stop`: scores, last steps to differ, tags."""
        here = self._steps
        following = np.empty(self._scores.shape)  # [T, K] to what comes next
        following[:-1] = self._crf.transitions.T[path[1:]]
        following[-1] = self._crf.end
        own = self._emissions[here, path] + following[here, path]
        after = np.zeros(len(path))  # what the tags after a step add
        after[:-1] = own[:0:-1].cumsum()[::-1]
        scores = self._scores[:stop] + following[:stop]
        scores += after[:stop, None]
        scores[here[:stop], path[:stop]] = -np.inf
        flat = scores.ravel()
        least = np.partition(flat, -most)[-most] if most < len(flat) else -np.inf
        chosen = ((flat >= least) & (flat > -np.inf)).nonzero()[0]
        chosen = chosen[np.argsort(-flat[chosen], kind="stable")[:most]]
        steps, tags = np.divmod(chosen, self._crf.size)
        return list(zip(flat[chosen].tolist(), steps.tolist(), tags.tolist(), strict=True))

    def _branch(self, parent: IntArray, step: int, tag: int) -> IntArray:
        """Return the parent's tags after a step, `tag` at it, and the best way to get there."""
        path = parent.copy()
        path[step] = tag
        for here in range(step, 0, -1):
            if not here % STEPS:
                self._between()
            moves = self._scores[here - 1] + self._crf.transitions[:, path[here]]
            before = int(moves.argmax())
            if before == parent[here - 1]:  # the parent got here in the best way, too
                break
            path[here - 1] = before
        return path


class LazyList(Generic[R]):
    """A list that is made as far as it is looked at."""

    def __init__(self, source: Iterable[R]) -> None:
        self._source = iter(source)
        self._made: list[R] = []

    def __getitem__(self, place: int) -> R:
        return self._made[place]

    def reaches(self, place: int) -> bool:
        """Read up to a place; whether there is something at it."""
        while len(self._made) <= place:
            following = next(self._source, None)
            if following is None:
                return False
            self._made.append(following)
        return True


def best_choices(lists: Sequence[LazyList[R]], wanted: int) -> list[tuple[list[R], float]]:
    """Return the `wanted` ways to choose one of each list with the largest sums of logarithms.

    Lists fall and hold at least one. Each choice comes with its sum, best first. Without a list
    there is one choice, of nothing, with the sum 0.
    """
    sums = [0.0]
    joined = []
    for own in lists:
        pairs = _best_pairs(sums, own, wanted)
        joined.append((own, pairs))
        sums = [sums[left] + own[right].log for left, right in pairs]
    result = []
    for place, total in enumerate(sums):
        choice = []
        for own, pairs in reversed(joined):
            place, right = pairs[place]
            choice.append(own[right])
        result.append((choice[::-1], total))
    return result


def _best_pairs(left: Sequence[float], right: LazyList[R], wanted: int) -> list[tuple[int, int]]:
    """Return the indices of the pairs that have the largest sums, from two lists that fall."""
    waiting: list[tuple[float, int, int]] = []

    def offer(i: int, j: int) -> None:
        if i < len(left) and right.reaches(j):
            heappush(waiting, (-(left[i] + right[j].log), i, j))

    offer(0, 0)
    found: list[tuple[int, int]] = []
    while waiting and len(found) < wanted:
        _, i, j = heappop(waiting)
        found.append((i, j))
        offer(i, j + 1)
        if j == 0:  # so that each pair is reached in one way only
            offer(i + 1, 0)
    return found
