"""The network in bytes, by the compiled kernels: faster than ONNX Runtime where they can run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.native.quantised import Bytes, QuantisedNetwork
from tagbelt.inference.scoring.context import Context, InContext, check_size
from tagbelt.inference.scoring.session import WordVectors
from tagbelt.inference.scoring.vector_cache import Found, Lexicon, LexiconUse


class QuantisedScorer:
    """Scores sentences in 8-bit arithmetic; safe to use from several threads.

    A form's vector is kept as the bytes that the network reads.
    """

    def __init__(
        self, vectors: WordVectors, network: QuantisedNetwork, context: Context | None = None
    ) -> None:
        """Raises ValueError for features of another size than the network's inputs."""
        check_size(vectors.size, context, network.inputs)

        def row_bytes(forms: Sequence[str]) -> Bytes:
            return network.row_bytes(vectors(forms))

        self._network = network
        self._context = None if context is None else context.written(network.row_bytes)
        self.lexicon = Lexicon(row_bytes, vectors.size, kind=np.uint8)

    def prepare(
        self, forms: Sequence[str], lengths: IntArray
    ) -> "PreparedBytes | PreparedBytesInContext":
        """Look the forms up; those not met before are computed."""
        found = self.lexicon.find(forms)
        if self._context is None:
            return PreparedBytes(self._network, found)
        return PreparedBytesInContext(self._network, self._context.of(found, forms, lengths))

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


class PreparedBytesInContext:
    """Tokens whose bytes are put together when they are wanted."""

    def __init__(self, network: QuantisedNetwork, tokens: InContext) -> None:
        self._network = network
        self._tokens = tokens

    def emissions(self, index: IntArray, lengths: IntArray) -> NDArray[np.float32]:
        """Return scores [T, B, K]; `index` [T, B] into the tokens, `lengths` [B] longest first."""
        table = self._tokens.gather(index.ravel())
        return self._network.emissions(table, np.arange(index.size).reshape(index.shape), lengths)
