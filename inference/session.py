"""The network in ONNX Runtime: words to vectors, sentences to emissions."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Before the import: ONNX Runtime 1.31 reports usage to its maker unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime
from numpy.typing import NDArray

from data.features import pad, shape_id
from data.vocabulary import Vocabulary
from inference.lexicon import Lexicon

FloatArray = NDArray[np.float32]

WORD_BATCH = 4096
"""Forms whose characters are read in one go, to bound the memory that ever-new words take."""


class OnnxScorer:
    """Scores sentences with the two graphs of a checkpoint; safe to use from several threads."""

    def __init__(
        self,
        words: onnxruntime.InferenceSession,
        sequence: onnxruntime.InferenceSession,
        embeddings: NDArray[np.float16],
        vocabulary: Vocabulary,
    ) -> None:
        """`embeddings` [V, E] are the rows of the vocabulary's words."""
        self._words = words
        self._sequence = sequence
        self._embeddings = embeddings
        self._vocabulary = vocabulary
        self._inputs = {node.name for node in words.get_inputs()}
        (vectors,) = words.get_outputs()
        self.lexicon = Lexicon(self.word_vectors, int(vectors.shape[1]))

    def emissions(self, sentences: Sequence[Sequence[str]]) -> FloatArray:
        """Return scores [T, B, K] for B sentences, longest first, none empty."""
        lengths = np.fromiter(map(len, sentences), dtype=np.int32, count=len(sentences))
        steps, count = int(lengths[0]), len(sentences)
        alive = np.arange(steps) < lengths[:, None]  # [B, T]
        row, position = alive.nonzero()
        forms = [form for sentence in sentences for form in sentence]
        vectors = self.lexicon.gather(forms, position * count + row, (steps, count))
        (scores,) = self._sequence.run(None, {"vectors": vectors, "lengths": lengths})
        result: FloatArray = scores
        return result

    def word_vectors(self, forms: Sequence[str]) -> FloatArray:
        """Compute the vectors [n, D] of forms, without the table."""
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


def open_graph(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU with a number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A server that waits must not burn its cores, and neighbours on the machine want them too.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
