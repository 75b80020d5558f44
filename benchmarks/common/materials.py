"""The material of measurements: sentences, texts and checkpoints, kept in `benchmarks/.cache/`."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.machine import ROOT
from benchmarks.common.record import CACHE, BenchmarkError, tell
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.types import Span

CONLL = "conll2003/{}.txt"
CONLL_COLUMNS = ("token", "pos", "chunk", "tag")
RESUME = "resume/{}.bmes"

QUICK_SENTENCES = 600
QUICK_EPOCHS = 1

Sentences = list[list[str]]


class MaterialError(BenchmarkError):
    """Data that is not there; the message says what to do."""


def data_file(directory: Path | None, name: str) -> Path:
    """A file of the data directory.

    Raises MaterialError where there is none.
    """
    if directory is None:
        raise MaterialError("set TAGBELT_DATA (or give --data): the data sets are not included")
    path = Path(directory) / name
    if not path.exists():
        raise MaterialError(f"no such file: {path}")
    return path


def sentences(directory: Path | None, name: str, *, quick: bool = False) -> Sentences:
    """Token lists of a file; in a quick run some of them, drawn so that lengths stay alike."""
    corpus = read_conll(data_file(directory, name), columns={"token": 0})
    found = [list(sentence.tokens) for sentence in corpus.sentences]
    return sample(found, QUICK_SENTENCES) if quick else found


def gold_spans(
    directory: Path | None, name: str, columns: tuple[str, ...], *, quick: bool = False
) -> list[tuple[Span, ...]]:
    """The entities of the same sentences that `sentences` gives."""
    corpus = read_conll(data_file(directory, name), columns=columns)
    found = [sentence.spans or () for sentence in corpus.sentences]
    return sample(found, QUICK_SENTENCES) if quick else found


def sample(items: list[Any], count: int, seed: int = 0) -> list[Any]:
    """Return `count` of the items (or all), in their order, the same ones each time."""
    if count >= len(items):
        return items
    chosen = random.Random(seed).sample(range(len(items)), count)
    return [items[i] for i in sorted(chosen)]


def tokens_in(items: Sequence[Sequence[str]]) -> int:
    """Count the tokens of sentences."""
    return sum(map(len, items))


def kept(name: str, value: Any) -> Path:
    """Write a value as JSON into the cache, for children to read."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / name
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def checkpoint(
    preset: str,
    given: Path | None,
    data: Path | None,
    *,
    quick: bool,
    changes: Sequence[str] = (),
) -> Path:
    """The checkpoint to measure: the one given, or one trained by a preset (and kept).

    `changes` are settings of the preset, as `train --set` takes them. A quick run trains few
    epochs, which changes accuracy and not the work done.
    """
    if given is not None:
        if not (given / "config.json").exists():
            raise MaterialError(f"{given}: no checkpoint here")
        return given
    values = [change.partition("=")[2] for change in changes]
    run = CACHE / "-".join([preset, *values, *(["quick"] if quick else [])])
    if quick:
        changes = (*changes, f"training.epochs={QUICK_EPOCHS}")
    if not (run / "report.json").exists():
        _train(preset, run, data, changes)
    return run / "checkpoint"


def _train(preset: str, run: Path, data: Path | None, changes: Sequence[str]) -> None:
    if data is None:
        raise MaterialError("set TAGBELT_DATA (or give --data): the data sets are not included")
    tell(f"training {preset} into {run} (once)")
    command = [
        sys.executable,
        "-m",
        "tagbelt",
        "train",
        f"configs/{preset}.toml",
        "--out",
        str(run),
    ]
    command += ["--resume"] if run.exists() else []
    for change in changes:
        command += ["--set", change]
    variables = {**os.environ, "TAGBELT_DATA": str(Path(data).resolve())}
    subprocess.run(command, cwd=ROOT, env=variables, check=True)
