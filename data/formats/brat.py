"""brat standoff: for each document a .txt file and an .ann file beside it."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from tagbelt.data.formats.record import (
    Losses,
    Mark,
    Offsets,
    Record,
    checked_text,
    place,
    read_mark,
)
from tagbelt.data.types import OffsetUnit
from tagbelt.errors import DataError

_NAME = re.compile(r"[\w-][\w.-]*")
_DIGITS = 20
"""Of a place in a text; Python reads numbers of 4,300 at most."""


def read_brat(source: Path, unit: OffsetUnit, losses: Losses) -> list[Record]:
    """Read all documents of a folder and those in it, or the one of a .txt or .ann file.

    Raises DataError if there are none, one half of a pair is missing, or a file is not UTF-8.
    """
    if source.is_dir():
        stems = sorted(
            {p.with_suffix("") for p in source.rglob("*") if p.suffix in (".txt", ".ann")}
        )
    else:
        stems = [source.with_suffix("")]
    if not stems:
        raise DataError(f"{source}: no .txt and .ann files here")
    return [_record(stem, unit, losses) for stem in stems]


def write_brat(records: Iterable[Record], unit: OffsetUnit, target: Path) -> None:
    """Write each record as a document into a folder, made if there is none.

    Its name is the record's field `name`, if it can be one, or its number. A span begins and ends
    within a line. Raises DataError, with nothing written, for a label or a span that .ann files
    have no room for, and for a folder that has documents already.
    """
    if target.is_dir() and any(p.suffix in (".txt", ".ann") for p in target.iterdir()):
        raise DataError(f"{target}: has documents already; say an empty or a new folder")
    files = {}
    for number, record in enumerate(records, start=1):
        name = record.fields.get("name")
        usable = isinstance(name, str) and _NAME.fullmatch(name) and name not in files
        title = str(name) if usable else f"{number:05}"
        while title in files:
            title += "_"
        files[title] = (record.text, _rows(record, unit))
    target.mkdir(parents=True, exist_ok=True)
    for name, (text, rows) in files.items():
        (target / f"{name}.txt").write_bytes(text.encode("utf-8"))
        (target / f"{name}.ann").write_bytes("".join(rows).encode("utf-8"))


def _record(stem: Path, unit: OffsetUnit, losses: Losses) -> Record:
    # Not with_suffix: a name may have dots of its own.
    text_path, marks_path = (stem.with_name(stem.name + suffix) for suffix in (".txt", ".ann"))
    text = checked_text(_read(text_path), str(text_path), None)
    rows = _read(marks_path).removeprefix("\ufeff")
    marks = tuple(_marks(text, rows, Offsets(text, unit), str(marks_path), losses))
    return Record(text, marks, fields={"name": stem.name}, path=str(text_path))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; brat has a .txt and an .ann file each") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8: byte at {error.start}") from error


def _marks(text: str, rows: str, offsets: Offsets, path: str, losses: Losses) -> Iterator[Mark]:
    for number, row in enumerate(rows.split("\n"), start=1):
        row = row.removesuffix("\r")
        if not row.strip():
            continue
        where = (path, number)
        if not row.startswith("T"):
            name = row.split("\t")[0]
            losses.add("not-a-span", *where, f"{name!r} is no entity")
            continue
        cells = row.split("\t", 2)
        if len(cells) < 2:
            raise DataError(f"{place(*where)}: expected T<number>, tab, type and offsets: {row!r}")
        label, _, spans = cells[1].partition(" ")
        pieces = [_ends(piece) for piece in spans.split(";")]
        if any(_apart(text, offsets, *pair) for pair in pairwise(pieces)):
            losses.add("discontinuous", *where, f"{label} in several pieces: {spans}")
            continue
        span = (pieces[0][0], pieces[-1][1], label)
        stated = cells[2] if len(cells) == 3 else None
        mark = read_mark(text, offsets, span, where, losses, stated=stated)
        if mark and len(pieces) > 1:
            losses.add("joined", *where, f"{label} {text[mark.start : mark.end]!r}: {spans}")
        if mark:
            yield mark


def _ends(piece: str) -> tuple[int | None, int | None]:
    ends = [int(n) if n.isdecimal() and len(n) < _DIGITS else None for n in piece.split(" ")]
    return (ends[0], ends[1]) if len(ends) == 2 else (None, None)


def _apart(
    text: str,
    offsets: Offsets,
    before: tuple[int | None, int | None],
    after: tuple[int | None, int | None],
) -> bool:
    """Tell if more than white space lies between two pieces: brat itself cuts at line breaks."""
    end, start = offsets.point(before[1]), offsets.point(after[0])
    return end is None or start is None or start < end or bool(text[end:start].strip())


def _rows(record: Record, unit: OffsetUnit) -> list[str]:
    offsets = Offsets(record.text, unit)
    rows = []
    for number, mark in enumerate(record.marks, start=1):
        if mark.label.split() != [mark.label] or ";" in mark.label:
            raise DataError(
                f"{place(record.path, record.line)}: brat has no room for the label {mark.label!r}"
            )
        if not record.text[mark.start : mark.end].strip("\n\r"):
            raise DataError(
                f"{place(record.path, record.line)}: brat has no room for a span of line breaks"
            )
        # brat reads no span over a line break: it is in a piece for each line.
        pieces = [
            (mark.start + m.start(), mark.start + m.end())
            for m in re.finditer(r"[^\n\r]+", record.text[mark.start : mark.end])
        ]
        text = " ".join(record.text[start:end].replace("\t", " ") for start, end in pieces)
        spans = ";".join(f"{offsets.offset(s)} {offsets.offset(e)}" for s, e in pieces)
        rows.append(f"T{number}\t{mark.label} {spans}\t{text}\n")
    return rows
