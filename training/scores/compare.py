"""`tagbelt compare`: two models, or two series of seeds, on the same gold sentences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.inference.checkpoint import Precision
from tagbelt.inference.tagger import Tagger
from tagbelt.training.scores.compared_runs import Side
from tagbelt.training.scores.significance import (
    Counts,
    Significance,
    count,
    f1_of,
    paired_bootstrap,
    welch_test,
)


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
    a: Side,
    b: Side,
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
    found = [tags_to_spans(row, Scheme.IOB2) for row in tags]
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
