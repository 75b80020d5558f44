"""A checkpoint as a directory: which files it holds, its header, its checksums.

The torch side writes it and the torch-free runtime reads it; both take the format from here.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Unit
from tagbelt.errors import CheckpointError

if TYPE_CHECKING:
    from tagbelt.data.checkpoint.form_table import FormTable
    from tagbelt.data.lexicon.gazetteer import Gazetteer
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon

T = TypeVar("T")

FORMAT_VERSION = 1

CONFIG = "config.json"
VOCABULARY = "vocabulary.json"
WEIGHTS = "model.safetensors"
EMBEDDINGS = "embeddings.safetensors"
CRF = "crf.safetensors"
WORDS_GRAPH = "words.onnx"
SEQUENCE_GRAPH = "sequence.onnx"
INT8_GRAPH = "sequence.int8.onnx"
INT8_NETWORK = "network.int8.safetensors"
GAZETTEER = "gazetteer.txt.gz"
LEXICON = "lexicon.txt.gz"
FORMS = "forms.safetensors"
BASELINE = "baseline.json"
CARD = "README.md"
SUMS = "SHA256SUMS"
IN_RUN = "checkpoint"
"""The folder of a training run that its checkpoint lies in."""

NEEDED = (CONFIG, VOCABULARY, EMBEDDINGS, CRF, WORDS_GRAPH, SEQUENCE_GRAPH)
"""The files that serving needs."""

OPTIONAL = (WEIGHTS, INT8_GRAPH, INT8_NETWORK, BASELINE, CARD)
"""Needed to train on, to be faster, to tell when texts have changed, to be read by people."""

CHOICE = "auto"
"""No model's name: a request leaves the choice of a model to the server with it."""

# Bytes of a header: one of a thousand labels has a tenth of it.
_MOST_HEADER = 4_000_000

# What stands in a URL as it is; short enough for name@version to fit a request's `model`.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~+-]{0,98}")

# Gazetteer, lexicon and tables of forms are neither: of a model that has one it can't be left out,
# others have none.


class Header(BaseModel):
    """The content of `config.json`.

    `tags` are the CRF's states in order, in `scheme`; `labels` the entity types. `model` is the
    architecture, which the runtime does not need to know. Sentences of more than `window`
    tokens are scored in overlapping windows. `precision` is the graph that serves by default.
    All scores were divided by `temperature` already, so that posteriors mean what they say.
    `examples` are texts to try it on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    name: str
    version: str = "1"
    language: str = ""
    description: str = ""
    licence: str = ""
    unit: Unit
    scheme: Scheme
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    window: int = Field(default=256, ge=1)
    precision: Literal["float32", "int8"] = "float32"
    temperature: float = Field(default=1.0, gt=0.0)
    model: dict[str, Any]
    metrics: dict[str, float] = Field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read a checkpoint's header.

        Raises:
            CheckpointError: no such file, another format version, or a field that does not fit.
        """
        path = directory / CONFIG
        try:
            if path.stat().st_size > _MOST_HEADER:
                raise CheckpointError(f"{path}: more than {_MOST_HEADER:,} bytes: no header")
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CheckpointError(
                f"{directory}: no checkpoint here ({CONFIG} is missing)"
            ) from error
        except OSError as error:
            raise CheckpointError(f"{path}: can't be read: {error}") from error
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: not JSON: {error}") from error
        version = value.get("format_version") if isinstance(value, dict) else None
        if version is None and isinstance(value, dict) and "data" in value:
            raise CheckpointError(f"{directory}: a training run that has no checkpoint yet")
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: format_version is {version!r}, this Tagbelt reads {FORMAT_VERSION}"
            )
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"{path}: {place}: {first['msg']}") from error


SCORE_BOUNDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Up to which a histogram counts the scores of entities."""


class Baseline(BaseModel):
    """The content of `baseline.json`: what a model finds in texts like those it was made for.

    `unknown` is the share of tokens that are not in the vocabulary, `score` the mean score of
    entities, `scores` the share of those with scores up to each of SCORE_BOUNDS, `entities` how
    many a thousand tokens have by label.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(ge=1)
    unknown: float = Field(ge=0, le=1)
    score: float = Field(ge=0, le=1)
    scores: dict[str, float]
    entities: dict[str, float]

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read a checkpoint's baseline, None if it has none. Raises CheckpointError."""
        path = directory / BASELINE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error


def name_fault(what: str, value: str) -> str | None:
    """Return why a model can't be served under a name or version, None if it can."""
    if not _NAME.fullmatch(value):
        return (
            f"the {what} {value!r} cannot stand in a URL: letters, digits and "
            "._~+- are allowed, up to 99, the first a letter or a digit"
        )
    if what == "name" and value == CHOICE:
        return f"the name {CHOICE!r} is taken: it chooses by language"
    return None


def checkpoint_at(path: Path) -> Path:
    """Return the checkpoint that a path means: a training run's own, else the path itself."""
    inside = path / IN_RUN
    return inside if (inside / CONFIG).is_file() else path


def write_json(path: Path, value: object) -> None:
    """Write a value as readable JSON; a writer that is stopped leaves the old file whole."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def write_vocabulary(directory: Path, vocabulary: Vocabulary) -> None:
    """Write what a model knows: its vocabulary, and what else it has of words and terms."""
    write_json(directory / VOCABULARY, vocabulary.to_json())
    if vocabulary.gazetteer is not None:
        vocabulary.gazetteer.save(directory / GAZETTEER)
    if vocabulary.lexicon is not None:
        vocabulary.lexicon.save(directory / LEXICON)
    if vocabulary.forms:
        from tagbelt.data.checkpoint.form_table import save_tables

        save_tables(vocabulary.forms, directory / FORMS)


def read_vocabulary(directory: Path) -> Vocabulary:
    """Read what `write_vocabulary` wrote.

    Raises:
        CheckpointError: a file that can't be read.
    """
    gazetteer = _if_there(directory / GAZETTEER, _load_gazetteer)
    lexicon = _if_there(directory / LEXICON, _load_lexicon)
    forms = _if_there(directory / FORMS, _load_forms) or ()
    path = directory / VOCABULARY
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Vocabulary.from_json(value, gazetteer=gazetteer, lexicon=lexicon, forms=forms)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _if_there(path: Path, load: Callable[[Path], T]) -> T | None:
    if not path.exists():
        return None
    try:
        return load(path)
    except (OSError, ValueError) as error:  # which name the file
        raise CheckpointError(str(error)) from error
    except (LookupError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error


def _load_gazetteer(path: Path) -> "Gazetteer":
    from tagbelt.data.lexicon.gazetteer import Gazetteer  # whose matcher few models need

    return Gazetteer.load(path)


def _load_lexicon(path: Path) -> "SoftLexicon":
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon  # as above

    return SoftLexicon.load(path)


def _load_forms(path: Path) -> "tuple[FormTable, ...]":
    from tagbelt.data.checkpoint.form_table import load_tables  # as above

    return load_tables(path)


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_sums(directory: Path) -> None:
    """Write `SHA256SUMS` over all files of a checkpoint, in the format of `sha256sum`."""
    files = sorted(path for path in directory.iterdir() if path.name != SUMS)
    lines = (f"{digest_of(path)}  {path.name}\n" for path in files)
    (directory / SUMS).write_text("".join(lines), encoding="utf-8")


def verify_sums(directory: Path) -> str:
    """Check every file against `SHA256SUMS`; return the checkpoint's digest: that of the sums.

    An optional file may be absent, to save space where it is not used.

    Raises:
        CheckpointError: a needed file is missing, or a file is not what the sums say.
    """
    path = directory / SUMS
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise CheckpointError(f"{directory}: {SUMS} is missing") from error
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = [name for name in (GAZETTEER, LEXICON, FORMS) if (directory / name).exists()]
    for name in dict.fromkeys((*NEEDED, *OPTIONAL, *sums, *present)):
        _verify(directory / name, sums.get(name))
    return digest_of(path)


def damage(directory: Path, names: Iterable[str]) -> str | None:
    """Return the fault of a directory that must hold these files as `SHA256SUMS` says, or None."""
    try:
        lines = (directory / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return f"{directory / SUMS} is missing"
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in dict.fromkeys((*names, *sums)):
        path = directory / name
        if not path.is_file():
            return f"{path} is missing"
        if digest_of(path) != sums.get(name):
            return f"{path} is damaged: its SHA-256 is not the one in {SUMS}"
    return None


def _verify(path: Path, digest: str | None) -> None:
    if not path.is_file():
        if path.name in OPTIONAL:
            return
        raise CheckpointError(f"{path.parent}: {path.name} is missing")
    if digest is None:
        raise CheckpointError(f"{path}: {SUMS} does not know it")
    if digest_of(path) != digest:
        raise CheckpointError(f"{path}: damaged: its SHA-256 is not the one in {SUMS}")


@contextmanager
def replaced(directory: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of `directory` once the block has succeeded.

    A writer that is killed leaves the old one whole, or (between two renames) under the name
    `.NAME.old`, from which the next call here puts it back. One writer at a time.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    restore(directory)
    fresh = directory.with_name(f".{directory.name}.new")
    fresh.mkdir()
    try:
        yield fresh
        _sync(fresh)
        if directory.exists():
            directory.rename(_old_name(directory))
        fresh.rename(directory)
        _flush(directory.parent)  # before the old one goes
    finally:
        restore(directory)


def restore(directory: Path) -> None:
    """Undo the half of a replacement that was stopped, and remove what it left behind."""
    old = _old_name(directory)
    if old.exists() and not directory.exists():
        old.rename(directory)
    for rest in (old, directory.with_name(f".{directory.name}.new")):
        shutil.rmtree(rest, ignore_errors=True)


def _old_name(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.old")


def _sync(directory: Path) -> None:
    """Flush files to the disk, so that a power cut can't leave a renamed directory of zeros.

    They become readable to all, as safetensors alone would not have it: a server has its own user.
    """
    for path in directory.iterdir():
        path.chmod(0o644)
        _flush(path)
    _flush(directory)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
