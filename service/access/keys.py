"""The keys that are good now, found by the hash of what a client presents."""

import hashlib
import hmac
import logging
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from tagbelt.errors import KeysError
from tagbelt.service.access.keyfile import INLINE, Key, check_different, parse_inline, read_file
from tagbelt.service.settings import Settings

logger = logging.getLogger("service.access")


def digest_of(key: bytes) -> bytes:
    """The hash a key is stored as.

    Keys are 256 random bits, which nobody can go through, so one round of SHA-256 is enough; a
    slow hash with a salt is for passwords, which can be guessed.
    """
    return hashlib.sha256(key).digest()


def _now() -> datetime:
    return datetime.now(UTC)


class KeyRing:
    """The keys of the settings: those of TAGBELT_API_KEYS and of the key file together."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = _now) -> None:
        """Reads the keys. Raises KeysError when any of them is wrong."""
        self._inline = settings.api_keys
        self._file = settings.api_keys_file
        self._now = now
        self.required = self._inline is not None or self._file is not None
        """Whether requests need a key. A reload does not change it: it could only open doors."""
        self._keys = self._read()

    @property
    def keys(self) -> Sequence[Key]:
        """All keys, expired ones included."""
        return self._keys

    def find(self, presented: bytes) -> Key | None:
        """The key, if it is one of ours and has not expired.

        Takes the same time for every key: how long a comparison ran would give hashes away.
        """
        digest = digest_of(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None or self._expired(found):
            return None
        return found

    def reload(self) -> bool:
        """Reads the keys again and swaps them in at once; True when they are in force.

        Keys with a fault change nothing and are logged as an error.
        """
        try:
            keys = self._read()
        except KeysError as error:
            logger.error("the API keys stay as they were: %s", error)
            return False
        self._keys = keys
        if self.required:
            logger.info("read %d API keys", len(keys))
        for warning in self.warnings():
            logger.warning("%s", warning)
        return True

    def warnings(self) -> list[str]:
        """Return warnings for the operator: a file that others can read, expired keys."""
        expired = [
            f"the API key {key.name} has expired" for key in self._keys if self._expired(key)
        ]
        return expired if self._file is None else _permissions(self._file) + expired

    def _expired(self, key: Key) -> bool:
        return key.expires is not None and key.expires <= self._now()

    def _read(self) -> tuple[Key, ...]:
        inline = [] if self._inline is None else parse_inline(self._inline.get_secret_value())
        listed = [] if self._file is None else read_file(self._file)
        keys = tuple(chain(inline, listed))
        check_different(keys, f"{INLINE} and {self._file} together")
        return keys


def _permissions(path: Path) -> list[str]:
    try:
        mode = path.stat().st_mode
    except OSError:  # gone since it was read
        return []
    if mode & stat.S_IWOTH:
        return [f"{path} can be changed by every user of this machine: chmod 600 {path}"]
    if mode & stat.S_IROTH:
        return [f"{path} can be read by every user of this machine: chmod 600 {path}"]
    return []
