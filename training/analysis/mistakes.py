"""The worst mistakes: those the model was surest of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tagbelt.data.types import Span
from tagbelt.training.analysis.tagged import Tagged, overlap

Kind = Literal["type", "bounds", "spurious", "missed"]
KINDS: tuple[Kind, ...] = ("type", "bounds", "spurious", "missed")


@dataclass(frozen=True)
class Mistake:
    """One entity that is wrong.

    A predicted one has the `type` wrong (right bounds), the `bounds` wrong (it shares a token
    with a gold one), or is `spurious`; a gold one that no prediction touches is `missed`. `sure`
    is the probability that the model gave to what it said: the posterior of the predicted entity,
    or, of a missed one, the least probability of its tokens to stand outside.
    """

    kind: Kind
    span: Span
    sure: float


@dataclass(frozen=True)
class Wrong:
    """A sentence with mistakes, the surest first."""

    item: Tagged
    mistakes: tuple[Mistake, ...]

    @property
    def sure(self) -> float:
        """How sure the model was of its surest mistake here."""
        return self.mistakes[0].sure


def wrong_sentences(tagged: Iterable[Tagged]) -> list[Wrong]:
    """Return all sentences with mistakes, by their surest one; equally sure ones in file order."""
    found = []
    for item in tagged:
        mistakes = sorted(_mistakes(item), key=lambda mistake: -mistake.sure)
        if mistakes:
            found.append(Wrong(item, tuple(mistakes)))
    return sorted(found, key=lambda wrong: -wrong.sure)


def count_kinds(wrong: Sequence[Wrong]) -> dict[Kind, int]:
    """Count mistakes by kind."""
    kinds = [mistake.kind for sentence in wrong for mistake in sentence.mistakes]
    return {kind: kinds.count(kind) for kind in KINDS}


def _mistakes(item: Tagged) -> Iterator[Mistake]:
    for span, score in zip(item.found, item.scores, strict=True):
        if span not in item.gold:
            yield Mistake(_kind(span, item.gold), span, score)
    for span in item.gold:
        if not any(overlap(span, other) for other in item.found):
            yield Mistake("missed", span, min(item.outside[span.start : span.end], default=0.0))


def _kind(span: Span, gold: Sequence[Span]) -> Kind:
    if any((span.start, span.end) == (other.start, other.end) for other in gold):
        return "type"
    return "bounds" if any(overlap(span, other) for other in gold) else "spurious"
