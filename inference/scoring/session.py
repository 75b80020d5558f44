"""The network in ONNX Runtime: words to vectors, sentences to emissions."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Before the import: ONNX Runtime 1.31 reports usage to its maker unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime
from numpy.typing import NDArray

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.text.features import pad, shape_id
from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.scoring.context import Context, InContext, check_size
from tagbelt.inference.scoring.vector_cache import Found, Lexicon, LexiconUse

FloatArray = NDArray[np.float32]

WORD_BATCH = 4096
"""Forms whose characters are read in one go, to bound the memory that ever-new words take."""


class WordVectors:
    """Computes the vectors of word forms with the graph of a checkpoint."""

    def __init__(
        self,
        words: onnxruntime.InferenceSession,
        embeddings: NDArray[np.float16],
        vocabulary: Vocabulary,
    ) -> None:
        """`embeddings` [V, E] are the rows of the vocabulary's words."""
        self._words = words
        self._embeddings = embeddings
        self._vocabulary = vocabulary
        self._inputs = {node.name for node in words.get_inputs()}
        (vectors,) = words.get_outputs()
        self.size = int(vectors.shape[1])

    def __call__(self, forms: Sequence[str]) -> FloatArray:
        """Compute the vectors [n, size] of forms."""
        parts = [
            self._vectors_of(forms[begin : begin + WORD_BATCH])
            for begin in range(0, len(forms), WORD_BATCH)
        ]
        return np.concatenate(parts)

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
        (vectors,) = self._words.run(None, inputs)
        result: FloatArray = vectors
        return result


class OnnxScorer:
    """Scores sentences with the graphs of a checkpoint; safe to use from several threads."""

    def __init__(
        self,
        vectors: WordVectors,
        sequence: onnxruntime.InferenceSession,
        context: Context | None = None,
    ) -> None:
        """Raises ValueError for features of another size than the graph's inputs."""
        check_size(vectors.size, context, _row_size(sequence))
        self._sequence = sequence
        self._context = context
        self.vectors = vectors
        self.lexicon = Lexicon(vectors, vectors.size)

    def prepare(self, forms: Sequence[str], lengths: IntArray) -> "PreparedForms":
        """Look the forms up; those not met before are computed."""
        found = self.lexicon.find(forms)
        if self._context is None:
            return PreparedForms(self._sequence, found)
        return PreparedForms(self._sequence, self._context.of(found, forms, lengths))

    def lexicon_use(self) -> LexiconUse:
        """Count the forms looked up so far."""
        return self.lexicon.use()


class PreparedForms:
    """Tokens whose rows are at hand."""

    def __init__(self, sequence: onnxruntime.InferenceSession, found: Found | InContext) -> None:
        self._sequence = sequence
        self._found = found

    def emissions(self, index: IntArray, lengths: IntArray) -> FloatArray:
        """Return scores [T, B, K]; `index` [T, B] into the tokens, `lengths` [B] longest first."""
        inputs = {"vectors": self._found.gather(index), "lengths": lengths.astype(np.int32)}
        (scores,) = self._sequence.run(None, inputs)
        result: FloatArray = scores
        return result


def _row_size(sequence: onnxruntime.InferenceSession) -> int:
    (size,) = (node.shape[2] for node in sequence.get_inputs() if node.name == "vectors")
    return int(size)


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU, to be run by the thread that calls it and no other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
