"""Runs the command: as `python -m tagbelt`, and as the installed `tagbelt`."""

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command; from its first moment on SIGTERM ends it."""
    # The kernel keeps signals that nobody handles from a container's first process. Imports are
    # most of what a start takes, so this comes before them.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)
    from tagbelt.commands.cli import main as run

    run()


def _exit(signum: int, _: FrameType | None) -> None:
    # At once, as the kernel would. An exception can get lost in the import that it meets.
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
