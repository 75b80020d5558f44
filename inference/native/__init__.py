"""Kernels in C for what numpy and ONNX Runtime leave slow; everything works without them, slower.

They are built when Tagbelt is installed, if there is a C compiler. `TAGBELT_NATIVE=0` in the
environment leaves them unused.
"""

import ctypes
import functools
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SWITCH = "TAGBELT_NATIVE"
INTERFACE = 7
"""The number that `tagbelt_interface` of the compiled kernels gives; raised when a call changes."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None where they were not built, or are switched off."""
    if os.environ.get(SWITCH) == "0":
        return None
    for path in sorted(Path(__file__).parent.glob("_kernels*")):
        if path.suffix in (".so", ".pyd", ".dylib"):
            try:
                kernels = ctypes.CDLL(str(path))
                interface = kernels.tagbelt_interface()
            except (OSError, AttributeError):  # of another machine, or too old
                interface = None
            if interface == INTERFACE:
                return kernels
            warnings.warn(f"{path} does not fit: install Tagbelt again", stacklevel=2)
    return None


def address(array: NDArray[np.generic]) -> int:
    """Return the address of a contiguous array.

    Three times as fast as `array.ctypes.data` if it is writable.
    """
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, empty
        return array.ctypes.data
