"""What differs between two OpenAPI documents, and which of it breaks their clients."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
# What a client may have used by name.
_NAMED = frozenset(
    {"paths", "properties", "content", "enum", "parameters", "anyOf", "oneOf", "x-problems"}
)
# What says how something is read.
_MEANING = frozenset({"type", "const", "$ref", "pattern", "format", "additionalProperties", "in"})
_AT_MOST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_AT_LEAST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_NARROWING = _AT_MOST | _AT_LEAST | {"enum", "pattern", "additionalProperties"}
_HOLDERS = frozenset({"properties", "content", "parameters", "required", "anyOf", "oneOf"})
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')

Way = tuple[str, ...]
_NOTHING = object()


@dataclass(frozen=True)
class Difference:
    """`what` is added, removed or changed; `way` leads to it."""

    what: str
    way: Way
    old: Any
    new: Any
    breaks: bool

    def __str__(self) -> str:
        line = f"{'BREAKING ' if self.breaks else ''}{self.what}: {' > '.join(self.way)}"
        if self.what != "changed":
            return line
        return f"{line}: {_short(self.old)} -> {_short(self.new)}"


def differences(old: Any, new: Any) -> list[Difference]:
    """All that differs, what breaks clients first."""
    sides = _Sides.of(old)
    found = [
        Difference(what, way, before, after, _breaks(what, way, before, after, sides))
        for what, way, before, after in _compare((), _named(old), _named(new))
    ]
    return sorted(found, key=lambda one: (not one.breaks, one.way))


def _compare(way: Way, old: Any, new: Any) -> Iterator[tuple[str, Way, Any, Any]]:
    if way and way[-1] in _HOLDERS:
        # None of them and an empty one are the same.
        old, new = ({} if one is _NOTHING else one for one in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(new.keys() - old.keys())]:
            yield from _compare((*way, name), old.get(name, _NOTHING), new.get(name, _NOTHING))
    elif old is _NOTHING:
        yield "added", way, None, new
    elif new is _NOTHING:
        yield "removed", way, old, None
    elif old != new:
        yield "changed", way, old, new


def _named(value: Any) -> Any:
    """With dicts in the place of lists: the order of what OpenAPI lists has no meaning."""
    if isinstance(value, dict):
        return {name: _named(one) for name, one in value.items()}
    if isinstance(value, list):
        labels: dict[str, Any] = {}
        for one in value:
            label = _label(one)
            while label in labels:
                label += "'"
            labels[label] = _named(one)
        return labels
    return value


def _label(entry: Any) -> str:
    if not isinstance(entry, dict):
        return entry if isinstance(entry, str) else json.dumps(entry)
    if "in" in entry:
        return f"{entry['in']} {entry['name']}"
    chosen = entry.get("$ref") or entry.get("id") or entry.get("title") or entry.get("type")
    return str(chosen or json.dumps(entry, sort_keys=True))


@dataclass(frozen=True)
class _Sides:
    """The names of the schemas that requests are made of, and of those in replies."""

    asked: frozenset[str]
    told: frozenset[str]

    @classmethod
    def of(cls, document: Any) -> "_Sides":
        asked, told = [], []
        for item in document["paths"].values():
            for operation in item.values():
                asked += [operation.get("requestBody"), operation.get("parameters")]
                told.append(operation.get("responses"))
        return cls(_reached(asked, document), _reached(told, document))

    def in_request(self, way: Way) -> bool:
        return bool({"requestBody", "parameters"} & set(way)) or _schema(way) in self.asked

    def in_reply(self, way: Way) -> bool:
        return "responses" in way or _schema(way) in self.told


def _schema(way: Way) -> str | None:
    return way[2] if way[:2] == ("components", "schemas") and len(way) > 2 else None


def _reached(start: Any, document: Any) -> frozenset[str]:
    found: set[str] = set()
    left = set(_REFERENCE.findall(json.dumps(start)))
    while left:
        name = left.pop()
        found.add(name)
        schema = document["components"]["schemas"].get(name, {})
        left |= set(_REFERENCE.findall(json.dumps(schema))) - found
    return frozenset(found)


def _breaks(what: str, way: Way, old: Any, new: Any, sides: _Sides) -> bool:
    """Whether a client that fits the old document may fail with the new one."""
    parent, name = ("", *way)[-2:]
    if {"example", "examples"} & set(way):
        return False
    if "security" in way:
        return True
    if parent == "required":  # an entry of a schema's list
        return sides.in_request(way) if what == "added" else sides.in_reply(way)
    if what == "removed":
        is_operation = len(way) == 3 and way[0] == "paths" and name in METHODS
        loosened = name in {"type", "$ref", "const"} and sides.in_reply(way)
        return is_operation or loosened or parent in _NAMED
    if what == "added":
        needed = parent == "parameters" and new.get("required", False)
        return needed or (name in _NARROWING and sides.in_request(way))
    if name == "required":
        return bool(new)
    narrower = (name in _AT_MOST and new < old) or (name in _AT_LEAST and new > old)
    return name in _MEANING or (narrower and sides.in_request(way))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."
