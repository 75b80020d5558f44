"""How tagged texts and sentences are written: JSON lines, CoNLL, or colours on a terminal."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, Protocol, TextIO
from zlib import crc32

import typer

from tagbelt.commands.documents import Bad, Document, Field
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Entity, Sentence, Unit
from tagbelt.inference import Annotation

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
KNOWN = {"PER": "cyan", "ORG": "yellow", "LOC": "green", "MISC": "magenta"}
LEAST_SURE = 0.5
"""Entities below this score are shown with a question mark."""


class Writer(Protocol):
    """Where results go, in the order of the input."""

    def document(self, document: Document, found: Annotation) -> None:
        """Write a tagged text."""

    def sentence(self, found: Annotation) -> None:
        """Write a tagged sentence that was tokens already."""

    def bad(self, item: Bad) -> None:
        """Write what stands in the place of an input that could not be tagged."""

    def flush(self) -> None:
        """Hand everything over."""


class JsonLines:
    """One JSON object a text or sentence; what a JSON line held besides is kept."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def document(self, document: Document, found: Annotation) -> None:
        """Write the text, or the object it came in, with its entities."""
        record = document.record or {Field.text: document.text}
        self._write({**record, Field.entities: [_entity(e) for e in found.entities]})

    def sentence(self, found: Annotation) -> None:
        """Write tokens, IOB2 tags, and entities over token indices."""
        entities = [_entity(entity) for entity in found.entities]
        self._write({"tokens": found.tokens, "tags": found.tags, Field.entities: entities})

    def bad(self, item: Bad) -> None:
        """Write the error, so that line n of the output speaks of input n."""
        self._write({Field.error: item.message})

    def flush(self) -> None:
        """Hand everything over."""
        self._out.flush()

    def _write(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False)
        if not _has_utf8(line):  # what is passed through may hold lone surrogates; JSON can say so
            line = json.dumps(value)
        self._out.write(line + "\n")


class Conll:
    """Token and IOB2 tag a row, a blank line after each sentence."""

    def __init__(self, out: TextIO, unit: Unit) -> None:
        self._out = out
        self._unit: Unit = unit

    def document(self, document: Document, found: Annotation) -> None:
        """Write the text's sentences."""
        begin = 0
        for tokens in tokenize(document.text, self._unit):
            end = begin + len(tokens.words)
            self._write(tokens.words, found.tags[begin:end])
            begin = end

    def sentence(self, found: Annotation) -> None:
        """Write one sentence."""
        self._write(found.tokens, found.tags)

    def bad(self, item: Bad) -> None:
        """Write nothing: rows have no place for an error."""

    def flush(self) -> None:
        """Hand everything over."""
        self._out.flush()

    def _write(self, words: Sequence[str], tags: Sequence[str]) -> None:
        spans = tags_to_spans(tags, Scheme.IOB2)
        write_conll(self._out, [Sentence(tuple(words), spans)])


class View:
    """The text with its entities in colour, each followed by its type and, if unsure, a `?`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def document(self, document: Document, found: Annotation) -> None:
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

    def bad(self, item: Bad) -> None:
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
        return JsonLines(out)
    return Conll(out, unit) if target == "conll" else View(out)


def _has_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _entity(entity: Entity) -> dict[str, Any]:
    return {**asdict(entity), "score": round(entity.score, 4)}


def _colour(label: str) -> str:
    """Return the colour of a type: the same in every run and every language."""
    return KNOWN.get(label) or COLOURS[crc32(label.encode()) % len(COLOURS)]
