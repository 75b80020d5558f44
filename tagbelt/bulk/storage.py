"""Files on this machine or in object storage, as a bulk run needs them."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

from tagbelt.errors import InputError


class Storage(Protocol):
    """One kind of place. Paths are strings; errors of reading and writing are OSError."""

    def files(self, path: str) -> list[tuple[str, int]]:
        """The files at or below a path and their sizes in bytes, sorted; none if there is none."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading anywhere in it."""

    def write(self, path: str, body: bytes) -> None:
        """Write a file, which is there whole or not at all."""


class LocalStorage:
    """The file system."""

    def files(self, path: str) -> list[tuple[str, int]]:
        """See Storage."""
        root = Path(path)
        if root.is_file():
            return [(path, root.stat().st_size)]
        found = (one for one in root.rglob("*") if one.is_file())
        return sorted((str(one), one.stat().st_size) for one in found)

    def open(self, path: str) -> BinaryIO:
        """See Storage."""
        return Path(path).open("rb")

    def write(self, path: str, body: bytes) -> None:
        """See Storage. Two that write one file at a time do each other no harm."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            with fresh.open("wb") as stream:
                stream.write(body)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)


class ObjectStorage:
    """What pyarrow reaches by an address: s3://, gs://, abfs://, hdfs://."""

    def __init__(self, address: str) -> None:
        """`address` tells which, and may carry options, as `s3://bucket/x?endpoint_override=...`.

        Raises InputError for one that pyarrow does not know, MissingPackageError without pyarrow.
        """
        import pyarrow as pa
        from pyarrow import fs

        head, _, query = address.partition("?")
        self._scheme = head.partition("://")[0]
        self._query = query
        try:
            self._fs, _ = fs.FileSystem.from_uri(address)
        except pa.ArrowException as error:
            raise InputError(f"{head}: {str(error).splitlines()[0]}") from error

    def files(self, path: str) -> list[tuple[str, int]]:
        """See Storage."""
        from pyarrow import fs

        bare = self._bare(path)
        (info,) = self._fs.get_file_info([bare])
        if info.type == fs.FileType.File:
            return [(path, info.size)]
        selector = fs.FileSelector(bare, recursive=True, allow_not_found=True)
        found = [one for one in self._fs.get_file_info(selector) if one.is_file]
        return sorted((self._address(one.path), one.size) for one in found)

    def open(self, path: str) -> BinaryIO:
        """See Storage."""
        return cast(BinaryIO, self._fs.open_input_file(self._bare(path)))

    def write(self, path: str, body: bytes) -> None:
        """See Storage: an object appears when it is closed."""
        with self._fs.open_output_stream(self._bare(path)) as stream:
            stream.write(body)

    def _bare(self, path: str) -> str:
        return path.partition("?")[0].partition("://")[2].rstrip("/")

    def _address(self, bare: str) -> str:
        return f"{self._scheme}://{bare}" + (f"?{self._query}" if self._query else "")


def storage_of(path: str) -> Storage:
    """The storage that a path, or an address such as s3://bucket/folder, lies in.

    Raises InputError and MissingPackageError as ObjectStorage does.
    """
    return ObjectStorage(path) if "://" in path else LocalStorage()


def joined(folder: str, name: str) -> str:
    """The path of a file in a folder; options of an address stay at its end."""
    head, mark, query = folder.partition("?")
    return f"{head.rstrip('/')}/{name}{mark}{query}"


@contextmanager
def opened(storage: Storage, path: str) -> Iterator[IO[bytes]]:
    """A file to read; what ends in .gz is unpacked on the way."""
    with storage.open(path) as raw:
        packed = path.partition("?")[0].endswith(".gz")
        stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            yield stream
        finally:
            with suppress(OSError):
                stream.close()
