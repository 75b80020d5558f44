"""`tagbelt report RUN`: a finished run read back, and all figures of its report, as values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagbelt.data.checkpoint.artifact import CONFIG, Header, digest_of
from tagbelt.data.conll.schemes import Scheme, spans_to_tags
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.inference.tagger import Tagger
from tagbelt.training.analysis.figures import (
    Confusion,
    GroupScore,
    JudgedSentence,
    WrongSentence,
    by_familiarity,
    by_length,
    confusion,
    count_kinds,
    tag_sentences,
    wrong_sentences,
)
from tagbelt.training.config import RunConfig
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.data_config import SPLITS, SourceFile, Split
from tagbelt.training.rundir import CHECKPOINT, check_digests, read_metrics, read_saved
from tagbelt.training.scores.calibration import Reliability, reliability
from tagbelt.training.scores.evaluate import MODES, Scores, report

LIMIT = 0.03
"""A calibration error on dev above this is worth a word."""


@dataclass(frozen=True)
class EpochScores:
    """One epoch of the metrics log; precision, recall and F1 are those of dev, in [0, 1]."""

    epoch: int
    loss: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class JudgedFile:
    """A file that was read, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Material:
    """Annotated sentences to judge a run on, where they came from, and what to call them."""

    name: str
    files: tuple[JudgedFile, ...]
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class FinishedRun:
    """The directory of a run that has a checkpoint, and the config that it was run with."""

    directory: Path
    config: RunConfig

    @property
    def checkpoint(self) -> Path:
        """The directory of the best epoch's checkpoint."""
        return self.directory / CHECKPOINT

    @property
    def header(self) -> Header:
        """The header of the checkpoint."""
        return Header.read(self.checkpoint)

    def epochs(self) -> list[EpochScores]:
        """Return the metrics of all whole epochs; none where the log is gone."""
        return [
            EpochScores(
                int(row["epoch"]),
                row["train/loss"],
                row["dev/precision"],
                row["dev/recall"],
                row["dev/f1"],
            )
            for row in read_metrics(self.directory)
        ]

    def material(self, on: str | None = None) -> Material:
        """Read what `on` names: dev, test, or a file in the layout of the config's own files.

        None is test, or dev for a run without one.

        Raises:
            ConfigError: no such split or file, another than the run had, or one without sentences.
        """
        name = on or ("test" if self.config.data.test else "dev")
        if name in SPLITS:
            return self._split(self.config, name, name)
        if not Path(name).is_file():
            raise ConfigError(f"{name}: no such file; say dev, test or a file with gold tags")
        data = self.config.data.model_copy(update={"root": "", "test": (SourceFile(path=name),)})
        return self._split(self.config.model_copy(update={"data": data}), "test", name)

    def _split(self, config: RunConfig, split: Split, name: str) -> Material:
        sources = config.data.sources(split)
        if not sources:
            raise ConfigError(f"{self.directory}: the run's config names no {split} file")
        files = []
        for path, source in sources:
            if not path.is_file():
                raise ConfigError(f"data.{split}: no such file: {path}")
            files.append(JudgedFile(source.path, digest_of(path)))
        if name == split:
            check_digests(self.directory, {split: {file.path: file.sha256 for file in files}})
        sentences, _ = read_split(config, split)
        if not sentences:
            raise ConfigError(f"{name}: no sentence to judge on")
        return Material(name, tuple(files), sentences)

    def surfaces(self) -> dict[str, set[str]]:
        """Return how entities are written in the training files, and the types each has there."""
        found: dict[str, set[str]] = {}
        for sentence in self._split(self.config, "train", "train").sentences:
            for span in sentence.spans or ():
                words = " ".join(sentence.tokens[span.start : span.end])
                found.setdefault(words, set()).add(span.label)
        return found


def load_run(directory: Path) -> FinishedRun:
    """Open a run's directory.

    Raises:
        ConfigError: no run there, or one that has no checkpoint yet.
    """
    config = read_saved(directory)
    if not (directory / CHECKPOINT / CONFIG).is_file():
        raise ConfigError(f"{directory}: no finished run here ({CHECKPOINT}/ is missing)")
    return FinishedRun(directory, config)


@dataclass(frozen=True)
class RunReport:
    """The figures of a run; `wrong` holds all sentences with mistakes, the surest mistake first.

    `scores` are seqeval's, a mode; `dev_error` is the calibration error on dev.
    """

    header: Header
    material: Material
    tokens: int
    entities: int
    epochs: tuple[EpochScores, ...]
    scores: Scores
    lengths: tuple[GroupScore, ...]
    familiarity: tuple[GroupScore, ...]
    confusion: Confusion
    calibration: Reliability
    dev_error: float
    wrong: tuple[WrongSentence, ...]

    @property
    def is_miscalibrated(self) -> bool:
        """Tell if the posteriors on dev are off by more than is good."""
        return self.dev_error > LIMIT


def make_report(
    run: FinishedRun, on: str | None = None, *, threads: int | None = None
) -> RunReport:
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
    return RunReport(
        header=run.header,
        material=material,
        tokens=sum(len(item.tokens) for item in tagged),
        entities=sum(len(item.gold) for item in tagged),
        epochs=tuple(run.epochs()),
        scores=_scores(tagged),
        lengths=tuple(by_length(tagged, run.config.data.unit)),
        familiarity=tuple(by_familiarity(tagged, surfaces)),
        confusion=confusion(tagged, run.header.labels),
        calibration=measured,
        dev_error=dev.error,
        wrong=tuple(wrong_sentences(tagged)),
    )


def _reliability(tagged: Sequence[JudgedSentence]) -> Reliability:
    """Compare the posterior of each predicted entity with whether gold has exactly that one."""
    scores = [score for item in tagged for score in item.scores]
    right = [span in item.gold for item in tagged for span in item.found]
    return reliability(np.array(scores, np.float64), np.array(right, np.bool_))


def _scores(tagged: Sequence[JudgedSentence]) -> Scores:
    gold = [spans_to_tags(item.gold, len(item.tokens), Scheme.IOB2) for item in tagged]
    found = [spans_to_tags(item.found, len(item.tokens), Scheme.IOB2) for item in tagged]
    return {mode: report(gold, found, mode) for mode in MODES}


def as_json(report: RunReport, mistakes: int) -> dict[str, Any]:
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
        "curves": [asdict(epoch) for epoch in report.epochs],
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


def _wrong(wrong: WrongSentence) -> dict[str, Any]:
    item = wrong.item
    found = zip(item.found, item.scores, strict=True)
    return {
        "line": item.line,
        "tokens": list(item.tokens),
        "gold": [asdict(span) for span in item.gold],
        "found": [{**asdict(span), "score": score} for span, score in found],
        "mistakes": [asdict(mistake) for mistake in wrong.mistakes],
    }
