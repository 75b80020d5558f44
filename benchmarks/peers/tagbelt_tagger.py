"""Tagbelt itself, as a child like the others; it runs in our own environment."""

from typing import Any

from jobs import Jobs
from protocol import serve, versions

from tagbelt.inference.checkpoint import load_checkpoint
from tagbelt.inference.native import library
from tagbelt.inference.tagger import Tagger

BATCHED = 0  # Tagbelt makes its batches itself


class Peer:
    """A tagger in one precision, on a number of threads."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens, self.texts, (BATCHED,))
        self._tagger: Tagger | None = None

    def load(
        self, checkpoint: str, threads: int, precision: str = "auto", budget: int | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint; `budget` bounds the padded tokens of a batch, for those who ask."""
        if budget is None:
            self._tagger = Tagger.load(checkpoint, threads=threads, precision=precision)
        else:
            loaded = load_checkpoint(checkpoint, precision=precision)
            self._tagger = Tagger(
                loaded.scorer, loaded.crf, loaded.info, limit=loaded.window, budget=budget
            )
        return {"versions": versions("numpy", "onnxruntime"), "native": library() is not None}

    def tokens(self, sentences: list[list[str]], _: int) -> Any:
        """One tag a token."""
        return self._tagger.tag_tokens(sentences)

    def texts(self, texts: list[str], _: int) -> Any:
        """Entities with offsets and posterior probabilities."""
        return self._tagger.tag(texts)


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, **peer.jobs.functions()})
