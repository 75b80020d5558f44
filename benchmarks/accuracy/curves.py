"""Learning curves: what a name and files alone reach on a few sentences of many sets.

    python -m benchmarks.accuracy.curves [--sets NAME ...] [--sizes N ...] [--draws D]
        [--variant NAME --set KEY=VALUE ...] [--data DIR] [--results DIR]

A draw takes N sentences of a set's training file to train on, and a quarter as many others (20 at
least) to choose the epoch by; the score is that on the whole test file. Nothing is configured but
names and files, and characters where tokens are; `--variant` names a change of settings that is
measured beside it. `results/curves.json` is written after every run, and what stands there is not
trained again. The set "shop" is made up (`shop.py`).
"""

import argparse
import hashlib
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.accuracy.shop import write_shop
from benchmarks.common.materials import data_file
from benchmarks.common.options import run
from benchmarks.common.record import RESULTS, Row, tell, write_result
from benchmarks.report.results import read_result
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import SEPARATORS, Sentence
from tagbelt.training.config import load_config
from tagbelt.training.run.train import train
from tagbelt.training.rundir import read_metrics, read_saved

NAME = "curves"
DEFAULTS = "defaults"
SIZES = (25, 50, 100, 200, 500)
FEWEST_DEV = 20
FEWEST_ENTITIES = 5
"""Dev has at least so many sentences, and so many entities."""

LARGEST_SHOP = 1000

BUNDLED_EN = (
    ("wikiann/en/train.conllu", ("index", "token", "tag")),
    ("btc/train.conll", ("token", "tag")),
    ("wnut17/train.conll", ("token", "tag")),
)
"""What the bundled English model was trained on, but for its templates, as its card says."""


@dataclass(frozen=True)
class CurveSet:
    """A set that sentences are drawn of; files are relative to the data directory."""

    language: str
    train: str
    test: str
    columns: tuple[str, ...] = ("token", "tag")
    separator: str = "whitespace"
    is_character: bool = False


SETS = {
    "conll2003": CurveSet(
        "en", "conll2003/train.txt", "conll2003/test.txt", ("token", "pos", "chunk", "tag")
    ),
    "wnut17": CurveSet("en", "wnut17/train.conll", "wnut17/test.conll", separator="tab"),
    "btc": CurveSet("en", "btc/train.conll", "btc/test.conll", separator="tab"),
    "ncbi_disease": CurveSet(
        "en", "ncbi_disease/train.tsv", "ncbi_disease/test.tsv", separator="tab"
    ),
    "conll2002_esp": CurveSet(
        "es", "conll2002_esp/train.txt", "conll2002_esp/test.txt", ("token", "pos", "tag")
    ),
    "wikiann_de": CurveSet(
        "de",
        "wikiann/de/train.conllu",
        "wikiann/de/test.conllu",
        ("index", "token", "tag"),
        "tab",
    ),
    "resume": CurveSet("zh", "resume/train.bmes", "resume/test.bmes", is_character=True),
    "cluener": CurveSet(
        "zh", "cluener/train.txt", "cluener/dev.txt", separator="tab", is_character=True
    ),
    "gum": CurveSet("en", "gum/train.conll", "gum/test.conll", separator="tab"),
    "shop": CurveSet("en", "train.conll", "test.conll"),
}


@cache
def sentences(data: Path | None, name: str, split: str) -> tuple[Sentence, ...]:
    """Read a split of a set; those of the shop are written first."""
    if name == "shop":
        with TemporaryDirectory() as place:
            write_shop(Path(place), train=LARGEST_SHOP)
            return read_conll(Path(place) / f"{split}.conll").sentences
    chosen = SETS[name]
    return read_conll(
        data_file(data, getattr(chosen, split)),
        columns=chosen.columns,
        separator=SEPARATORS[chosen.separator],
        on_invalid="repair",
    ).sentences


def drawn(
    found: Sequence[Sentence], size: int, draw: int
) -> tuple[tuple[Sentence, ...], tuple[Sentence, ...]]:
    """Draw sentences to train on, and others to choose by whose labels training has.

    No sentence is in both; of one that occurs again the first is taken. The same numbers draw the
    same sentences, and a larger size has those of a smaller one.
    """
    pool = list({sentence.tokens: sentence for sentence in reversed(found)}.values())
    random.Random(f"{len(pool)}/{draw}").shuffle(pool)
    train, rest = pool[:size], pool[size:]
    labels = {span.label for sentence in train for span in sentence.spans or ()}
    dev: list[Sentence] = []
    for sentence in rest:
        entities = sum(len(s.spans or ()) for s in dev)
        if len(dev) >= max(FEWEST_DEV, size // 4) and entities >= FEWEST_ENTITIES:
            break
        if all(span.label in labels for span in sentence.spans or ()):
            dev.append(sentence)
    return tuple(train), tuple(dev)


def tables(name: str, root: Path) -> dict[str, Any]:
    """The config of a run: a name and files."""
    files = {split: f"{split}.conll" for split in ("train", "dev", "test")}
    data = {"root": str(root), "separator": "tab", **files}
    if SETS[name].is_character:
        data["unit"] = "character"
    return {"name": name, "data": data}


def measured(
    data: Path | None, name: str, size: int, draw: int, overrides: Sequence[str]
) -> dict[str, Any]:
    """Train on one draw and return what it scores."""
    parts = drawn(sentences(data, name, "train"), size, draw)
    with TemporaryDirectory() as place:
        root = Path(place)
        for split, part in zip(
            ("train", "dev", "test"), (*parts, sentences(data, name, "test")), strict=True
        ):
            write_conll(root / f"{split}.conll", part)
        config = load_config(tables(name, root), [*overrides, f"training.seed={draw}"])
        began = time.process_time()
        scores = train(config, root / "run")
        used = read_saved(root / "run").training
        return {
            "dev_sentences": len(parts[1]),
            "f1": {split: scores[split]["strict"]["micro"]["f1"] for split in scores},
            "epochs": len(read_metrics(root / "run")),
            "batch_size": used.batch_size,
            "cpu_seconds": round(time.process_time() - began, 1),
        }


def overlap(data: Path | None, name: str) -> dict[str, int]:
    """Count the sentences of a set's files whose tokens, by SHA-256, the bundled model has seen."""
    known = {
        _digest(sentence)
        for file, columns in BUNDLED_EN
        for sentence in read_conll(
            data_file(data, file), columns=columns, separator="\t", on_invalid="repair"
        ).sentences
    }
    found = {}
    for split in ("train", "test"):
        own = sentences(data, name, split)
        found[f"{split}_sentences"] = len(own)
        found[f"{split}_seen"] = sum(_digest(sentence) in known for sentence in own)
    return found


def _digest(sentence: Sentence) -> str:
    return hashlib.sha256("\n".join(sentence.tokens).encode("utf-8")).hexdigest()


def keys(given: argparse.Namespace) -> Iterator[Row]:
    """All runs that are asked for, every set once before the next size, all sizes before a draw."""
    for draw, size, name in product(range(1, given.draws + 1), given.sizes, given.sets):
        yield {"variant": given.variant, "set": name, "size": size, "draw": draw}


def main() -> None:
    """Measure what is missing and write after each run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--variant", default=DEFAULTS, help="what the settings of --set are called")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGBELT_DATA"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    if bool(given.overrides) != (given.variant != DEFAULTS):
        parser.error("--variant names what --set changes: give both or neither")
    for key in keys(given):
        rows = (read_result(given.results, NAME) or {"rows": []})["rows"]
        if any(all(row[part] == value for part, value in key.items()) for row in rows):
            continue
        found = measured(given.data, key["set"], key["size"], key["draw"], given.overrides)
        row = {**key, "overrides": given.overrides, **found}
        if SETS[key["set"]].language == "en" and "init_from=en" in given.overrides:
            row["seen_by_init"] = overlap(given.data, key["set"])
        tell(f"{key['set']} {key['size']} draw {key['draw']}: {found['f1']['test']:.1%}")
        write_result(NAME, {}, [*rows, row], directory=given.results)


if __name__ == "__main__":
    run(main)
