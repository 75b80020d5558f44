"""Sentences of a run's own data to try its model on: the page and the command line show them."""

from collections.abc import Iterable, Sequence
from statistics import median

from tagbelt.data.types import Sentence, Unit

COUNT = 4
MOST = {"word": 25, "character": 50}
"""Tokens: a longer sentence is chosen only where all are."""


def choose_examples(sentences: Iterable[Sentence], unit: Unit) -> tuple[str, ...]:
    """Return a few sentences as text that together show as many types as possible.

    Of those that show as many new ones, the one nearest to the middling length is taken.
    """
    found = {s.tokens: s for s in sentences if s.spans}
    left = [s for s in found.values() if len(s.tokens) <= MOST[unit]] or [*found.values()]
    middle = median(len(s.tokens) for s in left) if left else 0
    left.sort(key=lambda s: abs(len(s.tokens) - middle))
    chosen: list[Sentence] = []
    shown: set[str] = set()
    while left and len(chosen) < COUNT:
        best = max(left, key=lambda s: len(_types(s) - shown))
        if not _types(best) - shown:  # all are shown: the rest begins anew
            shown = set()
            best = max(left, key=lambda s: len(_types(s)))
        left.remove(best)
        chosen.append(best)
        shown |= _types(best)
    return tuple(_text(s.tokens, unit) for s in chosen)


def _types(sentence: Sentence) -> set[str]:
    return {span.label for span in sentence.spans or ()}


def _text(tokens: Sequence[str], unit: Unit) -> str:
    return (" " if unit == "word" else "").join(tokens)
