"""The files that a run reads, with their SHA-256: what its scores speak of."""

import json
from collections.abc import Iterator
from pathlib import Path

from tagbelt.data.checkpoint.artifact import SUMS, digest_of, write_json
from tagbelt.data.lexicon.packages import package_files
from tagbelt.errors import ConfigError, DataError
from tagbelt.model.features.vectors import vector_files
from tagbelt.training.config import SPLITS, RunConfig

FILES = "files.json"

KEYS = {
    "templates": "data.synthesis.templates",
    "vectors": "model.words.vectors",
    "lexicon": "model.lexicon.vectors",
    "text": "distillation.text",
    "teachers": "distillation.teachers",
}

Digests = dict[str, dict[str, str]]
"""SHA-256 by file, by what that is there for: a split or one of `KEYS` or `gazetteers`."""


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
    for use, name, path in _files(config):
        if only in (None, use):
            if not path.is_file():
                raise ConfigError(f"{KEYS.get(use, f'data.{use}')}: no such file: {path}")
            found.setdefault(use, {})[name] = digest_of(path)
    return found


def _files(config: RunConfig) -> Iterator[tuple[str, str, Path]]:
    for split in SPLITS:
        for path, source in config.data.sources(split):
            yield split, source.path, path
    if config.data.synthesis is not None:
        templates = config.data.synthesis.templates
        yield "templates", templates, Path(templates)
    vectors = {"vectors": config.model.words.vectors, "lexicon": config.model.lexicon.vectors}
    for use, name in vectors.items():
        for path in vector_files(name) if name is not None else ():
            yield use, path.name, path
    for path, terms in config.data.term_lists():
        yield "gazetteers", terms.path, path
    for package in sorted({terms.package for terms in config.data.gazetteers if terms.package}):
        for path in _package_files(package):
            yield "gazetteers", f"{package}/{path.name}", path
    for path, text in config.unlabelled():
        yield "text", text.path, path
    for teacher in config.distillation.teachers if config.distillation else ():
        yield "teachers", teacher, Path(teacher) / SUMS


def _package_files(package: str) -> list[Path]:
    try:
        return package_files(package)
    except DataError as error:
        raise ConfigError(f"data.gazetteers: {error}") from error


def write_digests(directory: Path, found: Digests) -> None:
    """Keep the digests in a run's directory."""
    write_json(directory / FILES, found)


def read_digests(directory: Path) -> Digests:
    """Return the digests that a run has kept; none for a run that kept none."""
    path = directory / FILES
    if not path.exists():
        return {}
    value: Digests = json.loads(path.read_text(encoding="utf-8"))
    return value


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
