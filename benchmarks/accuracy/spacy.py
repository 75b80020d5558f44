"""The bundled English model beside spaCy's small one, on what both have names for.

    python -m benchmarks.accuracy.spacy [--checkpoint DIR] [--data DIR] [--results DIR]

Both tag the same tokens of CoNLL-2003 test and WNUT-17 test, spaCy with its whole pipeline, in the
environment that `python -m benchmarks.common.environments spacy` makes. Types of gold and spaCy are
mapped to PER, LOC and ORG, and what has no counterpart is left out, on both sides alike.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.common.machine import ROOT
from benchmarks.common.materials import CONLL, CONLL_COLUMNS, data_file, kept, tokens_in
from benchmarks.common.options import run
from benchmarks.common.record import RESULTS, Row, tell, write_result
from benchmarks.speed.systems import System, Systems, opened
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.types import Sentence, Span
from tagbelt.inference.tagger import Tagger
from tagbelt.training.scores.evaluate import span_score
from tagbelt.training.scores.significance import count, paired_bootstrap

NAME = "accuracy_spacy"
LABELS = ("PER", "LOC", "ORG")
SAMPLES = 10_000
BATCH = 64

SPACY = {"PERSON": "PER", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "ORG": "ORG"}
OURS = {label: label for label in LABELS}

Spans = list[tuple[Span, ...]]
Tag = Callable[[list[list[str]]], list[list[str]]]


@dataclass(frozen=True)
class Gold:
    """A test file: how it is read, and what its types are called here."""

    name: str
    file: str
    columns: tuple[str, ...]
    types: Mapping[str, str]


WNUT = {"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG"}
GOLD = (
    Gold("CoNLL-2003 test", CONLL.format("test"), CONLL_COLUMNS, OURS),
    Gold("WNUT-17 test", "wnut17/test.conll", ("token", "tag"), WNUT),
)


def mapped(rows: Sequence[Sequence[Span]], types: Mapping[str, str]) -> Spans:
    """Rename the entities' types; those without a counterpart are left out."""
    return [
        tuple(Span(s.start, s.end, types[s.label]) for s in row if s.label in types) for row in rows
    ]


def scores(gold: Spans, found: Spans) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support, of all and by type."""
    made = {"all": asdict(span_score(gold, found))}
    for label in LABELS:
        sides = (mapped(side, {label: label}) for side in (gold, found))
        made[label] = asdict(span_score(*sides))
    return made


def compared(gold: Gold, sentences: Sequence[Sentence], ours: Tag, spacys: Tag) -> list[Row]:
    """A row for each of the two; ours has the difference, with a paired bootstrap."""
    tokens = [list(sentence.tokens) for sentence in sentences]
    right = mapped([sentence.spans or () for sentence in sentences], gold.types)
    found = {
        "Tagbelt, checkpoints/en": _spans(ours(tokens), OURS),
        "spaCy small": _spans(spacys(tokens), SPACY),
    }
    rows: list[Row] = [
        {
            "set": gold.name,
            "system": system,
            "sentences": len(tokens),
            "tokens": tokens_in(tokens),
            "scores": scores(right, spans),
        }
        for system, spans in found.items()
    ]
    us, them = (count(right, spans) for spans in found.values())
    test = paired_bootstrap([them], [us], samples=SAMPLES)
    difference = rows[0]["scores"]["all"]["f1"] - rows[1]["scores"]["all"]["f1"]
    rows[0] |= {"difference": difference, "over_sentences": asdict(test)}
    return rows


def _spans(tags: Sequence[Sequence[str]], types: Mapping[str, str]) -> Spans:
    return mapped([tags_to_spans(row, Scheme.IOB2) for row in tags], types)


def measure(checkpoint: Path, data: Path | None) -> tuple[list[Row], dict[str, Any]]:
    """All rows, and the versions of what spaCy needs."""
    tagger = Tagger.load(checkpoint, threads=1)
    rows = []
    with opened([_whole(Systems(checkpoint, data))]) as systems:
        (spacy,) = systems.values()

        def tag_by_spacy(tokens: list[list[str]]) -> list[list[str]]:
            path = kept("accuracy-spacy.json", tokens)
            spacy.child.call("read", job="tokens", path=str(path))
            spacy.child.call("warm", job="tokens", batch=BATCH)
            tags: list[list[str]] = spacy.child.call("output", job="tokens")
            return tags

        for gold in GOLD:
            tell(f"tagging {gold.name}")
            corpus = read_conll(data_file(data, gold.file), columns=gold.columns)
            rows += compared(gold, corpus.sentences, tagger.tag_tokens, tag_by_spacy)
    return rows, spacy.about


def _whole(systems: Systems) -> System:
    return replace(systems.spacy_small().named("spaCy small"), options={"whole": True})


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints" / "en")
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGBELT_DATA"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    rows, about = measure(given.checkpoint, given.data)
    mapping = {"spaCy": SPACY, **{gold.name: dict(gold.types) for gold in GOLD}}
    settings = {"mapping": mapping, "samples": SAMPLES, **about}
    write_result(NAME, settings, rows, directory=given.results)


if __name__ == "__main__":
    run(main)
