"""Log lines: one JSON object each, or plain text for a person at a terminal."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

from service.quietlog import describe
from service.settings import Settings
from service.telemetry.context import current

JSON_FORMAT, TEXT_FORMAT = "json", "text"


def log_config(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and as the web server's `log_config`.

    Everything goes to standard error, a line at a time. The server's own access log is off.
    """
    chosen = settings.log_format
    if chosen == "auto":
        chosen = TEXT_FORMAT if sys.stderr.isatty() else JSON_FORMAT
    formatter = JsonFormatter if chosen == JSON_FORMAT else TextFormatter
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
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
        self._ascii = (sys.stderr.encoding or "").lower().replace("-", "") != "utf8"

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = json.dumps(_members(record), ensure_ascii=self._ascii)
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
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    plain = isinstance(value, str) and text and not set(text) & {" ", '"', "="}
    return text if plain or not isinstance(value, str) else json.dumps(text, ensure_ascii=False)


def _members(record: logging.LogRecord) -> dict[str, Any]:
    members: dict[str, Any] = {
        "time": _time(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    exchange = current.get()
    if exchange is not None:
        members["request_id"] = exchange.request_id
        members["trace_id"] = exchange.trace_id
    if record.exc_info and record.exc_info[1] is not None:
        members["error"] = describe(record.exc_info[1])
    members.update(getattr(record, "fields", ()))
    return members


def _time(created: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    whole = time.gmtime(created)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', whole)}.{int(created * 1000) % 1000:03d}Z"
