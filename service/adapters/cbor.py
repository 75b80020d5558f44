"""CBOR (RFC 8949), as far as JSON-like values need it: maps, lists, strings, numbers.

General readers of CBOR take bytes after the value, build dates, regular expressions and cyclic
lists from tags, and have a value of their own for `undefined`. To refuse all that around one of
them takes as much code as this, which knows nothing of it, and has a bound on the depth.
"""

import struct
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 5_000
"""Values, those within others among them, that one body may have; one for us has some dozens."""
_BREAK = object()
_INDEFINITE = 31
_SIMPLE: dict[int, object] = {20: False, 21: True, 22: None, 23: None, _INDEFINITE: _BREAK}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_TAG = 6


def loads(raw: bytes) -> Any:
    """The one value that `raw` holds; tags are skipped. Raises ValueError."""
    reader = _Reader(raw)
    value = reader.value(0)
    if value is _BREAK:
        raise ValueError("it ends what was never begun")
    if reader.place != len(raw):
        raise ValueError(f"{len(raw) - reader.place} bytes follow the value")
    return value


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.place = 0
        self._values = 0

    def value(self, depth: int) -> Any:
        """The next value, or _BREAK."""
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} values")
        initial = self._take(1)[0]
        major, minor = initial >> 5, initial & 31
        if major == 7:
            return self._simple(minor)
        size = None if minor == _INDEFINITE else self._number(minor)
        if major == 0 and size is not None:
            return size
        if major == 1 and size is not None:
            return -1 - size
        if major in (2, 3):
            return self._string(major, size, depth)
        if major == 4:
            return self._items(size, depth)
        if major == 5:
            return self._map(size, depth)
        if major == _TAG and size is not None:
            return self._part(depth)
        raise ValueError(f"byte {self.place - 1} begins nothing")

    def _take(self, count: int) -> bytes:
        if count > len(self._raw) - self.place:
            raise ValueError("it is cut off")
        taken = self._raw[self.place : self.place + count]
        self.place += count
        return taken

    def _number(self, minor: int) -> int:
        if minor < 24:
            return minor
        if minor > 27:
            raise ValueError(f"byte {self.place - 1} begins nothing")
        return int.from_bytes(self._take(1 << (minor - 24)), "big")

    def _simple(self, minor: int) -> Any:
        if minor in _FLOATS:
            (number,) = struct.unpack(_FLOATS[minor], self._take(1 << (minor - 24)))
            return number
        if minor not in _SIMPLE:
            raise ValueError(f"byte {self.place - 1} begins nothing")
        return _SIMPLE[minor]

    def _part(self, depth: int) -> Any:
        """A value inside another one."""
        part = self.value(depth + 1)
        if part is _BREAK:
            raise ValueError(f"byte {self.place - 1} ends a value before its time")
        return part

    def _string(self, major: int, size: int | None, depth: int) -> str | bytes:
        if size is not None:
            taken = self._take(size)
            return taken if major == 2 else taken.decode("utf-8")
        kind = bytes if major == 2 else str
        chunks = self._items(None, depth)
        if not all(isinstance(chunk, kind) for chunk in chunks):
            raise ValueError("a string has a part that is none")
        return kind().join(chunks)

    def _items(self, size: int | None, depth: int) -> list[Any]:
        if size is not None:
            return [self._part(depth) for _ in range(size)]
        items = []
        while (item := self.value(depth + 1)) is not _BREAK:
            items.append(item)
        return items

    def _map(self, size: int | None, depth: int) -> dict[str, Any]:
        flat = self._items(None if size is None else 2 * size, depth)
        keys, values = flat[::2], flat[1::2]
        if len(keys) != len(values) or not all(isinstance(key, str) for key in keys):
            raise ValueError("a map has a key that is no text, or one without a value")
        return dict(zip(keys, values, strict=True))


def dumps(value: Any) -> bytes:
    """A value of dicts, lists, texts, numbers, booleans and None. Raises TypeError for others."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        encoded = value.encode("utf-8")
        return _head(3, len(encoded)) + encoded
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    if isinstance(value, dict):
        parts = (dumps(key) + dumps(one) for key, one in value.items())
        return _head(5, len(value)) + b"".join(parts)
    raise TypeError(f"CBOR has no {type(value).__name__} here")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    exponent = next(e for e in range(4) if number < 1 << (8 << e))
    return bytes([major << 5 | 24 + exponent]) + number.to_bytes(1 << exponent, "big")
