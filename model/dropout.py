"""Dropout masks (Srivastava et al. 2014) at a fraction of what torch's cost on a CPU."""

import torch
from torch import Tensor, nn

LEVELS = 2**16


def dropout_mask(rows: int, columns: int, probability: float, like: Tensor) -> Tensor:
    """Return [rows, columns] of zeros, and of 1 / (1 - probability) where a value is kept.

    Chance comes from torch's global generator. One draw of 64 bits serves four values, so that the
    probability is met to 1 / 65536; the mask has `like`'s type and device.
    """
    count = rows * columns
    draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device)
    parts = draws.random_(-(2**63), None).view(torch.int16)[:count].view(rows, columns)
    threshold = min(round(probability * LEVELS), LEVELS - 1) - LEVELS // 2
    return (parts >= threshold).to(like.dtype).mul_(1 / (1 - probability))


class Dropout(nn.Module):
    """Drops single values of a matrix, in training only."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows [N, D] to rows of which some values are zero and the others larger."""
        if not self.training or self.probability == 0.0:
            return rows
        return rows * dropout_mask(len(rows), rows.shape[1], self.probability, rows)
