"""Whether an error says that memory ran out."""

DETAIL = "the server is short of memory; try again later"


def is_shortage(error: BaseException | None) -> bool:
    """Whether it is a MemoryError, or the panic of an extension in Rust, which makes one of it.

    A panic is no Exception, and its class cannot be imported: each extension has its own.
    """
    return isinstance(error, MemoryError) or type(error).__module__ == "pyo3_runtime"
