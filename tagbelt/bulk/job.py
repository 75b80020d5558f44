"""What becomes of a shard: its rows are read, tagged and written, in one go."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from tagbelt.bulk.shards import Shard, csv_header
from tagbelt.bulk.storage import opened, storage_of
from tagbelt.commands.documents import (
    BadInput,
    ConllWriter,
    InputText,
    JsonLinesWriter,
    read_json_lines,
    read_text,
)
from tagbelt.errors import DataError, InputError
from tagbelt.inference import Annotation, Tagger

BLOCK = 1024
"""Rows that are tagged at a time."""

Row = InputText | BadInput


@dataclass(frozen=True, slots=True)
class BulkJob:
    """What all shards of a run have in common. `separator` is that of CoNLL files."""

    model: str
    field: str = "text"
    precision: Literal["auto", "float32", "int8"] = "auto"
    token_column: int = 0
    separator: Literal["\t", " "] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shard came to: rows, the bad ones of them, tokens; or why nothing was written."""

    out: str
    rows: int = 0
    bad: int = 0
    tokens: int = 0
    failure: str = ""


class ShardTagger:
    """Tags shards with a model that is loaded once."""

    def __init__(self, job: BulkJob) -> None:
        """Load the model, for one thread. Raises CheckpointError."""
        self._job = job
        self._tagger = Tagger.load(job.model, threads=1, precision=job.precision)

    def __call__(self, shard: Shard) -> Outcome:
        """Tag a shard and write its file; what cannot be read is the outcome's failure."""
        counted = _Counted(self._tagger)
        try:
            body = self._body(shard, counted)
            storage_of(shard.out).write(shard.out, body)
        except (DataError, InputError, OSError, ValueError) as error:
            place = shard.path.partition("?")[0]
            return Outcome(shard.out, failure=f"{place}, from {shard.start:,}: {error}")
        return Outcome(shard.out, counted.rows, counted.bad, counted.tokens)

    def _body(self, shard: Shard, counted: "_Counted") -> bytes:
        if shard.format == "parquet":
            return _parquet(shard, self._job, counted)
        out = io.StringIO()
        if shard.format == "conll":
            writer = ConllWriter(out, self._tagger.info.unit)
            for found in counted.sentences(_sentences(shard, self._job)):
                writer.sentence(found)
        else:
            lines = JsonLinesWriter(out)
            for row, document in counted.texts(_texts(shard, self._job)):
                if isinstance(row, InputText) and document is not None:
                    lines.document(row, document)
                elif isinstance(row, BadInput):
                    lines.bad(row)
        return out.getvalue().encode("utf-8")


class _Counted:
    """Tags rows in blocks and counts them."""

    def __init__(self, tagger: Tagger) -> None:
        self.rows = self.bad = self.tokens = 0
        self._tagger = tagger

    def texts(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Annotation | None]]:
        """Each row with what was found in it; None for a bad one."""
        for block in _blocks(rows):
            good = [row.text for row in block if isinstance(row, InputText)]
            found = iter(self._tagger.annotate(good))
            for row in block:
                annotation = next(found) if isinstance(row, InputText) else None
                self._count(annotation)
                yield row, annotation

    def sentences(self, sentences: Iterable[list[str]]) -> Iterator[Annotation]:
        """What was found in each list of tokens."""
        for block in _blocks(sentences):
            for annotation in self._tagger.annotate_tokens(block):
                self._count(annotation)
                yield annotation

    def _count(self, found: Annotation | None) -> None:
        self.rows += 1
        self.bad += found is None
        self.tokens += 0 if found is None else len(found.tags)


def _blocks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(rows)
    while block := list(islice(source, BLOCK)):
        yield block


def _texts(shard: Shard, job: BulkJob) -> Iterator[Row]:
    name = f"{shard.path.partition('?')[0]} from byte {shard.start}"
    stream = io.BytesIO(_bytes(shard))
    if shard.format == "jsonl":
        yield from read_json_lines(name, stream, job.field)
    elif shard.format == "csv":
        yield from _csv_rows(name, stream, shard, job.field)
    else:
        yield from read_text(name, stream)


def _sentences(shard: Shard, job: BulkJob) -> Iterator[list[str]]:
    from tagbelt.data.conll.reading import read_conll

    stream: Any = io.BytesIO(_bytes(shard))
    columns = {"token": job.token_column}
    corpus = read_conll(stream, columns=columns, separator=job.separator)
    yield from (list(sentence.tokens) for sentence in corpus.sentences)


def _bytes(shard: Shard) -> bytes:
    with opened(storage_of(shard.path), shard.path) as stream:
        stream.seek(shard.start)
        return stream.read() if shard.end is None else stream.read(shard.end - shard.start)


def _csv_rows(name: str, stream: io.BytesIO, shard: Shard, field: str) -> Iterator[Row]:
    header = csv_header(shard.path)
    if field not in header:
        raise InputError(f"no column {field!r}; there are {', '.join(header)}; say --field")
    # What is no UTF-8 comes as lone surrogates, row by row.
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(text)
    if shard.start == 0:
        next(reader)
    for number, values in enumerate(reader, 1):
        if not values:
            continue
        place = f"{name}: row {number}"
        if len(values) != len(header):
            fault = f"{len(values)} columns, not the {len(header)} of the first line"
            yield BadInput(f"{place}: {fault}", {"row": ",".join(map(_printable, values))})
            continue
        record = dict(zip(header, values, strict=True))
        if record[field] == (printable := _printable(record[field])):
            yield InputText(printable, record)
        else:
            whole = {column: _printable(value) for column, value in record.items()}
            yield BadInput(f"{place}: not UTF-8", whole)


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


def _parquet(shard: Shard, job: BulkJob, counted: _Counted) -> bytes:
    """The row group as a file of its own, with the columns `entities` and `error`."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile, ParquetWriter

    kept = pa.BufferOutputStream()
    text, place = pa.string(), pa.int32()
    members = {"label": text, "start": place, "end": place, "text": text, "score": pa.float64()}
    entity = pa.struct(members.items())
    with storage_of(shard.path).open(shard.path) as stream:
        file = ParquetFile(stream)
        if job.field not in file.schema_arrow.names:
            names = ", ".join(file.schema_arrow.names)
            raise InputError(f"no column {job.field!r}; there are {names}; say --field")
        old = [name for name in ("entities", "error") if name in file.schema_arrow.names]
        writer = None
        for batch in file.iter_batches(batch_size=BLOCK * 8, row_groups=[shard.start]):
            found = list(counted.texts(map(_text_row, batch.column(job.field).to_pylist())))
            table = pa.Table.from_batches([batch]).drop_columns(old)
            entities = [None if one is None else _entities(one) for _, one in found]
            errors = [row.message if isinstance(row, BadInput) else None for row, _ in found]
            table = table.append_column("entities", pa.array(entities, pa.list_(entity)))
            table = table.append_column("error", pa.array(errors, pa.string()))
            writer = writer or ParquetWriter(kept, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
    body: bytes = kept.getvalue().to_pybytes()
    return body


def _text_row(value: object) -> Row:
    if isinstance(value, str):
        return InputText(value)
    return BadInput("no text" if value is None else f"expected a string, found {value!r:.40}")


def _entities(found: Annotation) -> list[dict[str, Any]]:
    return [asdict(entity) for entity in found.entities]
