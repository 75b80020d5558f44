"""Turns what went wrong in a command into one message and an exit code; nothing else does."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from tagbelt.errors import TagbeltError, missing_package


@contextmanager
def told(command: str, if_stopped: str = "") -> Iterator[None]:
    """Tell an error that the user can mend on standard error; any other keeps its traceback.

    The command then ends with exit code 1, and with 130 after an interrupt, where `if_stopped` says
    how to go on.
    """
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        if _was_interrupted(error):
            hint = f"; {if_stopped}" if if_stopped else ""
            _end(f"tagbelt {command}: stopped{hint}", code=130)
        if isinstance(error, BrokenPipeError):
            # The reader of our output has left, as `head` does: nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        if isinstance(error, ImportError):
            error = missing_package(error) or error
        # A loss that is not finite is a matter of the config; the message says of which keys.
        if isinstance(error, TagbeltError | OSError | FloatingPointError):
            _end(f"tagbelt {command}: {error}")
        raise


def _was_interrupted(error: BaseException) -> bool:
    """Tell if an error is, or comes of, an interrupt.

    Ctrl-C inside a library's own code may arrive as an error of that library, raised in its place.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _end(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
