"""A text or a token list as the decoder takes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Tokens, Unit


@dataclass(frozen=True, slots=True)
class Reading:
    """One text or token list, cut into sentences, and what is wanted of it.

    `text` is None for a token list, which is one sentence whose `starts` are empty. `tokens` says
    how many tokens there are. `marginals` and `paths`: see `Tagger.read`.
    """

    text: str | None
    sentences: Sequence[Tokens]
    tokens: int
    marginals: bool = False
    paths: int = 0

    def place(self, sentence: Tokens, first: int, end: int) -> tuple[int, int, str]:
        """Start, end and text of the tokens from `first` to `end` of a sentence of this item."""
        if self.text is None:
            return first, end, " ".join(sentence.words[first:end])
        start = sentence.starts[first]
        stop = sentence.starts[end - 1] + len(sentence.words[end - 1])
        return start, stop, self.text[start:stop]


def read(item: str | Sequence[str], unit: Unit, *, marginals: bool, paths: int) -> Reading:
    """Tokenize an item that was checked before."""
    if isinstance(item, str):
        sentences = tokenize(item, unit)
        count = sum(len(sentence.words) for sentence in sentences)
        return Reading(item, sentences, count, marginals, paths)
    return Reading(None, (Tokens(tuple(item), ()),), len(item), marginals, paths)
