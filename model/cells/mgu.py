"""The minimal gated unit over packed rows, with its backward pass written out.

See `model.cells.packed` for the layout of the rows and for the letters in the shape comments.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tagbelt.model import native
from tagbelt.model.cells.gru import with_new_gate_in_parts
from tagbelt.model.cells.layer import KernelWeights, OnnxWeights, Peephole, RecurrentCell, as_array
from tagbelt.model.cells.packed import (
    apart,
    both_ways,
    previous_rows,
    reversed_rows,
    rows_gradient,
    side_by_side,
    weight_gradient,
)


class Mgu(RecurrentCell):
    """A minimal gated unit (Zhou et al. 2016): a GRU whose one gate f both resets and updates.

    f = sigmoid(W_f x + U_f h + b_f), n = tanh(W_n x + b_n + f (U_n h + c_n)),
    h' = (1 - f) h + f n.

    The paper has U_n (f h); here the gate stands behind the product, as in torch's GRU. So a step
    is one product of the state, and ONNX's GRU with `linear_before_reset` computes the cell
    exactly: its reset gate is f, its update gate 1 - f, which is f's with all weights negated.

    Weights are stacked over directions, in the order f, n; `bias` is b_f, b_n, c_n.
    """

    kernel = "mgu"

    def __init__(
        self,
        input_size: int,
        hidden: int,
        *,
        bidirectional: bool,
        peephole: Peephole = False,  # noqa: ARG002
    ) -> None:
        super().__init__()
        directions = 1 + bidirectional
        self.input_weight = nn.Parameter(torch.empty(directions, 2 * hidden, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(directions, 2 * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(directions, 3 * hidden))

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """rows [N, I], batch_sizes [T] -> states [N, D*H]."""
        weights = self.input_weight, self.recurrent_weight
        if native.serves(self.kernel, rows, *weights, self.bias):
            hidden = self.bias.shape[1] // 3
            from_input, new = self.bias[:, : 2 * hidden], self.bias[:, 2 * hidden :]
            from_state = nn.functional.pad(new, (hidden, 0))
            return native.recurrence(
                self.kernel, rows, *weights, from_input, from_state, None, batch_sizes
            )
        states: Tensor = MguRecurrence.apply(  # type: ignore[no-untyped-call]
            rows, *weights, self.bias, batch_sizes
        )
        return states

    def onnx_weights(self) -> OnnxWeights:
        """Give the weights of ONNX's GRU, whose gates are update, reset, new."""
        directions, _, hidden = self.recurrent_weight.shape
        parameters = (self.input_weight, self.recurrent_weight, self.bias)
        arrays = [as_array(p).reshape(directions, -1, hidden, p[0, 0].numel()) for p in parameters]
        inputs, recurrent = (np.stack((-a[:, 0], a[:, 0], a[:, 1]), axis=1) for a in arrays[:2])
        b_f, b_n, c_n = arrays[2][..., 0].swapaxes(0, 1)
        zero = np.zeros_like(b_f)
        biases = np.stack([np.stack(b, axis=1) for b in ((-b_f, b_f, b_n), (zero, zero, c_n))], 1)
        return OnnxWeights("GRU", {"linear_before_reset": 1}, inputs, recurrent, biases)

    def kernel_weights(self) -> KernelWeights:
        """Give f and the two parts of n: that of the inputs, that of the states."""
        inputs, states, bias = (
            as_array(p) for p in (self.input_weight, self.recurrent_weight, self.bias)
        )
        hidden = states.shape[2]
        from_state = np.concatenate((np.zeros_like(bias[:, :hidden]), bias[:, 2 * hidden :]), 1)
        return KernelWeights(
            *with_new_gate_in_parts(inputs, states, bias[:, : 2 * hidden], from_state)
        )


class MguRecurrence(torch.autograd.Function):
    """A minimal gated unit over packed rows in one or two directions; see `Mgu`.

    `apply(rows, input_weight, recurrent_weight, bias, batch_sizes)` -> states [N, D*H], where rows
    is [N, I], input_weight [D, 2*H, I], recurrent_weight [D, 2*H, H] and bias [D, 3*H]. The second
    direction reads every sequence from its end. States start at zero.

    Inside, the gates lie in the order (new from the state, f, new from the input): the state's
    product fills the first two at once, the input's the last two.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        bias: Tensor,
        batch_sizes: Tensor,
    ) -> Tensor:
        """Run all steps; keep what the backward pass needs."""
        directions, _, hidden = recurrent_weight.shape
        reverse = reversed_rows(batch_sizes).to(rows.device) if directions == 2 else None
        inputs = both_ways(rows, reverse)
        rolled = recurrent_weight.roll(hidden, 1)  # new, f
        bias = bias.roll(hidden, 1)[:, None]
        gates = rows.new_empty(directions, len(rows), 3 * hidden)
        gates[:, :, :hidden] = bias[:, :, :hidden]
        torch.baddbmm(
            bias[:, :, hidden:], inputs, input_weight.transpose(1, 2), out=gates[:, :, hidden:]
        )
        gates = gates.view(directions, len(rows), 3, hidden)
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
        from_state, from_input = gate_grad[:, :, : 2 * hidden], gate_grad[:, :, hidden:]
        recurrent = weight_gradient(from_state[:, sizes[0] :], before[:, sizes[0] :])
        return (
            rows_gradient(from_input, input_weight, reverse) if ctx.needs_input_grad[0] else None,
            weight_gradient(from_input, inputs),
            recurrent.roll(-hidden, 1),
            gate_grad.sum(1).roll(-hidden, 1),
            None,
        )


def _run(gates: Tensor, rolled: Tensor, sizes: list[int]) -> Tensor:
    """States [D, N, H]; turns gates [D, N, 3, H], but for the first, into activations."""
    directions, total, _, hidden = gates.shape
    states = gates.new_empty(directions, total, hidden)
    state = gates.new_zeros(directions, sizes[0], hidden)
    recurrent = rolled.transpose(1, 2).contiguous()
    from_state = gates.view(directions, total, -1)[:, :, : 2 * hidden]
    buffers = (from_state, gates, states)
    steps = zip(*(torch.split(buffer, sizes, 1) for buffer in buffers), strict=True)
    for step, (flat, gate, new_state) in enumerate(steps):
        before = state[:, : gate.shape[1]]
        if step:
            flat.baddbmm_(before, recurrent)
        f = gate[:, :, 1].sigmoid_()
        new = gate[:, :, 2].addcmul_(gate[:, :, 0], f).tanh_()
        torch.lerp(before, new, f, out=new_state)
        state = new_state
    return states


def _run_back(
    state_grad: Tensor, gates: Tensor, before: Tensor, rolled: Tensor, sizes: list[int]
) -> Tensor:
    """Gradient of the gates before activation, [D, N, 3*H]; uses up state_grad [D, N, H]."""
    gate_grad = _factors(gates, before)
    hidden = before.shape[2]
    from_state = gate_grad.view(*before.shape[:2], -1)[:, :, : 2 * hidden]
    to_states = torch.split(state_grad, sizes, 1)
    buffers = (gate_grad, from_state, 1 - gates[:, :, 1])
    steps = list(zip(*(torch.split(buffer, sizes, 1) for buffer in buffers), strict=True))
    for t in reversed(range(len(sizes))):
        (grad, flat, kept), to_state = steps[t], to_states[t]
        grad.mul_(to_state[:, :, None])
        if t:
            carried = to_states[t - 1][:, : sizes[t]]
            carried.addcmul_(to_state, kept).baddbmm_(flat, rolled)
    return gate_grad.flatten(2)


def _factors(gates: Tensor, before: Tensor) -> Tensor:
    """d state / d gate before its activation, [D, N, 3, H]."""
    from_state, f, new = gates.unbind(2)
    factors = torch.empty_like(gates)
    to_state, to_f, to_new = factors.unbind(2)
    torch.mul(new, new, out=to_new).neg_().add_(1).mul_(f)
    torch.mul(to_new, f, out=to_state)
    torch.sub(new, before, out=to_f).addcmul_(to_new, from_state).mul_(f).mul_(1 - f)
    return factors
