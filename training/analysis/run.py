"""A finished run read back: its config, its metrics, and the files that it is judged on."""

from dataclasses import dataclass
from pathlib import Path

from tagbelt.data.checkpoint.artifact import CONFIG, Header, digest_of
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.training.config import SPLITS, RunConfig, Source, Split
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.corpus.files import check_digests
from tagbelt.training.rundir.saved import CHECKPOINT, read_metrics, read_saved


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
        return [
            Curve(
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
        data = self.config.data.model_copy(update={"root": "", "test": (Source(path=name),)})
        return self._split(self.config.model_copy(update={"data": data}), "test", name)

    def _split(self, config: RunConfig, split: Split, name: str) -> Material:
        sources = config.data.sources(split)
        if not sources:
            raise ConfigError(f"{self.directory}: the run's config names no {split} file")
        files = []
        for path, source in sources:
            if not path.is_file():
                raise ConfigError(f"data.{split}: no such file: {path}")
            files.append(File(source.path, digest_of(path)))
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
