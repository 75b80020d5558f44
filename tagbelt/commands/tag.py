"""`tagbelt tag`: text, CoNLL or JSON lines in; JSON lines, CoNLL or a coloured view out."""

import gzip
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TextIO, TypeVar, cast

import typer

from tagbelt.bulk.shards import SUFFIXES as BULK_SUFFIXES
from tagbelt.commands.failures import told
from tagbelt.commands.options import Chosen, Columns, Model, Precision, Separator, Threads
from tagbelt.data.checkpoint.finding import ENGLISH
from tagbelt.data.types import SEPARATORS
from tagbelt.errors import InputError

if TYPE_CHECKING:
    from tagbelt.bulk.job import BulkJob
    from tagbelt.commands.documents import Writer
    from tagbelt.inference import Tagger

T = TypeVar("T")

BLOCK = 1024
"""Texts that are read, tagged and written at a time: memory stays flat however long a file is.
A person who types is answered line by line."""

STANDARD_INPUT = Path("-")


class InputFormat(StrEnum):
    """A format that `tagbelt tag` reads."""

    text = "text"
    conll = "conll"
    jsonl = "jsonl"
    parquet = "parquet"
    csv = "csv"


BULK_ONLY = (InputFormat.parquet, InputFormat.csv)


class BulkEngine(StrEnum):
    """What a bulk run runs on."""

    local = "local"
    ray = "ray"


class OutputFormat(StrEnum):
    """A format that `tagbelt tag` writes."""

    view = "view"
    conll = "conll"
    jsonl = "jsonl"


# Of a single file; a bulk run reads more.
SUFFIXES = {
    suffix: InputFormat(kind)
    for suffix, kind in BULK_SUFFIXES.items()
    if kind in ("jsonl", "conll")
}


@dataclass(frozen=True)
class TagFileOptions:
    """The options of the command line; None means not given."""

    model: Path
    target: OutputFormat
    source: InputFormat | None = None
    whole: bool = False
    field: str = "text"
    columns: tuple[str, ...] | None = None
    separator: str = "whitespace"
    precision: Precision = Precision.auto
    threads: int | None = None

    def format_of(self, path: Path) -> InputFormat:
        """Return what a file is read as: what was said, else what its suffix says."""
        return self.source or SUFFIXES.get(
            Path(path.name.removesuffix(".gz")).suffix.lower(), InputFormat.text
        )

    def check(self, files: Sequence[Path]) -> None:
        """Refuse options that make no sense before a model is loaded. Raises InputError."""
        if self.separator not in SEPARATORS:
            raise InputError(f"--separator {self.separator}: say one of {', '.join(SEPARATORS)}")
        if self.columns is not None and self.columns.count("token") != 1:
            raise InputError(f"--columns {','.join(self.columns)}: name one of them 'token'")
        for path in files:
            if self.whole and self.format_of(path) != InputFormat.text:
                raise InputError(f"--whole: {path} is read as {self.format_of(path)}, not as text")

    def job(self) -> "BulkJob":
        """Return what all shards of a bulk run with these options have in common."""
        from tagbelt.bulk.job import BulkJob

        token = self.columns.index("token") if self.columns else 0
        separator = SEPARATORS[self.separator]
        return BulkJob(str(self.model), self.field, self.precision.value, token, separator)


def command(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files to read; - or none is standard input.")
    ] = None,
    model: Model = Path(ENGLISH),
    source: Annotated[
        InputFormat | None,
        typer.Option("--from", help="What to read; by the file's suffix, or text, unless given."),
    ] = None,
    target: Annotated[
        OutputFormat | None,
        typer.Option("--to", help="What to write; view on a terminal and jsonl elsewhere."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read a text file as one text, not each line as one.")
    ] = False,
    field: Annotated[
        str, typer.Option(help="Where the text is in a JSON line; data.text is within.")
    ] = "text",
    columns: Columns = None,
    separator: Separator = "whitespace",
    precision: Chosen = Precision.auto,
    threads: Threads = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="A bulk run: write files below this folder or address. The same command goes on "
            "with one that was stopped. Reads folders, Parquet, CSV and s3:// too.",
        ),
    ] = None,
    engine: Annotated[
        BulkEngine, typer.Option(help="What a bulk run runs on: processes of this machine, or Ray.")
    ] = BulkEngine.local,
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster; one on this machine unless given.")
    ] = None,
    shard_mb: Annotated[
        float, typer.Option(min=0.001, help="Megabytes of input that make a file of a bulk run.")
    ] = 8.0,
) -> None:
    """Tag text, CoNLL files or JSON lines.

    A line that can't be read is told on standard error and all others are tagged; the exit code
    is 1 then.
    """
    with told("tag", "the same command goes on" if out else ""):
        options = TagFileOptions(
            model=model,
            source=source,
            target=target or (OutputFormat.view if sys.stdout.isatty() else OutputFormat.jsonl),
            whole=whole,
            field=field,
            columns=tuple(columns.split(",")) if columns else None,
            separator=separator,
            precision=precision,
            threads=threads,
        )
        if out is None:
            if source in BULK_ONLY or address is not None:
                raise InputError("--from parquet and csv, and --address, need --out")
            paths = [Path(file) for file in files or ["-"]]
            bad = tag_files(paths, options, sys.stdout, typer.get_text_stream("stderr"))
            raise typer.Exit(1 if bad else 0)
        if target is not None or whole:
            raise InputError("--out: --to and --whole are not for bulk runs")
        options.check([])
        from tagbelt.commands.bulk import tag_bulk

        good = tag_bulk(
            files or [],
            out,
            options.job(),
            given=source.value if source else None,
            engine=engine.value,
            address=address,
            workers=threads,
            shard_bytes=int(shard_mb * 1e6),
        )
        raise typer.Exit(0 if good else 1)


def tag_files(files: Sequence[Path], options: TagFileOptions, out: TextIO, err: TextIO) -> int:
    """Tag every file and return how many inputs were bad.

    A bad line is told on `err` and leaves an `error` in its place in JSON lines; all others are
    tagged.

    Raises:
        InputError: an option that does not exist.
        ConllError: a CoNLL file that can't be read.
    """
    from tagbelt.commands.documents import writer_for
    from tagbelt.inference import Tagger

    options.check(files)
    tagger = Tagger.load(options.model, threads=options.threads, precision=options.precision.value)
    writer = writer_for(options.target.value, out, tagger.info.unit)
    bad = 0
    for path in files:
        if options.format_of(path) == InputFormat.conll:
            _tag_conll(path, options, tagger, writer)
        else:
            bad += _tag_texts(path, options, tagger, writer, err)
    return bad


def _open(path: Path) -> AbstractContextManager[BinaryIO]:
    # Standard input is not ours to close: it may be named twice.
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _tag_texts(
    path: Path, options: TagFileOptions, tagger: "Tagger", writer: "Writer", err: TextIO
) -> int:
    from tagbelt.commands.documents import InputText, read_json_lines, read_text

    bad = 0
    with _open(path) as stream:
        name = "<stdin>" if path == STANDARD_INPUT else str(path)
        if options.format_of(path) == InputFormat.jsonl:
            items = read_json_lines(name, stream, options.field)
        else:
            items = read_text(name, stream, whole=options.whole)
        for block in _blocks(items, 1 if stream.isatty() else BLOCK):
            good = [item for item in block if isinstance(item, InputText)]
            found = iter(tagger.annotate([item.text for item in good]))
            for item in block:
                if isinstance(item, InputText):
                    writer.document(item, next(found))
                    continue
                bad += 1
                err.write(f"{item.message}\n")
                writer.bad(item)
            writer.flush()
    return bad


def _tag_conll(path: Path, options: TagFileOptions, tagger: "Tagger", writer: "Writer") -> None:
    from tagbelt.data.conll.reading import read_conll

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
