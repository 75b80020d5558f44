"""The figures of a report: gold and predicted entities side by side, counted in several ways.

By type (which is taken for which), by length and familiarity (scores of groups), and by how sure
the model was of its mistakes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tagbelt.data.conll.schemes import OUTSIDE
from tagbelt.data.types import Sentence, Span, Unit
from tagbelt.inference.tagger import Tagger
from tagbelt.training.scores.evaluate import is_judged, score_of

Kind = Literal["type", "bounds", "spurious", "missed"]
KINDS: tuple[Kind, ...] = ("type", "bounds", "spurious", "missed")

SEEN = "seen with this type"
RETYPED = "seen with others only"
UNSEEN = "unseen"

_BOUNDS: dict[Unit, tuple[int, ...]] = {
    "word": (1, 2, 3, 4, 5),
    "character": (1, 2, 3, 4, 5, 7, 10),
}
"""Where each group of lengths begins; the last one has no end."""


@dataclass(frozen=True)
class JudgedSentence:
    """A sentence with its gold entities and those that the model found.

    `scores` are the posterior probabilities of `found`; `outside` the probability of each token
    to stand outside of entities, which is empty unless it was asked for.
    """

    tokens: tuple[str, ...]
    line: int
    gold: tuple[Span, ...]
    found: tuple[Span, ...]
    scores: tuple[float, ...] = ()
    outside: tuple[float, ...] = ()

    @property
    def true(self) -> set[Span]:
        """The entities found with the right bounds and the right type."""
        return set(self.gold) & set(self.found)

    def words(self, span: Span) -> str:
        """Return the tokens of an entity, joined by spaces."""
        return " ".join(self.tokens[span.start : span.end])


def tag_sentences(
    tagger: Tagger, sentences: Sequence[Sentence], *, marginals: bool = False
) -> list[JudgedSentence]:
    """Tag annotated sentences with the Tagger that serves; `marginals` fills `outside`."""
    tokens = [sentence.tokens for sentence in sentences]
    result = []
    annotations = tagger.annotate_tokens(tokens, marginals=marginals)
    for sentence, annotation in zip(sentences, annotations, strict=True):
        entities = [
            e for e in annotation.entities if is_judged(sentence, Span(e.start, e.end, e.label))
        ]
        result.append(
            JudgedSentence(
                tokens=sentence.tokens,
                line=sentence.line,
                gold=sentence.spans or (),
                found=tuple(Span(e.start, e.end, e.label) for e in entities),
                scores=tuple(e.score for e in entities),
                outside=tuple(row.get(OUTSIDE, 0.0) for row in annotation.marginals or ()),
            )
        )
    return result


def overlap(one: Span, other: Span) -> bool:
    """Tell if two entities share a token."""
    return one.start < other.end and other.start < one.end


@dataclass(frozen=True)
class Confusion:
    """Counts of entities, by type in the order of `labels`.

    `same_bounds[gold][found]` counts predicted entities with the bounds of a gold one. Of the
    other gold entities, `gold_overlapped` share a token with a predicted one and `missed` with
    none; likewise `found_overlapped` and `spurious` of the predicted ones.
    """

    labels: tuple[str, ...]
    same_bounds: tuple[tuple[int, ...], ...]
    gold_overlapped: tuple[int, ...]
    missed: tuple[int, ...]
    found_overlapped: tuple[int, ...]
    spurious: tuple[int, ...]


def confusion(tagged: Sequence[JudgedSentence], labels: Sequence[str]) -> Confusion:
    """Count; `labels` are the model's, those that only gold has are added behind them."""
    others = {span.label for item in tagged for span in item.gold} - set(labels)
    names = (*labels, *sorted(others))
    same: Counter[tuple[str, str]] = Counter()
    alone: dict[str, Counter[str]] = {
        kind: Counter() for kind in ("gold_overlapped", "missed", "found_overlapped", "spurious")
    }
    for item in tagged:
        gold = {(span.start, span.end): span.label for span in item.gold}
        found = {(span.start, span.end): span.label for span in item.found}
        same.update((gold[place], found[place]) for place in gold.keys() & found.keys())
        for span in item.gold:
            if (span.start, span.end) not in found:
                touched = any(overlap(span, other) for other in item.found)
                alone["gold_overlapped" if touched else "missed"][span.label] += 1
        for span in item.found:
            if (span.start, span.end) not in gold:
                touched = any(overlap(span, other) for other in item.gold)
                alone["found_overlapped" if touched else "spurious"][span.label] += 1
    matrix = tuple(tuple(same[row, column] for column in names) for row in names)
    counts = {kind: tuple(counter[name] for name in names) for kind, counter in alone.items()}
    return Confusion(labels=names, same_bounds=matrix, **counts)


@dataclass(frozen=True)
class GroupScore:
    """The scores of one group, in [0, 1]; `gold` and `found` count entities."""

    name: str
    gold: int
    found: int
    precision: float
    recall: float
    f1: float


def by_length(tagged: Sequence[JudgedSentence], unit: Unit) -> list[GroupScore]:
    """Score entities by their number of tokens. Groups without any entity are left out."""
    bounds = _BOUNDS[unit]
    ends = (*bounds[1:], None)
    names = [_span_name(first, end) for first, end in zip(bounds, ends, strict=True)]

    def group(_: JudgedSentence, span: Span) -> str:
        length = span.end - span.start
        return names[sum(length >= bound for bound in bounds) - 1]

    return _rows(tagged, group, names)


def by_familiarity(
    tagged: Sequence[JudgedSentence], surfaces: Mapping[str, set[str]]
) -> list[GroupScore]:
    """Score entities by whether training has any that is written the same, case included.

    A gold entity goes by its gold type and a predicted one by its predicted type, so that a true
    one is in the same group as both.
    """

    def group(item: JudgedSentence, span: Span) -> str:
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
    tagged: Iterable[JudgedSentence],
    group: Callable[[JudgedSentence, Span], str],
    names: Sequence[str],
) -> list[GroupScore]:
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
            rows.append(
                GroupScore(name, gold[name], found[name], score.precision, score.recall, score.f1)
            )
    return rows


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
class WrongSentence:
    """A sentence with mistakes, the surest first."""

    item: JudgedSentence
    mistakes: tuple[Mistake, ...]

    @property
    def sure(self) -> float:
        """How sure the model was of its surest mistake here."""
        return self.mistakes[0].sure


def wrong_sentences(tagged: Iterable[JudgedSentence]) -> list[WrongSentence]:
    """Return all sentences with mistakes, by their surest one; equally sure ones in file order."""
    found = []
    for item in tagged:
        mistakes = sorted(_mistakes(item), key=lambda mistake: -mistake.sure)
        if mistakes:
            found.append(WrongSentence(item, tuple(mistakes)))
    return sorted(found, key=lambda wrong: -wrong.sure)


def count_kinds(wrong: Sequence[WrongSentence]) -> dict[Kind, int]:
    """Count mistakes by kind."""
    kinds = [mistake.kind for sentence in wrong for mistake in sentence.mistakes]
    return {kind: kinds.count(kind) for kind in KINDS}


def _mistakes(item: JudgedSentence) -> Iterator[Mistake]:
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
