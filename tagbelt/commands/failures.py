"""How a command says what went wrong."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from tagbelt.training.run.script import is_training_package, setup_hint, was_interrupted


@contextmanager
def told(command: str) -> Iterator[None]:
    """Show what a person can mend as one message; anything else keeps its traceback."""
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        if was_interrupted(error):
            _fail(f"tagbelt {command}: stopped", code=130)
        if isinstance(error, BrokenPipeError):
            # The reader of our output has left, as `head` does: nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        if isinstance(error, ModuleNotFoundError) and is_training_package(error):
            _fail(f"tagbelt {command}: {setup_hint(error)}")
        if isinstance(error, expected_errors()):
            _fail(f"tagbelt {command}: {error}")
        raise


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors that speak of the user's input rather than of our code."""
    from tagbelt.errors import CheckpointError, ConllError, ModelNotFoundError

    found: list[type[Exception]] = [CheckpointError, ConllError, ModelNotFoundError]
    modules: dict[str, Any] = sys.modules
    for module, name in (
        ("tagbelt.data.problems", "DataError"),
        ("tagbelt.training.config", "ConfigError"),
        ("tagbelt.service.settings", "SettingsError"),
        ("tagbelt.service.process.supervisor", "WorkerError"),
        ("tagbelt.commands.tag", "InputError"),
    ):
        if module in modules:
            found.append(getattr(modules[module], name))
    return (*found, FileNotFoundError, IsADirectoryError, PermissionError)


def _fail(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
