"""Is a row better than its base, or was it chance? Over the seeds, and over the sentences."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.accuracy.plan import Split
from benchmarks.accuracy.runs import fingerprint
from benchmarks.common.record import Row
from tagbelt.training.rundir import CHECKPOINT
from tagbelt.training.scores.compare import ComparedRuns, compare, shared_gold
from tagbelt.training.scores.significance import welch_test

SAMPLES = 10_000


def against(row: Row, base: Row, runs: Sequence[Path], bases: Sequence[Path], split: Split) -> Row:
    """Compare a row with its base, of which `runs` and `bases` are the finished runs.

    By split: the difference of mean F1 (strict; the row's less the base's) and Welch's test over
    seeds; for `split` also a paired bootstrap over its sentences.

    Raises ConfigError where the two were judged on different files.
    """
    found: dict[str, Any] = {"base": base["row"], "of": fingerprint([*runs, *bases])}
    for name in row["f1"]:
        values, others = _f1(row, name), _f1(base, name)
        test = welch_test(others, values)
        found[name] = {
            "difference": fmean(values) - fmean(others),
            "over_seeds": test and asdict(test),
        }
    a, b = _side(bases), _side(runs)
    told = compare(a, b, shared_gold(a, b, split), split, samples=SAMPLES)
    found[split] |= {"over_sentences": asdict(told.over_sentences), "samples": SAMPLES}
    return found


def is_current(made: Row | None, runs: Sequence[Path], bases: Sequence[Path]) -> bool:
    """Tell if a comparison that was made before is one of these very runs."""
    return made is not None and made["of"] == fingerprint([*runs, *bases])


def _f1(row: Row, split: str) -> list[float]:
    return [run["scores"][split]["strict"]["f1"] for run in row["runs"]]


def _side(runs: Sequence[Path]) -> ComparedRuns:
    return ComparedRuns(runs[0].parent, tuple(run / CHECKPOINT for run in runs), tuple(runs))
