"""What can be compared with what: runs, checkpoints and series of seeds, and their gold data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from tagbelt.data.checkpoint.artifact import CONFIG, SUMS
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.training.config import Layout, RunConfig
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.corpus.files import check_digests, digests, read_digests
from tagbelt.training.corpus.reading import read_source
from tagbelt.training.run.seeds import seed_directories
from tagbelt.training.rundir.saved import CHECKPOINT, read_report, read_saved

Judged = Literal["dev", "test"]


@dataclass(frozen=True)
class Side:
    """What stands on one side: the checkpoints of a run, of a series of seeds, or a bare one.

    `runs` are the directories of the runs that the checkpoints come from; none for a bare one.
    """

    path: Path
    checkpoints: tuple[Path, ...]
    runs: tuple[Path, ...]

    @cached_property
    def config(self) -> RunConfig:
        """The config of the runs; they differ in their seed alone."""
        return read_saved(self.runs[0])


def open_side(path: Path) -> Side:
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
    return Side(path, tuple(run / CHECKPOINT for run in runs) or (path,), runs)


def shared_gold(a: Side, b: Side, split: Judged) -> tuple[Sentence, ...]:
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


def _files_of(side: Side, split: Judged) -> list[str]:
    """Return the SHA-256 of a split's files, in order; they are what the runs have read."""
    found = digests(side.config, only=split)
    if not found:
        raise ConfigError(f"{side.path}: its config names no {split} file")
    for run in side.runs:
        check_digests(run, found)
        if read_saved(run).data != side.config.data:
            raise ConfigError(f"{run}: trained on other data than {side.runs[0]}")
    return list(found[split].values())


def _listed(side: Side, split: Judged) -> str:
    files = (read_digests(side.runs[0]) or digests(side.config, only=split))[split]
    named = ", ".join(f"{name} (SHA-256 {digest[:12]})" for name, digest in files.items())
    return f"{side.path} has {named}"


def _content(sentences: Sequence[Sentence]) -> list[object]:
    return [(sentence.tokens, sentence.spans) for sentence in sentences]


def file_gold(path: Path, layout: Layout) -> tuple[Sentence, ...]:
    """Return the sentences of a file.

    Raises:
        ConllError: it can't be read so.
    """
    return read_source(path, layout).sentences
