"""Memory of a process as Linux counts it: what is resident now, and the most that ever was."""

from pathlib import Path

_PROC = Path("/proc")


def resident_mb(process: int | str = "self") -> float | None:
    """Resident memory in MB (10^6 bytes), or None where there is no /proc."""
    return _status(process, "VmRSS")


def peak_mb(process: int | str = "self") -> float | None:
    """The most that was resident since the start, or since `reset_peak`, in MB."""
    return _status(process, "VmHWM")


def reset_peak() -> None:
    """Forget this process's peak so far; does nothing where the system has no such thing."""
    mark = _PROC / "self" / "clear_refs"
    if mark.exists():
        mark.write_text("5", encoding="ascii")  # 5: the high water mark


def _status(process: int | str, field: str) -> float | None:
    try:
        text = (_PROC / str(process) / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024 / 1e6
    return None
