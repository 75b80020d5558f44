"""Memory that runs out, and memory that is given back."""

import ctypes
from contextlib import suppress

DETAIL = "the server is short of memory; try again later"


def is_shortage(error: BaseException | None) -> bool:
    """Whether it is a MemoryError, or the panic of an extension in Rust, which makes one of it.

    A panic is no Exception, and its class cannot be imported: each extension has its own.
    """
    return isinstance(error, MemoryError) or type(error).__module__ == "pyo3_runtime"


def give_back_memory() -> None:
    """Give to the system what was freed: the C library keeps the most that was ever in use.

    Milliseconds; from any thread. Nothing but in glibc, which alone has the call.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
