"""The models of a server: what they are at its start, how they change, and a report of it."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from tagbelt.errors import CheckpointError, SettingsError
from tagbelt.service.api import problems
from tagbelt.service.api.problems import WORKER_FAILED, ProblemError
from tagbelt.service.api.schemas import Problem
from tagbelt.service.models.changes import Changes, OnChange
from tagbelt.service.models.choices import ChoiceFile, Choices, chosen
from tagbelt.service.models.desired import recovered, state_of
from tagbelt.service.models.fleet import Fleet
from tagbelt.service.models.loading import Load, checkpoint_loader, prepare
from tagbelt.service.models.registry import Registry, Snapshot, first_snapshot
from tagbelt.service.models.schemas import Change, Report, WorkerTrouble
from tagbelt.service.models.store import Store, Versions, wanted
from tagbelt.service.private_logging import log_failure, logger
from tagbelt.service.shortage import give_back_memory

T = TypeVar("T")

Steps = Callable[[Changes], list[Change]]
"""A change: a call of one of the methods of Changes."""
Keep = Callable[[Snapshot], str | None]
"""Writes down what was chosen; returns why it could not."""


class Manager:
    """Carries changes out one at a time on a thread of its own, in all worker processes."""

    def __init__(
        self, changes: Changes, fleet: Fleet | None = None, choices: ChoiceFile | None = None
    ) -> None:
        self.changes = changes
        self._fleet = fleet
        self._choices = choices
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="models")

    @classmethod
    def of(cls, registry: Registry) -> "Manager":
        """A manager of models that are in memory only: they can be unloaded and chosen from."""
        return cls(Changes(registry, None, checkpoint_loader(None)))

    @property
    def registry(self) -> Registry:
        """The registry of the models that are served."""
        return self.changes.registry

    async def carry_out(self, steps: Steps) -> Report:
        """Make a change. Raises ProblemError, and then nothing is changed."""
        # A client that leaves does not end it: the thread finishes what it began.
        return await asyncio.wrap_future(self._executor.submit(self._carry_out, steps))

    async def set_default(self, name: str, version: str | None) -> Report:
        """Make a model the default, and keep that choice for later servers. Raises ProblemError."""

        def keep(snapshot: Snapshot) -> str | None:
            return self._choices.keep(name, version, snapshot) if self._choices else None

        def steps(changes: Changes) -> list[Change]:
            return changes.set_default(name, version)

        return await asyncio.wrap_future(self._executor.submit(self._carry_out, steps, keep))

    async def set_canary(self, name: str, version: str | None, share: float) -> Report:
        """Give a name a canary or, by a share of 0, end it; kept as the default is."""

        def keep(snapshot: Snapshot) -> str | None:
            return self._choices.keep_canary(name, snapshot) if self._choices else None

        def steps(changes: Changes) -> list[Change]:
            return changes.set_canary(name, version, share)

        return await asyncio.wrap_future(self._executor.submit(self._carry_out, steps, keep))

    def request_rescan(self) -> Future[Report]:
        """Have the disk scanned again, and do not wait for it; failures are logged."""
        future = self._executor.submit(self._carry_out, Changes.rescan)
        future.add_done_callback(_log)
        return future

    def close(self) -> None:
        """Finish the change at hand and end the threads."""
        if self._fleet is not None:
            self._fleet.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _carry_out(self, steps: Steps, keep: Keep = lambda _: None) -> Report:
        began = time.monotonic()
        with self._fleet.leading() if self._fleet else nullcontext():
            before = state_of(self.registry.snapshot)
            changes = steps(self.changes)
            after = state_of(self.registry.snapshot)
            warning = keep(self.registry.snapshot)
            if changes:  # what loading took, and the model that has gone
                give_back_memory()
            stragglers = self._fleet.publish(before, after) if self._fleet else {}
        if warning is not None:
            logger.warning("%s", warning)
        workers = [_trouble(pid, reason) for pid, reason in stragglers.items()]
        return Report(
            ok=not workers and all(change.problem is None for change in changes),
            default=after.current[after.default],
            seconds=round(time.monotonic() - began, 3),
            changes=changes,
            workers=workers,
            warning=warning,
        )


def open_models(
    path: Path,
    *,
    load: Load,
    default: str | None = None,
    versions: Versions = "latest",
    on_change: OnChange = lambda _action, _outcome: None,
    fleet: Fleet | None = None,
    state_dir: Path | None = None,
) -> Manager:
    """Load the models at `path`; in a fleet those that the other workers serve by now.

    What an admin chose is kept in `state_dir`, or beside the models, and wins over `default` as
    long as that is the same as when it was chosen.

    Raises FileNotFoundError when there is none, CheckpointError for one that cannot be served,
    SettingsError when the default model is not among them.
    """
    store = Store(path)
    choices = ChoiceFile(store, folder=state_dir, setting=default)
    desired = fleet.desired() if fleet else None
    trouble = None
    if desired is None:
        snapshot = first_models(store, load, versions=versions, default=default, choices=choices)
    else:
        snapshot, trouble = recovered(desired.state, load)
    changes = Changes(Registry.of(snapshot), store, load, versions=versions, on_change=on_change)
    if fleet is not None:
        fleet.start(changes.follow, desired.generation if desired else 0, trouble)
    return Manager(changes, fleet, choices)


def first_models(
    store: Store,
    load: Load,
    *,
    versions: Versions,
    default: str | None,
    choices: ChoiceFile | None = None,
) -> Snapshot:
    """Load what the disk, and the choices made before, say is to be served.

    Raises as `open_models` does.
    """
    scan = store.scan()
    if scan.refusals:
        raise CheckpointError("\n".join(refusal.reason for refusal in scan.refusals))
    kept = choices.read() if choices else Choices()
    also = {default or "", *kept.models}
    places = wanted(scan.places, versions, also)
    models = [prepare(place, load, stamp="") for place in places]
    try:
        snapshot = first_snapshot(models, default)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return chosen(snapshot, kept, choices.path) if choices else snapshot


def _trouble(pid: int, reason: str) -> WorkerTrouble:
    logger.error("worker process %d could not follow: %s", pid, reason)
    members = problems.problem(WORKER_FAILED, reason, "/v1/models")
    return WorkerTrouble(process=pid, problem=Problem.model_validate(members))


def _log(future: Future[Report]) -> None:
    if future.cancelled():
        return
    error = future.exception()
    if isinstance(error, ProblemError):
        logger.error("the models were not scanned: %s", error.detail)
    elif error is not None:
        log_failure("the models were not scanned", error)
