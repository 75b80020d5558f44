"""Label Studio's JSON: a list of tasks, each with `data` and `annotations`."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tagbelt.data.formats.html import HtmlText
from tagbelt.data.formats.lines import read_lines, token_pairs
from tagbelt.data.formats.record import (
    Losses,
    Mark,
    Offsets,
    Record,
    checked_text,
    read_mark,
    read_tokens,
)
from tagbelt.data.types import OffsetUnit
from tagbelt.errors import DataError


def read_labelstudio(
    path: str, text: str, unit: OffsetUnit, losses: Losses, *, field: str
) -> list[Record]:
    """Read an export. Of a task with several annotations the first that was not cancelled counts.

    Tasks without one are left out, which `losses` tells.

    Raises DataError for what is no list of tasks with a text each.
    """
    try:
        tasks = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(tasks, list):
        raise DataError(f"{path}: no list of tasks, as Label Studio's JSON export is")
    without_data = all(isinstance(task, dict) and "data" not in task for task in tasks)
    if without_data and any("label" in task for task in tasks):  # JSON-MIN
        return read_lines(path, text, unit, losses, field=field)
    is_html = any(_has_html(task) for task in tasks)
    read = (
        _record(path, n, task, unit, losses, field, is_html)
        for n, task in enumerate(tasks, start=1)
    )
    return [record for record in read if record is not None]


def write_labelstudio(records: Iterable[Record], unit: OffsetUnit) -> str:
    """Write tasks with one annotation each, for a `Labels` tag `label` on a `Text` tag `text`."""
    tasks = [_task(record, Offsets(record.text, unit)) for record in records]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def _record(
    path: str, number: int, task: Any, unit: OffsetUnit, losses: Losses, field: str, is_html: bool
) -> Record | None:
    name = f"{path}: task {number}"
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict) or field not in data:
        raise DataError(f"{name}: no data.{field}; name the field with --field")
    text = checked_text(data[field], name, None)
    html = HtmlText(text) if is_html else None
    text = html.text if html else text
    results = _results(task, name, losses)
    if results is None:
        return None
    offsets = Offsets(text, unit)
    document = data.get("document")
    numbered = isinstance(document, int) and not isinstance(document, bool) and document >= 0
    marks = tuple(_marks(text, results, offsets, name, losses))
    if html:
        text, marks = html.readable(), tuple(map(html.moved, marks))
    own = ({field} if html else {field, "tokens"}) | ({"document"} if numbered else set())
    return Record(
        text,
        marks,
        None if html else read_tokens(data.get("tokens"), offsets, (name, None)),
        document if numbered else None,
        {key: value for key, value in data.items() if key not in own},
        name,
    )


def _has_html(task: Any) -> bool:
    """Tell if somebody marked HTML in a task: then all of the export are HTML."""
    found = task.get("annotations", task.get("completions")) if isinstance(task, dict) else None
    return any(
        isinstance(region, dict) and region.get("type") == "hypertextlabels"
        for annotation in (found if isinstance(found, list) else ())
        if isinstance(annotation, dict)
        for region in annotation.get("result") or ()
    )


def _results(task: dict[str, Any], name: str, losses: Losses) -> list[Any] | None:
    """Return the regions of the annotation that counts, None if there is none."""
    annotations = task.get("annotations", task.get("completions")) or []
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        raise DataError(f"{name}: annotations: no list of objects")
    valid = [a for a in annotations if not a.get("was_cancelled") and not a.get("skipped")]
    if not valid:
        losses.add(*_left_out(task, annotations, name))
        return None
    for other in [a for a in annotations if a not in valid[:1] and a.get("result")]:
        found = len(other["result"])
        losses.add("other-annotation", name, None, f"{found} regions of a further annotation")
    return list(valid[0].get("result") or [])


def _left_out(
    task: dict[str, Any], annotations: list[Any], name: str
) -> tuple[str, str, None, str]:
    if annotations:
        return "skipped", name, None, "all its annotations were cancelled or skipped"
    if task.get("predictions"):
        return "only-predicted", name, None, "it has predictions alone, and no annotation"
    return "not-annotated", name, None, "it has no annotation"


def _marks(
    text: str, results: list[Any], offsets: Offsets, name: str, losses: Losses
) -> Iterator[Mark]:
    for result in results:
        value = result.get("value") if isinstance(result, dict) else None
        kind = result.get("type") if isinstance(result, dict) else None
        if not isinstance(value, dict) or kind not in ("labels", "hypertextlabels"):
            losses.add("not-a-span", name, None, f"a region of type {kind!r}")
            continue
        span = value.get("globalOffsets", value if kind == "labels" else None)
        if not isinstance(span, dict):
            message = f"{value.get('text')!r} has no globalOffsets"
            losses.add("no-offsets", name, None, message)
            continue
        labels = value.get("labels", value.get("hypertextlabels")) or [None]
        for label in labels:
            mark = read_mark(
                text,
                offsets,
                (span.get("start"), span.get("end"), label),
                (name, None),
                losses,
                stated=value.get("text") or None,
            )
            if mark:
                yield mark


def _task(record: Record, offsets: Offsets) -> dict[str, Any]:
    data: dict[str, Any] = {**record.fields, "text": record.text}
    tokens = token_pairs(record, offsets)
    if tokens is not None:
        data["tokens"] = tokens
    if record.document is not None:
        data["document"] = record.document
    result = [
        {
            "id": f"r{number}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": offsets.offset(mark.start),
                "end": offsets.offset(mark.end),
                "text": record.text[mark.start : mark.end],
                "labels": [mark.label],
            },
        }
        for number, mark in enumerate(record.marks, start=1)
    ]
    return {"data": data, "annotations": [{"result": result}]}
