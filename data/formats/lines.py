"""JSON lines with offsets: Doccano's (`label` or `entities`), Prodigy's and spaCy's (`spans`).

Beside the tools' own fields, `tokens` and `document` keep what CoNLL rows say; both tools take
further fields as they are and give them back. So they do those of what is open: `unlabelled`,
`[[start, end]]`, where nobody looked; `rejected`, `[[start, end, label]]`, which is not of that
type; and `untyped`, `[[start, end]]`, an entity whose type nobody stated.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tagbelt.data.formats.record import (
    Losses,
    Mark,
    Offsets,
    Record,
    checked_text,
    place,
    read_mark,
    read_tokens,
)
from tagbelt.data.formats.shapes import field_of, read_values
from tagbelt.data.types import OffsetUnit, Open
from tagbelt.errors import DataError

_ANNOTATIONS = ("label", "labels", "entities", "spans")
_OPEN = ("unlabelled", "rejected", "untyped")
_KNOWN = frozenset((*_ANNOTATIONS, *_OPEN, "text", "tokens", "document", "relations"))


def read_lines(
    path: str, text: str, unit: OffsetUnit, losses: Losses, *, field: str, partial: bool = False
) -> list[Record]:
    """Read records; each line says by its fields which of the forms it has.

    Lines that nobody annotated or accepted are left out, which `losses` tells. With `partial` the
    spans of a line are all that was looked at: what lies outside of them is unlabelled, and those
    of a line that was rejected are so.

    Raises DataError for a line that is no JSON object with a text.
    """
    values = read_values(path, text, unit)
    read = (_record(path, n, value, unit, losses, field, partial) for n, value in values)
    return [record for record in read if record is not None]


def write_doccano(records: Iterable[Record], unit: OffsetUnit, *, objects: bool) -> str:
    """Write Doccano's lines: `label` triples, or with `objects` `entities` as objects."""
    return _joined(_doccano(record, Offsets(record.text, unit), objects) for record in records)


def write_prodigy(records: Iterable[Record], unit: OffsetUnit) -> str:
    """Write lines with `spans`, and `tokens` where they are known."""
    return _joined(_prodigy(record, Offsets(record.text, unit)) for record in records)


def token_pairs(record: Record, offsets: Offsets) -> list[list[int]] | None:
    """The tokens as offsets."""
    if record.tokens is None:
        return None
    return [[offsets.offset(start), offsets.offset(end)] for start, end in record.tokens]


def _record(
    path: str,
    line: int,
    value: dict[str, Any],
    unit: OffsetUnit,
    losses: Losses,
    field: str,
    partial: bool,
) -> Record | None:
    try:
        text = checked_text(field_of(value, field), path, line)
    except KeyError:
        message = f"no field {field!r}; name it with --field"
        raise DataError(f"{place(path, line)}: {message}") from None
    offsets = Offsets(text, unit)
    tokens = read_tokens(_pairs(value.get("tokens")), offsets, (path, line))
    is_rejected = partial and value.get("answer") == "reject"
    reason = None if is_rejected else _not_annotated(value)
    if reason is not None:
        losses.add(reason[0], path, line, reason[1])
        return None
    marks = tuple(_marks(text, value, offsets, (path, line), losses))
    parts = [*_open(text, value, offsets, (path, line), losses)]
    if is_rejected:
        parts += [Open(mark.start, mark.end, (mark.label,)) for mark in marks]
        marks = ()
    if partial:
        parts.append(Open(0, len(text)))
    document = value.get("document")
    numbered = isinstance(document, int) and not isinstance(document, bool) and document >= 0
    known = (*_KNOWN, field, "answer") if is_rejected else (*_KNOWN, field)
    fields = {k: v for k, v in value.items() if k not in known}
    if not numbered and document is not None:
        fields["document"] = document
    return Record(
        text,
        marks,
        tokens,
        document if numbered else None,
        fields,
        path,
        line,
        tuple(parts),
    )


def _not_annotated(value: dict[str, Any]) -> tuple[str, str] | None:
    """Return the kind and reason of a line that is left out; None for one that counts."""
    answer = value.get("answer")
    if answer not in (None, "accept"):
        so = ", so not its spans" if value.get("spans") else ""
        return "not-accepted", f"the answer is {answer!r}{so}"
    if answer is None and all(value.get(key) is None for key in (*_ANNOTATIONS, *_OPEN)):
        return "not-annotated", f"it has none of the fields {', '.join(_ANNOTATIONS)}"
    return None


def _marks(
    text: str,
    value: dict[str, Any],
    offsets: Offsets,
    where: tuple[str, int | None],
    losses: Losses,
) -> Iterator[Mark]:
    if value.get("relations"):
        losses.add("relation", *where, f"{len(value['relations'])} relations between entities")
    for key in _ANNOTATIONS:
        listed = value.get(key) or ()
        if not isinstance(listed, list | tuple):
            raise DataError(f"{place(*where)}: {key}: no list")
        for span in listed:
            mark = read_mark(text, offsets, _triple(span), where, losses, stated=_stated(span))
            if mark:
                yield mark


def _open(
    text: str,
    value: dict[str, Any],
    offsets: Offsets,
    where: tuple[str, int | None],
    losses: Losses,
) -> Iterator[Open]:
    for key in _OPEN:
        listed = value.get(key) or ()
        if not isinstance(listed, list | tuple):
            raise DataError(f"{place(*where)}: {key}: no list")
        for span in listed:
            has_label = key == "rejected"
            triple = span if has_label or not isinstance(span, list) else [*span, key]
            found = _triple(triple)
            label = found[2] if has_label else key
            mark = read_mark(text, offsets, (*found[:2], label), where, losses)
            if mark:
                never = (mark.label,) if has_label else ()
                yield Open(mark.start, mark.end, never, key == "untyped")


def _triple(span: object) -> tuple[object, object, object]:
    """Start, end and label of a triple or of an object in either tool's names."""
    if isinstance(span, list | tuple) and len(span) == 3:
        return span[0], span[1], span[2]
    if isinstance(span, dict):
        start = span.get("start", span.get("start_offset"))
        return start, span.get("end", span.get("end_offset")), span.get("label")
    return None, None, None


def _stated(span: object) -> object:
    return span.get("text") if isinstance(span, dict) else None


def _pairs(tokens: object) -> object:
    """Tokens as pairs, from pairs or from Prodigy's objects."""
    if not isinstance(tokens, list):
        return tokens
    return [[t.get("start"), t.get("end")] if isinstance(t, dict) else t for t in tokens]


def _common(record: Record, offsets: Offsets) -> dict[str, Any]:
    """The document's number and what is open."""
    value: dict[str, Any] = {} if record.document is None else {"document": record.document}
    for part in record.open:
        pair = [offsets.offset(part.start), offsets.offset(part.end)]
        key = "untyped" if part.is_entity else "rejected" if part.never else "unlabelled"
        rows: list[list[object]] = [[*pair, label] for label in part.never] or [[*pair]]
        value.setdefault(key, []).extend(rows)
    return value


def _doccano(record: Record, offsets: Offsets, objects: bool) -> dict[str, Any]:
    spans = [(offsets.offset(m.start), offsets.offset(m.end), m.label) for m in record.marks]
    value: dict[str, Any] = {**record.fields, "text": record.text}
    if objects:
        value["entities"] = [
            {"id": number, "label": label, "start_offset": start, "end_offset": end}
            for number, (start, end, label) in enumerate(spans, start=1)
        ]
        value["relations"] = []
    else:
        value["label"] = [list(span) for span in spans]
    tokens = token_pairs(record, offsets)
    return value | ({} if tokens is None else {"tokens": tokens}) | _common(record, offsets)


def _prodigy(record: Record, offsets: Offsets) -> dict[str, Any]:
    value: dict[str, Any] = {**record.fields, "text": record.text}
    if record.tokens is not None:
        value["tokens"] = [
            {
                "text": record.text[start:end],
                "start": offsets.offset(start),
                "end": offsets.offset(end),
                "id": number,
                "ws": record.text[end : end + 1].isspace(),
            }
            for number, (start, end) in enumerate(record.tokens)
        ]
    value["spans"] = [_span(mark, record, offsets) for mark in record.marks]
    return value | _common(record, offsets)


def _span(mark: Mark, record: Record, offsets: Offsets) -> dict[str, Any]:
    span: dict[str, Any] = {
        "start": offsets.offset(mark.start),
        "end": offsets.offset(mark.end),
        "label": mark.label,
    }
    starts = {start: number for number, (start, _) in reversed([*enumerate(record.tokens or ())])}
    ends = {end: number for number, (_, end) in enumerate(record.tokens or ())}
    if mark.start in starts and mark.end in ends:
        span |= {"token_start": starts[mark.start], "token_end": ends[mark.end]}
    return span


def _joined(values: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
