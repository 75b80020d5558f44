"""Packed rows, the layout of the whole network, and what every recurrence does with them.

Rows are *packed and time-major*, like `torch.nn.utils.rnn.PackedSequence.data`: the sequences of
a batch sorted by length, longest first; first all first tokens, then all second tokens, and so
on. `batch_sizes[t]` counts the sequences longer than t, so the row of (step t, sequence b) is
`batch_sizes[:t].sum() + b`, and no row is padding.

Letters in the shape comments: N rows, B sequences, T steps, D directions, G gates, H hidden
units, I inputs, n rows alive at one step.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]


def batch_sizes(lengths: Tensor) -> Tensor:
    """Return [T] how many of the sentences (lengths [B], longest first) reach each position."""
    return (lengths[None, :] > torch.arange(int(lengths[0]))[:, None]).sum(1)


def packed_order(lengths: Tensor) -> Tensor:
    """Return [N] where each packed row stands in the concatenation of the sentences.

    `lengths` [B], longest first, none zero.

    Raises:
        ValueError: a sentence without tokens, named by its position.
    """
    if int(lengths[-1]) < 1:
        raise ValueError(f"sentence {len(lengths) - 1} of the batch (longest first) has no token")
    alive = lengths[None, :] > torch.arange(int(lengths[0]))[:, None]  # [T, B]
    starts = lengths.cumsum(0) - lengths  # [B]
    positions = starts[None, :] + torch.arange(int(lengths[0]))[:, None]  # [T, B]
    return positions[alive]


def sequence_of_rows(batch_sizes: Tensor) -> Tensor:
    """Which sequence of the batch each row belongs to, as int64 [N]."""
    sizes, starts = _sizes_and_starts(batch_sizes)
    return torch.from_numpy(np.arange(sizes.sum()) - np.repeat(starts, sizes))


def lengths_of(batch_sizes: Tensor) -> Tensor:
    """The length of every sequence of the batch, longest first, as int64 [B]."""
    return torch.from_numpy(_lengths(batch_sizes.numpy()))


def last_rows(batch_sizes: Tensor) -> Tensor:
    """The row of every sequence's last token, as int64 [B]."""
    sizes, starts = _sizes_and_starts(batch_sizes)
    return torch.from_numpy(starts[_lengths(sizes) - 1] + np.arange(sizes[0]))


def previous_rows(batch_sizes: Tensor) -> Tensor:
    """For each row from the second step on, the row one step earlier, as int64 [N - B]."""
    sizes = batch_sizes.numpy()
    return torch.from_numpy(np.arange(sizes[0], sizes.sum()) - np.repeat(sizes[:-1], sizes[1:]))


def reversed_rows(batch_sizes: Tensor) -> Tensor:
    """The permutation of rows that reverses each sequence in itself (its own inverse), int64 [N].

    A backward direction over reversed sequences has the same rows alive at every step as the
    forward one, so both directions run as one batch.
    """
    sizes, starts = _sizes_and_starts(batch_sizes)
    sequence = np.arange(sizes.sum()) - np.repeat(starts, sizes)
    steps = np.repeat(np.arange(len(sizes)), sizes)
    return torch.from_numpy(starts[_lengths(sizes)[sequence] - 1 - steps] + sequence)


# Indices are made with numpy, whose calls cost a third of torch's: the arrays are short.
def _sizes_and_starts(batch_sizes: Tensor) -> tuple[Integers, Integers]:
    """The rows of every step, and where they start, each [T]."""
    sizes = batch_sizes.numpy()
    return sizes, sizes.cumsum() - sizes


def _lengths(sizes: Integers) -> Integers:
    """[B] in how many steps each sequence has a row."""
    return np.searchsorted(-sizes, -np.arange(sizes[0]), side="left")


def both_ways(rows: Tensor, reverse: Tensor | None) -> Tensor:
    """Rows [N, I] as each direction reads them, [D, N, I]: the second one through `reverse`."""
    return rows[None] if reverse is None else torch.stack((rows, rows[reverse]))


def side_by_side(states: Tensor, reverse: Tensor | None) -> Tensor:
    """States of both directions [D, N, H] as [N, D*H], each row at its own token."""
    if reverse is None:
        return states[0].clone()  # the states are kept for the backward pass
    return torch.cat((states[0], states[1][reverse]), dim=1)


def apart(grad: Tensor, reverse: Tensor | None) -> Tensor:
    """The gradient of what `side_by_side` returned, [N, D*H], as [D, N, H] that may be changed."""
    if reverse is None:
        return grad[None].clone()
    hidden = grad.shape[1] // 2
    return torch.stack((grad[:, :hidden], grad[reverse, hidden:]))


def rows_gradient(flat: Tensor, input_weight: Tensor, reverse: Tensor | None) -> Tensor:
    """The gradient of rows [N, I], from that of the gates, [D, N, G*H]."""
    grad = flat[0] @ input_weight[0]
    if reverse is not None:
        grad += (flat[1] @ input_weight[1])[reverse]
    return grad


def weight_gradient(flat: Tensor, seen: Tensor) -> Tensor:
    """The gradient of weights [D, G*H, I] from that of the gates [D, N, G*H]; they saw [D, N, I].

    The smaller matrix stands on the left, which is faster than the product of the transposes.
    """
    return (seen.transpose(1, 2) @ flat).transpose(1, 2)
