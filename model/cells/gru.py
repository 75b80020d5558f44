"""The GRU over packed rows, with its backward pass written out.

See `model.cells.packed` for the layout of the rows and for the letters in the shape comments.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tagbelt.model.cells.layer import Floats, KernelWeights, OnnxWeights, TorchCell
from tagbelt.model.cells.packed import (
    apart,
    both_ways,
    previous_rows,
    reversed_rows,
    rows_gradient,
    side_by_side,
    weight_gradient,
)


class Gru(TorchCell, nn.GRU):  # type: ignore[misc]
    """A GRU (Cho et al. 2014), equal to torch.nn.GRU, whose weights and order of gates it takes."""

    kernel = "gru"

    @staticmethod
    def recurrence(*arguments: Tensor) -> Tensor:
        """Run `GruRecurrence`."""
        states: Tensor = GruRecurrence.apply(*arguments)  # type: ignore[no-untyped-call]
        return states

    def onnx_weights(self) -> OnnxWeights:
        """Give the weights of ONNX's GRU, whose gates are z, r, n where torch's are r, z, n."""
        return self.weights_in_order("GRU", [1, 0, 2], linear_before_reset=1)

    def kernel_weights(self) -> KernelWeights:
        """Give r, z and the two parts of n: that of the inputs, that of the states."""
        inputs, states, bias = with_new_gate_in_parts(*self.arrays())
        return KernelWeights(inputs, states, bias)


def with_new_gate_in_parts(
    inputs: Floats, states: Floats, from_inputs: Floats, from_states: Floats
) -> tuple[Floats, Floats, Floats]:
    """Make two gates of the last: one that the inputs alone reach, one that the states alone reach.

    Weights [D, G*H, I] and [D, G*H, H] and biases [D, G*H] become weights and one bias of G + 1
    gates: before the two parts of the new gate are added, the state's is scaled.
    """
    last = inputs.shape[1] - states.shape[2]
    none = np.zeros_like(inputs[:, last:]), np.zeros_like(states[:, last:])
    inputs = np.concatenate((inputs, none[0]), axis=1)
    states = np.concatenate((states[:, :last], none[1], states[:, last:]), axis=1)
    zeros = np.zeros_like(from_inputs[:, last:])
    from_inputs = np.concatenate((from_inputs, zeros), axis=1)
    from_states = np.concatenate((from_states[:, :last], zeros, from_states[:, last:]), axis=1)
    return inputs, states, from_inputs + from_states


class GruRecurrence(torch.autograd.Function):
    """A GRU (Cho et al. 2014), with the reset gate behind the product as torch has it.

    `apply(rows, input_weight, recurrent_weight, input_bias, recurrent_bias, batch_sizes)` ->
    states [N, D*H], where rows is [N, I], input_weight [D, 3*H, I], recurrent_weight [D, 3*H, H],
    and both biases [D, 3*H], the gates in the order reset, update, new. States start at zero.

    The new gate adds what the state gives only after the reset gate has scaled it, so the two
    parts are kept apart. Inside, the gates lie in the order (new from the state, reset, update,
    new from the input): the state's product fills the first three at once, the input's the last.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        input_bias: Tensor,
        recurrent_bias: Tensor,
        batch_sizes: Tensor,
    ) -> Tensor:
        """Run all steps; keep what the backward pass needs."""
        directions, _, hidden = recurrent_weight.shape
        reverse = reversed_rows(batch_sizes).to(rows.device) if directions == 2 else None
        inputs = both_ways(rows, reverse)
        rolled = recurrent_weight.roll(hidden, 1)  # new, reset, update
        bias = torch.cat((recurrent_bias.roll(hidden, 1), input_bias[:, 2 * hidden :]), dim=1)
        bias[:, hidden : 3 * hidden] += input_bias[:, : 2 * hidden]
        gates = rows.new_empty(directions, len(rows), 4 * hidden)
        gates[:, :, :hidden] = bias[:, None, :hidden]
        torch.baddbmm(
            bias[:, None, hidden:],
            inputs,
            input_weight.transpose(1, 2),
            out=gates[:, :, hidden:],
        )
        gates = gates.view(directions, len(rows), 4, hidden)
        states = _run(gates, rolled, batch_sizes.tolist())
        ctx.batch_sizes, ctx.reverse = batch_sizes, reverse
        ctx.save_for_backward(inputs, input_weight, rolled, gates, states)
        return side_by_side(states, reverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of everything but batch_sizes; the weights' are one product each."""
        inputs, input_weight, rolled, gates, states = ctx.saved_tensors
        hidden, reverse, sizes = states.shape[2], ctx.reverse, ctx.batch_sizes.tolist()
        previous = previous_rows(ctx.batch_sizes).to(grad.device)
        before = torch.cat((torch.zeros_like(states[:, : sizes[0]]), states[:, previous]), dim=1)
        gate_grad = _run_back(apart(grad, reverse), gates, before, rolled, sizes)
        from_state, from_input = gate_grad[:, :, : 3 * hidden], gate_grad[:, :, hidden:]
        bias = gate_grad.sum(1)
        recurrent = weight_gradient(from_state[:, sizes[0] :], before[:, sizes[0] :])
        return (
            rows_gradient(from_input, input_weight, reverse) if ctx.needs_input_grad[0] else None,
            weight_gradient(from_input, inputs),
            recurrent.roll(-hidden, 1),
            bias[:, hidden:],
            bias[:, : 3 * hidden].roll(-hidden, 1),
            None,
        )


def _run(gates: Tensor, rolled: Tensor, sizes: list[int]) -> Tensor:
    """States [D, N, H]; turns gates [D, N, 4, H], but for the first, into activations."""
    directions, total, _, hidden = gates.shape
    states = gates.new_empty(directions, total, hidden)
    state = gates.new_zeros(directions, sizes[0], hidden)
    recurrent = rolled.transpose(1, 2).contiguous()
    from_state = gates.view(directions, total, -1)[:, :, : 3 * hidden]
    steps = zip(
        *(torch.split(buffer, sizes, 1) for buffer in (from_state, gates, states)), strict=True
    )
    for step, (flat, gate, new_state) in enumerate(steps):
        before = state[:, : gate.shape[1]]
        if step:
            flat.baddbmm_(before, recurrent)
        gate[:, :, 1:3].sigmoid_()
        new = gate[:, :, 3].addcmul_(gate[:, :, 0], gate[:, :, 1]).tanh_()
        torch.lerp(new, before, gate[:, :, 2], out=new_state)
        state = new_state
    return states


def _run_back(
    state_grad: Tensor, gates: Tensor, before: Tensor, rolled: Tensor, sizes: list[int]
) -> Tensor:
    """Gradient of the gates before activation, [D, N, 4*H]; uses up state_grad [D, N, H]."""
    gate_grad = _factors(gates, before)
    hidden = before.shape[2]
    from_state = gate_grad.view(*before.shape[:2], -1)[:, :, : 3 * hidden]
    to_states = torch.split(state_grad, sizes, 1)
    buffers = (gate_grad, from_state, gates[:, :, 2])
    steps = list(zip(*(torch.split(buffer, sizes, 1) for buffer in buffers), strict=True))
    for t in reversed(range(len(sizes))):
        (grad, flat, update), to_state = steps[t], to_states[t]
        grad.mul_(to_state[:, :, None])
        if t:
            carried = to_states[t - 1][:, : sizes[t]]
            carried.addcmul_(to_state, update).baddbmm_(flat, rolled)
    return gate_grad.flatten(2)


def _factors(gates: Tensor, before: Tensor) -> Tensor:
    """d state / d gate before its activation, [D, N, 4, H]."""
    from_state, reset, update, new = gates.unbind(2)
    factors = torch.empty_like(gates)
    to_state, to_reset, to_update, to_new = factors.unbind(2)
    torch.mul(new, new, out=to_new).neg_().add_(1).mul_(1 - update)
    torch.mul(to_new, reset, out=to_state)
    torch.mul(to_state, from_state, out=to_reset).mul_(1 - reset)
    torch.sub(before, new, out=to_update).mul_(update).mul_(1 - update)
    return factors
