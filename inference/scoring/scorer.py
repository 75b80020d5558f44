"""From tokens to emissions: what decoding needs from a network, and two networks that give it.

Both keep the vectors of word forms in a cache. One runs in ONNX Runtime, the other in bytes by the
compiled kernels, which is faster where they can run.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.checkpoint.vocabulary import Vocabulary, pad, shape_id
from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.native.quantised import QuantisedNetwork
from tagbelt.inference.scoring.context import ContextLookup, ContextRows, check_size
from tagbelt.inference.scoring.vector_cache import (
    FormVectors,
    Table,
    VectorCache,
    VectorCacheUse,
    vector_row,
)

if TYPE_CHECKING:  # slow to import
    from onnxruntime import InferenceSession

FloatArray = NDArray[np.float32]
TokenRows = FormVectors | ContextRows

WORD_BATCH = 4096
"""Forms whose characters are read in one go, to bound the memory that ever-new words take."""


class PreparedTokens(Protocol):
    """Tokens that a scorer has looked up. Must be safe to use from several threads at once."""

    def emissions(self, index: IntArray, lengths: IntArray) -> FloatArray:
        """Return scores [T, B, K] of every tag for every token of B sentences.

        `index` [T, B] says where a sentence's tokens stand among those that were prepared, -1
        after its end; `lengths` [B] are the sentences' tokens, longest first, T of them first,
        none 0. What stands in the result after a sentence's end is never read. A sentence's
        scores must not depend on the others.
        """
        ...


class Scorer(Protocol):
    """Turns tokens into emissions. Must be safe to use from several threads at once."""

    def prepare(self, forms: Sequence[str], lengths: IntArray) -> PreparedTokens:
        """Look up, or compute, what is known of each token; any string is one, "" included.

        They are those of whole sentences of `lengths` tokens (0 for one without), in their order.
        The result holds what it needs, however many other tokens are prepared after it.
        """
        ...

    def count_unknown(self, forms: Sequence[str]) -> int:
        """Return how many of the tokens are not in the vocabulary."""
        ...

    def vector_cache_use(self) -> VectorCacheUse:
        """Count the tokens looked up since it was made, and those of them that were computed."""
        ...


class WordVectors:
    """Computes the vectors of word forms with the graph of a checkpoint."""

    def __init__(
        self,
        words: "InferenceSession",
        embeddings: NDArray[np.float16],
        vocabulary: Vocabulary,
    ) -> None:
        """`embeddings` [V, E] are the rows of the vocabulary's words."""
        self._words = words
        self._embeddings = embeddings
        self._vocabulary = vocabulary
        self._inputs = {node.name for node in words.get_inputs()}
        if ("forms" in self._inputs) != bool(vocabulary.forms):
            raise ValueError(f"it and {len(vocabulary.forms)} tables of forms do not fit")
        (vectors,) = words.get_outputs()
        self.size = int(vectors.shape[1])
        # A graph that can't be run with these embeddings is found now, not by the first text.
        if self(["a"]).shape != (1, self.size):
            raise ValueError(f"its vectors are not of the {self.size} numbers that it declares")

    def fold(self, forms: Sequence[str]) -> Sequence[str]:
        """Return the forms as the network is to read them: what `__call__` takes."""
        return self._vocabulary.fold(forms)

    def __call__(self, forms: Sequence[str]) -> FloatArray:
        """Compute the vectors [n, size] of forms."""
        parts = [
            self._vectors_of(forms[begin : begin + WORD_BATCH])
            for begin in range(0, len(forms), WORD_BATCH)
        ]
        return np.concatenate(parts)

    def count_unknown(self, forms: Sequence[str]) -> int:
        """Return how many of the forms are not in the vocabulary."""
        return self._vocabulary.count_unknown(forms)

    def _vectors_of(self, forms: Sequence[str]) -> FloatArray:
        vocabulary = self._vocabulary
        ids = np.array([vocabulary.word_id(form) for form in forms], dtype=np.intp)
        inputs = {"embeddings": self._embeddings[ids].astype(np.float32)}
        if "characters" in self._inputs:
            characters = [vocabulary.character_ids(form) for form in forms]
            inputs["characters"] = np.array(pad(characters), dtype=np.int64)
            inputs["lengths"] = np.array(list(map(len, characters)), dtype=np.int32)
        if "shapes" in self._inputs:
            inputs["shapes"] = np.array([shape_id(form) for form in forms], dtype=np.int64)
        if vocabulary.forms:
            more = [table.vectors(forms, ids) for table in vocabulary.forms]
            inputs["forms"] = np.concatenate(more, axis=1)
        (vectors,) = self._words.run(None, inputs)
        result: FloatArray = vectors
        return result


def vector_cache(
    vectors: WordVectors,
    context: ContextLookup | None,
    *,
    kind: type[np.float32] | type[np.uint8] = np.float32,
    write: Callable[[Table], Table] = np.asarray,
) -> VectorCache:
    """Make a cache of what `write` makes of the forms' vectors, and of what a context reads."""

    def compute(forms: Sequence[str]) -> Table:
        folded = vectors.fold(forms)
        rows = write(vectors(folded))
        return rows if context is None else context.form_rows(rows, folded)

    row = vector_row(kind, vectors.size)
    return VectorCache(compute, row if context is None else context.form_row(row))


class CachedScorer:
    """Looks tokens up in a cache of vectors, and has a network score their rows.

    The cache keeps a form as it stands in texts, and its vector as the network reads it: `write`
    maps vectors to that `kind`.
    """

    def __init__(
        self,
        vectors: WordVectors,
        context: ContextLookup | None,
        *,
        inputs: int,
        kind: type[np.float32] | type[np.uint8],
        write: Callable[[Table], Table],
        scale: float | None = None,
    ) -> None:
        """Raises ValueError for features of another size than the network's `inputs`."""
        check_size(vectors.size, context, inputs)
        self.vectors = vectors
        self.vector_cache = vector_cache(vectors, context, kind=kind, write=write)
        self._context = None if context is None else context.written(write, scale)

    def prepare(self, forms: Sequence[str], lengths: IntArray) -> PreparedTokens:
        """Look the forms up; those not met before are computed."""
        found = self.vector_cache.find(forms)
        if self._context is None:
            return _PreparedRows(self, found)
        return _PreparedRows(self, self._context.of(found, lengths))

    def count_unknown(self, forms: Sequence[str]) -> int:
        """Return how many of the forms are not in the vocabulary."""
        return self.vectors.count_unknown(forms)

    def vector_cache_use(self) -> VectorCacheUse:
        """Count the forms looked up so far."""
        return self.vector_cache.use()

    def check(self, tags: int) -> None:
        """Score a token, so that files which do not fit together are found before the first text.

        Raises ValueError for another number of tags, and whatever ONNX Runtime raises.
        """
        one = np.ones(1, np.intp)
        shape = self.prepare(["a"], one).emissions(np.zeros((1, 1), np.intp), one).shape
        self.vector_cache.forget()
        if shape != (1, 1, tags):
            raise ValueError(f"the scores of a token have the shape {shape}, not (1, 1, {tags})")

    def score(self, rows: TokenRows, index: IntArray, lengths: IntArray) -> FloatArray:
        """Return scores [T, B, K]; `index` [T, B] into the rows, `lengths` [B] longest first."""
        raise NotImplementedError


class _PreparedRows:
    """Tokens whose rows are at hand."""

    def __init__(self, scorer: CachedScorer, rows: TokenRows) -> None:
        self._scorer = scorer
        self._rows = rows

    def emissions(self, index: IntArray, lengths: IntArray) -> FloatArray:
        return self._scorer.score(self._rows, index, lengths)


class OnnxScorer(CachedScorer):
    """Scores sentences with the graphs of a checkpoint; safe to use from several threads."""

    def __init__(
        self,
        vectors: WordVectors,
        sequence: "InferenceSession",
        context: ContextLookup | None = None,
    ) -> None:
        """Raises ValueError for features of another size than the graph's inputs."""
        (size,) = (node.shape[2] for node in sequence.get_inputs() if node.name == "vectors")
        super().__init__(vectors, context, inputs=int(size), kind=np.float32, write=np.asarray)
        self._sequence = sequence

    def score(self, rows: TokenRows, index: IntArray, lengths: IntArray) -> FloatArray:
        """Return scores [T, B, K]; `index` [T, B] into the rows, `lengths` [B] longest first."""
        inputs = {"vectors": rows.gather(index), "lengths": lengths.astype(np.int32)}
        (scores,) = self._sequence.run(None, inputs)
        result: FloatArray = scores
        return result


class QuantisedScorer(CachedScorer):
    """Scores sentences in 8-bit arithmetic; safe to use from several threads."""

    def __init__(
        self,
        vectors: WordVectors,
        network: QuantisedNetwork,
        context: ContextLookup | None = None,
    ) -> None:
        """Raises ValueError for features of another size than the network's inputs."""
        super().__init__(
            vectors,
            context,
            inputs=network.inputs,
            kind=np.uint8,
            write=network.row_bytes,
            scale=network.scale,
        )
        self._network = network

    def score(self, rows: TokenRows, index: IntArray, lengths: IntArray) -> FloatArray:
        """Return scores [T, B, K]; `index` [T, B] into the rows, `lengths` [B] longest first."""
        return self._network.emissions(*rows.locate(index), lengths)
