"""Reading keys from a TOML file or from one line. No message quotes a value: it may be a key."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any

from tagbelt.errors import KeysError
from tagbelt.service.access.rates import Rate
from tagbelt.service.settings import ENV_PREFIX


class Need(StrEnum):
    """The right that a request needs to be answered."""

    PROBE = "probe"
    """Nothing, not even a known host name: orchestrators ask by address."""
    PUBLIC = "public"
    """Nothing."""
    TAG = "tag"
    """A key with the scope tag, or with admin."""
    ADMIN = "admin"
    """A key with the scope admin."""


KEY_SCOPES = (Need.TAG, Need.ADMIN)
"""The scopes that a key can have."""

PREFIX = "tb_"
"""The start of keys that `tagbelt keys new` makes, so that scanners for secrets know them."""
INLINE = f"{ENV_PREFIX}API_KEYS"

_MOST = 1e9  # requests, of a rate or a burst
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_PLACE = re.compile(r"\(at [a-z0-9, ]+\)$")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, as the server knows it: by its hash."""

    name: str
    """Who it was given to; the only part that is logged."""
    sha256: bytes = field(repr=False)
    scopes: frozenset[Need]
    rate: Rate | None = None
    """None leaves it to the server's."""
    expires: datetime | None = None
    """The first moment at which it is no longer good, with its time zone."""


def read_file(path: Path) -> list[Key]:
    """The keys of a TOML file. Raises KeysError when it cannot be read or is in any way wrong."""
    return parse_toml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Return the text of a key file. Raises KeysError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise KeysError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise KeysError(f"{path}: is not UTF-8") from None


def parse_toml(text: str, source: str) -> list[Key]:
    """The keys of a TOML document; `source` is its name in messages."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long, brackets too deep
        place = _PLACE.search(str(error))
        raise KeysError(f"{source}: is not TOML {place[0] if place else ''}".rstrip()) from None
    entries = document.pop("key", [])
    if document or not isinstance(entries, list):
        raise KeysError(f"{source}: must hold [[key]] tables and nothing else")
    return _keys(entries, source)


def parse_inline(text: str, source: str = INLINE) -> list[Key]:
    """The keys of name:scopes:sha256[,...], with + between the scopes."""
    entries = []
    for number, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        fields = part.split(":")
        if len(fields) != 3:
            raise KeysError(f"{source}, entry {number}: must be name:scopes:sha256")
        name, scopes, digest = fields
        entries.append({"name": name, "scopes": scopes.split("+"), "sha256": digest})
    return _keys(entries, source)


def check_different(keys: Sequence[Key], source: str) -> None:
    """Raises KeysError when two keys have one name or one hash."""
    seen: dict[tuple[str, str | bytes], int] = {}
    for number, key in enumerate(keys, 1):
        for what, value in (("name", key.name), ("sha256", key.sha256)):
            first = seen.setdefault((what, value), number)
            if first != number:
                raise KeysError(f"{source}, entry {number}, {what}: the same as in entry {first}")


def _keys(entries: Sequence[object], source: str) -> list[Key]:
    if not entries:
        raise KeysError(f"{source}: holds no key; make one with: tagbelt keys new NAME --scope tag")
    keys = [_key(entry, f"{source}, entry {number}") for number, entry in enumerate(entries, 1)]
    check_different(keys, source)
    return keys


def _key(entry: object, place: str) -> Key:
    if not isinstance(entry, dict):
        raise KeysError(f"{place}: must be a [[key]] table")
    for name in sorted(entry.keys() - _FIELDS.keys()):
        raise KeysError(f"{place}: {_unknown(name)}")
    for name in ("name", "sha256", "scopes"):
        if name not in entry:
            raise KeysError(f"{place}, {name}: is missing")
    read: dict[str, Any] = {}
    for name, value in entry.items():
        try:
            read[name] = _FIELDS[name](value)
        except ValueError as error:
            raise KeysError(f"{place}, {name}: {error}") from None
    return Key(
        read["name"], read["sha256"], read["scopes"], _rate(read, place), read.get("expires")
    )


def _unknown(name: str) -> str:
    known = ", ".join(_FIELDS)
    if not re.fullmatch(r"[a-z_]{1,20}", name) or name.startswith(PREFIX):
        return f"a field that is none of {known}"
    if name in ("key", "secret", "token", "password"):
        return f"no field {name}: a key is never stored, only its hash, in sha256"
    return f"no field {name}; there are {known}"


def _rate(read: Mapping[str, Any], place: str) -> Rate | None:
    if "rate_per_second" in read:
        return Rate.of(read["rate_per_second"], read.get("rate_burst"))
    if "rate_burst" in read:
        raise KeysError(f"{place}, rate_burst: limits nothing without rate_per_second")
    return None


def key_name(value: object) -> str:
    """A name that a key may have. Raises ValueError, which says what is wrong with another."""
    if isinstance(value, str) and value.startswith(PREFIX):
        raise ValueError(f"begins with {PREFIX}, as keys do; names are logged, so give a plain one")
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 letters, digits, dots, - and _, a letter or digit first")
    return value


def _digest(value: object) -> bytes:
    if isinstance(value, str) and value.strip().startswith(PREFIX):
        raise ValueError(
            "this is a key itself, and no longer a secret; "
            "make another with: tagbelt keys new NAME --scope tag"
        )
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError("must be the SHA-256 of the key in 64 hexadecimal digits")
    return bytes.fromhex(value)


def _scopes(value: object) -> frozenset[Need]:
    if not isinstance(value, list) or not value or not all(s in KEY_SCOPES for s in value):
        raise ValueError(f"must be one or more of {', '.join(KEY_SCOPES)}")
    scopes = {Need(scope) for scope in value}
    return frozenset(scopes | {Need.TAG}) if Need.ADMIN in scopes else frozenset(scopes)


def _per_second(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= _MOST:
        raise ValueError("must be a number above 0")
    return float(value)


def _burst(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ValueError("must be a whole number of at least 1")
    return value


def _expires(value: object) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("needs a time zone, such as 2030-01-31T12:00:00Z, or give a date only")
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("must be a date without quotes, such as 2030-01-31")


_FIELDS: dict[str, Callable[[object], Any]] = {
    "name": key_name,
    "sha256": _digest,
    "scopes": _scopes,
    "rate_per_second": _per_second,
    "rate_burst": _burst,
    "expires": _expires,
}
