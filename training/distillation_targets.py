"""Soft targets: what tags each training sentence is expected to have, kept small."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.batch import Batch, ExpectedTags, packed_order

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
    starts: Tensor
    moves: Tensor
    counts: Tensor
    move_starts: Tensor

    @classmethod
    def of(cls, sentences: Iterable[ExpectedTags]) -> "SoftTargets":
        """Keep what is expected of sentences, one at a time; at least one."""
        marginals, moves, counts = [], [], []
        for expected in sentences:
            steps = expected.steps.flatten()
            (kept,) = torch.nonzero(steps > RARE, as_tuple=True)
            marginals.append(expected.marginals.half())
            moves.append(kept.int())
            counts.append(steps[kept].float())
        return cls(
            torch.cat(marginals),
            _starts(marginals),
            torch.cat(moves),
            torch.cat(counts),
            _starts(moves),
        )

    def batch(self, batch: Batch) -> ExpectedTags:
        """Return the expected tags of a batch, in float64 and summing to what they must."""
        order = batch.index
        begins, ends = self.starts[order], self.starts[order + 1]
        rows = [self.marginals[a:b] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]
        marginals = torch.cat(rows)[packed_order(ends - begins)].double()
        marginals /= marginals.sum(1, keepdim=True)
        return ExpectedTags(marginals, self._steps(order))

    def _steps(self, order: Tensor) -> Tensor:
        count = self.marginals.shape[1]
        steps = torch.zeros(count * count, dtype=torch.float64)
        ends = zip(
            self.move_starts[order].tolist(), self.move_starts[order + 1].tolist(), strict=True
        )
        for (begin, end), wanted in zip(ends, self._moves_made(order), strict=True):
            if wanted:
                counts = self.counts[begin:end].double()
                steps.index_add_(0, self.moves[begin:end], counts * (wanted / counts.sum()))
        return steps.view(count, count)

    def _moves_made(self, order: Tensor) -> list[int]:
        moves: list[int] = (self.starts[order + 1] - self.starts[order] - 1).tolist()
        return moves


def _starts(parts: list[Tensor]) -> Tensor:
    """Where each part begins when they stand one behind the other, and where the last ends."""
    return torch.tensor([0, *map(len, parts)]).cumsum(0)
