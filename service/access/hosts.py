"""The addresses that a server may listen on, and the host names it may be called by."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from tagbelt.errors import SettingsError
from tagbelt.service.access.keys import KeyRing
from tagbelt.service.settings import ENV_PREFIX, Settings

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s,]+)(?::[0-9]*)?")
_PATTERN = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^A-Z/\s?#@*,]+")


def check_exposure(settings: Settings, ring: KeyRing) -> None:
    """Refuses to serve strangers by accident, keys that nothing asks for, names that match nothing.

    Raises SettingsError, which names the settings and the ways out.
    """
    check_hosts(settings.allowed_hosts)
    check_origins(settings.cors_origins)
    anonymous = f"{ENV_PREFIX}ALLOW_ANONYMOUS"
    file = f"{ENV_PREFIX}API_KEYS_FILE"
    if ring.required and settings.allow_anonymous:
        raise SettingsError(
            f"there are API keys, and {anonymous} answers without them: unset {anonymous} "
            f"to ask for keys, or unset {file} and {ENV_PREFIX}API_KEYS to ask for none"
        )
    if ring.required or settings.allow_anonymous or is_local(settings):
        return
    raise SettingsError(
        f"the host {settings.host!r} can be reached from elsewhere, and there are no API keys: "
        f"make one with `tagbelt keys new NAME --scope tag --file keys.toml` and set {file}, "
        f"or set {anonymous}=true to serve everybody"
    )


def is_local(settings: Settings) -> bool:
    """Whether only this machine can connect: a unix socket, or a loopback address."""
    return settings.uds is not None or is_local_name(settings.host.lower())


def is_local_name(name: str) -> bool:
    """Whether a host of a URL, in lower case, is this machine whatever a name server says."""
    if name == "localhost":
        return True
    try:
        address = ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def host_name(authority: bytes) -> str:
    """The name or address of a Host header, without the port, "" when it has none."""
    match = _AUTHORITY.fullmatch(authority.decode("latin-1").lower())
    return match[1].removesuffix(".") if match else ""


class HostRule:
    """The names by which the service may be called, as a Host header gives them.

    A page elsewhere can point a name of its own at 127.0.0.1 and so read, through the browser of
    somebody here, what only this machine should; the browser still sends that name.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        """Patterns such as ner.example.org or *.example.org; none allows the local names."""
        patterns = [pattern.lower() for pattern in allowed]
        self._names = frozenset(patterns)
        self._endings = tuple(p.removeprefix("*") for p in patterns if p.startswith("*."))
        self.allows = lru_cache(maxsize=1024)(self._allows)
        """Whether this Host header, as bytes, may be answered."""

    def _allows(self, authority: bytes) -> bool:
        name = host_name(authority)
        if not name:
            return False
        if not self._names:
            return is_local_name(name)
        return name in self._names or "*" in self._names or name.endswith(self._endings)


def check_hosts(allowed: Sequence[str]) -> None:
    """Raises SettingsError for a pattern that matches no Host header: with a port, say."""
    for pattern in allowed:
        if not _PATTERN.fullmatch(pattern.lower()):
            raise SettingsError(
                f"allowed_hosts ({ENV_PREFIX}ALLOWED_HOSTS): {pattern!r} is not a name such as "
                "ner.example.org or *.example.org, without scheme and port, or *"
            )


def check_origins(origins: Sequence[str]) -> None:
    """Raises SettingsError for an origin that no browser sends: with a path, say."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"cors_origins ({ENV_PREFIX}CORS_ORIGINS): {origin!r} is not an origin such as "
                "https://app.example.org, in lower case and without a path, or *"
            )
