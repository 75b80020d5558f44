"""The recurrence of a layer in C, for training on a CPU; without it torch does the same, slower.

The kernels are built when Tagbelt is installed, if there is a C compiler. `TAGBELT_NATIVE=0` in the
environment leaves them unused.
"""

import ctypes
import functools
import os
import warnings
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tagbelt.model.cells.packed import reversed_rows

SWITCH = "TAGBELT_NATIVE"
INTERFACE = 2
"""The number that `tagbelt_training_interface` gives; raised when a call changes."""

_KEPT = {"rnn": 0, "lstm": 2, "lstm-coupled": 2, "gru": 1, "mgu": 1}
"""The numbers that a unit keeps beside its gates, by cell, in the order of recurrence.c."""

_NUMBERS = ("cell", "directions", "inputs", "hidden", "steps", "rows")
_WEIGHTS = ("in", "input_weight", "weight", "input_bias", "bias", "peephole")
_ARRAYS = ("sizes", "reverse", *_WEIGHTS, "gates", "kept", "before", "states")
_GRADIENTS = ("grad", "gate_grad", "from_state_grad", *(f"{name}_grad" for name in _WEIGHTS))


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

    All of it is C. Where torch has more than one thread, each direction gets one.
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
        directions, width, hidden = recurrent_weight.shape
        count = len(rows)
        weights = (rows, input_weight, recurrent_weight, input_bias, recurrent_bias, peephole)
        arrays = (
            batch_sizes.contiguous(),
            reversed_rows(batch_sizes) if directions == 2 else None,
            *(None if weight is None else weight.contiguous() for weight in weights),
            rows.new_empty(count, directions * width),  # gates
            rows.new_empty(count, directions * hidden * _KEPT[cell]),
            rows.new_empty(count, directions * hidden),  # the states that rows started from
        )
        states = rows.new_empty(count, directions * hidden)
        _call("forward", cell, (*arrays, states))
        ctx.cell = cell
        ctx.save_for_backward(*arrays)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of everything but batch_sizes."""
        _, _, rows, *weights, gates, _, _ = arrays = ctx.saved_tensors
        from_input = torch.empty_like(gates)
        # A GRU scales what the state gives its last gate, so there the gradients differ.
        from_state = torch.empty_like(gates) if ctx.cell in ("gru", "mgu") else from_input
        wanted = ctx.needs_input_grad[1]
        rows_grad = rows.new_empty(len(weights[0]), *rows.shape) if wanted else None
        grads = [None if weight is None else torch.empty_like(weight) for weight in weights]
        if grads[-1] is not None:
            grads[-1].zero_()  # the steps add to it
        gradients = (grad.contiguous(), from_input, from_state, rows_grad, *grads)
        _call("backward", ctx.cell, (*arrays, None), gradients)
        return None, None if rows_grad is None else rows_grad.sum(0), *grads, None


def _call(
    way: str,
    cell: str,
    arrays: tuple[Tensor | None, ...],
    gradients: tuple[Tensor | None, ...] = (),
) -> None:
    sizes, _, rows, _, recurrent_weight, *_ = arrays
    assert sizes is not None
    assert rows is not None
    assert recurrent_weight is not None
    directions, _, hidden = recurrent_weight.shape
    numbers = (list(_KEPT).index(cell), directions, rows.shape[1], hidden, len(sizes), len(rows))
    pointers = [None if t is None else t.data_ptr() for t in (*arrays, *gradients)]
    given = _Recurrence(*numbers, *pointers)
    function = getattr(library(), f"tagbelt_training_{way}")
    done = [False] * directions

    def run(direction: int) -> None:
        done[direction] = bool(function(ctypes.byref(given), direction))

    others = [Thread(target=run, args=(d,)) for d in range(1, directions)]
    if torch.get_num_threads() > 1:
        for thread in others:
            thread.start()
        run(0)
        for thread in others:
            thread.join()
    else:
        for direction in range(directions):
            run(direction)
    if not all(done):
        raise MemoryError(f"no memory for a batch of {len(sizes)} steps")
