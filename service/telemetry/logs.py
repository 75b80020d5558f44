"""Log lines: one JSON object each, or plain text for a person at a terminal."""

import json
import logging
import re
import sys
import time
from functools import lru_cache
from typing import Any

from tagbelt.service.quietlog import describe
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.context import current

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
                "()": "tagbelt.service.telemetry.lines.LineHandler",
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
