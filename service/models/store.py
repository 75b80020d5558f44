"""The checkpoints on the disk, and the names by which requests call them."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tagbelt.data.checkpoint.artifact import (
    CONFIG,
    SUMS,
    Header,
    checkpoint_at,
    digest_of,
    name_fault,
)
from tagbelt.errors import CheckpointError

Versions = Literal["latest", "all"]

_RUN = re.compile(r"[0-9]+|[^0-9]+")
# The writers of checkpoints and copying programs use such names for what is not whole yet, or no
# longer; file systems for what is theirs.
_PASSED_OVER = (".", "tmp", "lost+found")


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint on the disk, and the name and version that it is served under."""

    name: str
    version: str
    path: Path

    @property
    def full_name(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"

    def digest(self) -> str:
        """The checkpoint's SHA-256 in hex, as its sums have it now. Raises CheckpointError."""
        try:
            return digest_of(self.path / SUMS)
        except OSError as error:
            raise CheckpointError(f"{self.path}: {SUMS} is missing") from error


@dataclass(frozen=True, slots=True)
class Refusal:
    """A folder that holds a checkpoint which cannot be served, or that cannot be read.

    `label` is its path from the root of the store; `reason` names the whole path.
    """

    path: Path
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """The checkpoints that were found: by name, then version, older ones first."""

    places: tuple[Place, ...]
    refusals: tuple[Refusal, ...] = ()


class Store:
    """A checkpoint, or a folder with checkpoints in it as `x/` or as `name/version/`.

    The directory of a training run stands for the checkpoint in it.

    The header of a checkpoint names it, unless it lies at `name/version/`: then the folders do.
    Folders whose names begin with a dot or with tmp are passed over.
    """

    def __init__(self, root: Path) -> None:
        self.root = checkpoint_at(root)

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a single checkpoint, and no folder of them."""
        return _holds(self.root)

    def scan(self) -> Scan:
        """Look at the disk. Raises FileNotFoundError when nothing is there, and other OSErrors."""
        found: list[Place] = []
        refusals: list[Refusal] = []
        if self.is_checkpoint:
            self._add(self.root, False, found, refusals)
        else:
            for folder in _folders(self.root):
                self._look_into(folder, found, refusals)
        if not found and not refusals:
            raise FileNotFoundError(
                f"no checkpoint at {self.root}: neither it nor a folder in it has a {CONFIG}"
            )
        places, doubled = self._apart(found)
        return Scan(tuple(sorted(places, key=place_key)), (*refusals, *doubled))

    def _look_into(self, folder: Path, found: list[Place], refusals: list[Refusal]) -> None:
        try:
            if _holds(folder):
                self._add(checkpoint_at(folder), False, found, refusals)
                return
            for inner in filter(_holds, _folders(folder)):
                self._add(inner, True, found, refusals)
        except OSError as error:
            refusals.append(self._refusal(folder, f"{folder}: cannot be read: {error}"))

    def _add(
        self, path: Path, by_folders: bool, found: list[Place], refusals: list[Refusal]
    ) -> None:
        """Adds a checkpoint to those found or to those refused."""
        try:
            if by_folders:
                name, version = path.parent.name, path.name
            else:
                header = Header.read(path)
                name, version = header.name, header.version
            _check(path, name, version)
        except CheckpointError as error:
            refusals.append(self._refusal(path, str(error)))
        else:
            found.append(Place(name, version, path))

    def _apart(self, places: Iterable[Place]) -> tuple[list[Place], list[Refusal]]:
        """Refuses every checkpoint that shares its full name with another."""
        by_name: dict[str, list[Place]] = defaultdict(list)
        for place in places:
            by_name[place.full_name].append(place)
        single = [same[0] for same in by_name.values() if len(same) == 1]
        doubled = [
            self._refusal(
                place.path,
                f"two models are named {place.full_name!r}: "
                f"{' and '.join(str(p.path) for p in same)}; rename or remove one",
            )
            for same in by_name.values()
            if len(same) > 1
            for place in same
        ]
        return single, doubled

    def _refusal(self, path: Path, reason: str) -> Refusal:
        return Refusal(path, path.relative_to(self.root).as_posix(), reason)


def _check(path: Path, name: str, version: str) -> None:
    for what, value in (("name", name), ("version", version)):
        fault = name_fault(what, value)
        if fault is not None:
            raise CheckpointError(f"{path}: {fault}")


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people do: 2 before 10, 1.9 before 1.10, words before numbers."""
    runs = _RUN.findall(version)
    return tuple((1, int(run), run) if run.isdecimal() else (0, 0, run) for run in runs)


def place_key(place: Place) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """Sorts by name, then version."""
    return place.name, version_key(place.version)


def wanted(places: Iterable[Place], versions: Versions, also: Collection[str]) -> list[Place]:
    """Return those to be loaded: the last version of each name or all, and the names in `also`.

    `places` come in order; `also` are full names.
    """
    ordered = list(places)
    last = {place.name: place for place in ordered}
    return [
        place
        for place in ordered
        if versions == "all" or place is last[place.name] or place.full_name in also
    ]


def being_replaced(path: Path) -> bool:
    """Whether a writer is between the two renames that replace a checkpoint."""
    return path.with_name(f".{path.name}.old").exists()


def _holds(folder: Path) -> bool:
    return (folder / CONFIG).is_file()


def _folders(path: Path) -> list[Path]:
    """The folders right below, by name; none when it is no folder, or has gone."""
    try:
        inside = sorted(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [p for p in inside if p.is_dir() and not p.name.startswith(_PASSED_OVER)]
