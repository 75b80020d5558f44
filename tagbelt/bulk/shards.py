"""Shards: the parts of the input that are tagged, and written, one at a time.

How files are cut depends on them and on the size of a shard alone, so that a run that was stopped
finds its shards again by the names of what they wrote.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Literal

from tagbelt.bulk.storage import joined, opened, storage_of
from tagbelt.errors import InputError

Format = Literal["parquet", "jsonl", "csv", "text", "conll"]
SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".txt": "text",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".bmes": "conll",
    ".tsv": "conll",
}
WRITTEN: dict[Format, Format] = {
    "parquet": "parquet",
    "conll": "conll",
    "jsonl": "jsonl",
    "csv": "jsonl",
    "text": "jsonl",
}
"""What a format is written as."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a file: bytes [start, end) or, of Parquet, row groups. `out` is what it writes.

    `end` None is the end of the file.
    """

    path: str
    format: Format
    start: int
    end: int | None
    out: str


@dataclass(frozen=True, slots=True)
class Source:
    """An input file, its size in bytes, and its name below what was named."""

    path: str
    size: int
    name: str
    format: Format


def find_sources(inputs: Sequence[str], out: str, given: Format | None) -> list[Source]:
    """The files of the inputs, in order; those that begin with `.` or `_` are passed over.

    Raises InputError: nothing there, a format that cannot be told, two files of one name, or a file
    that lies where the output goes.
    """
    found: dict[str, Source] = {}
    inside = out.partition("?")[0].rstrip("/") + "/"
    for one in inputs:
        root = one.partition("?")[0].rstrip("/")
        files = storage_of(one).files(one)
        if not files:
            raise InputError(f"{root}: no file there")
        for path, size in files:
            bare = path.partition("?")[0]
            name = bare.removeprefix(root).lstrip("/") or PurePosixPath(bare).name
            if any(part[0] in "._" for part in PurePosixPath(name).parts):
                continue
            if bare.startswith(inside):
                raise InputError(f"{bare}: lies in {inside}, where the output goes; say another")
            if name in found:
                raise InputError(f"{found[name].path} and {path}: two inputs of one name, {name}")
            found[name] = Source(path, size, name, given or format_of(bare))
    return list(found.values())


def format_of(path: str) -> Format:
    """The format that a file's suffix tells. Raises InputError for another suffix."""
    suffix = PurePosixPath(path.removesuffix(".gz")).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: the suffix tells no format ({known}); say --from")
    return SUFFIXES[suffix]


def shards_of(source: Source, size: int, out: str) -> Iterator[Shard]:
    """Cut a file into shards of some `size` bytes; of a packed one there is but one.

    Raises InputError for a Parquet file that cannot be read.
    """
    suffix = WRITTEN[source.format]
    for number, (start, end) in enumerate(_cuts(source, size)):
        name = joined(out, f"{source.name}.{number:05d}.{suffix}")
        yield Shard(source.path, source.format, start, end, name)


def _cuts(source: Source, size: int) -> Iterator[tuple[int, int | None]]:
    storage = storage_of(source.path)
    if source.format == "parquet":
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        with storage.open(source.path) as stream:
            try:
                groups = ParquetFile(stream).num_row_groups
            except (ArrowException, OSError) as error:
                bare = source.path.partition("?")[0]
                raise InputError(f"{bare}: no Parquet file, or damaged: {error}") from error
        yield from ((group, group + 1) for group in range(groups))
        return
    if source.path.partition("?")[0].endswith(".gz"):
        yield 0, None
        return
    with storage.open(source.path) as stream:
        start = 0
        while start + size < source.size:
            end = _next_cut(stream, start, start + size, source.format)
            if end >= source.size:
                break
            yield start, end
            start = end
        if start < source.size:
            yield start, source.size


def _next_cut(stream: BinaryIO, start: int, place: int, kind: Format) -> int:
    """The first byte from `place` on that begins a record; the end of the file if none does."""
    # Within quotes a line's end is no record's: an even number of quotes has to lie before it.
    quoted = kind == "csv" and _quotes(stream, start, place) % 2 == 1
    # One byte earlier, so that a record which begins at `place` itself is not passed over.
    stream.seek(place - 1)
    if stream.read(1) != b"\n" or quoted:
        rest = stream.readline()
        quoted ^= kind == "csv" and rest.count(b'"') % 2 == 1
    while kind == "csv" and quoted and (line := stream.readline()):
        quoted ^= line.count(b'"') % 2 == 1
    while kind == "conll" and (line := stream.readline()) and line.strip():
        pass
    return stream.tell()


def _quotes(stream: BinaryIO, start: int, end: int) -> int:
    stream.seek(start)
    found = 0
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        found += chunk.count(b'"')
        start += len(chunk)
    return found


def csv_header(path: str) -> list[str]:
    """The names of a CSV file's columns. Raises InputError for a file without a line."""
    with opened(storage_of(path), path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        header = next(csv.reader(text), None)
        text.detach()
    if not header:
        raise InputError(f"{path.partition('?')[0]}: no line with the names of the columns")
    return header
