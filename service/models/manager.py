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
from tagbelt.service.models.desired import recovered, state_of
from tagbelt.service.models.fleet import Fleet
from tagbelt.service.models.loading import Load, checkpoint_loader, prepare
from tagbelt.service.models.registry import Registry, Snapshot, first_snapshot
from tagbelt.service.models.schemas import Change, Report, WorkerTrouble
from tagbelt.service.models.store import Store, Versions, wanted
from tagbelt.service.quietlog import log_failure, logger

T = TypeVar("T")

Steps = Callable[[Changes], list[Change]]
"""A change: a call of one of the methods of Changes."""


class Manager:
    """Carries changes out one at a time on a thread of its own, in all worker processes."""

    def __init__(self, changes: Changes, fleet: Fleet | None = None) -> None:
        self.changes = changes
        self._fleet = fleet
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="models")

    @classmethod
    def of(cls, registry: Registry) -> "Manager":
        """A manager of models that are in memory only: they can be unloaded and chosen from."""
        return cls(Changes(registry, None, checkpoint_loader(None)))

    @property
    def registry(self) -> Registry:
        """What is served."""
        return self.changes.registry

    async def carry_out(self, steps: Steps) -> Report:
        """Make a change. Raises ProblemError, and then nothing is changed."""
        # A client that leaves does not end it: the thread finishes what it began.
        return await asyncio.wrap_future(self._executor.submit(self._carry_out, steps))

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

    def _carry_out(self, steps: Steps) -> Report:
        began = time.monotonic()
        with self._fleet.leading() if self._fleet else nullcontext():
            before = state_of(self.registry.snapshot)
            changes = steps(self.changes)
            after = state_of(self.registry.snapshot)
            stragglers = self._fleet.publish(before, after) if self._fleet else {}
        workers = [_trouble(pid, reason) for pid, reason in stragglers.items()]
        return Report(
            ok=not workers and all(change.problem is None for change in changes),
            default=after.current[after.default],
            seconds=round(time.monotonic() - began, 3),
            changes=changes,
            workers=workers,
        )


def open_models(
    path: Path,
    *,
    load: Load,
    default: str | None = None,
    versions: Versions = "latest",
    on_change: OnChange = lambda _action, _outcome: None,
    fleet: Fleet | None = None,
) -> Manager:
    """Load the models at `path`; in a fleet those that the other workers serve by now.

    Raises FileNotFoundError when there is none, CheckpointError for one that cannot be served,
    SettingsError when the default model is not among them.
    """
    store = Store(path)
    desired = fleet.desired() if fleet else None
    trouble = None
    if desired is None:
        snapshot = first_models(store, load, versions=versions, default=default)
    else:
        snapshot, trouble = recovered(desired.state, load)
    changes = Changes(Registry.of(snapshot), store, load, versions=versions, on_change=on_change)
    if fleet is not None:
        fleet.start(changes.follow, desired.generation if desired else 0, trouble)
    return Manager(changes, fleet)


def first_models(store: Store, load: Load, *, versions: Versions, default: str | None) -> Snapshot:
    """What the disk says is to be served. Raises as `open_models` does."""
    scan = store.scan()
    if scan.refusals:
        raise CheckpointError("\n".join(refusal.reason for refusal in scan.refusals))
    places = wanted(scan.places, versions, () if default is None else (default,))
    models = [prepare(place, load, stamp="") for place in places]
    try:
        return first_snapshot(models, default)
    except ValueError as error:
        raise SettingsError(str(error)) from error


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
