"""The recurrence of all LSTM cells over packed rows, with its backward pass written out.

Rows are *packed and time-major*, like `torch.nn.utils.rnn.PackedSequence.data`: the sequences of
a batch sorted by length, longest first; first all first tokens, then all second tokens, and so
on. `batch_sizes[t]` counts the sequences longer than t, so the row of (step t, sequence b) is
`batch_sizes[:t].sum() + b`, and no row is padding.

Letters in the shape comments: N rows, B sequences, D directions, G gates, H hidden units, I
inputs, n rows alive at one step.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

Integers = NDArray[np.int64]


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


class LstmRecurrence(torch.autograd.Function):
    """An LSTM over packed rows in one or two directions, with or without coupling and peepholes.

    `apply(rows, input_weight, recurrent_weight, bias, peephole, batch_sizes)` -> states [N, D*H],
    where rows is [N, I], input_weight [D, G*H, I], recurrent_weight [D, G*H, H], bias [D, G*H].
    The gates stand in the order candidate, input, forget, output (G = 4); G = 3 has no input gate:
    it is coupled, i = 1 - f. peephole is None or [D, G-1, H], in the order of the sigmoid gates.
    The second direction reads every sequence from its end. States start at zero.

    The order of the gates is chosen for speed: the sigmoid gates are neighbours (one sigmoid a
    step), and so are those whose gradient flows through the cell (one product a step backwards).
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        bias: Tensor,
        peephole: Tensor | None,
        batch_sizes: Tensor,
    ) -> Tensor:
        """Run all steps; keep what the backward pass needs."""
        directions, _, hidden = recurrent_weight.shape
        reverse = reversed_rows(batch_sizes).to(rows.device) if directions == 2 else None
        inputs = both_ways(rows, reverse)
        # shape: [D, N, G*H] -> [D, N, G, H]
        gates = torch.baddbmm(bias[:, None], inputs, input_weight.transpose(1, 2))
        gates = gates.view(*gates.shape[:2], -1, hidden)
        states, cells, squashed = _run(gates, recurrent_weight, peephole, batch_sizes.tolist())
        ctx.batch_sizes, ctx.reverse = batch_sizes, reverse
        ctx.save_for_backward(
            inputs, input_weight, recurrent_weight, peephole, gates, states, cells, squashed
        )
        return side_by_side(states, reverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of everything but batch_sizes; the weights' are one product each."""
        (inputs, input_weight, recurrent_weight, peephole, gates, states, cells, squashed) = (
            ctx.saved_tensors
        )
        reverse, sizes = ctx.reverse, ctx.batch_sizes.tolist()
        previous = previous_rows(ctx.batch_sizes).to(grad.device)
        # The cell each row started from: zero at the first step.  shape: [D, N, H]
        before = torch.cat((torch.zeros_like(cells[:, : sizes[0]]), cells[:, previous]), dim=1)
        gate_grad = _run_back(
            apart(grad, reverse), gates, before, squashed, recurrent_weight, peephole, sizes
        )
        flat = gate_grad.flatten(2)  # shape: [D, N, G*H]
        return (
            rows_gradient(flat, input_weight, reverse) if ctx.needs_input_grad[0] else None,
            weight_gradient(flat, inputs),
            weight_gradient(flat[:, sizes[0] :], states[:, previous]),
            flat.sum(1),
            None if peephole is None else _peephole_grad(gate_grad, before, cells),
            None,
        )


def _run(
    gates: Tensor, recurrent_weight: Tensor, peephole: Tensor | None, sizes: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """States, cells and tanh(cells), each [D, N, H]; turns gates [D, N, G, H] into activations."""
    directions, total, count, hidden = gates.shape
    states, cells, squashed = gates.new_empty(3, directions, total, hidden).unbind()
    state, cell = None, gates.new_zeros(directions, sizes[0], hidden)
    # Multiplied once a step, so that it pays to lay it out as the product reads it.
    recurrent = recurrent_weight.transpose(1, 2).contiguous()
    # Views, made in one go because a step is short: each [D, n, ...], n falling step by step.
    buffers = (gates.view(directions, total, -1), gates, states, cells, squashed)
    steps = zip(*(torch.split(buffer, sizes, 1) for buffer in buffers), strict=True)
    for flat, gate, new_state, new_cell, new_squashed in steps:
        before = cell[:, : gate.shape[1]]
        if state is not None:
            flat.baddbmm_(state[:, : gate.shape[1]], recurrent)
        if peephole is not None:
            gate[:, :, 1:-1].addcmul_(before[:, :, None], peephole[:, None, :-1])
            gate[:, :, 1:-1].sigmoid_()
        else:
            gate[:, :, 1:].sigmoid_()
        candidate, forget, output = gate[:, :, 0].tanh_(), gate[:, :, -2], gate[:, :, -1]
        if count == 3:  # coupled: c = (1 - f) * g + f * before
            torch.lerp(candidate, before, forget, out=new_cell)
        else:
            torch.mul(candidate, gate[:, :, 1], out=new_cell).addcmul_(forget, before)
        if peephole is not None:
            output.addcmul_(new_cell, peephole[:, None, -1]).sigmoid_()
        torch.tanh(new_cell, out=new_squashed)
        torch.mul(output, new_squashed, out=new_state)
        state, cell = new_state, new_cell
    return states, cells, squashed


def _run_back(
    state_grad: Tensor,
    gates: Tensor,
    before: Tensor,
    squashed: Tensor,
    recurrent_weight: Tensor,
    peephole: Tensor | None,
    sizes: list[int],
) -> Tensor:
    """Gradient of the gates before activation, [D, N, G, H]; uses up state_grad [D, N, H]."""
    # Each gate's gradient is a factor known beforehand times the cell's (for the output gate, the
    # state's) gradient: the factors are computed for all rows at once, the loop multiplies.
    gate_grad, cell_factor = _factors(gates, before, squashed)
    carry = gates[:, :, -2]
    if peephole is not None:
        # What reaches a cell through the gates that see it is such a factor, too.
        cell_factor.addcmul_(gate_grad[:, :, -1], peephole[:, None, -1])
        for index in range(gates.shape[2] - 2):  # those that saw the cell before
            carry = torch.addcmul(carry, gate_grad[:, :, 1 + index], peephole[:, None, index])
    flat_grad = gate_grad.view(*state_grad.shape[:2], -1)
    cell_grad = torch.zeros_like(state_grad)
    to_states, to_cells = (torch.split(buffer, sizes, 1) for buffer in (state_grad, cell_grad))
    buffers = (gate_grad, flat_grad, cell_factor, carry)
    steps = list(zip(*(torch.split(buffer, sizes, 1) for buffer in buffers), strict=True))
    for t in reversed(range(len(sizes))):
        (grad, flat, factor, carried), to_state, to_cell = steps[t], to_states[t], to_cells[t]
        grad[:, :, -1].mul_(to_state)
        to_cell.addcmul_(to_state, factor)
        grad[:, :, :-1].mul_(to_cell[:, :, None])
        if t:
            to_states[t - 1][:, : sizes[t]].baddbmm_(flat, recurrent_weight)
            torch.mul(to_cell, carried, out=to_cells[t - 1][:, : sizes[t]])
    return gate_grad


def _factors(gates: Tensor, before: Tensor, squashed: Tensor) -> tuple[Tensor, Tensor]:
    """d gate / d cell (output gate: / d state) [D, N, G, H], and d cell / d state [D, N, H]."""
    factors = torch.empty_like(gates)
    candidate, output = gates[:, :, 0], gates[:, :, -1]
    torch.sub(1, gates[:, :, 1:], out=factors[:, :, 1:]).mul_(gates[:, :, 1:])
    factors[:, :, -1].mul_(squashed)
    torch.mul(candidate, candidate, out=factors[:, :, 0]).neg_().add_(1)
    if gates.shape[2] == 3:  # coupled
        factors[:, :, 0].mul_(1 - gates[:, :, 1])
        factors[:, :, 1].mul_(before - candidate)
    else:
        factors[:, :, 0].mul_(gates[:, :, 1])
        factors[:, :, 1].mul_(candidate)
        factors[:, :, 2].mul_(before)
    return factors, output - output * squashed * squashed


def _peephole_grad(gate_grad: Tensor, before: Tensor, cells: Tensor) -> Tensor:
    """[D, G-1, H]: what each peephole saw (the output gate's the new cell) times its gate's."""
    gates = gate_grad.unbind(2)[1:]
    seen = [before] * (len(gates) - 1) + [cells]
    return torch.stack([(g * c).sum(1) for g, c in zip(gates, seen, strict=True)], dim=1)
