"""A small transformer that reads each word form alone, in ONNX Runtime.

The graph comes from a checkpoint (or from training), the weights from an installed package: they
are larger than all else that serves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.checkpoint.form_table import FormTable
from tagbelt.data.checkpoint.vocabulary import visible_characters
from tagbelt.data.lexicon.encoders import ENCODERS, EncoderFiles
from tagbelt.errors import VectorError
from tagbelt.inference.scoring.graph import open_graph

Floats = NDArray[np.float32]
BATCH = 256
"""Forms of equally many pieces that are read together: nothing is padded."""


class FormEncoder:
    """Computes vectors [n, E] of word forms; safe to use from several threads.

    A vector is the mean of the transformer's last states over the form's pieces, [CLS] and [SEP].
    """

    def __init__(self, package: str, graph: bytes) -> None:
        """Raises VectorError where the package, or its weights, can't be used."""
        if package not in ENCODERS:
            known = ", ".join(ENCODERS)
            raise VectorError(f"no transformer is known as {package!r}, only {known}")
        files = EncoderFiles.of(package)
        weights = files.read_weights(package)
        self.wordpiece = files.wordpiece()
        self._frame = (self.wordpiece.id_of("[CLS]"), self.wordpiece.id_of("[SEP]"))
        try:
            self._session = open_graph(graph, weights=weights)
        except Exception as error:  # ONNX Runtime's have no common class
            raise VectorError(f"the graph of {package!r} can't be run: {error}") from error

    def __call__(self, forms: Sequence[str]) -> Floats:
        """Return the vectors [n, E] of forms, at least one."""
        return self._of_pieces([self.wordpiece(visible_characters(form)) for form in forms])

    def of_each_piece(self) -> Floats:
        """Return the vectors [P, E] of all pieces, each read alone."""
        return self._of_pieces([[piece] for piece in range(len(self.wordpiece.names))])

    def _of_pieces(self, cut: Sequence[Sequence[int]]) -> Floats:
        order = sorted(range(len(cut)), key=lambda i: len(cut[i]))
        parts = [self._batch([cut[i] for i in batch]) for batch in _batches(order, cut)]
        result = np.concatenate(parts)
        result[order] = result.copy()
        return result

    def _batch(self, cut: Sequence[Sequence[int]]) -> Floats:
        first, last = self._frame
        pieces = np.array([[first, *ids, last] for ids in cut], np.int64)
        (vectors,) = self._session.run(None, {"pieces": pieces})
        result: Floats = vectors
        return result


def _batches(order: Sequence[int], cut: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield parts of `order`, in which forms of equally many pieces stand together."""
    for _, group in groupby(order, key=lambda i: len(cut[i])):
        same = list(group)
        yield from (same[begin : begin + BATCH] for begin in range(0, len(same), BATCH))


def encoded(table: FormTable) -> FormTable:
    """Return a table whose other forms are read by its transformer, if it has one.

    Raises:
        VectorError: the transformer can't be used; see `FormEncoder`.
    """
    if table.transformer is None:
        return table
    package, graph, projection = table.transformer
    encoder = FormEncoder(package, graph)

    def compute(forms: Sequence[str]) -> Floats:
        vectors = encoder(forms)
        return vectors if projection is None else vectors @ projection

    return replace(table, compute=compute)
