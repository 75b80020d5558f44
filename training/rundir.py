"""A run's directory: its lock, its config, its metrics and report, and the files that it read."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tagbelt.data.checkpoint.artifact import CONFIG, IN_RUN, SUMS, digest_of, write_json
from tagbelt.data.lexicon.encoders import EncoderFiles
from tagbelt.data.lexicon.packages import package_files
from tagbelt.errors import ConfigError, DataError
from tagbelt.model.config import VectorSource
from tagbelt.model.features.vectors import vector_files
from tagbelt.training.config import RunConfig, parse_config
from tagbelt.training.data_config import SPLITS, SourceFile
from tagbelt.training.initial import begun_sources, initial_checkpoint

STATE = "state"
CHECKPOINT = IN_RUN
METRICS = "metrics.jsonl"
BOARD = "tensorboard"
REPORT = "report.json"
FILES = "files.json"
"""The names of what a run leaves in its directory."""

KEYS = {
    "templates": "data.synthesis.templates",
    "vectors": "model.words.vectors",
    "more vectors": "model.vectors",
    "lexicon": "model.lexicon.vectors",
    "text": "distillation.text",
    "teachers": "distillation.teachers",
    "initial": "init_from",
}

Digests = dict[str, dict[str, str]]
"""SHA-256 by file, by what that is there for: a split or one of `KEYS` or `gazetteers`."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other processes from training in a directory; it is let go however this one ends.

    The lock is on the directory itself (`flock`), which is made where there is none, and removed
    if nothing came into it: nothing is left behind.

    Raises:
        ConfigError: another run trains there.
    """
    is_new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{directory}: another process trains here; let it end") from error
        yield
    finally:
        os.close(handle)
        if is_new:
            with suppress(OSError):  # it has files, as it should
                directory.rmdir()


def refuse_ranks(command: str) -> None:
    """Refuse to do under `torchrun` what is no single run.

    Raises:
        ConfigError: this process is one of several that `torchrun` has started.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            f"{command} is not for torchrun, whose processes share one run: start it without"
        )


def parse_saved(value: object, *, place: str) -> RunConfig:
    """Validate a config as a run has written it; what is new since has its default value.

    Raises:
        ConfigError: a setting that there is no more.
    """
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(data, dict):
        splits = {
            split: [_without_defaults(entry) for entry in data[split]]
            for split in ("train", "dev", "test")
            if isinstance(data.get(split), list)
        }
        value = {**value, "data": {**data, **splits}}
    return parse_config(value, place=place)


def _without_defaults(entry: object) -> object:
    """Undo what runs once did: write all defaults into the entry of each file, null among them."""
    if not isinstance(entry, dict) or None not in entry.values():
        return entry
    fields = SourceFile.model_fields.items()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields}
    return {name: item for name, item in entry.items() if item != defaults.get(name, ...)}


def read_saved(directory: Path) -> RunConfig:
    """Read the config of the run in a directory.

    Raises:
        ConfigError: no run there, or a config that can't be read.
    """
    path = directory / CONFIG
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{directory}: no run here ({CONFIG} is missing)") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    return parse_saved(value, place=str(path))


def read_report(directory: Path) -> dict[str, Any] | None:
    """Return the report of a finished run, None for one that is not."""
    try:
        value: dict[str, Any] = json.loads((directory / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or cut short where the run was killed
        return None
    return value


def read_metrics(directory: Path) -> list[dict[str, float]]:
    """Return the metrics of a run's whole epochs, in order.

    Raises:
        ConfigError: a line that says no epoch's metrics; the message names it.
    """
    path = directory / METRICS
    if not path.exists():
        return []
    return [values for _, values in _metrics(path)]


def _metrics(path: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the whole lines of a log, with what they say."""
    lines = path.read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            continue
        try:
            values = json.loads(line)
            values["epoch"] = int(values["epoch"])
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigError(f"{path}:{number}: damaged: no metrics of an epoch") from error
        yield line, values


def differences(before: RunConfig, after: RunConfig, *, but: Set[tuple[str, ...]]) -> list[str]:
    """Return what to say of each setting that differs, apart from those in `but`."""
    found = _differences(before.model_dump(mode="json"), after.model_dump(mode="json"), ())
    return [
        f"{'.'.join(path)} (was {old!r}, is {new!r})" for path, old, new in found if path not in but
    ]


def _differences(
    before: Any, after: Any, path: tuple[str, ...]
) -> list[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        return [
            found
            for key in keys
            for found in _differences(before.get(key), after.get(key), (*path, key))
        ]
    return [] if before == after else [(path, before, after)]


class MetricsLog:
    """Metrics of a run as JSON lines, one object a line, each with its `epoch`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep_until(self, epoch: int) -> None:
        """Drop what a killed run had written of epochs after `epoch`, and a line cut short."""
        if not self.path.exists():
            return
        kept = [line for line, values in _metrics(self.path) if values["epoch"] <= epoch]
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.write_text("".join(kept), encoding="utf-8")
        fresh.replace(self.path)

    def write(self, values: Mapping[str, object]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")


def digests(config: RunConfig, *, only: str | None = None) -> Digests:
    """Return the SHA-256 of every file that a run reads, or of those for `only` that use.

    Files have the names that the config has for them, vectors that of the file. A teacher's is that
    of its checksums, which speak for the rest of it.

    Raises:
        ConfigError: no such file, a root that names an environment variable that is not set, or a
            package of word lists that is not installed.
        VectorError: vectors of a package that is not installed.
    """
    found: Digests = {}
    for use, files in _files(config).items():
        if only in (None, use):
            for name, path in files:
                if not path.is_file():
                    raise ConfigError(f"{KEYS.get(use, f'data.{use}')}: no such file: {path}")
                found.setdefault(use, {})[name] = digest_of(path)
    return found


def _files(config: RunConfig) -> dict[str, Iterable[tuple[str, Path]]]:
    """Return name and path of the files for each use; packages are looked for as one iterates."""
    data, model, distillation = config.data, config.model, config.distillation
    templates = [data.synthesis.templates] if data.synthesis else []
    return {
        **{split: [(f.path, path) for path, f in data.sources(split)] for split in SPLITS},
        "templates": [(name, Path(name)) for name in templates],
        "vectors": _vector_files(model.words.vectors),
        "more vectors": _source_files(model.vectors, begun_sources(config)),
        "lexicon": _vector_files(None if config.init_from else model.lexicon.vectors),
        "fold": _fold_files(model.words.fold),
        "gazetteers": _term_files(config),
        "text": [(text.path, path) for path, text in config.unlabelled()],
        "teachers": [(t, Path(t) / SUMS) for t in (distillation.teachers if distillation else ())],
        "initial": [(n, initial_checkpoint(n) / SUMS) for n in (config.init_from,) if n],
    }


def _vector_files(source: str | None) -> Iterator[tuple[str, Path]]:
    for path in vector_files(source) if source is not None else ():
        yield path.name, path


def _source_files(
    sources: Sequence[VectorSource], begun: Sequence[VectorSource]
) -> Iterator[tuple[str, Path]]:
    for source in sources:
        if source.is_encoder and source in begun:
            continue  # its checkpoint has what it says
        files = EncoderFiles.of if source.is_encoder else vector_files
        for path in files(source.source):
            yield f"{source.source}/{path.name}", path


def _term_files(config: RunConfig) -> Iterator[tuple[str, Path]]:
    for path, terms in config.data.term_lists():
        yield terms.path, path
    for package in sorted({terms.package for terms in config.data.gazetteers if terms.package}):
        for path in _package_files(package):
            yield f"{package}/{path.name}", path


def _fold_files(fold: str | None) -> Iterator[tuple[str, Path]]:
    for path in _package_files("opencc", "model.words.fold") if fold is not None else ():
        yield path.name, path


def _package_files(package: str, key: str = "data.gazetteers") -> list[Path]:
    try:
        return package_files(package)
    except DataError as error:
        raise ConfigError(f"{key}: {error}") from error


def write_digests(directory: Path, found: Digests) -> None:
    """Keep the digests in a run's directory."""
    write_json(directory / FILES, found)


def read_digests(directory: Path) -> Digests:
    """Return the digests that a run has kept; none for a run that kept none."""
    path = directory / FILES
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return {use: {**files} for use, files in value.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{path}: damaged: no list of the files that the run began with"
        ) from error


def check_digests(directory: Path, found: Digests) -> None:
    """Refuse files other than those that the run in `directory` began with.

    Raises:
        ConfigError: a file has changed; the message names it.
    """
    before = read_digests(directory)
    changed = [
        f"{use} file {name}"
        for use, files in found.items()
        for name, digest in files.items()
        if before.get(use, {}).get(name, digest) != digest
    ]
    if changed:
        raise ConfigError(f"{directory}: changed since this run began: {', '.join(changed)}")
