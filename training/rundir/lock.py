"""A run's directory belongs to one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagbelt.errors import ConfigError


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other processes from training in a directory; it is let go however this one ends.

    The lock is on the directory itself (`flock`), which is made where there is none: nothing is
    left behind.

    Raises:
        ConfigError: another run trains there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{directory}: another process trains here; let it end") from error
        yield
    finally:
        os.close(handle)
