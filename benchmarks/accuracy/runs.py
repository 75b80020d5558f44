"""Read a row's result from its directory of seeds, and compare it with that of its base."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median
from time import process_time
from typing import Any

from benchmarks.accuracy.plan import Entry, Split
from benchmarks.common.machine import ROOT, machine
from benchmarks.common.record import Row
from tagbelt.data.checkpoint.artifact import SUMS, Header, digest_of
from tagbelt.errors import ConfigError
from tagbelt.inference.checkpoint import has_int8
from tagbelt.inference.tagger import Tagger
from tagbelt.training.config import RunConfig, completed, load_config
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.initial import fitted
from tagbelt.training.run.seeds import MACHINE, seed_directories
from tagbelt.training.rundir import CHECKPOINT, differences, read_digests, read_report, read_saved
from tagbelt.training.scores.compare import ComparedRuns, compare, shared_gold
from tagbelt.training.scores.evaluate import evaluate
from tagbelt.training.scores.significance import welch_test
from tagbelt.training.scores.summary import SeedRun, summarise

SAMPLES = 10_000
REPEATS = 5
ABOUT = {(name,) for name in ("name", "version", "language", "description", "licence", "notes")}
"""Settings that no score depends on."""


def finished(directory: Path) -> tuple[Path, ...]:
    """The runs in a directory of seeds that have come to their end."""
    return tuple(run for run in seed_directories(directory) if read_report(run) is not None)


def fingerprint(runs: Sequence[Path]) -> list[str]:
    """SHA-256 over all files of each run's checkpoint: other runs have others."""
    return [digest_of(run / CHECKPOINT / SUMS) for run in runs]


def config_of(entry: Entry) -> RunConfig:
    """The config that a row is trained with, `init_from` applied; its seed is the first one's."""
    return fitted(load_config(ROOT / entry.config, entry.overrides))


def collect(entry: Entry, runs: Sequence[Path]) -> Row:
    """Read what finished runs, at least one, have left.

    Raises ConfigError where a run was made with other settings than the row's.
    """
    check(entry, runs)
    found = summarise(runs)
    summary = found.as_json()
    return {
        "row": entry.name,
        "command": entry.command,
        "config": entry.config,
        "overrides": list(entry.overrides),
        "collected": {
            "date": datetime.now(UTC).date().isoformat(),
            "commit": machine()["commit"],
        },
        "files": read_digests(runs[0]),
        "weights": _weights(runs[0] / CHECKPOINT),
        "serving": _serving(runs[0], entry.split),
        "f1": summary["f1"],
        "seconds": summary["seconds"],
        "best_on_dev": found.best.seed,
        "runs": [_run(path, seed) for path, seed in zip(runs, found.runs, strict=True)],
        **({"corrected": corrected(entry, runs)} if entry.corrected else {}),
    }


def corrected(entry: Entry, runs: Sequence[Path]) -> Row:
    """Score what finished runs, at least one, find in the corrected test file of a row.

    Raises ConfigError where the file has other tokens than the row's own.
    """
    place = Path(os.path.expandvars(entry.corrected)).resolve()
    instead = (*entry.overrides, f'data.test="{place}"')
    gold, _ = read_split(load_config(ROOT / entry.config, instead), "test")
    test, _ = read_split(config_of(entry), "test")
    if [sentence.tokens for sentence in gold] != [sentence.tokens for sentence in test]:
        raise ConfigError(f"{place}: not the sentences of row {entry.name}'s own test file")
    scores = [evaluate(run / CHECKPOINT, gold, threads=1)["strict"]["micro"] for run in runs]
    found = summarise(runs)
    return {
        "file": digest_of(place),
        "of": fingerprint(runs),
        "runs": [
            {"seed": run.seed, "own": run.f1["test"]["strict"], "scores": score}
            for run, score in zip(found.runs, scores, strict=True)
        ],
    }


def check(entry: Entry, runs: Sequence[Path]) -> None:
    """Refuse runs that are not this row's. Raises ConfigError, which says how they differ."""
    but = {*MACHINE, *ABOUT, ("training", "seed")}
    for run in runs:
        saved = read_saved(run)
        changed = differences(saved, completed(config_of(entry), saved.training), but=but)
        if changed:
            raise ConfigError(f"{run}: not a run of row {entry.name}: {'; '.join(changed)}")


def _run(path: Path, seed: SeedRun) -> dict[str, Any]:
    report = read_report(path) or {}
    header = Header.read(path / CHECKPOINT)
    scores = {
        split: {mode: modes[mode]["micro"] for mode in modes} for split, modes in report.items()
    }
    return {
        "seed": seed.seed,
        "epochs": seed.epochs,
        "seconds": round(seed.seconds, 1),
        "precision": header.precision,
        "temperature": header.temperature,
        "digest": fingerprint([path])[0],
        "scores": scores,
    }


def _weights(checkpoint: Path) -> dict[str, int]:
    """Numbers that were trained, in the whole network and in the recurrent encoder alone.

    The projections of vectors are part of their tables by then, and are not counted.
    """
    from tagbelt.model.checkpoint import load_network

    network, _, _ = load_network(checkpoint)
    return {
        "all": sum(weight.numel() for weight in network.parameters()),
        "encoder": sum(weight.numel() for weight in network.encoder.parameters()),
    }


def _serving(run: Path, split: Split) -> dict[str, float]:
    """Bytes of a checkpoint, and CPU time a token of tagging a split whose words were met before.

    It is that of one thread in 8 bits, where the checkpoint has them.
    """
    checkpoint = run / CHECKPOINT
    tagger = Tagger.load(
        checkpoint, threads=1, precision="int8" if has_int8(checkpoint) else "auto"
    )
    sentences = [sentence.tokens for sentence in read_split(read_saved(run), split)[0]]
    seconds = []
    for _ in range(1 + REPEATS):
        began = process_time()
        tagger.tag_tokens(sentences)
        seconds.append(process_time() - began)
    tokens = sum(map(len, sentences))
    return {
        "bytes": sum(path.stat().st_size for path in checkpoint.iterdir()),
        "microseconds": 1e6 * median(seconds[1:]) / tokens,
    }


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
