"""The catalogue of data sets: what they are, their licence, and where their files are."""

import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tagbelt.data.types import SeparatorName
from tagbelt.errors import DataError

OWN = Path(__file__).with_name("catalogue.toml")
"""The catalogue that comes with Tagbelt."""

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]


class CatalogueFile(BaseModel):
    """One file: the name it is given, where it is, and what it must be. `size` in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    address: Annotated[str, StringConstraints(pattern=r"^https?://")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Entry(BaseModel):
    """One data set. One without files is not fetched; `how` says how to come by it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    language: str
    columns: tuple[str, ...]
    separator: SeparatorName = "whitespace"
    home: str
    licence: str
    notes: str = ""
    how: str = ""
    files: tuple[CatalogueFile, ...] = ()


def read_catalogue(path: Path = OWN) -> dict[str, Entry]:
    """Read a catalogue. Raises DataError for one that is not as it should be."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also of numbers too long, brackets too deep
        raise DataError(f"{path}: is not TOML: {error}") from error
    return {name: _entry(path, name, table) for name, table in tables.items()}


def find_entry(catalogue: dict[str, Entry], name: str) -> Entry:
    """The set of this name, if its files may be fetched. Raises DataError otherwise."""
    entry = catalogue.get(name)
    if entry is None:
        known = ", ".join(n for n, e in catalogue.items() if e.files)
        raise DataError(f"the catalogue has no {name!r}; it has {known}")
    if not entry.files:
        raise DataError(f"{name} is not to be fetched ({entry.licence}). {entry.how}")
    return entry


def file_source(file: CatalogueFile, entry: str, mirror: str | Path | None) -> str | Path:
    """Say where to fetch a file: from its own address, or from a mirror's `ENTRY/NAME`.

    A mirror is an http address, or a folder, which may have the file as `NAME` too. Raises
    DataError for a folder that does not have it.
    """
    if mirror is None:
        return file.address
    if isinstance(mirror, str):
        return f"{mirror.rstrip('/')}/{entry}/{file.name}"
    for path in (mirror / entry / file.name, mirror / file.name):
        if path.is_file():
            return path
    raise DataError(f"{mirror}: has neither {entry}/{file.name} nor {file.name}")


def _entry(path: Path, name: str, table: object) -> Entry:
    if not re.fullmatch(_NAME, name):
        raise DataError(f"{path}: {name!r} cannot be the name of a folder")
    try:
        entry = Entry.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (name, *first["loc"])))
        raise DataError(f"{path}: {where}: {first['msg']}") from error
    names = [file.name for file in entry.files]
    if len(set(names)) < len(names) or not (names or entry.how):
        raise DataError(f"{path}: {name}: needs files of different names, or `how`")
    return entry
