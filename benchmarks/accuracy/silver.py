"""Sentences for the bundled English model that its forerunners annotate: self-training.

    python -m benchmarks.accuracy.silver TEACHER... [--sentences N] [--data DIR] [--out DIR]

Writes CoNLL files into the folder of `benchmarks.accuracy.corpora`. `gmb.train`: news in the public
domain (the text of the Groningen Meaning Bank; its labels are not looked at), tagged by all
teachers. What they agree on stays; a token of which they are not sure is `?`. `wikiann.checked`:
WikiANN's sentences, whose noisy marks are `?` where the teachers don't believe them.
"""

import argparse
import csv
import io
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.accuracy.corpora import QUOTES, WORKS, write
from benchmarks.common.machine import ROOT
from benchmarks.common.materials import data_file
from benchmarks.common.options import run
from benchmarks.common.record import tell
from tagbelt.data.conll.partial import joined
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.types import SEPARATORS, Open, Sentence, Span
from tagbelt.inference.tagger import Tagger

TEXT = "gmb/ner_dataset.csv.zip"
SURE = {"entity": 0.6, "outside": 0.85}
"""From which mean probability on an entity, and no entity, is known (0 where one finds none)."""
DOUBTED = 0.15
"""Below which mean probability a mark of a corpus is not believed."""
LENGTHS = range(4, 60)
BLOCK = 2_000


@dataclass(frozen=True)
class Opinion:
    """What teachers say of a sentence: of each token's tags, and of entities, in the mean."""

    tags: Sequence[Counter[str]]
    entities: Counter[Span]


def read_text(path: Path) -> Iterator[list[str]]:
    """Yield the tokens of each sentence of the Groningen Meaning Bank's table."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as stream:
        rows = csv.reader(io.TextIOWrapper(stream, "latin-1", newline=""))
        next(rows)
        tokens: list[str] = []
        for place, word, *_ in rows:
            if place and tokens:
                yield tokens
                tokens = []
            tokens.append("".join(word.split()) or ".")
        yield tokens


def opinions(teachers: Sequence[Tagger], sentences: Sequence[Sequence[str]]) -> Iterator[Opinion]:
    """Yield the mean opinion of the teachers on each sentence."""
    share = 1 / len(teachers)
    for begin in range(0, len(sentences), BLOCK):
        block = [list(tokens) for tokens in sentences[begin : begin + BLOCK]]
        said = [teacher.annotate_tokens(block, marginals=True) for teacher in teachers]
        for annotations in zip(*said, strict=True):
            tags = [Counter[str]() for _ in annotations[0].tokens]
            entities = Counter[Span]()
            for annotation in annotations:
                for total, marginals in zip(tags, annotation.marginals or (), strict=True):
                    for tag, probability in marginals.items():
                        total[tag] += share * probability
                for e in annotation.entities:
                    entities[Span(e.start, e.end, e.label)] += share * e.score
            yield Opinion(tags, entities)


def agreed(tokens: Sequence[str], opinion: Opinion) -> Sentence:
    """Keep the entities and the tokens outside that the teachers are sure of; open the others."""
    sure = (span for span, score in opinion.entities.items() if score >= SURE["entity"])
    spans = tuple(sorted(sure))
    inside = {i for span in spans for i in range(span.start, span.end)}
    unsure = (
        Open(i, i + 1)
        for i, tags in enumerate(opinion.tags)
        if i not in inside and tags["O"] < SURE["outside"]
    )
    return Sentence(tuple(tokens), spans, open=joined(unsure))


def believed(sentence: Sentence, opinion: Opinion) -> Sentence:
    """Open a corpus' entities, and its tokens outside, that the teachers hold for improbable."""
    spans = []
    doubted = []
    for span in sentence.spans or ():
        if opinion.entities[span] >= DOUBTED:
            spans.append(span)
        else:
            doubted += [Open(i, i + 1) for i in range(span.start, span.end)]
    taken = {i for s in sentence.spans or () for i in range(s.start, s.end)}
    taken |= {i for part in sentence.open for i in range(part.start, part.end)}
    doubted += [
        Open(i, i + 1)
        for i, tags in enumerate(opinion.tags)
        if i not in taken and tags["O"] + _misc(tags) < DOUBTED
    ]
    return replace(sentence, spans=tuple(spans), open=joined((*sentence.open, *doubted)))


def _misc(tags: Counter[str]) -> float:
    """The corpus does not speak of MISC: outside its entities it may be one."""
    return tags["B-MISC"] + tags["I-MISC"]


def main() -> None:
    """Read, tag and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("teachers", nargs="+", type=Path)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGBELT_DATA"))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "corpora" / "en")
    given = parser.parse_args()
    teachers = [Tagger.load(path, threads=1) for path in given.teachers]
    text = [t for t in read_text(data_file(given.data, TEXT)) if len(t) in LENGTHS]
    text = list({tuple(tokens): tokens for tokens in text}.values())
    chosen = [text[i * len(text) // given.sentences] for i in range(given.sentences)]
    made = [agreed(t, said) for t, said in zip(chosen, opinions(teachers, chosen), strict=True)]
    write(given.out / "gmb.train.conll", made)
    tell(f"gmb.train: {_counts(made)}")
    made = [*_checked(given.out / "wikiann.train.conll", teachers)]
    works = _checked(given.out / f"{WORKS}.conll", teachers)
    made += [s for s in works if s.spans and not s.open and not QUOTES & {*s.tokens}]
    write(given.out / "wikiann.checked.conll", made)
    tell(f"wikiann.checked: {_counts(made)}")


def _checked(path: Path, teachers: Sequence[Tagger]) -> Iterator[Sentence]:
    corpus = read_conll(path, columns=("token", "tag"), separator=SEPARATORS["tab"]).sentences
    said = opinions(teachers, [sentence.tokens for sentence in corpus])
    return map(believed, corpus, said)


def _counts(sentences: Sequence[Sentence]) -> str:
    entities = sum(len(sentence.spans or ()) for sentence in sentences)
    unknown = sum(part.end - part.start for sentence in sentences for part in sentence.open)
    return f"{len(sentences):,} sentences, {entities:,} entities, {unknown:,} unknown tokens"


if __name__ == "__main__":
    run(main)
