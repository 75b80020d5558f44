"""Tokens a second: tags of tokens, entities of texts, cells, two threads, Chinese, batch sizes.

    python -m benchmarks.speed.throughput [--only tokens texts cells threads chinese] [--quick]

Writes a JSON file each. All of a comparison run interleaved, one at a time, each in its own
process; see `peers/`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.common.materials import (
    CONLL,
    CONLL_COLUMNS,
    RESUME,
    Sentences,
    checkpoint,
    gold_spans,
    sentences,
    tokens_in,
)
from benchmarks.common.measure import ratio
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import RESULTS, Row, tell, write_result
from benchmarks.speed.systems import Opened, Systems, opened, read_json
from benchmarks.speed.taggers import WARM_UP, Rounds, Warmed, compared, row, take_turns, warmed
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.types import Span
from tagbelt.training.scores.evaluate import span_score

BASE = "Tagbelt int8"
BUDGETS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
PEER_BATCHES = (1, 4, 16, 64, 256, 1024)
PEER_SENTENCES = 800
PARTS = ("train", "dev", "test")
CELLS = {
    "lstm": ("model.encoder.cell=lstm",),
    "lstm-coupled": ("model.encoder.cell=lstm-coupled",),
    "gru": ("model.encoder.cell=gru",),
    "gru-150": ("model.encoder.cell=gru", "model.encoder.hidden=150"),
}
"""What is changed of the preset; `accuracy.json` has the F1 of most of them, by these names."""
BRIEFLY = ("training.epochs=1", "optimiser.adversarial=0.0")
LEAST_P = 0.05


@dataclass(frozen=True)
class Run:
    """The settings that all comparisons share."""

    systems: Systems
    test: Sentences
    rounds: Rounds
    results: Path

    def gold(self) -> list[tuple[Span, ...]]:
        """The entities of the test sentences."""
        place = (self.systems.data, CONLL.format("test"), CONLL_COLUMNS)
        return gold_spans(*place, quick=self.systems.quick)

    def write(self, name: str, rows: Sequence[Row], **more: Any) -> None:
        """Record a comparison."""
        settings = {
            "base": BASE,
            "rounds": self.rounds.count,
            "least_seconds": self.rounds.least,
            "quick": self.systems.quick,
            "data": "CoNLL-2003 test",
            "sentences": len(self.test),
            "tokens": tokens_in(self.test),
            "warm_up": WARM_UP,
        }
        write_result(name, settings | more, rows, directory=self.results)


def tokens(run: Run) -> None:
    """Tokens in, tags out, one thread."""
    s = run.systems
    systems = [
        s.tagbelt(BASE),
        s.tagbelt("Tagbelt float32", precision="float32"),
        s.tagbelt("Tagbelt int8, no C kernels", native=False),
        s.spacy_small(),
        s.spacy_trained(),
        s.crfsuite(),
        s.crfsuite(lean=True),
        s.flair(),
        s.flair(characters=False),
        s.tutorial(),
        s.bilstmcrf(),
    ]
    with opened(systems) as children:
        ready = {name: warmed(child, "tokens", run.test) for name, child in children.items()}
        rows = compared(ready, take_turns(ready, run.rounds), BASE)
        for made in rows:
            if made["system"].startswith(("Tagbelt", "CRFsuite", "spaCy, same")):
                made["f1"] = f1(children[made["system"]], run.gold())
    run.write("tokens", rows, threads=1, unit="tokens/s")


def texts(run: Run) -> None:
    """Raw text in, entities with offsets out, one thread; ours carry posteriors."""
    s = run.systems
    systems = [
        s.tagbelt(BASE),
        s.tagbelt("Tagbelt int8, no C kernels", native=False),
        s.spacy_small(),
        s.spacy_trained(),
    ]
    with opened(systems) as children:
        ready = {name: warmed(child, "texts", run.test) for name, child in children.items()}
        rows = compared(ready, take_turns(ready, run.rounds), BASE)
    run.write("texts", rows, threads=1, unit="tokens/s", text="tokens joined by blanks")


def cells(run: Run) -> None:
    """Cells, trained briefly, against CRFsuite's leanest features, one thread.

    The fastest of those that are as good as an LSTM by five seeds is marked as the cheapest.
    """
    s = run.systems
    base = s.crfsuite(lean=True)
    systems = [base]
    for cell, changes in CELLS.items():
        changed = (*BRIEFLY, *changes)
        model = checkpoint("conll2003", None, s.data, quick=s.quick, changes=changed)
        systems.append(replace(s, checkpoint=model).tagbelt(f"Tagbelt int8, {cell}"))
    with opened(systems) as children:
        ready = {name: warmed(child, "tokens", run.test) for name, child in children.items()}
        series = take_turns(ready, run.rounds)
    rows = [row(warm, name, series[name]) for name, warm in ready.items()]
    judged = f1_by_seeds(RESULTS / "accuracy.json")
    for found, cell in zip(rows[1:], CELLS, strict=True):
        found |= {"ratio": ratio(series[found["system"]], series[base.name]), "cell": cell}
        found |= judged.get(cell, {})
    equal = [found for found in rows if found.get("is_equal")]
    max(equal, key=lambda found: float(found["rate"]["median"]))["cheapest"] = True
    run.write("cells", rows, base=base.name, ratio="ours over CRFsuite's", threads=1)


def f1_by_seeds(path: Path) -> dict[str, Row]:
    """The test F1 of cells, in per cent, and whether it is that of an LSTM: significance by seeds
    and by sentences would say that it isn't. See docs/accuracy.md, "Cells".
    """
    found: dict[str, Row] = {}
    prefix = "cell-conll2003-"
    for judged in read_json(path)["rows"]:
        if not judged["row"].startswith(prefix):
            continue
        test = judged.get("against", {}).get("test", {})
        p = [test[kind]["p"] for kind in ("over_seeds", "over_sentences") if kind in test]
        found[judged["row"].removeprefix(prefix)] = {
            "f1": round(100 * judged["f1"]["test"]["default"]["mean"], 2),
            "p": ", ".join(f"{value:.2f}" for value in p),
            "is_equal": not p or max(p) >= LEAST_P,
        }
    return found


def threads(run: Run) -> None:
    """Two threads against one, of one system each."""
    s = run.systems
    pairs = {
        BASE: [s.tagbelt(threads=count) for count in (1, 2)],
        "Tagbelt float32": [s.tagbelt(precision="float32", threads=count) for count in (1, 2)],
        "Tagbelt int8, no C kernels": [s.tagbelt(native=False, threads=n) for n in (1, 2)],
        "torch + pytorch-crf tutorial": [s.tutorial(threads=count) for count in (1, 2)],
    }
    systems = [
        system.named(f"{name}, {system.threads}") for name, pair in pairs.items() for system in pair
    ]
    with opened(systems) as children:
        ready = {name: warmed(child, "tokens", run.test) for name, child in children.items()}
        series = take_turns(ready, run.rounds)
        rows = []
        for name in pairs:
            one, two = f"{name}, 1", f"{name}, 2"
            rows.append(row(ready[one], name, series[one]))
            gain = {"ratio": ratio(series[two], series[one])}
            rows.append(row(ready[two], name, series[two]) | gain)
    run.write("threads", rows, threads="1 and 2", ratio="two threads over one")


def chinese(run: Run) -> None:
    """Characters of Chinese against words of English, each with its own model.

    The Chinese test file is a third of the English one; all files together are thrice as large.
    """
    quick, data = run.systems.quick, run.systems.data
    model = checkpoint("resume", None, data, quick=quick)
    files = {part: sentences(data, RESUME.format(part), quick=quick) for part in PARTS}
    ours = Systems(model, data)
    every = [sentence for part in PARTS for sentence in files[part]]
    items = {
        f"{BASE}, English words": (run.systems, run.test),
        f"{BASE}, Chinese characters": (ours, files["test"]),
        f"{BASE}, Chinese characters, all files": (ours, every),
    }
    with opened([system.tagbelt(name) for name, (system, _) in items.items()]) as children:
        ready = {name: warmed(children[name], "tokens", rows) for name, (_, rows) in items.items()}
        series = take_turns(ready, run.rounds)
        rows = [row(ready[name], name, series[name]) for name in items]
    first, *others = items
    for found, name in zip(rows[1:], others, strict=True):
        found["ratio"] = ratio(series[name], series[first])
    more = {"base": first, "ratio": "Chinese rate over English rate", "threads": 1}
    run.write("chinese", rows, data="CoNLL-2003 test and Resume", **more)


def batch(run: Run) -> None:
    """Rates against the size of a batch, in padded tokens."""
    s = run.systems
    mean = tokens_in(run.test) / len(run.test)
    step = 2 if s.quick else 1
    ours = {budget: f"{BASE}, {budget}" for budget in BUDGETS[::step]}
    peers = [replace(peer, most=PEER_SENTENCES) for peer in (s.spacy_small(), s.tutorial())]
    with opened([s.tagbelt(name, budget=n) for n, name in ours.items()] + peers) as children:
        ready: dict[tuple[str, int], Warmed] = {}
        for budget, name in ours.items():
            ready[BASE, budget] = warmed(children[name], "tokens", run.test)
        for peer, size in product(peers, PEER_BATCHES[::step]):
            warm = warmed(children[peer.name], "tokens", run.test, batch=size)
            ready[peer.name, round(size * mean)] = warm
        series = take_turns({f"{name}, {size}": w for (name, size), w in ready.items()}, run.rounds)
        rows = [
            row(warm, name, series[f"{name}, {size}"]) | {"batch": size}
            for (name, size), warm in ready.items()
        ]
    run.write("batch", rows, threads=1, batch="padded tokens; of peers sentences x mean length")


def f1(system: Opened, gold: Sequence[Sequence[Span]]) -> float:
    """Entity F1, in per cent, of what a system tags on the sentences it was given."""
    found = system.child.call("output", job="tokens")
    spans = [tags_to_spans(row, Scheme.IOB2, on_invalid="repair") for row in found]
    return round(100 * span_score(gold, spans).f1, 2)


COMPARISONS: dict[str, Callable[[Run], None]] = {
    "tokens": tokens,
    "texts": texts,
    "cells": cells,
    "threads": threads,
    "chinese": chinese,
    "batch": batch,
}


def main() -> None:
    """Run all comparisons, or those named."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    given = options.parse_args()
    model = checkpoint("conll2003", given.checkpoint, given.data, quick=given.quick)
    test = sentences(given.data, CONLL.format("test"), quick=given.quick)
    systems = Systems(model, given.data, quick=given.quick)
    run = Run(systems, test, Rounds.of(quick=given.quick), given.results)
    for name in given.only:
        tell(f"throughput: {name}")
        COMPARISONS[name](run)


if __name__ == "__main__":
    run_program(main)
