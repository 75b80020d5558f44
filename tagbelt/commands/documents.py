"""Texts to tag, read line by line; a line that can't be read is one bad item, not the end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO

BOM = b"\xef\xbb\xbf"


class Field(StrEnum):
    """Names of fields in JSON lines."""

    text = "text"
    entities = "entities"
    error = "error"


@dataclass(frozen=True)
class Document:
    """A text to tag; `record` is the JSON object it came in, which is passed through."""

    text: str
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bad:
    """An input that can't be tagged; `message` names the place."""

    message: str


def read_text(name: str, stream: BinaryIO, *, whole: bool = False) -> Iterator[Document | Bad]:
    """Read each line as a text, or with `whole` the file as one, line ends and all."""
    if whole:
        yield _decoded(name, stream.read().removeprefix(BOM))
        return
    for number, line in enumerate(stream, start=1):
        line = line.removeprefix(BOM) if number == 1 else line
        yield _decoded(f"{name}:{number}", line.rstrip(b"\r\n"))


def read_json_lines(name: str, stream: BinaryIO, text_field: str) -> Iterator[Document | Bad]:
    """Read a text from each JSON object; blank lines are skipped."""
    for number, line in enumerate(stream, start=1):
        line = line.removeprefix(BOM) if number == 1 else line
        if line.strip():
            yield _from_json(f"{name}:{number}", line, text_field)


def _decoded(place: str, raw: bytes) -> Document | Bad:
    try:
        return Document(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Bad(f"{place}: not UTF-8: byte {raw[error.start]:#04x} at {error.start}")


def _from_json(place: str, line: bytes, text_field: str) -> Document | Bad:
    decoded = _decoded(place, line.rstrip(b"\r\n"))
    if isinstance(decoded, Bad):
        return decoded
    try:
        record = json.loads(decoded.text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return Bad(f"{place}: not JSON: {error.msg} at character {error.pos}")
    except (ValueError, RecursionError) as error:  # no JSON value; nested too deep
        return Bad(f"{place}: not JSON: {error}")
    if not isinstance(record, dict):
        return Bad(f"{place}: expected a JSON object, found {_json_type(record)}")
    text = record.get(text_field)
    if not isinstance(text, str):
        found = _json_type(text) if text_field in record else "nothing"
        return Bad(f"{place}: field {text_field!r}: expected a string, found {found}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return Bad(f"{place}: field {text_field!r}: lone surrogate at character {error.start}")
    return Document(text, record)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _json_type(value: object) -> str:
    """Return what JSON calls the type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
