"""Count sentences, tokens, entities and labels of annotated files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tagbelt.data.conll.reading import AnnotatedFile, document_bounds, guess_unit
from tagbelt.data.types import Sentence, Unit


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in tokens: the median, the 95th percentile and the longest; 0 if there are none.

    Percentiles are by nearest rank, so each is a length that occurs.
    """

    median: int
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers of one file.

    `unseen_entities` is the share, in [0, 1], of its entities whose words no earlier file has
    with that label; `unseen_tokens` that of its tokens that no earlier file has. Both are `None`
    for the first file, and where there is nothing to take a share of.
    """

    path: str
    scheme: str | None
    unit: Unit
    documents: int
    sentences: int
    tokens: int
    entities: int
    labels: dict[str, int]
    sentence_lengths: Lengths
    entity_lengths: Lengths
    unseen_entities: float | None
    unseen_tokens: float | None
    faults: int

    def as_json(self) -> dict[str, Any]:
        """The numbers as a JSON value."""
        return asdict(self)


def describe_files(files: Sequence[AnnotatedFile]) -> list[Statistics]:
    """Count what each file holds; those behind the first are compared with all before them."""
    described = []
    entities: set[tuple[str, tuple[str, ...]]] = set()
    tokens: set[str] = set()
    for number, file in enumerate(files):
        forms = [form for sentence in file.sentences for form in _forms(sentence)]
        words = [token for sentence in file.sentences for token in sentence.tokens]
        unseen_entities = _share([form not in entities for form in forms]) if number else None
        unseen_tokens = _share([word not in tokens for word in words]) if number else None
        described.append(_describe(file, forms, words, unseen_entities, unseen_tokens))
        entities.update(forms)
        tokens.update(words)
    return described


def lengths(values: Sequence[int]) -> Lengths:
    """Sum up lengths."""
    if not values:
        return Lengths(0, 0, 0)
    ordered = sorted(values)

    def ranked(percent: int) -> int:
        return ordered[-(-percent * len(ordered) // 100) - 1]

    return Lengths(ranked(50), ranked(95), ordered[-1])


def _describe(
    file: AnnotatedFile,
    forms: list[tuple[str, tuple[str, ...]]],
    words: list[str],
    unseen_entities: float | None,
    unseen_tokens: float | None,
) -> Statistics:
    labels = Counter(label for label, _ in forms)
    return Statistics(
        path=file.raw.path,
        scheme=file.scheme.value if file.scheme else None,
        unit=guess_unit(file.sentences),
        documents=len(document_bounds(file.raw.document_starts, len(file.sentences))),
        sentences=len(file.sentences),
        tokens=len(words),
        entities=len(forms),
        labels=dict(sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))),
        sentence_lengths=lengths([len(s.tokens) for s in file.sentences]),
        entity_lengths=lengths([len(form) for _, form in forms]),
        unseen_entities=unseen_entities,
        unseen_tokens=unseen_tokens,
        faults=len(file.faults),
    )


def _forms(sentence: Sentence) -> list[tuple[str, tuple[str, ...]]]:
    return [(s.label, sentence.tokens[s.start : s.end]) for s in sentence.spans or ()]


def _share(unseen: list[bool]) -> float | None:
    return sum(unseen) / len(unseen) if unseen else None
