"""Fetch a file over HTTP or from a folder; it counts only once its SHA-256 is right."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from tagbelt.data.checkpoint.artifact import digest_of
from tagbelt.errors import DataError

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there, and the bytes that it has, if known."""

_CHUNK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte


def fetch_file(
    source: str | Path,
    target: Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: Progress = lambda *_: None,
) -> bool:
    """Bring a file to `target`; return whether it had to be fetched.

    `source` is an http address, or a path. The file is written beside `target` and takes its
    name when its digest is right; of anything else nothing is left. `size` in bytes, where it is
    known, bounds what is read.

    Raises DataError for what cannot be had, for a wrong digest, and if another file is there.
    """
    if target.exists():
        if digest_of(target) != sha256:
            raise DataError(f"{target}: is there and is another file; move it away first")
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest, have = hashlib.sha256(), 0
    try:
        with part.open("wb") as out:
            for chunk in _chunks(source):
                have += len(chunk)
                if size is not None and have > size:
                    raise DataError(f"{source}: is longer than the {size} bytes it should have")
                out.write(chunk)
                digest.update(chunk)
                progress(target.name, have, size)
        if size is not None and have < size:
            raise DataError(f"{source}: ended after {have} of {size} bytes")
        if digest.hexdigest() != sha256:
            raise DataError(
                f"{source}: {target.name} is not the file that is meant: its SHA-256 is "
                f"{digest.hexdigest()}, not {sha256}"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return True


def fetch_text(source: str, *, most: int = 100_000) -> str:
    """Return a small text of an http address. Raises DataError for what cannot be had."""
    body = b""
    for chunk in _chunks(source):
        body += chunk
        if len(body) > most:
            raise DataError(f"{source}: is longer than {most:,} bytes")
    return body.decode("utf-8", errors="replace")


def _chunks(source: str | Path) -> Iterator[bytes]:
    """Yield the bytes of a file. Raises DataError where they cannot be had."""
    if isinstance(source, str) and not source.startswith(("http://", "https://")):
        raise DataError(f"{source}: is no http address")
    try:
        with (
            source.open("rb")
            if isinstance(source, Path)
            # Http alone, as checked above.
            else urllib.request.urlopen(source, timeout=_TIMEOUT)  # noqa: S310  # nosec B310
        ) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"{source}: the answer was {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        failed = "cannot be read" if isinstance(source, Path) else "the connection failed"
        raise DataError(f"{source}: {failed}: {getattr(error, 'reason', error)}") from error
