"""Texts to tag, read line by line, and how they are written once they are tagged.

A line that can't be read is one bad item, not the end.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Literal, Protocol, TextIO
from zlib import crc32

import typer

from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.formats.shapes import field_of
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Entity, Sentence, Unit
from tagbelt.inference import Annotation

BOM = b"\xef\xbb\xbf"


class JsonField(StrEnum):
    """Names of fields in JSON lines."""

    text = "text"
    entities = "entities"
    error = "error"


@dataclass(frozen=True)
class InputText:
    """A text to tag; `record` is the JSON object it came in, which is passed through."""

    text: str
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BadInput:
    """An input that can't be tagged; `message` names the place, `record` is what it came in."""

    message: str
    record: dict[str, Any] = field(default_factory=dict)


def read_text(
    name: str, stream: BinaryIO, *, whole: bool = False
) -> Iterator[InputText | BadInput]:
    """Read each line as a text, or with `whole` the file as one, line ends and all."""
    if whole:
        yield _decoded(name, stream.read().removeprefix(BOM))
        return
    for number, line in enumerate(stream, start=1):
        line = line.removeprefix(BOM) if number == 1 else line
        yield _decoded(f"{name}:{number}", line.rstrip(b"\r\n"))


def read_json_lines(name: str, stream: BinaryIO, text_field: str) -> Iterator[InputText | BadInput]:
    """Read a text from each JSON object (`data.text`: of one within); blank lines are skipped."""
    for number, line in enumerate(stream, start=1):
        line = line.removeprefix(BOM) if number == 1 else line
        if line.strip():
            yield _from_json(f"{name}:{number}", line, text_field)


def _decoded(place: str, raw: bytes) -> InputText | BadInput:
    try:
        return InputText(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return BadInput(f"{place}: not UTF-8: byte {raw[error.start]:#04x} at {error.start}")


def _from_json(place: str, line: bytes, text_field: str) -> InputText | BadInput:
    decoded = _decoded(place, line.rstrip(b"\r\n"))
    if isinstance(decoded, BadInput):
        return decoded
    try:
        record = json.loads(decoded.text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return BadInput(f"{place}: not JSON: {error.msg} at character {error.pos}")
    except (ValueError, RecursionError) as error:  # no JSON value; nested too deep
        return BadInput(f"{place}: not JSON: {error}")
    if not isinstance(record, dict):
        return BadInput(f"{place}: expected a JSON object, found {_json_type(record)}")
    try:
        text = field_of(record, text_field)
        found = _json_type(text)
    except KeyError:
        text, found = None, "nothing"
    if not isinstance(text, str):
        return BadInput(f"{place}: field {text_field!r}: expected a string, found {found}", record)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        fault = f"lone surrogate at character {error.start}"
        return BadInput(f"{place}: field {text_field!r}: {fault}", record)
    return InputText(text, record)


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


COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
KNOWN = {"PER": "cyan", "ORG": "yellow", "LOC": "green", "MISC": "magenta"}
LEAST_SURE = 0.5
"""Entities below this score are shown with a question mark."""


class Writer(Protocol):
    """Writes results in the order of the input."""

    def document(self, document: InputText, found: Annotation) -> None:
        """Write a tagged text."""

    def sentence(self, found: Annotation) -> None:
        """Write a tagged sentence that was tokens already."""

    def bad(self, item: BadInput) -> None:
        """Write what stands in the place of an input that could not be tagged."""

    def flush(self) -> None:
        """Hand everything over."""


class JsonLinesWriter:
    """One JSON object a text or sentence; what a JSON line held besides is kept."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def document(self, document: InputText, found: Annotation) -> None:
        """Write the text, or the object it came in, with its entities."""
        record = document.record or {JsonField.text: document.text}
        self._write({**record, JsonField.entities: [_entity(e) for e in found.entities]})

    def sentence(self, found: Annotation) -> None:
        """Write tokens, IOB2 tags, and entities over token indices."""
        entities = [_entity(entity) for entity in found.entities]
        self._write({"tokens": found.tokens, "tags": found.tags, JsonField.entities: entities})

    def bad(self, item: BadInput) -> None:
        """Write the error in the object that it came in: line n of the output is of input n."""
        self._write({**item.record, JsonField.error: item.message})

    def flush(self) -> None:
        """Hand everything over."""
        self._out.flush()

    def _write(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False)
        if not _has_utf8(line):  # what is passed through may hold lone surrogates; JSON can say so
            line = json.dumps(value)
        self._out.write(line + "\n")


class ConllWriter:
    """Token and IOB2 tag a row, a blank line after each sentence."""

    def __init__(self, out: TextIO, unit: Unit) -> None:
        self._out = out
        self._unit: Unit = unit

    def document(self, document: InputText, found: Annotation) -> None:
        """Write the text's sentences."""
        begin = 0
        for tokens in tokenize(document.text, self._unit):
            end = begin + len(tokens.words)
            self._write(tokens.words, found.tags[begin:end])
            begin = end

    def sentence(self, found: Annotation) -> None:
        """Write one sentence."""
        self._write(found.tokens, found.tags)

    def bad(self, item: BadInput) -> None:
        """Write nothing: rows have no place for an error."""

    def flush(self) -> None:
        """Hand everything over."""
        self._out.flush()

    def _write(self, words: Sequence[str], tags: Sequence[str]) -> None:
        spans = tags_to_spans(tags, Scheme.IOB2)
        write_conll(self._out, [Sentence(tuple(words), spans)])


class ViewWriter:
    """The text with its entities in colour, each followed by its type and, if unsure, a `?`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def document(self, document: InputText, found: Annotation) -> None:
        """Show a text."""
        self._show(document.text, found.entities)

    def sentence(self, found: Annotation) -> None:
        """Show a sentence, its tokens joined by spaces."""
        starts = [0]
        for token in found.tokens:
            starts.append(starts[-1] + len(token) + 1)
        entities = [
            Entity(e.label, starts[e.start], starts[e.end] - 1, e.text, e.score)
            for e in found.entities
        ]
        self._show(" ".join(found.tokens), entities)

    def bad(self, item: BadInput) -> None:
        """Show nothing: the message is on standard error."""

    def flush(self) -> None:
        """Hand everything over."""
        self._out.flush()

    def _show(self, text: str, entities: Sequence[Entity]) -> None:
        parts, place = [], 0
        for entity in entities:
            mark = entity.label if entity.score >= LEAST_SURE else f"{entity.label}?"
            parts.append(text[place : entity.start])
            parts.append(typer.style(entity.text, fg=_colour(entity.label), bold=True))
            parts.append(typer.style(f"[{mark}]", fg=_colour(entity.label)))
            place = entity.end
        typer.echo("".join([*parts, text[place:]]), file=self._out)


def writer_for(target: Literal["view", "conll", "jsonl"], out: TextIO, unit: Unit) -> Writer:
    """Make the writer of a format."""
    if target == "jsonl":
        return JsonLinesWriter(out)
    return ConllWriter(out, unit) if target == "conll" else ViewWriter(out)


def _has_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _entity(entity: Entity) -> dict[str, Any]:
    # By way of the six digits that a server sends: a client writes the same file as the command.
    return {**asdict(entity), "score": round(round(entity.score, 6), 4)}


def _colour(label: str) -> str:
    """Return the colour of a type: the same in every run and every language."""
    return KNOWN.get(label) or COLOURS[crc32(label.encode()) % len(COLOURS)]
