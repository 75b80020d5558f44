"""Kaggle's NER tables: CSV with a row for each word, as `Sentence #,Word,POS,Tag`.

The number of a sentence stands in its first row, or in all. Other columns are left out.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from tagbelt.data.conll.reading import Block, Fault, RawFile
from tagbelt.data.conll.rows import RowLayout
from tagbelt.data.formats.record import Losses
from tagbelt.errors import ConllError

_COLUMNS = ("sentence #", "word", "tag")


def read_kaggle(path: Path, losses: Losses) -> RawFile:
    """Read a table; a file that is not UTF-8 is read as Latin-1, which `losses` tells.

    A row of another width is a fault. Raises ConllError without a header that
    names the columns.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = content.decode("latin-1")
        line = content.count(b"\n", 0, error.start) + 1
        losses.add("latin-1", str(path), line, f"byte 0x{content[error.start]:02x} is not UTF-8")
    # Excel's `;` is told by the header; no word is looked at for it.
    mark = ";" if text.split("\n", 1)[0].count(";") > 1 else ","
    rows = _rows(path, text, mark)
    header = [name.strip().lower() for name in next(rows, (1, []))[1]]
    if any(header.count(name) != 1 for name in _COLUMNS):
        message = f"the first row does not name Sentence #, Word and Tag: {header}"
        raise ConllError(str(path), 1, message)
    number_at, word_at, tag_at = (header.index(name) for name in _COLUMNS)
    layout = RowLayout(lambda _: [], "", True, 2, len(header), word_at, tag_at)
    raw = RawFile(str(path), [], layout)
    current = ""
    for line, row in rows:
        if not any(row):
            continue
        if len(row) != len(header):
            message = f"expected {len(header)} columns, found {len(row)}: {row}"
            raw.faults.append(Fault("wrong-columns", line, message))
            continue
        if not raw.blocks or row[number_at] not in ("", current):
            raw.blocks.append(Block(line))
            current = row[number_at]
        block = raw.blocks[-1]
        # So that `Block.lines` counts right where a row has several lines, or a line no row.
        block.skipped += range(block.line + len(block.tokens) + len(block.skipped), line)
        block.tokens.append(row[word_at])
        block.tags.append(raw.tag_names.setdefault(row[tag_at], row[tag_at]))
    return raw


def _rows(path: Path, text: str, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its first line: a quoted cell may hold line breaks."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    line = 1
    try:
        for row in rows:
            yield line, row
            line = rows.line_num + 1
    except csv.Error as error:
        raise ConllError(str(path), rows.line_num, f"not CSV: {error}") from error
