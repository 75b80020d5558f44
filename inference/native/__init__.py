"""Kernels in C for what numpy and ONNX Runtime leave slow; everything works without them, slower.

They are built when Tagbelt is installed, if there is a C compiler. `TAGBELT_NATIVE=0` in the
environment leaves them unused.
"""

import ctypes
import functools
import os
from pathlib import Path

SWITCH = "TAGBELT_NATIVE"


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None where they were not built, or are switched off."""
    if os.environ.get(SWITCH) == "0":
        return None
    for path in sorted(Path(__file__).parent.glob("_kernels*")):
        if path.suffix in (".so", ".pyd", ".dylib"):
            try:
                return ctypes.CDLL(str(path))
            except OSError:  # built for another machine: as good as not built
                continue
    return None
