"""Fetch files over HTTP or from a folder: resumed, tried again, and checked before they count."""

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tagbelt.data.catalogue.entries import CatalogueFile
from tagbelt.data.checkpoint.artifact import digest_of
from tagbelt.errors import DataError

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there, and the bytes that it has."""

_CHUNK = 1 << 16
_LONGEST_WAIT = 30.0
_TRY_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a file is tried, the seconds before the second try (then doubled), a timeout."""

    tries: int = 5
    pause: float = 1.0
    timeout: float = 30.0
    sleep: Callable[[float], None] = time.sleep


class _Transient(Exception):
    """What may be better the next time; `wait` is for how many seconds the server asks."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


def fetch(
    file: CatalogueFile,
    folder: Path,
    *,
    mirror: str | Path | None = None,
    entry: str = "",
    progress: Progress = lambda *_: None,
    patience: Patience | None = None,
) -> bool:
    """Bring a file into a folder; return whether it had to be fetched.

    It is written as `NAME.part`, from which a later call goes on, and gets its name when its
    digest is right. A mirror is a folder or an address that has it as `ENTRY/NAME`.

    Raises DataError for what cannot be had, for a wrong digest, and if another file is there.
    """
    target = folder / file.name
    if target.exists():
        if digest_of(target) != file.sha256:
            raise DataError(f"{target}: is there and is another file; move it away first")
        return False
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    if isinstance(mirror, Path):
        shutil.copyfile(_offline(mirror, entry, file.name), part)
        _finish(part, target, file, str(mirror))
        return True
    address = file.address if mirror is None else f"{mirror.rstrip('/')}/{entry}/{file.name}"
    resumed = part.exists()
    while True:
        _download(address, part, file, progress, patience or Patience())
        try:
            _finish(part, target, file, address)
        except DataError:
            if not resumed:
                raise
            resumed = False  # what was there of old may be at fault
        else:
            return True


def _offline(folder: Path, entry: str, name: str) -> Path:
    for path in (folder / entry / name, folder / name):
        if path.is_file():
            return path
    raise DataError(f"{folder}: has neither {entry}/{name} nor {name}")


def _finish(part: Path, target: Path, file: CatalogueFile, source: str) -> None:
    """Give a file its name. Raises DataError, with the part removed, if its digest is wrong."""
    found = digest_of(part)
    if found != file.sha256:
        part.unlink()
        raise DataError(
            f"{source}: {file.name} is not the file that the catalogue means: its SHA-256 is "
            f"{found}, not {file.sha256}"
        )
    part.replace(target)


def _download(
    address: str, part: Path, file: CatalogueFile, progress: Progress, patience: Patience
) -> None:
    for number in range(1, patience.tries + 1):
        try:
            _transfer(address, part, file, progress, patience.timeout)
            return
        except _Transient as error:
            if number == patience.tries:
                raise DataError(
                    f"{address}: {error}, {number} times; call again to go on from there"
                ) from error
            pause = patience.pause * 2 ** (number - 1)
            patience.sleep(min(max(pause, error.wait), _LONGEST_WAIT))


def _transfer(
    address: str, part: Path, file: CatalogueFile, progress: Progress, timeout: float
) -> None:
    """Fetch what is missing of a file. Raises _Transient if less came than there should be."""
    have = part.stat().st_size if part.exists() else 0
    if have >= file.size and part.exists():
        if have == file.size:
            return
        part.unlink()
        have = 0
    request = urllib.request.Request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            if response.status != 206:
                have = 0  # the whole, not the rest that was asked for
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                part.unlink(missing_ok=True)
                raise _Transient("another range came than was asked for")
            with part.open("ab" if have else "wb") as out:
                _copy(response, out, have, file, progress, address)
    except urllib.error.HTTPError as error:
        _refused(address, error, part)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise _Transient(f"the connection failed: {reason}") from error


def _copy(
    response: http.client.HTTPResponse,
    out: IO[bytes],
    have: int,
    file: CatalogueFile,
    progress: Progress,
    address: str,
) -> None:
    while chunk := response.read(_CHUNK):
        have += len(chunk)
        if have > file.size:
            raise DataError(f"{address}: is longer than the {file.size} bytes of the catalogue")
        out.write(chunk)
        progress(file.name, have, file.size)
    if have < file.size:
        raise _Transient(f"the connection ended after {have} of {file.size} bytes")


def _refused(address: str, error: urllib.error.HTTPError, part: Path) -> None:
    """Raise what a status other than success means."""
    status = f"the answer was {error.code} {error.reason}"
    if error.code == 416:  # what is there of old is no part of it
        part.unlink(missing_ok=True)
        raise _Transient(status) from error
    if error.code in _TRY_AGAIN:
        wait = error.headers.get("Retry-After", "")
        raise _Transient(status, float(wait) if wait.isdecimal() else 0.0) from error
    raise DataError(f"{address}: {status}") from error
