"""CoNLL files as lines and columns: decoding, and which cell of a row is the token, which the tag.

Only LF and CRLF end a line and only space and tab separate columns: other Unicode separators,
no-break spaces and zero-width characters are part of their tokens.
"""

import gzip
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tagbelt.data.conll.schemes import split_tag
from tagbelt.data.types import Separator
from tagbelt.errors import ConllError

Columns = Sequence[str] | Mapping[str, int | str]
Source = str | os.PathLike[str] | IO[bytes]
SplitLine = Callable[[str], list[str]]

BOM = "\ufeff"
DOCSTART = "-DOCSTART-"
_NEW_DOCUMENT = "# newdoc"  # CoNLL-U
_BLANK = " \t"
_COMMENT = "# "
_GLOBAL_COLUMNS = "# global.columns ="  # the header of CoNLL-U Plus
_REMEDY = (
    "say with --columns (`columns` of a config or in Python) which columns there are, and with "
    "--separator tab (`separator`) if tokens are empty or hold spaces"
)
_LONGEST = 200  # characters of a bad row in a message


@dataclass(frozen=True, slots=True)
class RowLayout:
    """How the lines of a file come apart.

    `split` gives the cells of a line, none for a blank one. `first_line` (from 1) is the first
    that is no header.
    """

    split: SplitLine
    comment_mark: str
    comment_stated: bool
    first_line: int
    width: int
    token: int
    tag: int | None

    def is_comment(self, cells: list[str]) -> bool:
        """Tell if a line that begins with the comment mark cannot be a row.

        With the right number of columns it can be, unless the mark was stated and what stands in
        the tag column is no tag.
        """
        if len(cells) != self.width:
            return True
        return self.comment_stated and self.tag is not None and not _is_tag(cells[self.tag])

    def opens_document(self, line: str, cells: list[str]) -> bool:
        """Tell if a line is no row and begins a document, as -DOCSTART- and `# newdoc` do."""
        if not line.startswith(_NEW_DOCUMENT):
            return DOCSTART in cells
        return len(cells) != self.width or self.tag is None or not _is_tag(cells[self.tag])


def read_lines(source: Source) -> tuple[str, list[str]]:
    """Read a file or binary stream; return its name and its lines without their ends.

    Raises ConllError for what is not UTF-8, or not gzip though its path ends in .gz.
    """
    if not isinstance(source, str | os.PathLike):
        path = str(getattr(source, "name", "<stream>"))
        return path, _lines(path, source.read())
    path = os.fspath(source)
    raw = Path(path).read_bytes()
    if not path.endswith(".gz"):
        return path, _lines(path, raw)
    try:
        return path, _lines(path, gzip.decompress(raw))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConllError(path, None, f"not a whole gzip file: {error}") from error


def find_layout(
    path: str,
    lines: list[str],
    columns: Columns,
    separator: Separator | str | None,
    comment: str | None,
) -> RowLayout:
    """Find the columns that are asked for; see `data.conll.reading.read_conll` for the options.

    Raises ValueError for options that make no sense and ConllError if the file has no such column.
    """
    if separator not in _SPLIT:
        raise ValueError(f"separator is None, ' ' or '\\t', not {separator!r}")
    if comment == "":
        raise ValueError("comment is empty, and every line begins with nothing")
    split = _SPLIT[separator]
    mark = comment or _COMMENT
    first_line = 1
    if not isinstance(columns, Mapping):
        wanted, width = _listed(columns), len(columns)
    elif "token" not in columns or not columns.keys() <= {"token", "tag"}:
        raise ValueError(f"columns must map 'token' and, if there are tags, 'tag', not {columns!r}")
    else:
        named = any(isinstance(where, str) for where in columns.values())
        line, cells = _header(lines, split) if named else _sample(lines, split, mark)
        wanted = {name: _locate(path, line, cells, where) for name, where in columns.items()}
        first_line, width = line + 1 if named else 1, len(cells)
    return RowLayout(
        split=split,
        comment_mark=mark,
        comment_stated=comment is not None,
        first_line=first_line,
        width=width,
        token=wanted["token"],
        tag=wanted.get("tag"),
    )


def wrong_width(layout: RowLayout, cells: list[str]) -> str:
    """The message for a row with another number of columns than the file."""
    return f"expected {layout.width} columns, found {_quoted(cells)}; {_REMEDY}"


def _split_runs(line: str) -> list[str]:
    cells = line.replace("\t", " ").split(" ")
    return [cell for cell in cells if cell] if "" in cells else cells


def _split_at(separator: str) -> SplitLine:
    return lambda line: line.split(separator) if line.strip(_BLANK) else []


_SPLIT: dict[str | None, SplitLine] = {
    None: _split_runs,
    " ": _split_at(" "),
    "\t": _split_at("\t"),
}


def _is_tag(cell: str) -> bool:
    try:
        split_tag(cell)
    except ValueError:
        return False
    return True


def _lines(path: str, raw: bytes) -> list[str]:
    try:
        text = raw.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        found = f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {column} of the line"
        raise ConllError(path, line, f"{found}; convert the file to UTF-8 first") from error
    lines = text.split("\n")
    return _without_returns(path, lines) if "\r" in text else lines


def _without_returns(path: str, lines: list[str]) -> list[str]:
    """Take the CR off CRLF line ends and refuse any other."""
    lines = [line.removesuffix("\r") for line in lines]
    for number, line in enumerate(lines, 1):
        if "\r" in line:
            message = "a carriage return inside the line; convert the file to LF or CRLF line ends"
            raise ConllError(path, number, message)
    return lines


def _listed(columns: Sequence[str]) -> dict[str, int]:
    if isinstance(columns, str) or columns.count("token") != 1 or columns.count("tag") > 1:
        raise ValueError(f"columns must name 'token' once and 'tag' at most once, not {columns!r}")
    if "tag" not in columns and len(columns) > 1:
        raise ValueError(
            f"columns {columns!r} name no 'tag'; for a file without tags say where the token is, "
            f"as in {{'token': {columns.index('token')}}}"
        )
    return {name: columns.index(name) for name in ("token", "tag") if name in columns}


def _header(lines: list[str], split: SplitLine) -> tuple[int, list[str]]:
    """The line number and cells of the first row, which names the columns."""
    for number, line in enumerate(lines, 1):
        if line.startswith(_GLOBAL_COLUMNS):
            return number, _split_runs(line.removeprefix(_GLOBAL_COLUMNS))
        cells = split(line)
        if cells:
            return number, cells
    return 1, []


def _sample(lines: list[str], split: SplitLine, comment: str) -> tuple[int, list[str]]:
    """The line number and cells of the row that tells how many columns there are.

    It is the first that does not look like a comment, or the first if all of them do.
    """
    found: tuple[int, list[str]] = (1, [])
    for number, line in enumerate(lines, 1):
        cells = split(line)
        if not cells or DOCSTART in cells:
            continue
        if not line.startswith(comment):
            return number, cells
        if not found[1]:
            found = number, cells
    return found


def _locate(path: str, line: int, cells: list[str], where: int | str) -> int:
    """The index of a column that is asked for by index or by its name in the header."""
    if isinstance(where, str):
        if cells.count(where) != 1:
            message = f"the header does not name {where!r} exactly once: found {_quoted(cells)}"
            raise ConllError(path, line, message)
        return cells.index(where)
    if not cells:  # a file without rows has every column
        return 0
    if not -len(cells) <= where < len(cells):
        raise ConllError(path, line, f"no column {where}: found {_quoted(cells)}; {_REMEDY}")
    return where


def _quoted(cells: list[str]) -> str:
    text = f"{len(cells)}: {cells}"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
