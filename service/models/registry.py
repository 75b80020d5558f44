"""The loaded models by the names that requests use."""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tagbelt.data.checkpoint.finding import ENGLISH
from tagbelt.service.api.problems import UNKNOWN_MODEL, ProblemError
from tagbelt.service.models.routing import likely_language
from tagbelt.service.models.served import AUTO, Served
from tagbelt.service.models.store import version_key


@dataclass(frozen=True, eq=False, slots=True)
class LoadedModel:
    """A model in memory and where it came from.

    `path` is None for one that was not read from the disk. `stamp` differs between two loads of
    the same files, so that other processes can tell that it was read again.
    """

    served: Served
    path: Path | None = None
    stamp: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Canary:
    """A version, by its full name, that answers a share in (0, 1) of the requests for its name."""

    full_name: str
    share: float


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """All that is served at one moment; never changed.

    `models` are by full name, in order; `current` has for each name the full name that it means;
    `default` is the name that answers when a request names none; `canaries` are by name.
    """

    models: Mapping[str, LoadedModel]
    current: Mapping[str, str]
    default: str
    canaries: Mapping[str, Canary] = field(default_factory=dict)

    def changed(
        self,
        *,
        add: Iterable[LoadedModel] = (),
        remove: Collection[str] = (),
        current: Mapping[str, str] | None = None,
        default: str | None = None,
        canaries: Mapping[str, Canary] | None = None,
    ) -> "Snapshot":
        """This with models added (or replaced), full names removed, and names given a meaning.

        A name whose version has gone means its newest one; a canary of share 0 ends.
        """
        models = {full: one for full, one in self.models.items() if full not in remove}
        models |= {one.served.full_name: one for one in add}
        meanings = {**self.current, **(current or {})}
        tried = {**self.canaries, **(canaries or {})}
        return make_snapshot(models.values(), meanings, default or self.default, tried)

    def versions(self, name: str) -> list[LoadedModel]:
        """The loaded versions of a name, older ones first."""
        return [one for one in self.models.values() if one.served.name == name]

    def meaning(self, name: str) -> LoadedModel:
        """The version that a name means. Raises KeyError."""
        return self.models[self.current[name]]

    @property
    def default_model(self) -> Served:
        """The model that answers when a request names none."""
        return self.meaning(self.default).served


def make_snapshot(
    models: Iterable[LoadedModel],
    current: Mapping[str, str],
    default: str | None,
    canaries: Mapping[str, Canary] | None = None,
) -> Snapshot:
    """A snapshot in order. Names without a (loaded) version in `current` mean their newest.

    A canary that is not loaded, or that its name means by now, is left out.

    Raises ValueError when two models have one full name or `default` is not among the names.
    """
    by_name: dict[str, LoadedModel] = {}
    for one in sorted(models, key=_key):
        if one.served.full_name in by_name:
            raise ValueError(f"two models are named {one.served.full_name!r}; rename or remove one")
        by_name[one.served.full_name] = one
    newest = {one.served.name: full for full, one in by_name.items()}
    if not newest:
        raise ValueError("there is no model to serve")
    meanings = {
        name: current[name] if current.get(name) in by_name else full
        for name, full in newest.items()
    }
    first = ENGLISH if ENGLISH in newest else next(iter(newest))
    chosen = first if default is None else default
    if chosen not in newest:
        raise ValueError(f"default_model={chosen!r} is not among: {', '.join(newest)}")
    tried = {
        name: one
        for name, one in (canaries or {}).items()
        if one.share > 0 and one.full_name in by_name and meanings.get(name) != one.full_name
    }
    return Snapshot(by_name, meanings, chosen, tried)


class Registry:
    """Models by name and name@version, one of them the default.

    What requests see is one snapshot, which `swap` replaces by an assignment: a request finds
    the models as they were before or after, and keeps the one it found.
    """

    def __init__(self, models: Sequence[Served], *, default: str | None = None) -> None:
        """The default is en, else the first by name, unless given, by name or name@version.

        Raises ValueError when two models have one full name or the default is not among them.
        """
        self.snapshot = first_snapshot([LoadedModel(served) for served in models], default)

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Registry":
        """A registry that begins with a snapshot."""
        registry = cls.__new__(cls)
        registry.snapshot = snapshot
        return registry

    def swap(self, snapshot: Snapshot) -> None:
        """Serve this from now on."""
        self.snapshot = snapshot

    @property
    def default(self) -> str:
        """The name that answers when a request names none."""
        return self.snapshot.default

    @property
    def served(self) -> list[Served]:
        """All that are loaded, by name and version."""
        return [one.served for one in self.snapshot.models.values()]

    def get(self, name: str | None) -> Served:
        """The model of that name or name@version; None is the default. Raises ProblemError, 404."""
        return _find(self.snapshot, name)

    def route(self, items: Sequence[object], model: str | None) -> list[Served]:
        """The model of each item: the one named, or for "auto" by the item's language.

        Raises ProblemError, 404.
        """
        snapshot = self.snapshot
        if model != AUTO:
            return [_find(snapshot, model)] * len(items)
        models = _by_language(snapshot)
        languages = list(models)
        if len(languages) == 1:
            return [models[languages[0]]] * len(items)
        return [models[likely_language(item, languages)] for item in items]

    def canaries(self, served: Iterable[Served], request_id: str) -> dict[Served, Served | None]:
        """The models whose names have a canary, each with it if the request is of its share.

        The id alone decides, so that a request that is sent again goes the same way.
        """
        snapshot = self.snapshot
        if not snapshot.canaries:
            return {}
        found: dict[Served, Served | None] = {}
        for one in set(served):
            canary = snapshot.canaries.get(one.name)
            if canary is not None and one is snapshot.meaning(one.name).served:
                drawn = _is_drawn(canary, request_id)
                found[one] = snapshot.models[canary.full_name].served if drawn else None
        return found


def _is_drawn(canary: Canary, request_id: str) -> bool:
    return zlib.crc32(f"{canary.full_name} {request_id}".encode()) < canary.share * (1 << 32)


def first_snapshot(models: Sequence[LoadedModel], default: str | None) -> Snapshot:
    """The snapshot to begin with. `default` is a name, or name@version, which the name then means.

    Raises ValueError as `make_snapshot` does.
    """
    if default is None or "@" not in default:
        return make_snapshot(models, {}, default)
    if default not in {one.served.full_name for one in models}:
        names = ", ".join(sorted(one.served.full_name for one in models))
        raise ValueError(f"default_model={default!r} is not among: {names}")
    name = default.partition("@")[0]
    return make_snapshot(models, {name: default}, name)


def _key(one: LoadedModel) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    return one.served.name, version_key(one.served.version)


def _find(snapshot: Snapshot, name: str | None) -> Served:
    wanted = snapshot.default if name is None else name
    found = snapshot.models.get(snapshot.current.get(wanted, wanted))
    if found is None:
        served = ", ".join(snapshot.models if "@" in wanted else snapshot.current)
        raise ProblemError(UNKNOWN_MODEL, f"no model is named {wanted!r}; served: {served}")
    return found.served


def _by_language(snapshot: Snapshot) -> dict[str, Served]:
    """A model for each language, the default's first.

    Of several the default, else the one that is named as its language, else the first by name.
    """
    named = [snapshot.meaning(name).served for name in snapshot.current]
    plain = [one for one in named if one.name == one.info.language]
    models: dict[str, Served] = {}
    for one in (snapshot.default_model, *plain, *named):
        models.setdefault(one.info.language, one)
    return models
