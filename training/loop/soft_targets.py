"""Soft targets: what tags each training sentence is expected to have, kept small."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagbelt.model.batch import Batch, ExpectedTags
from tagbelt.model.cells.packed import packed_order

RARE = 1e-5
"""Transitions expected less often than this in a sentence are not kept."""


@dataclass(frozen=True)
class SoftTargets:
    """The expected tags of S sentences with N tokens, of K tags.

    `marginals` float16 [N, K] of all tokens in order, those of sentence i from `starts[i]` to
    `starts[i + 1]`. Of its transitions most are never expected: the others are the `moves`
    [M] (from * K + to) and how often, `counts` [M], from `move_starts[i]` to `move_starts[i + 1]`.
    """

    marginals: Tensor
    moves: Tensor
    counts: Tensor
    starts: Tensor
    move_starts: Tensor

    @classmethod
    def of(cls, sentences: Iterable[ExpectedTags]) -> "SoftTargets":
        """Keep what is expected of sentences, one at a time; at least one."""
        marginals, moves, counts = [], [], []
        for expected in sentences:
            steps = expected.steps.numpy().ravel()
            kept = np.flatnonzero(steps > RARE)
            # What is left out goes to the others: transitions are one fewer than tokens.
            scale = (len(expected.marginals) - 1) / max(steps[kept].sum(), RARE)
            marginals.append(expected.marginals.numpy().astype(np.float16))
            moves.append(kept.astype(np.int32))
            counts.append((scale * steps[kept]).astype(np.float32))
        return cls(
            _joined(marginals), _joined(moves), _joined(counts), _starts(marginals), _starts(moves)
        )

    def batch(self, batch: Batch) -> ExpectedTags:
        """Return the expected tags of a batch, in float64; each token's sum to 1."""
        order, size = batch.index, self.marginals.shape[1]
        rows = _parts(self.marginals, self.starts, order)
        lengths = self.starts[order + 1] - self.starts[order]
        marginals = rows[packed_order(lengths)].double()
        marginals /= marginals.sum(1, keepdim=True)
        steps = torch.zeros(size * size, dtype=torch.float64)
        moves = _parts(self.moves, self.move_starts, order)
        steps.index_add_(0, moves, _parts(self.counts, self.move_starts, order).double())
        return ExpectedTags(marginals, steps.view(size, size))


def _joined(parts: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts))


def _starts(parts: Sequence[NDArray[Any]]) -> Tensor:
    """Where each part begins when they stand one behind the other, and where the last ends."""
    return torch.tensor([0, *map(len, parts)]).cumsum(0)


def _parts(values: Tensor, starts: Tensor, order: Tensor) -> Tensor:
    """Return the parts at the places in `order`, one behind the other."""
    ends = zip(starts[order].tolist(), starts[order + 1].tolist(), strict=True)
    return torch.cat([values[begin:end] for begin, end in ends])
