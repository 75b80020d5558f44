"""Forward-backward of a CRF in C, over packed rows; `model.crf` does the same without it."""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from tagbelt.model.native import library

_NUMBERS = ("tags", "steps", "rows", "each")
_SAFE = ("safe_score", "safe_probability")
_GIVEN = ("sizes", "emissions", "start", "step", "end", "gold")
_FOUND = ("log_partition", "marginals", "counts", "starts", "ends")


class _Lattice(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in _NUMBERS),
        *((name, ctypes.c_double) for name in _SAFE),
        *((name, ctypes.c_void_p) for name in (*_GIVEN, *_FOUND)),
    ]


class Counts(NamedTuple):
    """`log_partition` [B], `marginals` [N, K], `steps` [K, K] or [B, K, K] as `Lattice` has them;
    `starts` [K] and `ends` [K] the marginals of all first and all last rows together. With gold
    tags, their score and their counts are taken off.
    """

    log_partition: Tensor
    marginals: Tensor
    steps: Tensor
    starts: Tensor
    ends: Tensor


def compiled_lattice(
    scores: tuple[Tensor, Tensor, Tensor, Tensor],
    batch_sizes: Tensor,
    safe: tuple[float, float],
    *,
    each: bool = False,
    gold: Tensor | None = None,
) -> Counts | None:
    """Run forward-backward on emissions [N, K], start [K], step [K, K] and end [K], all float64.

    Returns None where scores are beyond `safe`, the largest score and the smallest probability
    that lose no digits, and where the kernels are not compiled.

    Raises:
        MemoryError: there is none.
    """
    kernels = library()
    if kernels is None:
        return None
    given = [batch_sizes.contiguous(), *(s.contiguous() for s in scores)]
    emissions = given[1]
    rows, tags = emissions.shape
    first = (int(batch_sizes[0]),)
    shapes = (first, (rows, tags), (*(first if each else ()), tags, tags), (tags,), (tags,))
    found = [torch.empty(shape, dtype=torch.float64) for shape in shapes]
    kept = [*given, None if gold is None else gold.contiguous(), *found]
    pointers = [None if tensor is None else tensor.data_ptr() for tensor in kept]
    numbers = tags, len(batch_sizes), rows, each
    done = kernels.tagbelt_training_lattice(ctypes.byref(_Lattice(*numbers, *safe, *pointers)))
    if done < 0:
        raise MemoryError(f"no memory for a batch of {rows} tokens")
    return Counts(*found) if done else None
