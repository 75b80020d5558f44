"""Tokens a second of training: forward, backward and step, batches of 16, one thread.

    python -m benchmarks.speed.training [--quick]

Every system trains whole epochs over the same sentences, drawn from the training part of
CoNLL-2003, after an epoch to warm up. Ours runs its own trainer, with all that it does in a step.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common.environments import OURS
from benchmarks.common.machine import ROOT
from benchmarks.common.materials import kept, sample
from benchmarks.common.measure import interleaved, ratio, spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.speed.systems import Opened, System, Systems, opened, read_json
from tagbelt.model.config import CELLS

BASE = "Tagbelt lstm"
SENTENCES, QUICK_SENTENCES = 1280, 320
ROUNDS, QUICK_ROUNDS = 5, 2


def main() -> None:
    """Train with all systems in turns and record their rates."""
    given = parser(__doc__).parse_args()
    rounds = QUICK_ROUNDS if given.quick else ROUNDS
    # Nothing here asks for a checkpoint: the systems make networks of their own.
    systems = Systems(Path(), given.data, quick=given.quick)
    pairs = read_json(systems.gold_bioes)["train"]
    chosen = sample(list(range(len(pairs))), QUICK_SENTENCES if given.quick else SENTENCES)
    examples = [pairs[i] for i in chosen]
    tokens = sum(len(words) for words, _ in examples)
    path = kept("training.json", examples)
    peers = _peers(systems)
    with opened([*(_tagbelt(cell, given.data, chosen) for cell in CELLS), *peers]) as children:
        for peer in peers:
            children[peer.name].child.call("read_training", path=str(path))
        rows = measured(children, tokens, rounds)
    settings = {
        **{"base": BASE, "rounds": rounds, "quick": given.quick, "threads": 1, "batch": 16},
        **{"sentences": len(examples), "tokens": tokens, "unit": "tokens/s"},
        "data": "CoNLL-2003 train, a sample",
        "warm_up": "one epoch each",
    }
    write_result("training", settings, rows, directory=given.results)


def measured(children: dict[str, Opened], tokens: int, rounds: int) -> list[Row]:
    """Warm up, take turns, and make a row a system."""
    for name, opened_system in children.items():
        tell(f"warming {name}")
        opened_system.child.call("epoch")
    calls = {name: partial(_rate, child, tokens) for name, child in children.items()}
    series = interleaved(calls, rounds, tell=tell)
    rows = []
    for name, rates in series.items():
        system, about = children[name].system, children[name].about
        row: Row = {
            "system": name,
            "cell": system.options.get("cell", "lstm"),
            "rate": spread(rates),
            "threads": system.threads,
            "versions": about["versions"],
            "note": system.note,
        }
        rows.append(row if name == BASE else row | {"ratio": ratio(series[BASE], rates)})
    return rows


def _rate(opened_system: Opened, tokens: int) -> float:
    seconds: float = opened_system.child.call("epoch")
    return tokens / seconds


def _peers(systems: Systems) -> list[System]:
    own = "embedding 50, BiLSTM 2 x 200, no characters (it has none); its own steps, Adam"
    return [
        replace(systems.tutorial(), note="the same network; DataLoader, random batches, Adam"),
        replace(systems.bilstmcrf(), note=own),
    ]


def _tagbelt(cell: str, data: Path, chosen: list[int]) -> System:
    options: dict[str, Any] = {
        "config": str(ROOT / "configs" / "conll2003.toml"),
        "data": str(Path(data).resolve()),
        "cell": cell,
        "chosen": chosen,
    }
    note = (
        "configs/conll2003.toml with its GloVe table, its own trainer: bucketed batches, clipping"
    )
    return System(f"Tagbelt {cell}", "tagbelt_training.py", OURS, note, options)


if __name__ == "__main__":
    run_program(main)
