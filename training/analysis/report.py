"""`tagbelt report RUN`: all figures of a run's report, as values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.conll.schemes import Scheme, spans_to_tags
from tagbelt.inference.tagger import Tagger
from tagbelt.training.analysis.confusion import Confusion, confusion
from tagbelt.training.analysis.groups import Row, by_familiarity, by_length
from tagbelt.training.analysis.mistakes import Wrong, count_kinds, wrong_sentences
from tagbelt.training.analysis.run import Curve, FinishedRun, Material
from tagbelt.training.analysis.tagged import Tagged, tag_sentences
from tagbelt.training.scores.metrics import MODES, report
from tagbelt.training.scores.reliability import Reliability, reliability

LIMIT = 0.03
"""A calibration error on dev above this is worth a word."""


@dataclass(frozen=True)
class Report:
    """What the page shows; `wrong` holds all sentences with mistakes, the surest mistake first.

    `scores` are seqeval's, a mode; `dev_error` is the calibration error on dev.
    """

    header: Header
    material: Material
    tokens: int
    entities: int
    curves: tuple[Curve, ...]
    scores: dict[str, Any]
    lengths: tuple[Row, ...]
    familiarity: tuple[Row, ...]
    confusion: Confusion
    calibration: Reliability
    dev_error: float
    wrong: tuple[Wrong, ...]

    @property
    def is_miscalibrated(self) -> bool:
        """Tell if the posteriors on dev are off by more than is good."""
        return self.dev_error > LIMIT


def make_report(run: FinishedRun, on: str | None = None, *, threads: int | None = None) -> Report:
    """Tag what `on` names (see `FinishedRun.material`) and work out every figure.

    Raises:
        ConfigError: a file of the run that is not there, or can't be judged on.
    """
    material = run.material(on)
    surfaces = run.surfaces()
    tagger = Tagger.load(run.checkpoint, threads=threads)
    tagged = tag_sentences(tagger, material.sentences, marginals=True)
    measured = _reliability(tagged)
    dev = measured
    if material.name != "dev":
        dev = _reliability(tag_sentences(tagger, run.material("dev").sentences))
    return Report(
        header=run.header,
        material=material,
        tokens=sum(len(item.tokens) for item in tagged),
        entities=sum(len(item.gold) for item in tagged),
        curves=tuple(run.curves()),
        scores=_scores(tagged),
        lengths=tuple(by_length(tagged, run.config.data.unit)),
        familiarity=tuple(by_familiarity(tagged, surfaces)),
        confusion=confusion(tagged, run.header.labels),
        calibration=measured,
        dev_error=dev.error,
        wrong=tuple(wrong_sentences(tagged)),
    )


def _reliability(tagged: Sequence[Tagged]) -> Reliability:
    """Compare the posterior of each predicted entity with whether gold has exactly that one."""
    scores = [score for item in tagged for score in item.scores]
    right = [span in item.gold for item in tagged for span in item.found]
    return reliability(np.array(scores, np.float64), np.array(right, np.bool_))


def _scores(tagged: Sequence[Tagged]) -> dict[str, Any]:
    gold = [spans_to_tags(item.gold, len(item.tokens), Scheme.IOB2) for item in tagged]
    found = [spans_to_tags(item.found, len(item.tokens), Scheme.IOB2) for item in tagged]
    return {mode: report(gold, found, mode) for mode in MODES}


def as_json(report: Report, mistakes: int) -> dict[str, Any]:
    """Return the report as JSON values, with the worst `mistakes` sentences."""
    material = report.material
    return {
        "name": report.header.name,
        "version": report.header.version,
        "precision": report.header.precision,
        "on": material.name,
        "files": [asdict(file) for file in material.files],
        "sentences": len(material.sentences),
        "tokens": report.tokens,
        "entities": report.entities,
        "curves": [asdict(curve) for curve in report.curves],
        "scores": report.scores,
        "lengths": [asdict(row) for row in report.lengths],
        "familiarity": [asdict(row) for row in report.familiarity],
        "confusion": asdict(report.confusion),
        "calibration": asdict(report.calibration),
        "calibration_error_dev": report.dev_error,
        "kinds_of_mistakes": count_kinds(report.wrong),
        "sentences_with_mistakes": len(report.wrong),
        "worst": [_wrong(wrong) for wrong in report.wrong[:mistakes]],
    }


def _wrong(wrong: Wrong) -> dict[str, Any]:
    item = wrong.item
    found = zip(item.found, item.scores, strict=True)
    return {
        "line": item.line,
        "tokens": list(item.tokens),
        "gold": [asdict(span) for span in item.gold],
        "found": [{**asdict(span), "score": score} for span, score in found],
        "mistakes": [asdict(mistake) for mistake in wrong.mistakes],
    }
