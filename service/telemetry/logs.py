"""Log lines: their format, how they are written, and the one for each request."""

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from tagbelt.service.private_logging import describe
from tagbelt.service.settings import Settings

if TYPE_CHECKING:  # the supervisor of worker processes logs too, and stays small without it
    from tagbelt.service.telemetry.exchange import Exchange

current: ContextVar[tuple[str, str] | None] = ContextVar("current", default=None)
"""Request id and trace id of the request at hand; not known in other threads."""


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
                # Nobody reads it any more: to tell of that would be one more line for nobody.
                with suppress(OSError):
                    self.stream.write(text)
            with suppress(OSError):
                super().flush()


_PLAIN = re.compile(r"""[^\s"=]+""")
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def log_config(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and as the web server's `log_config`.

    Everything goes to standard error, a line at a time. The server's own access log is off.
    """
    at_terminal = settings.log_format == "auto" and sys.stderr.isatty()
    as_text = at_terminal or settings.log_format == "text"
    formatter = TextFormatter if as_text else JsonFormatter
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatter}},
        "handlers": {
            "stderr": {
                "()": "tagbelt.service.telemetry.logs.LineHandler",
                "formatter": "chosen",
                "stream": "ext://sys.stderr",
            }
        },
        # The libraries below speak when something is wrong.
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "service": {"level": level},
            "uvicorn": {"handlers": [], "level": level},
            "uvicorn.error": {"handlers": [], "level": level},
            "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, with the ids of its request.

    A record may carry more members in a dict under `fields`. Of an exception the line has the
    type and the way to it, not the message, which may quote a text.
    """

    def __init__(self) -> None:
        super().__init__()
        # What the stream cannot write would be replaced by what is not JSON.
        utf8 = (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"
        self._encode = json.JSONEncoder(ensure_ascii=not utf8).encode

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = self._encode(_members(record))
        if line.isprintable():
            return line
        # JSON escapes line feeds and the like, but not all that moves a terminal's cursor.
        return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


class TextFormatter(logging.Formatter):
    """A record as a line of text: time, level, message, and its other members as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        members = _members(record)
        start = [members.pop(name) for name in ("time", "level", "logger", "message")]
        rest = (f"{name}={_value(value)}" for name, value in members.items())
        when, level, _, message = start
        return printable(" ".join((when, f"{level:7}", message, *rest)))


def printable(text: str) -> str:
    """The text with an escape in place of whatever a terminal would obey instead of show."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _value(value: object) -> str:
    """Quoted where it would look like several."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else _ENCODE(value)


def _members(record: logging.LogRecord) -> dict[str, Any]:
    members: dict[str, Any] = {
        "time": _time(record.created),
        "level": record.levelname.lower(),
        # Its messages of every kind come by this name.
        "logger": "uvicorn" if record.name == "uvicorn.error" else record.name,
        "message": record.getMessage().rstrip(),
    }
    ids = current.get()
    if ids is not None:
        members["request_id"], members["trace_id"] = ids
    if record.exc_info and record.exc_info[1] is not None:
        members["error"] = describe(record.exc_info[1])
    members.update(getattr(record, "fields", ()))
    return members


def _time(created: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return f"{_second(int(created))}.{int(created * 1000) % 1000:03d}Z"


@lru_cache(maxsize=2)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


MAX_TEXT = 1000
"""Characters of all the texts of one request that a line may hold."""

logger = logging.getLogger("service.requests")


class AccessLog:
    """Writes a line when a request has been answered; with `texts` also what was to be tagged."""

    def __init__(self, *, texts: bool = False) -> None:
        self._texts = texts

    def write(self, exchange: "Exchange") -> None:
        """Logs one request: health checks and the like at debug, everything else at info."""
        level = logging.DEBUG if exchange.quiet else logging.INFO
        if not logger.isEnabledFor(level):
            return
        fields = exchange.fields()
        if self._texts and (work := exchange.work) is not None and work.texts:
            fields["texts"] = shortened(work.texts)
        message = f"{fields['method']} {fields['path']} {fields['status']}"
        # Made here, since a logger would first look up who called it.
        record = logging.LogRecord(logger.name, level, __file__, 0, message, None, None)
        record.fields = fields
        logger.handle(record)


def shortened(items: Sequence[object]) -> list[str]:
    """The first MAX_TEXT characters of texts and token lists, their tokens joined by spaces."""
    kept, left = [], MAX_TEXT
    for item in items:
        if left <= 0:
            break
        text = item[:left] if isinstance(item, str) else _joined(item, left)
        kept.append(text)
        # An empty item takes up room too.
        left -= len(text) + 1
    return kept


def _joined(item: object, most: int) -> str:
    tokens = item if isinstance(item, Iterable) else ()
    return " ".join(str(token)[:most] for token in islice(tokens, most))[:most]
