"""`tagbelt compare`: two models, or two series of seeds, on the same gold sentences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from tagbelt.data.checkpoint.artifact import CONFIG, SUMS
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.inference.checkpoint import Precision
from tagbelt.inference.tagger import Tagger
from tagbelt.training.config import RunConfig
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.run.seeds import seed_directories
from tagbelt.training.rundir import (
    CHECKPOINT,
    check_digests,
    digests,
    read_digests,
    read_report,
    read_saved,
)
from tagbelt.training.scores.evaluate import judged
from tagbelt.training.scores.significance import (
    Counts,
    Significance,
    count,
    f1_of,
    paired_bootstrap,
    welch_test,
)

JudgedSplit = Literal["dev", "test"]


@dataclass(frozen=True)
class ComparedRuns:
    """One side of a comparison: the checkpoints of a run, of a series of seeds, or a bare one.

    `runs` are the directories of the runs that the checkpoints come from; none for a bare one.
    """

    path: Path
    checkpoints: tuple[Path, ...]
    runs: tuple[Path, ...]

    @cached_property
    def config(self) -> RunConfig:
        """The config of the runs; they differ in their seed alone."""
        return read_saved(self.runs[0])


def open_runs(path: Path) -> ComparedRuns:
    """Open a run, a checkpoint, or the directory of a series of seeds.

    Raises:
        ConfigError: none of them is there, or a seed of the series is not finished.
    """
    path = path.resolve()
    seeds = seed_directories(path)
    if path.name == CHECKPOINT and (path.parent / CONFIG).is_file():
        path = path.parent
    runs = tuple(seeds) or ((path,) if (path / CHECKPOINT).is_dir() else ())
    if not runs and not (path / SUMS).is_file():
        raise ConfigError(f"{path}: neither a run, nor a checkpoint, nor a directory of seeds")
    for run in seeds:
        if read_report(run) is None:
            raise ConfigError(f"{run}: not finished; train it to its end, or remove it")
    return ComparedRuns(path, tuple(run / CHECKPOINT for run in runs) or (path,), runs)


def shared_gold(a: ComparedRuns, b: ComparedRuns, split: JudgedSplit) -> tuple[Sentence, ...]:
    """Return the sentences of a split that both sides were made to be judged on.

    A bare checkpoint is judged on what the other side names.

    Raises:
        ConfigError: two bare checkpoints, no such split, files that differ or have changed since
            a run read them, or that two configs do not read alike.
    """
    sides = [side for side in (a, b) if side.runs]
    if not sides:
        raise ConfigError("two checkpoints do not say what to compare on: give --file")
    files = [_files_of(side, split) for side in sides]
    if files[0] != files[-1]:
        raise ConfigError(
            f"the {split} files differ: {_listed(sides[0], split)}; {_listed(sides[-1], split)}"
        )
    gold = [read_split(side.config, split)[0] for side in sides]
    if _content(gold[0]) != _content(gold[-1]):
        raise ConfigError(
            f"{sides[0].path} and {sides[-1].path} read the same {split} files differently: their"
            " configs differ in `labels`, `sentences` or the columns"
        )
    return gold[0]


def _files_of(side: ComparedRuns, split: JudgedSplit) -> list[str]:
    """Return the SHA-256 of a split's files, in order; they are what the runs have read."""
    found = digests(side.config, only=split)
    if not found:
        raise ConfigError(f"{side.path}: its config names no {split} file")
    for run in side.runs:
        check_digests(run, found)
        if read_saved(run).data != side.config.data:
            raise ConfigError(f"{run}: trained on other data than {side.runs[0]}")
    return list(found[split].values())


def _listed(side: ComparedRuns, split: JudgedSplit) -> str:
    files = (read_digests(side.runs[0]) or digests(side.config, only=split))[split]
    named = ", ".join(f"{name} (SHA-256 {digest[:12]})" for name, digest in files.items())
    return f"{side.path} has {named}"


def _content(sentences: Sequence[Sentence]) -> list[object]:
    return [(s.tokens, s.spans, s.annotates, s.open) for s in sentences]


@dataclass(frozen=True)
class Comparison:
    """F1 in [0, 1] of each model on both sides, and tests of the difference of their means.

    `over_seeds` is None where a side has one model alone.
    """

    a: tuple[float, ...]
    b: tuple[float, ...]
    gold: str
    sentences: int
    entities: int
    samples: int
    over_sentences: Significance
    over_seeds: Significance | None

    @property
    def difference(self) -> float:
        """The mean of b less that of a."""
        return fmean(self.b) - fmean(self.a)

    def as_json(self) -> dict[str, Any]:
        """Return all figures under their names."""
        return {**asdict(self), "difference": self.difference}


def compare(
    a: ComparedRuns,
    b: ComparedRuns,
    gold: Sequence[Sentence],
    name: str,
    *,
    samples: int,
    precision: Precision = "auto",
    threads: int | None = None,
) -> Comparison:
    """Tag the gold sentences with all models and compare the sides; `name` says what they are.

    A span counts that matches exactly in place and label, as in seqeval's micro F1, whose two
    modes agree here.

    Raises:
        ConfigError: no sentence, or one without tags.
    """
    if not gold or any(sentence.spans is None for sentence in gold):
        raise ConfigError(f"{name}: nothing to compare on: no sentences, or some without tags")
    in_a, in_b = (
        [_count(checkpoint, gold, precision, threads) for checkpoint in side.checkpoints]
        for side in (a, b)
    )
    f1_a, f1_b = (tuple(float(f1_of(c.sum(axis=0))) for c in side) for side in (in_a, in_b))
    return Comparison(
        a=f1_a,
        b=f1_b,
        gold=name,
        sentences=len(gold),
        entities=sum(len(sentence.spans or ()) for sentence in gold),
        samples=samples,
        over_sentences=paired_bootstrap(in_a, in_b, samples=samples),
        over_seeds=welch_test(f1_a, f1_b),
    )


def _count(
    checkpoint: Path, gold: Sequence[Sentence], precision: Precision, threads: int | None
) -> Counts:
    tagger = Tagger.load(checkpoint, precision=precision, threads=threads)
    tags = tagger.tag_tokens([sentence.tokens for sentence in gold])
    found = [
        judged(sentence, tags_to_spans(row, Scheme.IOB2))
        for sentence, row in zip(gold, tags, strict=True)
    ]
    return count([sentence.spans or () for sentence in gold], found)


def render(comparison: Comparison, a: Path, b: Path) -> str:
    """Lay a comparison out, in per cent."""
    sides = (("A", a, comparison.a), ("B", b, comparison.b))
    found = comparison
    return "\n".join(
        [
            f"F1 on {found.gold}: {found.sentences:,} sentences, {found.entities:,} entities",
            *(f"  {name}      {_scores(scores)}  {path}" for name, path, scores in sides),
            f"  B - A  {100 * found.difference:+6.2f}",
            f"    over sentences  {_test(found.over_sentences)}"
            f"  paired bootstrap, {found.samples:,} samples",
            f"    over seeds      {_seeds_test(found)}",
        ]
    )


def _scores(scores: Sequence[float]) -> str:
    mean = f"{100 * fmean(scores):6.2f}"
    if len(scores) == 1:
        return mean
    return f"{mean}  sd {100 * stdev(scores):.2f}, {len(scores)} seeds"


def _seeds_test(comparison: Comparison) -> str:
    if comparison.over_seeds is not None:
        return f"{_test(comparison.over_seeds)}  Welch's t-test"
    return "not tested: it takes two seeds or more on each side, that differ"


def _test(test: Significance) -> str:
    return f"95 % {100 * test.low:+.2f} to {100 * test.high:+.2f}  p = {test.p:.4f}"
