"""From any of the formats to any other."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tagbelt.data.conll.reading import AnnotatedFile, annotate, guess_unit, read_tolerantly
from tagbelt.data.conll.rows import Columns
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.styles import TagStyle
from tagbelt.data.conll.writing import conll_text, retag
from tagbelt.data.formats.align import Alignment, Tokenizing, as_documents, to_records, to_sentences
from tagbelt.data.formats.brat import read_brat, write_brat
from tagbelt.data.formats.docbin import read_docbin
from tagbelt.data.formats.kaggle import read_kaggle
from tagbelt.data.formats.labelstudio import read_labelstudio, write_labelstudio
from tagbelt.data.formats.lines import read_lines, write_doccano, write_prodigy
from tagbelt.data.formats.record import READ_ONLY, Format, Losses, Record
from tagbelt.data.types import OffsetUnit, Sentence, Separator
from tagbelt.errors import ConllError, DataError

_UNITS: dict[Format, OffsetUnit] = {Format.doccano: "utf16", Format.doccano_entities: "utf16"}
"""The unit of a format's offsets unless stated; the others count code points."""


_LINES = (Format.doccano, Format.doccano_entities, Format.prodigy)

# Rows may have any suffix, such as .testa; these are of something else.
_FOREIGN = frozenset((".csv", ".xml", ".html", ".spacy", ".parquet", ".xlsx", ".yaml", ".pkl"))


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read: the columns of rows, or the offsets of texts and their tokens."""

    columns: Columns | None = None
    separator: Separator | str | None = "guess"
    scheme: Scheme | None = None
    tag_style: TagStyle = TagStyle.HYPHEN
    repair: bool = False
    field: str = "text"
    unit: OffsetUnit | None = None
    tokenizing: Tokenizing = "word"
    align: Alignment = "strict"
    partial: bool = False


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How a target is written. `keep` are columns (from 0) of rows that come from rows."""

    scheme: Scheme = Scheme.IOB2
    separator: Separator = "\t"
    keep: tuple[int, ...] | None = None
    unit: OffsetUnit | None = None


@dataclass(slots=True)
class Conversion:
    """A result that is not written yet: the text of a file, or the documents of a folder."""

    losses: Losses
    text: str | None = None
    documents: list[Record] = field(default_factory=list)
    texts: int = 0
    entities: int = 0


def guess_source(path: Path) -> Format:
    """Tell the format by the suffix, for JSON lines by the first. Raises DataError in doubt."""
    if path.is_dir() or path.suffix == ".ann":
        return Format.brat
    if path.suffix == ".txt" and path.with_suffix(".ann").exists():
        return Format.brat
    if path.suffix == ".spacy":
        return Format.spacy
    if path.suffix == ".csv" and _is_kaggle(path):
        return Format.kaggle
    if path.suffix not in (".json", ".jsonl"):
        return _rows_or_refuse(path, "--from")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    is_whole = path.suffix == ".json"
    first = _first(text if is_whole else next(filter(str.strip, text.split("\n")), ""))
    keys = set(first) if isinstance(first, dict) else set()
    if isinstance(first, list) or keys & {"spans", "tokenized_text", "ner_tags"}:
        return Format.prodigy
    spans = first.get("label") if isinstance(first, dict) else None
    listed = spans if isinstance(spans, list) else []
    is_minimal = any("labels" in span for span in listed if isinstance(span, dict))
    if is_whole and ("data" in keys or is_minimal or not keys & _ANNOTATED):
        return Format.labelstudio
    if keys & _ANNOTATED:
        return Format.doccano
    raise DataError(f"{path}: say with --from what this is: the first line shows no entities")


def _is_kaggle(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        return lines.readline().lower().startswith(("sentence #", '"sentence #'))


_ANNOTATED = {"label", "labels", "entities"}


def _first(text: str) -> Any:
    """The first record of an array, or the one that stands there alone; None for what is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    several = isinstance(value, list) and value and isinstance(value[0], dict | list)
    return value[0] if several else value or None


def guess_target(path: Path) -> Format:
    """Tell the format by the suffix. Raises DataError for .jsonl, which several have."""
    if path.suffix == ".jsonl":
        raise DataError(f"{path}: say with --to which JSON lines: doccano or prodigy")
    if path.suffix == ".json":
        return Format.labelstudio
    return Format.brat if path.is_dir() or not path.suffix else _rows_or_refuse(path, "--to")


def _rows_or_refuse(path: Path, option: str) -> Format:
    if path.suffix in _FOREIGN:
        known = ", ".join(f for f in Format if option == "--from" or f not in READ_ONLY)
        raise DataError(f"{path}: {path.suffix} is none of our formats; {option} is one of {known}")
    return Format.conll


def convert(
    source: Path,
    source_format: Format,
    target_format: Format,
    reading: SourceOptions,
    writing: TargetOptions,
    *,
    max_examples: int = 10,
) -> Conversion:
    """Convert; what cannot be carried over is in `losses`, of each kind `max_examples` examples.

    Nothing is written yet.

    Raises ConllError and DataError for a source that cannot be read.
    """
    if target_format in READ_ONLY:
        raise DataError(f"--to {target_format}: this format is read and not written")
    if reading.partial and source_format not in _LINES:
        raise DataError(f"{source}: --partial is for JSON lines, not for {source_format}")
    result = Conversion(Losses(max_examples))
    if source_format in (Format.conll, Format.kaggle):
        file = _read_rows(source, source_format, reading, result.losses)
        result.texts = len(file.sentences)
        result.entities = sum(len(s.spans or ()) for s in file.sentences)
        if source_format is target_format:
            separator = writing.separator
            result.text = retag(file, writing.scheme, keep=writing.keep, separator=separator)
            return result
        unit = guess_unit(file.sentences)
        starts = file.raw.document_starts
        records = to_records(file.sentences, starts, unit, file.raw.path, result.losses)
    else:
        records = _read_texts(source, source_format, reading, result.losses)
        result.texts = len(records)
        result.entities = sum(len(record.marks) for record in records)
        unit = "character" if reading.tokenizing == "character" else "word"
    if target_format in (Format.brat, Format.labelstudio):
        records = [_whole(record, result.losses) for record in records]
    if target_format is Format.brat:
        together = source_format in (Format.conll, Format.kaggle)
        result.documents = as_documents(records, unit, result.losses, together=together)
    else:
        result.text = _render(records, target_format, reading, writing, result.losses)
    return result


def save(converted: Conversion, target: Path, writing: TargetOptions) -> None:
    """Write what was converted. Raises DataError for what a folder of documents cannot hold."""
    if converted.text is None:
        write_brat(converted.documents, writing.unit or "codepoint", target)
    else:
        target.write_bytes(converted.text.encode("utf-8"))


def _read_rows(
    source: Path, source_format: Format, reading: SourceOptions, losses: Losses
) -> AnnotatedFile:
    if source_format is Format.kaggle:
        raw = read_kaggle(source, losses)
    else:
        raw = read_tolerantly(
            source,
            columns=reading.columns,
            separator=reading.separator,
            tag_style=reading.tag_style,
        )
    file = annotate(raw, reading.scheme)
    for fault in sorted(file.faults, key=lambda fault: fault.line or 0):
        is_invalid = fault.kind == "invalid-transition"
        if not (reading.repair and is_invalid):
            hint = "; --repair takes it so" if is_invalid else ""
            raise ConllError(raw.path, fault.line, fault.message + hint)
    return file


def _read_texts(
    source: Path, source_format: Format, reading: SourceOptions, losses: Losses
) -> list[Record]:
    unit = reading.unit or _UNITS.get(source_format, "codepoint")
    if source_format is Format.brat:
        return read_brat(source, unit, losses)
    if source_format is Format.spacy:
        return read_docbin(source, losses)
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8: byte at {error.start}") from error
    if source_format is Format.labelstudio:
        return read_labelstudio(str(source), text, unit, losses, field=reading.field)
    return read_lines(str(source), text, unit, losses, field=reading.field, partial=reading.partial)


def _whole(record: Record, losses: Losses) -> Record:
    """A record for a format that cannot say what is open: that is a loss."""
    for part in record.open:
        text = record.text[part.start : part.end]
        losses.add("open", record.path, record.line, f"{text!r} at {part.start} to {part.end}")
    return replace(record, open=())


def _render(
    records: list[Record],
    target: Format,
    reading: SourceOptions,
    writing: TargetOptions,
    losses: Losses,
) -> str:
    if target is Format.conll:
        return _rows(records, reading, writing, losses)
    offsets = writing.unit or _UNITS.get(target, "codepoint")
    if target is Format.labelstudio:
        return write_labelstudio(records, offsets)
    if target is Format.prodigy:
        return write_prodigy(records, offsets)
    return write_doccano(records, offsets, objects=target is Format.doccano_entities)


def _rows(
    records: list[Record], reading: SourceOptions, writing: TargetOptions, losses: Losses
) -> str:
    sentences: list[Sentence] = []
    starts = []
    # Texts of Label Studio and brat are documents; lines of JSON are, unless numbered, sentences.
    whole = len(records) > 1 and all(r.tokens is None and r.line is None for r in records)
    before = 0
    for number, record in enumerate(records, start=1):
        document = number if whole else record.document or 0
        if document != before:
            starts.append(len(sentences))
            before = document
        sentences.extend(to_sentences(record, reading.tokenizing, losses, reading.align))
    return conll_text(sentences, starts, writing.scheme, writing.separator)
