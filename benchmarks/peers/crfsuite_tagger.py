"""CRFsuite, with the word, suffix, shape and context features that its tutorials use."""

import json
import time
from pathlib import Path
from typing import Any

import sklearn_crfsuite
from crfsuite_features import lean_features, sentence_features
from jobs import Jobs
from protocol import read_json, serve, versions


class Peer:
    """A CRF trained once on CoNLL-2003 and kept in a file."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens)
        self._crf: Any = None
        self._features: Any = None

    def train(self, data: str, target: str, iterations: int) -> dict[str, Any]:
        """Train with L-BFGS and keep the model in `target`, unless it is there.

        Both forms of features share it: CRFsuite sees the same names in both.
        """
        about = Path(f"{target}.json")
        if about.exists():
            return read_json(str(about))
        parts = read_json(data)
        crf = sklearn_crfsuite.CRF(
            algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=iterations, model_filename=target
        )
        began = time.perf_counter()
        crf.fit(
            [sentence_features(words) for words, _ in parts["train"]],
            [t for _, t in parts["train"]],
        )
        told = {"iterations": iterations, "seconds": time.perf_counter() - began}
        about.write_text(json.dumps(told), encoding="utf-8")
        return told

    def load(self, threads: int, trained: str, lean: bool) -> dict[str, Any]:
        """Load a trained model; CRFsuite has one thread."""
        if threads != 1:
            raise ValueError("CRFsuite runs on one thread")
        self._features = lean_features if lean else sentence_features
        self._crf = sklearn_crfsuite.CRF(model_filename=trained)
        return {"versions": versions("sklearn-crfsuite", "python-crfsuite")}

    def tokens(self, sentences: list[list[str]], _: int) -> list[list[str]]:
        """One tag a token, feature extraction included."""
        features = self._features
        tag = self._crf.tagger_.tag
        return [tag(features(words)) for words in sentences]


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, "train": peer.train, **peer.jobs.functions()})
