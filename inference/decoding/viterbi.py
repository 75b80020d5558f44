"""The best tag sequence of each sentence (Viterbi 1967), vectorised over the batch.

`viterbi` runs in C where the kernels were built (native/viterbi.c), with the very same results. The
numpy version is its fallback and its oracle. There the only loop is the one over time. Scores lie
as [K, B], rows of the batch innermost: adding the transitions and taking the maximum over the tag
one comes from are then long contiguous vector operations, ten times faster here than `argmax` over
a short last axis. No back pointers are kept: walking back, the best predecessor is looked for
again, but only of the one tag that was chosen.

Sums are float64, so no float32 emission can overflow them, and each row is computed element by
element, so that neither its path nor a tie depends on the other rows. Ties go to the lower tag.
"""

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.parameters import CrfParameters, FloatArray, IntArray, rows_alive
from tagbelt.inference.native.crf import functions


def viterbi(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> tuple[IntArray, FloatArray]:
    """Best paths [T, B] (0 after a row's end) and their scores [B].

    `emissions` float32 [T, B, K]; `lengths` [B], longest first, at least 1. Raises ValueError
    where `rows_alive` does, and for a row without a path of finite score (emissions that are NaN
    or infinite).
    """
    native = functions()
    compute = viterbi_in_numpy if native is None else native.viterbi
    return compute(emissions, lengths, crf)


def viterbi_in_numpy(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> tuple[IntArray, FloatArray]:
    """As `viterbi`."""
    alive = rows_alive(emissions, lengths, crf)
    if not alive:
        return np.zeros((len(emissions), 0), np.intp), np.zeros(0)
    with np.errstate(invalid="ignore"):  # NaN is reported below, with its row
        scores = best_scores(emissions, alive, crf)
        last = scores[lengths - 1, np.arange(len(lengths))] + crf.end  # [B, K]
    best = last.max(axis=1)
    if not np.isfinite(best).all():
        row = int(np.flatnonzero(~np.isfinite(best))[0])
        raise ValueError(f"row {row} has no path of finite score: its emissions are not finite")
    paths = np.zeros(emissions.shape[:2], np.intp)
    _backtrace(scores, last.argmax(axis=1), alive, crf, paths)
    return paths, best


def best_scores(emissions: NDArray[np.float32], alive: list[int], crf: CrfParameters) -> FloatArray:
    """Score [T, B, K] of the best path that ends in a tag at a step, its emission included.

    `alive` [T] is what `rows_alive` tells; what stands behind a row's end means nothing.
    """
    emissions = emissions[: len(alive)]
    steps, rows, tags = emissions.shape
    scores = np.empty((steps, tags, rows))
    scores[...] = emissions.transpose(0, 2, 1)
    scores[:1] += crf.start[:, None]
    transitions = crf.transitions[:, :, None]  # [K from, K to, 1]
    moves = np.empty((tags, tags, rows))
    best = np.empty((tags, rows))
    for step in range(1, steps):
        n = alive[step]
        np.add(scores[step - 1, :, None, :n], transitions, out=moves[:, :, :n])
        np.maximum.reduce(moves[:, :, :n], axis=0, out=best[:, :n])
        scores[step, :, :n] += best[:, :n]
    return np.ascontiguousarray(scores.transpose(0, 2, 1))


def _backtrace(
    scores: FloatArray, tag: IntArray, alive: list[int], crf: CrfParameters, paths: IntArray
) -> None:
    """Fill `paths` from each row's last tag `tag` [B] backwards."""
    sources = np.ascontiguousarray(crf.transitions.T)  # [K to, K from]
    for step in range(len(alive) - 1, 0, -1):
        n = alive[step]
        paths[step, :n] = tag[:n]
        moves = sources.take(tag[:n], axis=0)  # [n, K from]
        moves += scores[step - 1, :n]
        moves.argmax(axis=1, out=tag[:n])
    paths[0] = tag
