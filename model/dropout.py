"""Dropout masks (Srivastava et al. 2014)."""

from torch import Tensor, nn


def dropout_mask(rows: int, columns: int, probability: float, like: Tensor) -> Tensor:
    """Return [rows, columns] of zeros, and of 1 / (1 - probability) where a value is kept.

    Chance comes from torch's global generator; the mask has `like`'s type and device.
    """
    # Cutting four values out of one draw of 64 bits would save 2 % of a step: too little.
    kept = like.new_empty(rows, columns).bernoulli_(1 - probability)
    return kept.mul_(1 / (1 - probability))


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
