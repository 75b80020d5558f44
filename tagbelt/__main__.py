"""Runs the command: as `python -m tagbelt`, and as the installed `tagbelt`."""

import signal
from types import FrameType


def main() -> None:
    """Run the command; from its first moment on SIGTERM ends it, with clean-up."""
    # The kernel keeps signals that nobody handles from a container's first process. Imports are
    # most of what a start takes, so this comes before them.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)
    from tagbelt.cli import main as run

    run()


def _exit(signum: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    main()
