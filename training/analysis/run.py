"""A finished run read back: its config, its metrics, and the files that it was judged on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.artifact import CONFIG, Header, digest_of
from data.types import Sentence
from training.config import ConfigError, Layout, RunConfig, parse_config
from training.corpus import Split, read_split
from training.reading import read_source

CHECKPOINT = "checkpoint"
METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Curve:
    """One epoch of the metrics log; precision, recall and F1 are those of dev, in [0, 1]."""

    epoch: int
    loss: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class File:
    """A file that was read, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Material:
    """Annotated sentences to judge a run on, where they came from, and what to call them."""

    name: str
    files: tuple[File, ...]
    sentences: tuple[Sentence, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over all tokens and gold entities: equal for equal sentences, however stored."""
        digest = hashlib.sha256()
        for sentence in self.sentences:
            spans = [[s.start, s.end, s.label] for s in sentence.spans or ()]
            digest.update(json.dumps([sentence.tokens, spans]).encode("utf-8"))
        return digest.hexdigest()


@dataclass(frozen=True)
class FinishedRun:
    """The directory of a run that has a checkpoint, and the config that it was run with."""

    directory: Path
    config: RunConfig

    @property
    def checkpoint(self) -> Path:
        """Where the best epoch's checkpoint stands."""
        return self.directory / CHECKPOINT

    @property
    def header(self) -> Header:
        """What the checkpoint says of itself."""
        return Header.read(self.checkpoint)

    def curves(self) -> list[Curve]:
        """Return the metrics of all whole epochs; none where the log is gone."""
        path = self.directory / METRICS
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        return [
            Curve(
                row["epoch"],
                row["train/loss"],
                row["dev/precision"],
                row["dev/recall"],
                row["dev/f1"],
            )
            for row in rows
        ]

    def material(self, on: str | None = None) -> Material:
        """Read what `on` names: dev, test, or a file in the layout of the config's own files.

        None is test, or dev for a run without one.

        Raises:
            ConfigError: no such split or file, or no entity's tags in it.
        """
        name = on or ("test" if self.config.data.test else "dev")
        if name == "dev":
            return self._split("dev")
        if name == "test":
            return self._split("test")
        return self._file(Path(name))

    def _split(self, split: Split) -> Material:
        sources = self.config.data.sources(split)
        if not sources:
            raise ConfigError(f"{self.directory}: the run's config names no {split} file")
        for path, _ in sources:
            if not path.exists():
                raise ConfigError(f"data.{split}: no such file: {path}")
        files = tuple(File(str(path), digest_of(path)) for path, _ in sources)
        return Material(split, files, _tagged(read_split(self.config, split)[0], split))

    def _file(self, path: Path) -> Material:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; say dev, test or a file with gold tags")
        sentences = read_source(path, self.config.data).sentences
        file = File(str(path), digest_of(path))
        return Material(str(path), (file,), _tagged(sentences, str(path)))

    def surfaces(self) -> dict[str, set[str]]:
        """Return how entities are written in the training files, and the types each has there."""
        found: dict[str, set[str]] = {}
        for sentence in self._split("train").sentences:
            for span in sentence.spans or ():
                words = " ".join(sentence.tokens[span.start : span.end])
                found.setdefault(words, set()).add(span.label)
        return found


def load_run(directory: Path) -> FinishedRun:
    """Open a run's directory.

    Raises:
        ConfigError: no run there, or one that has no checkpoint yet.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise ConfigError(f"{directory}: no run here ({CONFIG} is missing)")
    if not (directory / CHECKPOINT / CONFIG).is_file():
        raise ConfigError(f"{directory}: no finished run here ({CHECKPOINT}/ is missing)")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    for split in ("train", "dev", "test"):
        value["data"][split] = [_own_settings(source) for source in value["data"][split]]
    return FinishedRun(directory, parse_config(value, place=str(path)))


def _own_settings(source: Mapping[str, object]) -> dict[str, object]:
    """Drop the defaults that runs once wrote for each file, before the settings of all."""
    defaults = Layout().model_dump(mode="json")
    if not defaults.keys() <= source.keys():
        return dict(source)
    return {key: value for key, value in source.items() if value != defaults.get(key, ...)}


def _tagged(sentences: Sequence[Sentence], place: str) -> tuple[Sentence, ...]:
    unlabelled = next((s for s in sentences if s.spans is None), None)
    if unlabelled is not None:
        raise ConfigError(f"{place}:{unlabelled.line}: a sentence without tags can't be judged on")
    if not sentences:
        raise ConfigError(f"{place}: no sentence to judge on")
    return tuple(sentences)
