"""The models that all worker processes are to serve, as values to be written to a file."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tagbelt.errors import CheckpointError
from tagbelt.service.models.loading import Load, prepare
from tagbelt.service.models.registry import Canary, LoadedModel, Snapshot, make_snapshot
from tagbelt.service.models.store import Place
from tagbelt.service.private_logging import logger


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WantedModel(_Value):
    """A checkpoint, and which reading of it: a new `stamp` asks for it to be read again."""

    name: str
    version: str
    path: Path
    digest: str
    stamp: str

    @property
    def place(self) -> Place:
        """Its place on the disk."""
        return Place(self.name, self.version, self.path)


class State(_Value):
    """All that is to be served, as a Snapshot has it."""

    default: str
    current: dict[str, str]
    models: tuple[WantedModel, ...]
    canaries: dict[str, Canary] = {}


def state_of(snapshot: Snapshot) -> State:
    """Return the state that other processes need to serve the same."""
    return State(
        default=snapshot.default,
        current=dict(snapshot.current),
        models=tuple(
            WantedModel(
                name=one.served.name,
                version=one.served.version,
                path=one.path or Path(),
                digest=one.served.digest,
                stamp=one.stamp,
            )
            for one in snapshot.models.values()
        ),
        canaries=dict(snapshot.canaries),
    )


def followed(state: State, snapshot: Snapshot, load: Load) -> Snapshot:
    """The state with the models that the snapshot has already; the others are loaded.

    Raises CheckpointError when one cannot be loaded or its files are no longer those.
    """
    return make_snapshot(
        [_kept(wanted, snapshot) or _loaded(wanted, load) for wanted in state.models],
        state.current,
        state.default,
        state.canaries,
    )


def recovered(state: State, load: Load) -> tuple[Snapshot, str | None]:
    """As much of the state as can be loaded by a process that begins, and what is amiss.

    Files that have changed are taken as they are: to serve something is better than to end.
    Raises CheckpointError when not even the default model can be loaded.
    """
    models, troubles = [], []
    for wanted in state.models:
        try:
            one = prepare(wanted.place, load, stamp=wanted.stamp)
        except CheckpointError as error:
            logger.error("a model could not be loaded: %s", error)
            troubles.append(str(error))
            continue
        models.append(one)
        if one.served.digest != wanted.digest:
            troubles.append(_changed(wanted))
    if state.default not in {one.served.name for one in models}:
        raise CheckpointError("; ".join(troubles))
    snapshot = make_snapshot(models, state.current, state.default, state.canaries)
    return snapshot, "; ".join(troubles) or None


def _kept(wanted: WantedModel, snapshot: Snapshot) -> LoadedModel | None:
    one = snapshot.models.get(wanted.place.full_name)
    if one is None or (one.stamp, one.served.digest) != (wanted.stamp, wanted.digest):
        return None
    return one


def _loaded(wanted: WantedModel, load: Load) -> LoadedModel:
    one = prepare(wanted.place, load, stamp=wanted.stamp)
    if one.served.digest != wanted.digest:
        raise CheckpointError(_changed(wanted))
    return one


def _changed(wanted: WantedModel) -> str:
    return f"{wanted.path}: was changed after another process had read it; reload it"
