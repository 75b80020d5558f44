"""The recurrence of a layer in C, for training on a CPU; without it torch does the same, slower.

The kernels are built when Tagbelt is installed, if there is a C compiler. `TAGBELT_NATIVE=0` in the
environment leaves them unused.
"""

import ctypes
import functools
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tagbelt.model.cells.packed import reversed_rows

SWITCH = "TAGBELT_NATIVE"
INTERFACE = 1
"""The number that `tagbelt_training_interface` gives; raised when a call changes."""

_KEPT = {"rnn": 0, "lstm": 2, "lstm-coupled": 2, "gru": 1, "mgu": 1}
"""The numbers that a unit keeps beside its gates, by cell, in the order of recurrence.c."""

_NUMBERS = ("cell", "directions", "hidden", "steps")
_ARRAYS = ("sizes", "reverse", "weight", "bias", "peephole", "gates", "kept", "before", "states")
_GRADIENTS = ("grad", "gate_grad", "from_state_grad", "peephole_grad")


class _Recurrence(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in _NUMBERS),
        *((name, ctypes.c_void_p) for name in (*_ARRAYS, *_GRADIENTS)),
    ]


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None where they were not built, or are switched off."""
    if os.environ.get(SWITCH) == "0":
        return None
    for path in sorted(Path(__file__).parent.glob("_kernels*")):
        if path.suffix in (".so", ".pyd", ".dylib"):
            try:
                kernels = ctypes.CDLL(str(path))
                interface = kernels.tagbelt_training_interface()
            except (OSError, AttributeError):  # of another machine, or too old
                interface = None
            if interface == INTERFACE:
                return kernels
            warnings.warn(f"{path} does not fit: install Tagbelt again", stacklevel=2)
    return None


def serves(cell: str, *tensors: Tensor | None) -> bool:
    """Say whether the kernels have a cell, and all tensors are theirs: float32, on the CPU."""
    return (
        cell in _KEPT
        and all(t is None or (t.is_cpu and t.dtype == torch.float32) for t in tensors)
        and library() is not None
    )


def recurrence(cell: str, *arguments: Tensor | None) -> Tensor:
    """Run `KernelRecurrence`."""
    states: Tensor = KernelRecurrence.apply(cell, *arguments)  # type: ignore[no-untyped-call]
    return states


class KernelRecurrence(torch.autograd.Function):
    """The recurrence of any cell that the kernels have; equal to those in torch (tested).

    `apply(cell, rows, input_weight, recurrent_weight, input_bias, recurrent_bias, peephole,
    batch_sizes)` -> states [N, D*H], where rows is [N, I], input_weight [D, G*H, I],
    recurrent_weight [D, G*H, H], both biases [D, G*H], peephole [D, G - 1, H]; recurrent_bias and
    peephole may be None. Gates stand in the order of the cells' own recurrences.

    The input products of both directions are one, and so are those of the backward pass: rows stay
    at their places, and the kernels find those of the second direction through a permutation.
    """

    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        rows: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        input_bias: Tensor,
        recurrent_bias: Tensor | None,
        peephole: Tensor | None,
        batch_sizes: Tensor,
    ) -> Tensor:
        """Run all steps; keep what the backward pass needs."""
        directions, _, hidden = recurrent_weight.shape
        input_weight = input_weight.flatten(0, 1)  # [D*G*H, I]
        gates = torch.addmm(input_bias.flatten(), rows, input_weight.t())  # [N, D*G*H]
        states, before = rows.new_empty(2, len(rows), directions * hidden).unbind()
        arrays = (
            batch_sizes.contiguous(),
            reversed_rows(batch_sizes) if directions == 2 else None,
            recurrent_weight.contiguous(),
            None if recurrent_bias is None else recurrent_bias.contiguous(),
            None if peephole is None else peephole.contiguous(),
            gates,
            rows.new_empty(len(rows), directions * hidden * _KEPT[cell]),
            before,
        )
        _call("forward", cell, recurrent_weight, (*arrays, states))
        ctx.cell = cell
        ctx.save_for_backward(rows, input_weight, *arrays)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of everything but batch_sizes; the weights' are one product each."""
        rows, input_weight, *arrays = ctx.saved_tensors
        _, _, recurrent_weight, bias, peephole, gates, _, before = arrays
        directions, width, hidden = recurrent_weight.shape
        from_input = torch.empty_like(gates)
        # A GRU scales what the state gives its last gate, so there the gradients differ.
        from_state = torch.empty_like(gates) if ctx.cell in ("gru", "mgu") else from_input
        peephole_grad = None if peephole is None else torch.zeros_like(peephole)
        gradients = (grad.contiguous(), from_input, from_state, peephole_grad)
        _call("backward", ctx.cell, recurrent_weight, (*arrays, None), gradients)
        bias_shape = directions, width
        recurrent = [
            before[:, d * hidden : (d + 1) * hidden].t()
            @ from_state[:, d * width : (d + 1) * width]
            for d in range(directions)
        ]
        return (
            None,
            from_input @ input_weight if ctx.needs_input_grad[1] else None,
            (rows.t() @ from_input).t().reshape(directions, width, -1),
            torch.stack(recurrent).transpose(1, 2),
            from_input.sum(0).view(bias_shape),
            None if bias is None else from_state.sum(0).view(bias_shape),
            peephole_grad,
            None,
        )


def _call(
    way: str,
    cell: str,
    recurrent_weight: Tensor,
    arrays: tuple[Tensor | None, ...],
    gradients: tuple[Tensor | None, ...] = (),
) -> None:
    directions, _, hidden = recurrent_weight.shape
    sizes, *_ = arrays
    assert sizes is not None
    pointers = [None if t is None else t.data_ptr() for t in (*arrays, *gradients)]
    numbers = (list(_KEPT).index(cell), directions, hidden, len(sizes))
    call = getattr(library(), f"tagbelt_training_{way}")
    if not call(ctypes.byref(_Recurrence(*numbers, *pointers))):
        raise MemoryError(f"no memory for a batch of {len(sizes)} steps")
