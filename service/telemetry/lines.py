"""Writing log lines: those of one turn of the event loop in one go."""

import asyncio
import logging
from contextlib import nullcontext
from typing import TextIO


class LineHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes a line at once, but on an event loop when its turn is over.

    To write lets go of the interpreter, and to get it back takes longer than all the rest of a
    line: so many lines are written as one.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record. The handler's lock is held."""
        try:
            line = self.format(record) + self.terminator
        except Exception:
            self.handleError(record)
            return
        self._lines.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._lines) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what there is; also called when the process ends."""
        with self.lock or nullcontext():
            if self._lines:
                text = "".join(self._lines)
                self._lines = []
                self.stream.write(text)
            super().flush()
