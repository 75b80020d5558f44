"""Log failures without the texts that caused them."""

import logging
import traceback
from pathlib import Path

logger = logging.getLogger("service")


def log_failure(what: str, error: BaseException) -> None:
    """Logs an exception's type and the way to it, not its message: that may quote a text."""
    logger.error("%s: %s", what, describe(error))


def describe(error: BaseException) -> str:
    """An exception's type and the way to it."""
    frames = traceback.extract_tb(error.__traceback__)
    way = " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return f"{type(error).__name__} at {way}"
