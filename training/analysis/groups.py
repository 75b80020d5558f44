"""Scores of groups of entities: by length, and by whether training had seen them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tagbelt.data.types import Span, Unit
from tagbelt.training.analysis.tagged import Tagged
from tagbelt.training.scores.metrics import score_of

SEEN = "seen with this type"
RETYPED = "seen with others only"
UNSEEN = "unseen"

_BOUNDS: dict[Unit, tuple[int, ...]] = {
    "word": (1, 2, 3, 4, 5),
    "character": (1, 2, 3, 4, 5, 7, 10),
}
"""Where each group of lengths begins; the last one has no end."""


@dataclass(frozen=True)
class Row:
    """The scores of one group, in [0, 1]; `gold` and `found` count entities."""

    name: str
    gold: int
    found: int
    precision: float
    recall: float
    f1: float


def by_length(tagged: Sequence[Tagged], unit: Unit) -> list[Row]:
    """Score entities by their number of tokens. Groups without any entity are left out."""
    bounds = _BOUNDS[unit]
    ends = (*bounds[1:], None)
    names = [_span_name(first, end) for first, end in zip(bounds, ends, strict=True)]

    def group(_: Tagged, span: Span) -> str:
        length = span.end - span.start
        return names[sum(length >= bound for bound in bounds) - 1]

    return _rows(tagged, group, names)


def by_familiarity(tagged: Sequence[Tagged], surfaces: Mapping[str, set[str]]) -> list[Row]:
    """Score entities by whether training has any that is written the same, case included.

    A gold entity goes by its gold type and a predicted one by its predicted type, so that a true
    one is in the same group as both.
    """

    def group(item: Tagged, span: Span) -> str:
        labels = surfaces.get(item.words(span))
        if not labels:
            return UNSEEN
        return SEEN if span.label in labels else RETYPED

    return _rows(tagged, group, (SEEN, RETYPED, UNSEEN))


def _span_name(first: int, end: int | None) -> str:
    if end is None:
        return f"{first} or more"
    return str(first) if end == first + 1 else f"{first} to {end - 1}"


def _rows(
    tagged: Iterable[Tagged], group: Callable[[Tagged, Span], str], names: Sequence[str]
) -> list[Row]:
    gold: Counter[str] = Counter()
    found: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for item in tagged:
        gold.update(group(item, span) for span in item.gold)
        found.update(group(item, span) for span in item.found)
        true.update(group(item, span) for span in item.true)
    rows = []
    for name in names:
        if gold[name] or found[name]:
            score = score_of(true[name], gold[name], found[name])
            rows.append(Row(name, gold[name], found[name], score.precision, score.recall, score.f1))
    return rows
