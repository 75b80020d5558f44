"""Tagging a file into another.

The suffix says what a file is. `.txt` has a text on each line; `.jsonl` and `.ndjson` an object
with a "text"; `.conll`, `.bio` and the like a token on each row. What comes out is JSON lines, as
`tagbelt tag` writes them, or, for CoNLL input, CoNLL too. An item that cannot be tagged leaves an
`error` in its place; CoNLL has no place for one, so there it ends the call.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from tagbelt.client.batches import FileOptions, TaggingOptions, check_names
from tagbelt.client.replies import ItemError, Result, error_of
from tagbelt.commands.documents import (
    BadInput,
    ConllWriter,
    InputText,
    JsonLinesWriter,
    Writer,
    read_json_lines,
    read_text,
)
from tagbelt.commands.tag import SUFFIXES, InputFormat
from tagbelt.data.conll.reading import read_conll
from tagbelt.inference import Annotation

_ORIGIN = "origin"  # the member of an item that says where it came from


@dataclass(frozen=True, slots=True)
class FileCounts:
    """Counts of a file: items that were tagged, items that could not be, entities found."""

    items: int = 0
    failed: int = 0
    entities: int = 0


class FileJob:
    """The reading and writing of one file; use it as a context manager.

    What is written has its name only after the block ends well. Raises ValueError for suffixes
    that say nothing, or for CoNLL from what are no token lists.
    """

    def __init__(self, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        self._source = Path(source)
        self._target = Path(target)
        self._from = _kind(self._source)
        self._to = _kind(self._target)
        if self._to not in ("jsonl", self._from) or self._to == "text":
            can = "JSON lines or CoNLL" if self._from == "conll" else "JSON lines"
            raise ValueError(f"{self._target}: {self._source.name} can be tagged into {can}")
        self._part = self._target.with_name(f".{self._target.name}.part")
        self._open = ExitStack()
        self._tagged = self._failed = self._entities = 0

    def __enter__(self) -> Self:
        self._input = self._open.enter_context(self._source.open("rb"))
        out = self._open.enter_context(self._part.open("w", encoding="utf-8", newline="\n"))
        self._output = out
        self._writer: Writer = (
            JsonLinesWriter(out) if self._to == "jsonl" else ConllWriter(out, "word")
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._output.flush()
                os.fsync(self._output.fileno())
            self._open.close()
            if kind is None:
                self._part.replace(self._target)
        finally:
            self._part.unlink(missing_ok=True)

    @property
    def counts(self) -> FileCounts:
        """The counts of what was written so far."""
        return FileCounts(self._tagged - self._failed, self._failed, self._entities)

    def options(self, given: FileOptions) -> TaggingOptions:
        """Return the options of the requests."""
        check_names(given, FileOptions)
        options = cast(TaggingOptions, dict(given))
        if self._from == "conll":
            options["include"] = ["tokens", "tags"]
        return options

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the items to tag, in order."""
        name = str(self._source)
        if self._from == "conll":
            # Gold tags, if there are any, are not looked at.
            for sentence in read_conll(self._input, columns={"token": 0}).sentences:
                yield {"tokens": sentence.tokens}
            return
        as_json = self._from == "jsonl"
        read = (
            read_json_lines(name, self._input, "text") if as_json else read_text(name, self._input)
        )
        for origin in read:
            # A line that is no text goes along, so that its error comes out in its place.
            yield {"text": getattr(origin, "text", None), _ORIGIN: origin}

    def write(self, item: dict[str, Any], outcome: Result | ItemError) -> None:
        """Write the outcome of an item."""
        self._tagged += 1
        if isinstance(outcome, ItemError):
            self._write_error(item.get(_ORIGIN), outcome)
            return
        origin = item.get(_ORIGIN)
        if isinstance(origin, InputText):
            self._writer.document(origin, _annotation(outcome))
        else:
            self._writer.sentence(_annotation(outcome))
        self._entities += len(outcome.entities)

    def _write_error(self, origin: object, outcome: ItemError) -> None:
        if self._to == "conll":
            raise error_of(outcome.problem)
        said = f"{self._source}: item {self._tagged}: {outcome.problem.detail}"
        self._writer.bad(origin if isinstance(origin, BadInput) else BadInput(said))
        self._failed += 1


def _annotation(result: Result) -> Annotation:
    return Annotation(
        tokens=tuple(token.text for token in result.tokens or ()),
        starts=(),
        tags=result.tags or (),
        entities=result.entities,
    )


def _kind(path: Path) -> InputFormat:
    """Return the format that a suffix names. Raises ValueError for an unknown suffix."""
    kinds = {".txt": InputFormat.text, **SUFFIXES}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(kinds)}")
    return kind
