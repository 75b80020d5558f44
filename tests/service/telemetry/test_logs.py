import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.logs import (
    MAX_TEXT,
    JsonFormatter,
    TextFormatter,
    current,
    log_config,
    shortened,
)

ROOT = Path(__file__).parents[3]
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)
NASTY = 'a\nb\r\x1b[31m\x00\x7f\x9b\x85\u2028\u202e\ud800 "x"=1 李明 🚀 \\'

# Logs as the service, as a library, and as the web server does.
PROGRAM = """
import logging, logging.config, sys
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.logs import log_config

logging.config.dictConfig(log_config(Settings(log_level=sys.argv[1], log_format=sys.argv[2])))
for name in ("service", "service.requests", "uvicorn.error", "uvicorn.access", "library"):
    for level in ("debug", "info", "warning"):
        getattr(logging.getLogger(name), level)("%s of %s: 李明", level, name)
"""


def record(message: str = "a message", **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("service", logging.INFO, __file__, 0, message, None, None)
    made.created = 1795321094.12345
    made.__dict__.update(more)
    return made


def as_json(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(JsonFormatter().format(record(**more)))
    return found


def test_a_line_of_json():
    assert as_json(fields={"status": 200, "model": None}) == {
        "time": "2026-11-22T04:18:14.123Z",
        "level": "info",
        "logger": "service",
        "message": "a message",
        "status": 200,
        "model": None,
    }


def test_a_line_of_text():
    fields = {"status": 200, "model": "en", "client": 'a "b"', "texts": ["李明 came"], "empty": ""}
    assert TextFormatter().format(record(fields=fields)) == (
        "2026-11-22T04:18:14.123Z info    a message status=200 model=en "
        r'client="a \"b\"" texts=["李明 came"] empty=""'
    )


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_the_ids_of_a_request_are_in_its_lines(formatter):
    token = current.set(("r1", "t1"))
    inside = formatter.format(record())
    current.reset(token)
    assert re.search("request_id.+r1.+trace_id.+t1", inside)
    assert "request_id" not in formatter.format(record())


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_exception_is_its_type_and_the_way_to_it(formatter):
    try:
        int("Ada Lovelace")
    except ValueError:
        line = formatter.format(record(exc_info=sys.exc_info()))
    assert "ValueError at test_logs.py:" in line
    assert "Ada" not in line


@pytest.mark.parametrize("text", [NASTY, "\n", "\ud800", "\U000e0001"])
def test_what_is_logged_stays_one_line_that_a_terminal_only_shows(text):
    made = record(text + ".", fields={"path": text})
    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(made)
        assert line.isprintable()
        line.encode()
    found = json.loads(JsonFormatter().format(made))
    assert (found["message"], found["path"]) == (text + ".", text)


@given(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3))
def test_json_says_exactly_what_was_logged(message, fields):
    line = JsonFormatter().format(record(message, fields={"fields": fields}))
    assert line.isprintable()
    found = json.loads(line)
    assert (found["message"], found["fields"]) == (message.rstrip(), fields)


@given(ANY_TEXT)
def test_a_value_cannot_pass_for_another_member(text):
    line = TextFormatter().format(record(fields={"client": text, "status": 200}))
    assert line.isprintable()
    quoted = r'[^\s"=]+|"(?:[^"\\]|\\.)*"'
    assert re.fullmatch(rf"\S+ info +a message client=({quoted}) status=200", line)


def test_a_stream_that_is_not_utf8_gets_ascii(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    line = JsonFormatter().format(record("李明"))
    assert line.isascii()
    assert json.loads(line)["message"] == "李明"


def run(level: str, kind: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level, kind],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_process_logs_what_its_level_says_on_standard_error():
    messages = [json.loads(line)["message"] for line in run("info", "auto")]
    assert messages == [
        "info of service: 李明",
        "warning of service: 李明",
        "info of service.requests: 李明",
        "warning of service.requests: 李明",
        "info of uvicorn.error: 李明",
        "warning of uvicorn.error: 李明",
        "warning of library: 李明",
    ]


def test_a_process_logs_text_when_told_to():
    lines = run("error", "text")
    assert [line.split(" ", 1)[1] for line in lines] == ["warning warning of library: 李明"]


@pytest.mark.parametrize(
    ("log_format", "terminal", "formatter"),
    [
        ("auto", True, TextFormatter),
        ("auto", False, JsonFormatter),
        ("json", True, JsonFormatter),
        ("text", False, TextFormatter),
    ],
)
def test_the_format_is_the_one_asked_for(monkeypatch, log_format, terminal, formatter):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    config = log_config(Settings(log_format=log_format))
    assert config["formatters"]["chosen"]["()"] is formatter


def test_one_write_a_line():
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    handler = logging.StreamHandler(Stream())
    handler.setFormatter(JsonFormatter())
    handler.handle(record(NASTY))
    assert [text.count("\n") for text in writes] == [1]


def test_texts_are_shortened():
    assert shortened(["Ada", ["in", "Paris"], [], 7, [None, "x"]]) == [
        "Ada",
        "in Paris",
        "",
        "",
        "None x",
    ]
    assert shortened(["a" * 5000, "b"]) == ["a" * MAX_TEXT]
    assert shortened([["ab"] * 5000]) == [("ab " * MAX_TEXT)[:MAX_TEXT]]
    assert len(shortened([""] * 5000)) == MAX_TEXT


@given(st.lists(st.text(max_size=400) | st.lists(st.text(max_size=300), max_size=5)))
def test_shortened_texts_are_starts_of_the_texts(items):
    found = shortened(items)
    assert sum(map(len, found)) <= MAX_TEXT
    whole = [item if isinstance(item, str) else " ".join(item) for item in items]
    assert all(text.startswith(start) for start, text in zip(found, whole, strict=False))
    if sum(len(text) + 1 for text in whole) <= MAX_TEXT:
        assert found == whole
