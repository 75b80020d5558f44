"""`tagbelt tag`: text, CoNLL or JSON lines in; JSON lines, CoNLL or a coloured view out."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, TypeVar

from tagbelt.commands.documents import Document, Field, read_json_lines, read_text
from tagbelt.commands.writers import Writer, writer_for
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.types import SEPARATORS
from tagbelt.errors import InputError
from tagbelt.inference.checkpoint import Precision
from tagbelt.inference.tagger import Tagger

T = TypeVar("T")

SourceKind = Literal["text", "conll", "jsonl"]
TargetKind = Literal["view", "conll", "jsonl"]

BLOCK = 1024
"""Texts that are read, tagged and written at a time: memory stays flat however long a file is.
A person who types is answered line by line."""

SUFFIXES: dict[str, SourceKind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".bmes": "conll",
    ".tsv": "conll",
}

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class TagOptions:
    """What the command line says; None means not given."""

    model: Path
    target: TargetKind
    source: SourceKind | None = None
    whole: bool = False
    field: str = Field.text.value
    columns: tuple[str, ...] | None = None
    separator: str = "whitespace"
    precision: Precision = "auto"
    threads: int | None = None


def tag_files(files: Sequence[Path], options: TagOptions, out: TextIO, err: TextIO) -> int:
    """Tag every file and return how many inputs were bad.

    A bad line is told on `err` and leaves an `error` in its place in JSON lines; all others are
    tagged.

    Raises:
        InputError: an option that does not exist.
        ConllError: a CoNLL file that can't be read.
    """
    _check(files, options)
    tagger = Tagger.load(options.model, threads=options.threads, precision=options.precision)
    writer = writer_for(options.target, out, tagger.info.unit)
    bad = 0
    for path in files:
        if _kind(path, options) == "conll":
            _tag_conll(path, options, tagger, writer)
        else:
            bad += _tag_documents(path, options, tagger, writer, err)
    return bad


def _check(files: Sequence[Path], options: TagOptions) -> None:
    """Refuse options that make no sense before a model is loaded."""
    if options.separator not in SEPARATORS:
        raise InputError(f"--separator {options.separator}: say one of {', '.join(SEPARATORS)}")
    if options.columns is not None and options.columns.count("token") != 1:
        raise InputError(f"--columns {','.join(options.columns)}: name one of them 'token'")
    for path in files:
        if options.whole and _kind(path, options) != "text":
            raise InputError(f"--whole: {path} is read as {_kind(path, options)}, not as text")


def _kind(path: Path, options: TagOptions) -> SourceKind:
    return options.source or SUFFIXES.get(path.suffix.lower(), "text")


def _open(path: Path) -> AbstractContextManager[BinaryIO]:
    # Standard input is not ours to close: it may be named twice.
    return nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb")


def _tag_documents(
    path: Path, options: TagOptions, tagger: Tagger, writer: Writer, err: TextIO
) -> int:
    bad = 0
    with _open(path) as stream:
        name = "<stdin>" if path == STANDARD_INPUT else str(path)
        if _kind(path, options) == "jsonl":
            items = read_json_lines(name, stream, options.field)
        else:
            items = read_text(name, stream, whole=options.whole)
        for block in _blocks(items, 1 if stream.isatty() else BLOCK):
            good = [item for item in block if isinstance(item, Document)]
            found = iter(tagger.annotate([item.text for item in good]))
            for item in block:
                if isinstance(item, Document):
                    writer.document(item, next(found))
                    continue
                bad += 1
                err.write(f"{item.message}\n")
                writer.bad(item)
            writer.flush()
    return bad


def _tag_conll(path: Path, options: TagOptions, tagger: Tagger, writer: Writer) -> None:
    source: Any = sys.stdin.buffer if path == STANDARD_INPUT else path
    token = options.columns.index("token") if options.columns else 0
    # Gold tags, if there are any, are not looked at.
    columns = {"token": token}
    corpus = read_conll(source, columns=columns, separator=SEPARATORS[options.separator])
    for block in _blocks(iter(corpus.sentences), BLOCK):
        found = tagger.annotate_tokens([sentence.tokens for sentence in block])
        for annotation in found:
            writer.sentence(annotation)
        writer.flush()


def _blocks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while block := list(islice(items, size)):
        yield block
