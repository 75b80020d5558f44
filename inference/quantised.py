"""The network in bytes, by the compiled kernels: faster than ONNX Runtime where they can run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.crf import IntArray
from inference.lexicon import Found, Lexicon, LexiconUse
from inference.native.quantised import Bytes, QuantisedNetwork
from inference.session import WordVectors


class QuantisedScorer:
    """Scores sentences in 8-bit arithmetic; safe to use from several threads.

    A form's vector is kept as the bytes that the network reads.
    """

    def __init__(self, vectors: WordVectors, network: QuantisedNetwork) -> None:
        """Raises ValueError for vectors of another size than the network's inputs."""
        if vectors.size != network.inputs:
            raise ValueError(
                f"word vectors have {vectors.size} features, the network reads {network.inputs}"
            )

        def row_bytes(forms: Sequence[str]) -> Bytes:
            return network.row_bytes(vectors(forms))

        self._network = network
        self.lexicon = Lexicon(row_bytes, network.inputs, kind=np.uint8)

    def prepare(self, forms: Sequence[str]) -> "PreparedBytes":
        """Look the forms up; those not met before are computed."""
        return PreparedBytes(self._network, self.lexicon.find(forms))

    def lexicon_use(self) -> LexiconUse:
        """Count the forms looked up so far."""
        return self.lexicon.use()


class PreparedBytes:
    """Forms whose bytes are at hand."""

    def __init__(self, network: QuantisedNetwork, found: Found) -> None:
        self._network = network
        self._found = found

    def emissions(self, index: IntArray, lengths: IntArray) -> NDArray[np.float32]:
        """Return scores [T, B, K]; `index` [T, B] into the forms, `lengths` [B] longest first."""
        rows = self._found.rows.take(index)
        return self._network.emissions(self._found.table, rows, lengths)
