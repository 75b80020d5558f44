"""Items and options as the bodies of requests, each within the server's limits."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypedDict, TypeVar

from tagbelt.data.types import OffsetUnit

Item: TypeAlias = str | Sequence[str] | Mapping[str, Any]
"""A text, a token list, or an object with a "text" or "tokens" among its members."""

T = TypeVar("T", bound=Item)
Field = Literal["texts", "tokens"]
Include = Literal["tokens", "tags", "alternatives"]

# What stands around the items of a body, options included; they are small.
_ENVELOPE_BYTES = 1024


@dataclass(slots=True)
class RequestLimits:
    """The most that one request may hold. They shrink when a server allows less."""

    items: int
    bytes: int

    def __post_init__(self) -> None:
        if self.items < 1 or self.bytes <= _ENVELOPE_BYTES:
            raise ValueError(
                f"max_items must be at least 1 and max_bytes more than {_ENVELOPE_BYTES}, "
                f"not {self.items} and {self.bytes}"
            )

    def shrink_items(self, refused: int) -> None:
        """Take in that a request of `refused` items was too large."""
        self.items = max(1, min(self.items, refused // 2))

    def shrink_bytes(self, refused: int) -> None:
        """Take in that a body of `refused` bytes was too large."""
        self.bytes = max(_ENVELOPE_BYTES + 1, min(self.bytes, refused // 2))


@dataclass(frozen=True, slots=True)
class RequestBatch(Generic[T]):
    """Items for one request; `encoded` is the JSON of each."""

    field: Field
    items: Sequence[T]
    encoded: Sequence[bytes]

    def body(self, members: bytes) -> bytes:
        """Return the request's JSON, with the options as `to_members` gives them."""
        return b'{"%s":[%s]%s}' % (self.field.encode(), b",".join(self.encoded), members)

    def halves(self) -> "tuple[RequestBatch[T], RequestBatch[T]]":
        """Return the first and the second half of the items, at least one in each."""
        cut = len(self.items) // 2
        return (
            RequestBatch(self.field, self.items[:cut], self.encoded[:cut]),
            RequestBatch(self.field, self.items[cut:], self.encoded[cut:]),
        )


class Batcher(Generic[T]):
    """Gathers items to batches, in order; texts and token lists never share one."""

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._start("texts")

    def add(self, item: T) -> RequestBatch[T] | None:
        """Take an item; return the batch before it, if that is now full.

        Raises TypeError for what is neither a text, a token list nor an object.
        """
        field, encoded = _encode(item)
        # The comma counts.
        fits = (
            field == self._field
            and len(self._items) < self._limits.items
            and self._bytes + len(encoded) + 1 <= self._limits.bytes
        )
        full = None if fits else self.rest()
        if not self._items:
            self._start(field)
        self._items.append(item)
        self._encoded.append(encoded)
        self._bytes += len(encoded) + 1
        return full

    def rest(self) -> RequestBatch[T] | None:
        """Return the batch that is not full yet; None when it is empty."""
        batch = RequestBatch(self._field, self._items, self._encoded) if self._items else None
        self._start(self._field)
        return batch

    def _start(self, field: Field) -> None:
        self._field: Field = field
        self._items: list[T] = []
        self._encoded: list[bytes] = []
        self._bytes = _ENVELOPE_BYTES


def _encode(item: Item) -> tuple[Field, bytes]:
    if isinstance(item, str):
        return "texts", _json(item)
    if isinstance(item, Mapping):
        # The server says what is wrong with a value, or that there is none, in the item's place.
        return ("tokens", _json(item["tokens"])) if "tokens" in item else (
            "texts", _json(item.get("text"))
        )  # fmt: skip
    if isinstance(item, Sequence) and not isinstance(item, bytes | bytearray):
        return "tokens", _json(list(item))
    raise TypeError(f"an item is a text, a token list or an object, not {type(item).__name__}")


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which the server will name
        return json.dumps(value).encode()


class CallOptions(TypedDict, total=False):
    """The options of every call."""

    timeout: float | None
    """Seconds for the whole call, retries included; None waits for ever."""


class FileOptions(CallOptions, total=False):
    """The options of tagging a file."""

    model: str | None
    """A name, name@version, or "auto": by the language of each item."""
    labels: Iterable[str] | None
    """Only entities of these labels."""
    min_score: float | None
    """Only entities of at least this probability."""
    offset_unit: OffsetUnit | None
    """The unit of `start` and `end` in a text; code points unless given."""


class TaggingOptions(FileOptions, total=False):
    """The options of tagging."""

    include: Iterable[Include] | None
    """More to answer with: tokens, IOB2 tags, each token's likely tags."""
    n_best: int | None
    """The number of readings of each item to answer with."""


def check_names(options: Mapping[str, Any], known: type) -> None:
    """Refuse options that do not exist, as a function refuses arguments. Raises TypeError."""
    for name in options:
        if name not in known.__annotations__:
            allowed = ", ".join(sorted(known.__annotations__))
            raise TypeError(f"no option is named {name!r}; there are: {allowed}")


def to_members(options: Mapping[str, Any]) -> bytes:
    """Return options as members of a JSON object, a comma before each: b',"model":"en"'."""
    members = b""
    for name, value in options.items():
        if value is None or name == "timeout":
            continue
        if isinstance(value, str) and name in ("labels", "include"):
            raise TypeError(f"{name} must be a list of strings, not the string {value!r}")
        plain = list(value) if name in ("labels", "include") else value
        members += f',"{name}":'.encode() + json.dumps(plain).encode()
    return members
