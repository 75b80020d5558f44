"""The plan of the accuracy page: the rows of `accuracy.toml`, each a training of its own."""

import shlex
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks.common.record import BenchmarkError

PLAN = Path(__file__).with_name("accuracy.toml")

Split = Literal["dev", "test"]
Made = TypeVar("Made")


class PlanError(BenchmarkError):
    """A plan that can't be followed; the message names the entry."""


@dataclass(frozen=True)
class Entry:
    """One config, trained with several seeds.

    `what` sets it apart from others of its `set`. Its scores are those on `split`: dev where the
    test set has no public tags. `base` names the row that it is compared with. `at_least` and `aim`
    are F1 in per cent that the mean is meant to reach. `corrected` is a file with the tokens of the
    test file, read as that one, whose tags others have corrected.
    """

    name: str
    group: str
    set: str
    config: str
    what: str = ""
    overrides: tuple[str, ...] = ()
    seeds: int = 5
    split: Split = "test"
    base: str = ""
    at_least: float | None = None
    aim: float | None = None
    corrected: str = ""

    @property
    def command(self) -> str:
        """The command that trains the row, as a reader would type it."""
        words = ["tagbelt", "train", self.config]
        for override in self.overrides:
            words += ["--set", override]
        return shlex.join([*words, "--seeds", str(self.seeds)])


@dataclass(frozen=True)
class Published:
    """A figure from elsewhere, F1 in per cent; `recalled` if it was not read in its source."""

    set: str
    who: str
    f1: float
    features: str = ""
    recalled: bool = False


@dataclass(frozen=True)
class Plan:
    """All rows, in the order in which they are shown, and the figures that stand beside them."""

    entries: tuple[Entry, ...]
    published: tuple[Published, ...] = field(default=())

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        """Each row under its name."""
        return {entry.name: entry for entry in self.entries}

    def chosen(self, patterns: Sequence[str]) -> list[Entry]:
        """The rows whose name or group fits a pattern such as "cells" or "*-lexicon"; all for none.

        Raises PlanError for a pattern that nothing fits.
        """
        for pattern in patterns:
            if not any(_fits(entry, pattern) for entry in self.entries):
                raise PlanError(f"--rows {pattern}: no such row or group")
        return [
            entry
            for entry in self.entries
            if not patterns or any(_fits(entry, pattern) for pattern in patterns)
        ]

    def pairs(self, entry: Entry) -> list[Entry]:
        """The rows that are compared with something, and either are this row or have it as base."""
        return [e for e in self.entries if e.base and entry.name in (e.name, e.base)]


def _fits(entry: Entry, pattern: str) -> bool:
    return fnmatchcase(entry.name, pattern) or entry.group == pattern


def read_plan(path: Path = PLAN) -> Plan:
    """Read a plan. Raises PlanError for an unknown key, a name twice, a base that is no row."""
    value = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = value.keys() - {"rows", "series", "changes", "published"}
    if unknown:
        raise PlanError(f"{path}: unknown table {', '.join(sorted(unknown))}")
    changes = value.get("changes", {})
    entries = [_entry(row) for row in value.get("rows", [])]
    for series in value.get("series", []):
        entries += _series(series, changes)
    published = tuple(
        _made(Published, {"set": name, **item})
        for name, items in value.get("published", {}).items()
        for item in items
    )
    _check(entries)
    return Plan(tuple(entries), published)


def _entry(row: dict[str, Any]) -> Entry:
    return _made(Entry, {**row, "overrides": tuple(row.get("overrides", ()))})


def _series(series: dict[str, Any], changes: dict[str, Any]) -> Iterable[Entry]:
    """One config changed in one way at a time: `changes` names them, `overrides` are for all."""
    shared = {key: value for key, value in series.items() if key not in ("name", "changes")}
    for name in series["changes"]:
        if name not in changes:
            raise PlanError(f"{series['name']}: no such change: {name}")
        entry = {**shared, "name": f"{series['name']}-{name}", "what": changes[name]["what"]}
        overrides = [*series.get("overrides", []), *changes[name].get("overrides", [])]
        entry["overrides"] = overrides
        if entry.get("base") == entry["name"]:
            del entry["base"]
        yield _entry(entry)


def _made(kind: type[Made], value: dict[str, Any]) -> Made:
    try:
        return kind(**value)
    except TypeError as error:
        raise PlanError(f"{value.get('name') or value}: {error}") from error


def _check(entries: Sequence[Entry]) -> None:
    names = sorted(entry.name for entry in entries)
    twice = [name for name, same in groupby(names) if len(list(same)) > 1]
    if twice:
        raise PlanError(f"two rows of one name: {', '.join(twice)}")
    for entry in entries:
        if entry.base and entry.base not in names:
            raise PlanError(f"{entry.name}: its base is no row: {entry.base}")
