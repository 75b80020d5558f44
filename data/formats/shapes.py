"""JSON as other tools write it, brought to the form of Doccano's and Prodigy's lines.

Lists of tokens (Hugging Face's `tokens` and `ner_tags`, GLiNER's `tokenized_text` and `ner`),
spaCy's pairs of a text and `{"entities": ...}`, Label Studio's JSON-MIN, CLUENER's labels by name.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from tagbelt.data.conll.detection import detect_scheme
from tagbelt.data.conll.schemes import tags_to_spans
from tagbelt.data.formats.record import Offsets, place
from tagbelt.data.types import OffsetUnit
from tagbelt.errors import DataError

_TAGS = ("ner_tags", "tags")
Numbered = tuple[int, dict[str, Any]]


def read_values(path: str, text: str, unit: OffsetUnit) -> list[Numbered]:
    """Read JSON lines, or one array, as objects with `text`; each with its line or place in it.

    Offsets are in `unit`. Raises DataError for what is no object, and for tags that are none.
    """
    values = [(n, _paired(path, n, value)) for n, value in _parsed(path, text)]
    tagged = [(n, value) for n, value in values if _is_tagged(value)]
    if not tagged:
        return [(n, _with_text(path, n, value, unit)) for n, value in values]
    by_number = dict(_with_spans(path, tagged))
    return [(n, _with_text(path, n, by_number.get(n, value), unit)) for n, value in values]


def field_of(value: dict[str, Any], field: str) -> Any:
    """Return a field, or one of an object within: `data.text`. Raises KeyError without it."""
    if field in value:
        return value[field]
    first, dot, rest = field.partition(".")
    inner = value[first]
    if not dot or not isinstance(inner, dict):
        raise KeyError(field)
    return field_of(inner, rest)


def _parsed(path: str, text: str) -> Iterable[tuple[int, object]]:
    if text.lstrip().startswith("["):
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            whole = None  # lines of arrays, or none
        records = whole if isinstance(whole, list) else []
        # spaCy's pair of a text and its entities may be the only line.
        if records and all(isinstance(value, dict | list) and value for value in records):
            return list(enumerate(records, start=1))
    return [
        (number, _loaded(path, number, line))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def _loaded(path: str, number: int, line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place(path, number)}: not JSON: {error}") from error


def _paired(path: str, number: int, value: object) -> dict[str, Any]:
    """An object as it is, or spaCy's pair as one."""
    pair = value if isinstance(value, list) and len(value) == 2 else (None, None)
    if isinstance(pair[0], str) and isinstance(pair[1], dict):
        return {"text": pair[0], **pair[1]}
    if not isinstance(value, dict):
        raise DataError(f"{place(path, number)}: no JSON object")
    return value


def _is_tagged(value: dict[str, Any]) -> bool:
    return _words(value.get("tokens")) and any(key in value for key in _TAGS)


def _words(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(w, str) for w in value)


def _with_spans(path: str, tagged: Sequence[Numbered]) -> Iterable[Numbered]:
    """Read the tags of all values in the one scheme that they are written in."""
    rows = [next(value[key] for key in _TAGS if key in value) for _, value in tagged]
    for (number, value), row in zip(tagged, rows, strict=True):
        if not _words(row) or len(row) != len(value["tokens"]):
            raise DataError(
                f"{place(path, number)}: not one tag a token, as a name such as B-PER; numbers "
                "stand for names that only their data set knows"
            )
    try:
        scheme = detect_scheme(rows)
        spans = [tags_to_spans(row, scheme) for row in rows]
    except DataError as error:
        raise DataError(f"{path}: tags: {error}") from error
    for (number, value), found in zip(tagged, spans, strict=True):
        rest = {key: item for key, item in value.items() if key not in (*_TAGS, "tokens")}
        ner = [[span.start, span.end - 1, span.label] for span in found]
        yield number, {**rest, "tokenized_text": value["tokens"], "ner": ner}


def _with_text(path: str, number: int, value: dict[str, Any], unit: OffsetUnit) -> dict[str, Any]:
    if _words(value.get("tokenized_text")):
        return _joined(path, number, value, unit)
    label = value.get("label")
    if isinstance(label, dict):
        label = _by_name(path, number, label, Offsets(str(value.get("text", "")), unit))
    if isinstance(label, list):
        label = [span for item in label for span in _each_label(item)]
        return {**value, "label": label}
    return value


def _by_name(path: str, number: int, names: dict[str, Any], offsets: Offsets) -> list[list[object]]:
    """CLUENER's spans, by label and text; their ends are within, and count code points."""
    try:
        return [
            [_offset(offsets, start), _offset(offsets, end, 1), name]
            for name, surfaces in names.items()
            for places in surfaces.values()
            for start, end in places
        ]
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{place(path, number)}: label: no spans by name: {error}") from error


def _offset(offsets: Offsets, point: object, more: int = 0) -> object:
    if isinstance(point, int) and offsets.has(point + more):
        return offsets.offset(point + more)
    return point


def _each_label(span: object) -> list[object]:
    """A span of Label Studio, which has a list of labels, as one for each."""
    if isinstance(span, dict) and "label" not in span and isinstance(span.get("labels"), list):
        return [{**span, "label": label} for label in span["labels"]]
    return [span]


def _joined(path: str, number: int, value: dict[str, Any], unit: OffsetUnit) -> dict[str, Any]:
    """Tokens with a space between, and spans of tokens (the last one included), as offsets."""
    words = value["tokenized_text"]
    text = " ".join(words)
    offsets = Offsets(text, unit)
    starts = list(accumulate((len(word) + 1 for word in words), initial=0))
    ends = (start + len(word) for start, word in zip(starts[:-1], words, strict=True))
    pairs = zip(starts[:-1], ends, strict=True)
    tokens = [[offsets.offset(start), offsets.offset(end)] for start, end in pairs]
    spans = []
    for span in value.get("ner") or ():
        match span:
            case [int(first), int(last), label] if 0 <= first <= last < len(words):
                spans.append([tokens[first][0], tokens[last][1], label])
            case _:
                raise DataError(f"{place(path, number)}: ner: {span!r} is no span of these tokens")
    rest = {key: item for key, item in value.items() if key not in ("tokenized_text", "ner")}
    return {**rest, "text": text, "tokens": tokens, "label": spans}
