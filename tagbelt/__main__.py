"""Runs the command: as `python -m tagbelt`, and as the installed `tagbelt`."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command; from its first moment on SIGTERM ends it."""
    # The kernel keeps signals that nobody handles from a container's first process. Imports are
    # most of what a start takes, so this comes before them.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)
    is_closed = sys.stdout is None
    _open_closed()
    if is_closed and sys.argv[1:2] != ["serve"]:  # which has nothing to say there
        sys.exit("tagbelt: standard output is closed: send it to a file, or to /dev/null")
    from tagbelt.commands.cli import main as run

    run()


def _open_closed() -> None:
    """Give standard streams that were closed, as by `2>&-`, to the null device.

    A socket would take such a number, and be written to by whoever means the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(null, "w" if number else "r", encoding="utf-8"))


def _exit(signum: int, _: FrameType | None) -> None:
    # At once, as the kernel would. An exception can get lost in the import that it meets.
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
