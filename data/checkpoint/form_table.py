"""Vectors of word forms from one source: a table of known words, and what other forms get.

Other forms get the mean of their pieces' vectors where the source is a transformer, and one row
for all of them where it is a list of words. A checkpoint keeps the vectors as its network reads
them, in bytes with a scale a row. V, E, P: rows, numbers of a vector, pieces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tagbelt.data.checkpoint.vocabulary import UNKNOWN, visible_characters
from tagbelt.data.text.wordpiece import WordPiece

LIMIT = 127
"""The largest magnitude of a number in a byte."""
_BLOCK = 8192

Floats = NDArray[np.float32]
Ids = NDArray[np.signedinteger[Any]]


class VectorRows(NamedTuple):
    """Vectors [V, E], as they are or, with a `scale` float32 [V], as bytes."""

    values: NDArray[Any]
    scale: Floats | None = None

    def take(self, index: Ids) -> Floats:
        """Return the vectors [n, E] at `index`."""
        values = self.values[index].astype(np.float32)
        return values if self.scale is None else values * self.scale[index, None]

    def in_bytes(self, projection: Floats | None) -> "VectorRows":
        """Return the rows mapped by `projection` [E, E'] and rounded to bytes."""
        if self.scale is not None and projection is None:
            return self
        levels, scales = [], []
        for begin in range(0, len(self.values), _BLOCK):
            rows = self.take(np.arange(begin, min(begin + _BLOCK, len(self.values))))
            if projection is not None:
                rows = np.matmul(rows, projection)
            scale = np.abs(rows).max(axis=1) / np.float32(LIMIT)
            scale[scale == 0.0] = 1.0
            levels.append(np.rint(rows / scale[:, None]).astype(np.int8))
            scales.append(scale)
        return VectorRows(np.concatenate(levels), np.concatenate(scales))


class Pieces(NamedTuple):
    """How forms are cut into pieces, and the vectors [P, E] of these."""

    wordpiece: WordPiece
    rows: VectorRows

    def means(self, forms: Sequence[str]) -> Floats:
        """Return the mean vectors [n, E] of the pieces of n forms."""
        cut = [self.wordpiece(visible_characters(form)) for form in forms]
        lengths = np.array([len(ids) for ids in cut])
        vectors = self.rows.take(np.array([i for ids in cut for i in ids], np.intp))
        sums: Floats = np.add.reduceat(vectors, np.cumsum(lengths) - lengths, axis=0)
        means: Floats = np.divide(sums, lengths[:, None], dtype=np.float32)
        return means


class Transformer(NamedTuple):
    """What computes the vectors of forms where the package is installed: its graph in ONNX, and the
    `projection` [E, E'] of its vectors that the network has learnt, if there is one.
    """

    package: str
    graph: bytes
    projection: Floats | None = None


@dataclass(frozen=True, eq=False)
class FormTable:
    """The vectors of one source: `rows` are those of a vocabulary's first words, by their ids.

    A form that has none gets the mean of its `pieces`, without pieces the row of unknown words, and
    what `compute` says of it where that is given. Tables with `trained` rows are the beginning of
    a network's own.
    """

    rows: VectorRows
    pieces: Pieces | None = None
    transformer: Transformer | None = None
    trained: bool = False
    compute: Callable[[Sequence[str]], Floats] | None = None

    @property
    def size(self) -> int:
        """E, the numbers of a vector."""
        return int(self.rows.values.shape[1])

    def vectors(self, forms: Sequence[str], ids: Ids) -> Floats:
        """Return the vectors [n, E] of n forms, of which `ids` are the words."""
        compute = self.compute or (self.pieces and self.pieces.means)
        is_known = (ids != UNKNOWN) & (ids < len(self.rows.values))
        result = self.rows.take(np.where(is_known, ids, UNKNOWN))
        others = np.flatnonzero(~is_known)
        if compute is not None and len(others):
            result[others] = compute([forms[int(i)] for i in others])
        return result

    def stored(self, rows: VectorRows | None, projection: Floats | None) -> "FormTable":
        """Return the table of a checkpoint; `rows` stand in for its own where they were trained."""
        pieces, transformer = self.pieces, self.transformer
        if transformer is not None and projection is not None:
            transformer = transformer._replace(projection=projection)
        return replace(
            self,
            rows=(rows or self.rows).in_bytes(projection),
            pieces=pieces and Pieces(pieces.wordpiece, pieces.rows.in_bytes(projection)),
            transformer=transformer
            and (
                transformer if projection is None else transformer._replace(projection=projection)
            ),
            trained=False,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads, of a table in bytes."""
        assert self.rows.scale is not None
        arrays = {"rows": self.rows.values, "scale": self.rows.scale}
        if self.pieces is not None:
            assert self.pieces.rows.scale is not None
            names = "\n".join(self.pieces.wordpiece.names)
            arrays |= {"pieces": self.pieces.rows.values, "pieces.scale": self.pieces.rows.scale}
            arrays["pieces.names"] = _bytes(names.encode("utf-8"))
        if self.transformer is not None:
            arrays["package"] = _bytes(self.transformer.package.encode("ascii"))
            arrays["graph"] = _bytes(self.transformer.graph)
            if self.transformer.projection is not None:
                arrays["projection"] = np.ascontiguousarray(self.transformer.projection)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a table. Raises KeyError or ValueError for anything else."""
        rows, pieces, transformer = _rows(arrays, "rows", "scale"), None, None
        if not len(rows.values):
            raise ValueError("no row of unknown words")
        if "pieces" in arrays:
            names = arrays["pieces.names"].tobytes().decode("utf-8").split("\n")
            pieces = Pieces(WordPiece(names), _rows(arrays, "pieces", "pieces.scale"))
            if pieces.rows.values.shape != (len(names), rows.values.shape[1]):
                shape = list(pieces.rows.values.shape)
                raise ValueError(f"vectors of pieces of shape {shape} for {len(names)} pieces")
        if "package" in arrays:
            package = arrays["package"].tobytes().decode("ascii")
            projection = arrays.get("projection")
            if projection is not None and projection.shape[1:] != rows.values.shape[1:]:
                raise ValueError(f"a projection of shape {list(projection.shape)}")
            transformer = Transformer(package, arrays["graph"].tobytes(), projection)
        return cls(rows, pieces, transformer)


def save_tables(tables: Sequence[FormTable], path: Path) -> None:
    """Write tables in bytes to one file."""
    arrays = {f"{i}.{k}": v for i, table in enumerate(tables) for k, v in table.to_arrays().items()}
    save_file(arrays, path)


def load_tables(path: Path) -> tuple[FormTable, ...]:
    """Read what `save_tables` wrote.

    Raises:
        ValueError: anything else; the message names the file.
    """
    try:
        parts: dict[int, dict[str, NDArray[Any]]] = {}
        for key, array in load_file(path).items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{key!r} holds values that are not finite")
            index, _, name = key.partition(".")
            parts.setdefault(int(index), {})[name] = array
        return tuple(FormTable.from_arrays(parts[i]) for i in range(len(parts)))
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: no tables of vectors: {type(error).__name__}: {error}"
        ) from error


def _rows(arrays: Mapping[str, NDArray[Any]], name: str, scale: str) -> VectorRows:
    rows = VectorRows(arrays[name], arrays[scale])
    if rows.values.dtype != np.int8 or rows.values.ndim != 2:
        raise ValueError(f"{name!r} are no rows of bytes")
    if arrays[scale].dtype != np.float32 or arrays[scale].shape != rows.values.shape[:1]:
        raise ValueError(f"{scale!r} is not one number for each row of {name!r}")
    return rows


def _bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)
