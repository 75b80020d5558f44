"""A recurrent layer over packed rows, and what a cell must provide to be one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from tagbelt.model import native
from tagbelt.model.cells.packed import last_rows

Floats = NDArray[np.float32]
Peephole = bool | tuple[str, ...]
"""Whether gates see the cell: all, none, or those named."""
RECURRENT_WEIGHTS = ("recurrent_weight", "weight_hh")
"""Beginnings of the names of weights that multiply the state."""


@dataclass(frozen=True)
class OnnxWeights:
    """A layer's weights in ONNX's order of gates (G), its operator and the attributes of that.

    `inputs` [D, G, H, I], `recurrent` [D, G, H, H], `biases` [D, 2, G, H], beside the input
    weights and beside the recurrent ones; `peephole` [D, 3, H]: input, output, forget.
    """

    operator: str
    attributes: dict[str, int]
    inputs: Floats
    recurrent: Floats
    biases: Floats
    peephole: Floats | None = None


@dataclass(frozen=True)
class KernelWeights:
    """A layer's weights in the order of gates (G) that a cell of `inference/native/cells.h` has.

    `inputs` [D, G*H, I], `states` [D, G*H, H], `bias` [D, G*H], `peephole` [D, G - 1, H].
    """

    inputs: Floats
    states: Floats
    bias: Floats
    peephole: Floats | None = None


class RecurrentCell(nn.Module):
    """The weights of one layer of a cell and its equations: the base class of all cells.

    Made by `(input_size, hidden, bidirectional=..., peephole=...)`, of which cells that have no use
    for `peephole` ignore it; called with rows [N, I] and batch_sizes [T], it returns states
    [N, D*H]. `kernel` is its name in `inference/native/cells.h`; `has_onnx_8bit` says whether ONNX
    Runtime has an 8-bit form of its operator.
    """

    kernel: ClassVar[str]
    has_onnx_8bit: ClassVar[bool] = False

    @torch.no_grad()
    def initialise(self, hidden: int) -> None:
        """Xavier input weights and orthogonal recurrent ones, gate by gate; all else is zero."""
        for name, parameter in self.named_parameters():
            if "weight" not in name:
                parameter.zero_()
                continue
            recurrent = name.startswith(RECURRENT_WEIGHTS)
            fill = nn.init.orthogonal_ if recurrent else nn.init.xavier_uniform_
            for gate in parameter.view(-1, hidden, parameter.shape[-1]):
                fill(gate)

    def open_forget_gate(self, bias: float) -> None:
        """Give the forget gate its first bias, in cells that have one."""

    def onnx_weights(self) -> OnnxWeights:
        """Give the weights in the order of an ONNX operator."""
        raise NotImplementedError

    def kernel_weights(self) -> KernelWeights:
        """Give the weights in the order of the 8-bit kernels."""
        raise NotImplementedError


class TorchCell(RecurrentCell):
    """A cell that is one of torch's modules too, and has its weights.

    On a CPU torch's module only lends them: our recurrence is twice as fast on packed rows.
    """

    bidirectional: bool
    hidden_size: int

    def __init__(
        self,
        input_size: int,
        hidden: int,
        *,
        bidirectional: bool,
        peephole: Peephole = False,  # noqa: ARG002
    ) -> None:
        super().__init__(input_size, hidden, bidirectional=bidirectional)

    @staticmethod
    def recurrence(*arguments: Tensor) -> Tensor:
        """Run the cell's own recurrence: rows, the four of `stacked`, batch_sizes -> states."""
        raise NotImplementedError

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """rows [N, I], batch_sizes [T] -> states [N, D*H]."""
        if native.serves(self.kernel, rows, *self.parameters()):
            return native.recurrence(self.kernel, rows, *self.stacked(), None, batch_sizes)
        if rows.is_cpu:
            return self.recurrence(rows, *self.stacked(), batch_sizes)
        return self.by_torch(rows, batch_sizes)

    def by_torch(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """Return what `forward` does by torch's own module: on a GPU that is cuDNN's."""
        states: Tensor = super().forward(PackedSequence(rows, batch_sizes))[0].data
        return states

    def stacked(self) -> list[Tensor]:
        """Weights beside the input and the state [D, G*H, I or H], then their biases [D, G*H]."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        suffixes = ("_l0", "_l0_reverse")[: 1 + self.bidirectional]
        return [torch.stack([getattr(self, kind + end) for end in suffixes]) for kind in kinds]

    def arrays(self) -> list[Floats]:
        """Return `stacked` as arrays."""
        return [as_array(tensor) for tensor in self.stacked()]

    def weights_in_order(self, operator: str, order: list[int], **attributes: int) -> OnnxWeights:
        """Give an ONNX operator's weights; `order` names for each of its gates ours."""
        inputs, recurrent, *biases = (
            array.reshape(len(array), len(order), self.hidden_size, -1)[:, order]
            for array in self.arrays()
        )
        both = np.stack(biases, axis=1)[..., 0]
        return OnnxWeights(operator, attributes, inputs, recurrent, both)


class RecurrentLayer(nn.Module):
    """One layer of any cell, in one or both directions, over packed rows."""

    def __init__(
        self,
        cell: type[RecurrentCell],
        input_size: int,
        hidden: int,
        *,
        bidirectional: bool = True,
        peephole: Peephole = False,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        self.hidden, self.bidirectional = hidden, bidirectional
        self.network = cell(input_size, hidden, bidirectional=bidirectional, peephole=peephole)
        self.network.initialise(hidden)
        self.network.open_forget_gate(forget_bias)

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> tuple[Tensor, Tensor]:
        """rows [N, input], batch_sizes [T] -> states [N, D*H] and final states [B, D*H].

        A sequence's final state is the forward state at its last token beside the backward state
        at its first.
        """
        states = self.states(rows, batch_sizes)
        final = states[last_rows(batch_sizes).to(states.device), : self.hidden]
        if self.bidirectional:
            final = torch.cat((final, states[: int(batch_sizes[0]), self.hidden :]), dim=1)
        return states, final

    def states(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """rows [N, input], batch_sizes [T] -> states [N, D*H] alone."""
        expected = int(batch_sizes.sum())
        if len(rows) != expected:
            raise ValueError(f"batch_sizes add up to {expected} rows, got {len(rows)}")
        states: Tensor = self.network(rows, batch_sizes)
        return states


def as_array(tensor: Tensor) -> Floats:
    """Copy a tensor to a float32 array."""
    return tensor.detach().cpu().to(torch.float32).numpy().copy()
