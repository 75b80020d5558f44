"""The plain RNN over packed rows, with its backward pass written out.

See `model.cells.packed` for the layout of the rows and for the letters in the shape comments.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tagbelt.model.cells.layer import KernelWeights, OnnxWeights, TorchCell
from tagbelt.model.cells.packed import (
    apart,
    both_ways,
    previous_rows,
    reversed_rows,
    rows_gradient,
    side_by_side,
    weight_gradient,
)


class Rnn(TorchCell, nn.RNN):  # type: ignore[misc]
    """A plain RNN with tanh (Elman 1990), equal to torch.nn.RNN, whose weights it takes."""

    kernel = "rnn"

    @staticmethod
    def recurrence(*arguments: Tensor) -> Tensor:
        """Run `RnnRecurrence`."""
        states: Tensor = RnnRecurrence.apply(*arguments)  # type: ignore[no-untyped-call]
        return states

    def onnx_weights(self) -> OnnxWeights:
        """Give the weights of ONNX's RNN."""
        return self.weights_in_order("RNN", [0])

    def kernel_weights(self) -> KernelWeights:
        """Give the weights with one bias."""
        inputs, states, from_inputs, from_states = self.arrays()
        return KernelWeights(inputs, states, from_inputs + from_states)


class RnnRecurrence(torch.autograd.Function):
    """A plain RNN with tanh (Elman 1990).

    `apply(rows, input_weight, recurrent_weight, input_bias, recurrent_bias, batch_sizes)` ->
    states [N, D*H], where rows is [N, I], the weights are [D, H, I] and [D, H, H], and both
    biases [D, H]. States start at zero.
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
        reverse = None
        if len(recurrent_weight) == 2:
            reverse = reversed_rows(batch_sizes).to(rows.device)
        inputs = both_ways(rows, reverse)
        bias = (input_bias + recurrent_bias)[:, None]
        states = torch.baddbmm(bias, inputs, input_weight.transpose(1, 2))  # [D, N, H]
        recurrent = recurrent_weight.transpose(1, 2).contiguous()
        before = None
        for state in torch.split(states, batch_sizes.tolist(), 1):
            if before is not None:
                state.baddbmm_(before[:, : state.shape[1]], recurrent)
            before = state.tanh_()
        ctx.batch_sizes, ctx.reverse = batch_sizes, reverse
        ctx.save_for_backward(inputs, input_weight, recurrent_weight, states)
        return side_by_side(states, reverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of everything but batch_sizes; the weights' are one product each."""
        inputs, input_weight, recurrent_weight, states = ctx.saved_tensors
        reverse, sizes = ctx.reverse, ctx.batch_sizes.tolist()
        previous = previous_rows(ctx.batch_sizes).to(grad.device)
        gate_grad = apart(grad, reverse)
        slopes = torch.split(1 - states * states, sizes, 1)
        steps = torch.split(gate_grad, sizes, 1)
        for t in reversed(range(len(sizes))):
            steps[t].mul_(slopes[t])
            if t:
                steps[t - 1][:, : sizes[t]].baddbmm_(steps[t], recurrent_weight)
        bias = gate_grad.sum(1)
        return (
            rows_gradient(gate_grad, input_weight, reverse) if ctx.needs_input_grad[0] else None,
            weight_gradient(gate_grad, inputs),
            weight_gradient(gate_grad[:, sizes[0] :], states[:, previous]),
            bias,
            bias,
            None,
        )
