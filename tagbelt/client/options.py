"""The options of calls, and their JSON."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from tagbelt.data.types import OffsetUnit

Include = Literal["tokens", "tags", "alternatives"]


class CallOptions(TypedDict, total=False):
    """What every call takes."""

    timeout: float | None
    """Seconds for the whole call, retries included; None waits for ever."""


class FileOptions(CallOptions, total=False):
    """What tagging a file takes."""

    model: str | None
    """A name, name@version, or "auto": by the script of each item."""
    labels: Iterable[str] | None
    """Only entities of these labels."""
    min_score: float | None
    """Only entities of at least this probability."""
    offset_unit: OffsetUnit | None
    """What `start` and `end` count in a text; code points unless given."""


class TagOptions(FileOptions, total=False):
    """What tagging takes."""

    include: Iterable[Include] | None
    """More to answer with: tokens, IOB2 tags, each token's likely tags."""
    n_best: int | None
    """How many readings of each item to answer with."""


def check_names(options: Mapping[str, Any], known: type) -> None:
    """Refuse options that do not exist, as a function refuses arguments. Raises TypeError."""
    for name in options:
        if name not in known.__annotations__:
            allowed = ", ".join(sorted(known.__annotations__))
            raise TypeError(f"no option is named {name!r}; there are: {allowed}")


def to_members(options: Mapping[str, Any]) -> bytes:
    """The options as members of a JSON object, each with a comma in front: b',"model":"en"'."""
    members = b""
    for name, value in options.items():
        if value is None or name == "timeout":
            continue
        if isinstance(value, str) and name in ("labels", "include"):
            raise TypeError(f"{name} must be a list of strings, not the string {value!r}")
        plain = list(value) if name in ("labels", "include") else value
        members += f',"{name}":'.encode() + json.dumps(plain).encode()
    return members
