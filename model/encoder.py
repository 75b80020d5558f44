"""The encoder: stacked recurrent layers with locked dropout, then optional self-attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.cells.recurrent import lengths_of, sequence_of_rows
from tagbelt.model.config import EncoderConfig


class Encoder(nn.Module):
    """Rows of word vectors in, rows of states out, each seeing its whole sequence."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        """`input_size`: width of the rows; the output is `config.size` wide."""
        super().__init__()
        widths = [input_size] + [config.size] * (config.layers - 1)
        self.dropout = config.dropout
        self.layers = nn.ModuleList(
            RecurrentLayer(
                config.cell,
                width,
                config.hidden,
                bidirectional=config.bidirectional,
                peephole=config.has_peephole,
                forget_bias=config.forget_bias,
            )
            for width in widths
        )
        heads = config.attention_heads
        self.attention = SelfAttention(config.size, heads) if heads else None

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """rows [N, input_size] packed (see cells.recurrent), batch_sizes int64 [T] -> [N, size]."""
        for layer in self.layers:
            rows, _ = layer(self._drop(rows, batch_sizes), batch_sizes)
        if self.attention is not None:
            rows = self.attention(rows, batch_sizes)
        return self._drop(rows, batch_sizes)

    def _drop(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        return locked_dropout(rows, batch_sizes, self.dropout) if self.training else rows


def locked_dropout(rows: Tensor, batch_sizes: Tensor, probability: float) -> Tensor:
    """Drop the same units at every step of a sequence (Gal & Ghahramani 2016).

    The masks come from torch's global generator; what is kept is scaled by 1 / (1 - probability).
    """
    if probability == 0.0:
        return rows
    # shape: [B, D], gathered to [N, D]
    mask = rows.new_empty(int(batch_sizes[0]), rows.shape[1]).bernoulli_(1 - probability)
    mask /= 1 - probability
    return rows * mask[sequence_of_rows(batch_sizes).to(rows.device)]


class SelfAttention(nn.Module):
    """Multi-head self-attention inside each sequence, added to its input (Vaswani et al. 2017)."""

    def __init__(self, size: int, heads: int) -> None:
        """`heads` must divide `size`."""
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(size, 3 * size)  # queries, keys, values
        self.output = nn.Linear(size, size)
        for linear in (self.projection, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """rows [N, size] packed -> rows [N, size]."""
        lengths = lengths_of(batch_sizes)
        sequence = sequence_of_rows(batch_sizes).to(rows.device)
        step = torch.repeat_interleave(torch.arange(len(batch_sizes)), batch_sizes).to(rows.device)
        # shape: [B, T, 3 * size] -> three of [B, heads, T, size / heads]
        padded = rows.new_zeros(len(lengths), len(batch_sizes), 3 * rows.shape[1])
        padded = padded.index_put((sequence, step), self.projection(rows))
        query, key, value = padded.view(*padded.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        inside = torch.arange(len(batch_sizes)) < lengths[:, None]
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=inside[:, None, None].to(rows.device)
        )
        # shape: [B, heads, T, size / heads] -> [N, size]
        mixed = mixed.transpose(1, 2).flatten(2)[sequence, step]
        attended: Tensor = rows + self.output(mixed)
        return attended
