"""Entity scores: a fast span F1 for choosing epochs, seqeval for what is reported."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from tagbelt.data.conll.schemes import OUTSIDE, Scheme
from tagbelt.data.types import Span

Mode = Literal["default", "strict"]
MODES: tuple[Mode, ...] = ("strict", "default")


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 in [0, 1], and how many gold entities they speak of."""

    precision: float
    recall: float
    f1: float
    support: int


def span_score(gold: Iterable[Sequence[Span]], found: Iterable[Sequence[Span]]) -> Score:
    """Score spans that match exactly in place and label, all types together.

    On valid tag sequences this equals seqeval in both modes.
    """
    true = total_gold = total_found = 0
    for gold_spans, found_spans in zip(gold, found, strict=True):
        true += len(set(gold_spans) & set(found_spans))
        total_gold += len(gold_spans)
        total_found += len(found_spans)
    return score_of(true, total_gold, total_found)


def score_of(true: int, gold: int, found: int) -> Score:
    """Return the score of counts; 0 where there is nothing to divide by."""
    precision = true / found if found else 0.0
    recall = true / gold if gold else 0.0
    f1 = 2 * true / (gold + found) if gold + found else 0.0
    return Score(precision, recall, f1, gold)


def report(
    gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], mode: Mode
) -> dict[str, Any]:
    """Return seqeval's scores of IOB2 tags: `micro` and by entity type, with how they were made."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    options: dict[str, Any] = {"output_dict": True, "zero_division": 0}
    if mode == "strict":
        options |= {"mode": "strict", "scheme": IOB2}
    rows: Mapping[str, Any] = {}
    if any(tag != OUTSIDE for row in (*gold, *found) for tag in row):  # or seqeval has no mean
        rows = classification_report([list(r) for r in gold], [list(r) for r in found], **options)
    scores = {name: _score(row) for name, row in rows.items()}
    averages = {"micro avg", "macro avg", "weighted avg"}
    return {
        "tool": f"seqeval {version('seqeval')}",
        "mode": mode,
        "scheme": str(Scheme.IOB2),
        "micro": scores.get("micro avg", score_of(0, 0, 0).__dict__),
        "types": {name: score for name, score in scores.items() if name not in averages},
    }


def _score(row: Mapping[str, Any]) -> dict[str, float | int]:
    return {
        "precision": float(row["precision"]),
        "recall": float(row["recall"]),
        "f1": float(row["f1-score"]),
        "support": int(row["support"]),
    }


class MetricsLog:
    """Metrics of a run as JSON lines, one object a line, each with its `epoch`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep_until(self, epoch: int) -> None:
        """Drop what a killed run had written of epochs after `epoch`, and a line cut short."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n") and json.loads(line)["epoch"] <= epoch:
                kept.append(line)
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.write_text("".join(kept), encoding="utf-8")
        fresh.replace(self.path)

    def write(self, values: Mapping[str, object]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")
