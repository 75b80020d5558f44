"""The tables of a run's sources of vectors; what a transformer computes is kept beside the run.

A transformer reads tens of thousands of words, which takes a minute: a run keeps their vectors in
its directory and takes over those of a run beside it, as of another seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from tagbelt.data.checkpoint.form_table import FormTable, Pieces, Transformer, VectorRows
from tagbelt.data.checkpoint.vocabulary import UNKNOWN, Vocabulary
from tagbelt.data.lexicon.encoders import ENCODERS, EncoderFiles
from tagbelt.errors import ConfigError
from tagbelt.inference.scoring.form_encoder import FormEncoder
from tagbelt.model.config import VectorSource
from tagbelt.model.export.transformer import transformer_graph
from tagbelt.model.features.vectors import Vectors
from tagbelt.training.events import Callback, Message

CACHE = "form-vectors.safetensors"
"""The vectors of a transformer, in a run's directory."""

RIDGE, STEPS = 0.3, 30
"""How much pieces stay (of 0.02 to 2 the best on words held out), and the solver's steps."""
_TINY = np.float32(1e-12)

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]


def form_tables(
    sources: Sequence[VectorSource],
    loaded: Sequence[Vectors | None],
    vocabulary: Vocabulary,
    directory: Path,
    progress: Callback,
    begun: Mapping[VectorSource, FormTable] = MappingProxyType({}),
    known: Sequence[str] = (),
) -> tuple[FormTable, ...]:
    """Return the table of each source; `loaded` are the vectors of those that are lists of words.

    A transformer that the model has which a run has `begun` with, just so, is not asked again: of
    words that are not `known` there, its pieces tell.

    Raises:
        ConfigError: vectors that are shorter than what they are to be projected to.
        VectorError: a transformer that is not installed.
    """
    return tuple(
        _listed(i, source, vectors, vocabulary, progress)
        if vectors is not None
        else _taken_over(begun[source], known, vocabulary)
        if source in begun
        else _computed(i, source, vocabulary, directory, progress)
        for i, (source, vectors) in enumerate(zip(sources, loaded, strict=True))
    )


def _taken_over(table: FormTable, known: Sequence[str], vocabulary: Vocabulary) -> FormTable:
    """Return a checkpoint's table, projected as it is, for the words of another vocabulary."""
    places = {word: row for row, word in enumerate(known)}
    new = vocabulary.words[UNKNOWN + 1 :]
    rows = table.vectors(new, np.array([places.get(word, UNKNOWN) for word in new]))
    unknown = table.rows.take(np.arange(UNKNOWN + 1))
    return replace(table, rows=VectorRows(np.concatenate((unknown, rows))))


def _check_size(index: int, source: VectorSource, size: int) -> None:
    if source.size is not None and source.size > size:
        raise ConfigError(
            f"model.vectors.{index}.size: {source.size}, but {source.source} has {size} numbers"
        )


def _listed(
    index: int, source: VectorSource, vectors: Vectors, vocabulary: Vocabulary, progress: Callback
) -> FormTable:
    _check_size(index, source, vectors.matrix.shape[1])
    places = {word: row for row, word in enumerate(vectors.words)}
    found = [(i, places[word]) for i, word in enumerate(vocabulary.words) if word in places]
    rows = np.zeros((len(vocabulary.words), vectors.matrix.shape[1]), np.float32)
    rows[[i for i, _ in found]] = vectors.matrix[[row for _, row in found]]
    progress(Message(f"{source.source}: {len(found):,} words have a vector"))
    return FormTable(VectorRows(rows), trained=source.train)


def _computed(
    index: int, source: VectorSource, vocabulary: Vocabulary, directory: Path, progress: Callback
) -> FormTable:
    files = EncoderFiles.of(source.source)
    _check_size(index, source, int(files.settings["hidden_size"]))
    graph = transformer_graph(files.settings, files.read_weights(source.source))
    words = vocabulary.words[UNKNOWN + 1 : vocabulary.trained + source.max_words]
    kept = _Kept.beside(directory, ENCODERS[source.source].digest)
    if kept is None or not kept.has(words):
        encoder = FormEncoder(source.source, graph)
        new = [word for word in words if kept is None or word not in kept.places]
        progress(Message(f"{source.source} reads {len(new):,} words and its own pieces"))
        kept = _Kept.with_more(kept, new, encoder)
        kept.save(directory, ENCODERS[source.source].digest)
    rows = np.zeros((len(words) + 1, kept.rows.shape[1]), np.float16)
    rows[UNKNOWN + 1 :] = kept.rows[[kept.places[word] for word in words]]
    progress(Message(f"{source.source}: {len(words):,} words have a vector, others their pieces'"))
    cut = files.wordpiece()
    fitted = fitted_pieces(kept.pieces.astype(np.float32), list(map(cut, words)), rows[1:])
    pieces = Pieces(cut, VectorRows(fitted.astype(np.float16)))
    return FormTable(VectorRows(rows), pieces, Transformer(source.source, graph))


def fitted_pieces(
    pieces: Floats, cut: Sequence[Sequence[int]], rows: NDArray[np.floating[Any]]
) -> Floats:
    """Move the vectors [P, E] of pieces so that their means come near those of whole words.

    Words [W] of more than one piece are `cut` into ids and have vectors `rows` [W, E]. It is a
    ridge regression towards `pieces`, solved for all E at once by conjugate gradients (Hestenes &
    Stiefel 1952).
    """
    many = [i for i, ids in enumerate(cut) if len(ids) > 1]
    if not many:
        return pieces
    lengths = np.array([len(cut[i]) for i in many])
    shares = np.repeat(np.float32(1) / lengths.astype(np.float32), lengths)
    ids = np.concatenate([cut[i] for i in many])
    starts = np.concatenate(([0], np.cumsum(lengths)))
    means = csr_matrix((shares, ids, starts), shape=(len(many), len(pieces)))
    square = (means.T @ means).tocsr()
    left: Floats = means.T @ (rows[many].astype(np.float32) - means @ pieces)
    moved, step = np.zeros_like(pieces), left.copy()
    size = np.square(left).sum(axis=0)
    for _ in range(STEPS):
        product = square @ step + RIDGE * step
        rate = size / np.maximum((step * product).sum(axis=0), _TINY)
        moved += rate * step
        left -= rate * product
        before, size = size, np.square(left).sum(axis=0)
        step = left + size / np.maximum(before, _TINY) * step
    result: Floats = pieces + moved
    return result


class _Kept:
    """Words with their vectors [W, E], and the vectors [P, E] of all pieces."""

    def __init__(self, words: Sequence[str], rows: Halves, pieces: Halves) -> None:
        self.places = {word: row for row, word in enumerate(words)}
        self.rows, self.pieces = rows, pieces

    def has(self, words: Sequence[str]) -> bool:
        return all(word in self.places for word in words)

    @classmethod
    def with_more(cls, kept: "_Kept | None", words: Sequence[str], encoder: FormEncoder) -> "_Kept":
        new = encoder(words).astype(np.float16)
        if kept is None:
            return cls(words, new, encoder.of_each_piece().astype(np.float16))
        return cls([*kept.places, *words], np.concatenate((kept.rows, new)), kept.pieces)

    @classmethod
    def beside(cls, directory: Path, digest: str) -> "_Kept | None":
        """Return what a run, or one beside it, has kept; None where nothing can be used."""
        for path in (directory / CACHE, *sorted(directory.resolve().parent.glob(f"*/{CACHE}"))):
            try:
                arrays = load_file(path)
                words = arrays["words"].tobytes().decode("utf-8").split("\n")
                kept = cls(words, arrays["rows"], arrays["pieces"])
                if arrays["digest"].tobytes().hex() == digest and len(kept.rows) == len(words):
                    return kept
            except (OSError, SafetensorError, LookupError, ValueError):
                continue  # they are computed again
        return None

    def save(self, directory: Path, digest: str) -> None:
        """Write the file; a killed writer leaves the old one whole."""
        words = "\n".join(self.places).encode("utf-8")
        arrays: dict[str, NDArray[Any]] = {"rows": self.rows, "pieces": self.pieces}
        arrays["words"] = np.frombuffer(words, np.uint8)
        arrays["digest"] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        fresh = directory / f".{CACHE}.new"
        save_file(arrays, fresh)
        fresh.replace(directory / CACHE)
