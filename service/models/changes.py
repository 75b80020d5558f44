"""Changes of what one process serves: each is tried beside the old, then swapped in."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from tagbelt.errors import CheckpointError
from tagbelt.service.api import problems
from tagbelt.service.api.problems import (
    INVALID,
    MODEL_NEEDED,
    MODEL_UNUSABLE,
    UNKNOWN_MODEL,
    Kind,
    ProblemError,
)
from tagbelt.service.api.schemas import Problem
from tagbelt.service.models.desired import State, followed
from tagbelt.service.models.loading import Load, prepare
from tagbelt.service.models.registry import Canary, LoadedModel, Registry, Snapshot
from tagbelt.service.models.rescan import settle
from tagbelt.service.models.schemas import Action, Change
from tagbelt.service.models.store import Place, Refusal, Scan, Store, Versions, wanted
from tagbelt.service.private_logging import logger
from tagbelt.service.shortage import give_back_memory

OnChange = Callable[[Action, str], None]
"""Is told of each change: what was to be done, and ok, failed or refused."""


class Changes:
    """Changes the models of a registry, one change at a time; requests never wait for it.

    Every method blocks while it loads, so it belongs on a thread. Each raises ProblemError, and
    then nothing is changed; what is returned is empty when there was nothing to do.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store | None,
        load: Load,
        *,
        versions: Versions = "latest",
        on_change: OnChange = lambda _action, _outcome: None,
    ) -> None:
        self.registry = registry
        self.failures: dict[str, str] = {}
        """By full name, or by path where there is none, why a load failed when last tried."""
        self._store = store
        self._load = load
        self._versions = versions
        self.on_change = on_change
        self._lock = threading.Lock()

    def load(self, name: str, version: str | None = None) -> list[Change]:
        """Load a version, the newest on the disk unless given. What `name` means stays."""
        with self._lock:
            places = self._places(name)
            place = self._place(places, name, version) if version else places[-1]
            return self._brought("load", place)

    def reload(self, name: str, version: str | None = None) -> list[Change]:
        """Read a loaded version from the disk again; the one that `name` means unless given."""
        with self._lock:
            old = self._loaded(name, version)
            places = self._places(name)
            # A folder whose header states a new version replaces the model that came from it.
            same = [p for p in places if p.path == old.path] if version is None else []
            place = same[0] if same else self._place(places, name, old.served.version)
            return [self._bring("reload", place, old)]

    def unload(self, name: str, version: str | None = None) -> list[Change]:
        """Unload a version, or all of a name. Its memory is free once its requests are done."""
        with self._lock:
            snapshot = self.registry.snapshot
            meant = self._loaded(name, version)
            gone = snapshot.versions(name) if version is None else [meant]
            self._check_needed(snapshot, name, gone)
            self.registry.swap(snapshot.changed(remove={one.served.full_name for one in gone}))
            return [self._unloaded(one) for one in gone]

    def set_default(self, name: str, version: str | None = None) -> list[Change]:
        """Make `name` the default model or, with a version, say which one `name` means."""
        with self._lock:
            snapshot = self.registry.snapshot
            new = self._loaded(name, version)
            if version is None:
                old, after = snapshot.meaning(snapshot.default), snapshot.changed(default=name)
            else:
                old = snapshot.meaning(name)
                after = snapshot.changed(current={name: new.served.full_name})
            if new is old:
                return []
            self.registry.swap(after)
            return [self._done("default", new, old)]

    def set_canary(self, name: str, version: str | None, share: float) -> list[Change]:
        """Have a loaded version answer a share of the requests for `name`; of 0, none does."""
        with self._lock:
            snapshot = self.registry.snapshot
            meant = self._loaded(name, None)
            before = snapshot.canaries.get(name)
            old = snapshot.models[before.full_name] if before else None
            new = self._loaded(name, version) if share else None
            if new is meant:
                detail = f"{meant.served.full_name} is what {name!r} means; say another version"
                raise ProblemError(INVALID, detail)
            canary = Canary(new.served.full_name if new else "", share)
            if (before or Canary("", 0.0)) == canary:
                return []
            self.registry.swap(snapshot.changed(canaries={name: canary}))
            return [self._done("canary", new, old)]

    def rescan(self) -> list[Change]:
        """Make what is served fit what is on the disk; what fails is reported and stays as it is.

        New names and versions are loaded, changed ones reloaded, vanished ones unloaded.
        """
        with self._lock:
            scan = self._scan()
            before = self.registry.snapshot
            there = {place.full_name for place in scan.places}
            self.failures = {full: why for full, why in self.failures.items() if full in there}
            changes = [self._refusal(refusal) for refusal in scan.refusals]
            for place in wanted(scan.places, self._versions, before.models):
                changes += self._renewed(place)
            return changes + self._settled(before, scan)

    def follow(self, state: State) -> None:
        """Serve what another process serves, all of it or nothing. Raises CheckpointError."""
        with self._lock:
            self.registry.swap(followed(state, self.registry.snapshot, self._load))
        give_back_memory()

    def scan(self) -> Scan:
        """Return the checkpoints on the disk; none when it cannot be read."""
        try:
            return self._scan()
        except ProblemError:
            return Scan(())

    def _scan(self) -> Scan:
        if self._store is None:
            return Scan(())
        try:
            return self._store.scan()
        except OSError as error:
            raise ProblemError(MODEL_UNUSABLE, str(error)) from None

    def _places(self, name: str) -> list[Place]:
        """The versions of a name on the disk, at least one."""
        scan = self._scan()
        places = [place for place in scan.places if place.name == name]
        if not places:
            names = ", ".join(dict.fromkeys(place.name for place in scan.places)) or "nothing"
            reasons = "".join(f"; {refusal.reason}" for refusal in scan.refusals)
            detail = f"no model on the disk is named {name!r}; there is: {names}{reasons}"
            raise ProblemError(UNKNOWN_MODEL, detail)
        return places

    def _place(self, places: list[Place], name: str, version: str) -> Place:
        for place in places:
            if place.version == version:
                return place
        found = ", ".join(place.full_name for place in places)
        detail = f"{name}@{version} is not on the disk; there is: {found}"
        raise ProblemError(UNKNOWN_MODEL, detail)

    def _loaded(self, name: str, version: str | None) -> LoadedModel:
        snapshot = self.registry.snapshot
        full = snapshot.current.get(name) if version is None else f"{name}@{version}"
        one = snapshot.models.get(full or "")
        if one is None:
            loaded = ", ".join(snapshot.models)
            raise ProblemError(UNKNOWN_MODEL, f"{full or name!r} is not loaded; loaded: {loaded}")
        return one

    def _brought(self, action: Action, place: Place) -> list[Change]:
        """Load a place, unless it is loaded as it is on the disk."""
        snapshot = self.registry.snapshot
        old = snapshot.models.get(place.full_name)
        try:
            if old is not None and old.served.digest == place.digest():
                self.failures.pop(place.full_name, None)
                if old.path != place.path:
                    self.registry.swap(snapshot.changed(add=[replace(old, path=place.path)]))
                return []
        except CheckpointError as error:
            raise self._unusable(action, place, error) from None
        return [self._bring(action, place, old)]

    def _bring(self, action: Action, place: Place, old: LoadedModel | None) -> Change:
        """Load a place and swap it in, in the place of `old`."""
        began = time.monotonic()
        try:
            new = prepare(place, self._load)
        except CheckpointError as error:
            raise self._unusable(action, place, error) from None
        self.failures.pop(place.full_name, None)
        snapshot = self.registry.snapshot
        remove, current = set(), {}
        if old is not None and old.served.full_name != place.full_name:
            remove = {old.served.full_name}
            if snapshot.current[place.name] in remove:
                current = {place.name: place.full_name}
        self.registry.swap(snapshot.changed(add=[new], remove=remove, current=current))
        return self._done(action, new, old, time.monotonic() - began)

    def _renewed(self, place: Place) -> list[Change]:
        """As a step of a rescan: a failure becomes a part of the report."""
        action: Action = "reload" if place.full_name in self.registry.snapshot.models else "load"
        began = time.monotonic()
        try:
            return self._brought(action, place)
        except ProblemError as error:
            seconds = time.monotonic() - began
            return [self._failed(action, place.full_name, error.kind, error.detail, seconds)]

    def _refusal(self, refusal: Refusal) -> Change:
        """Return the report of a folder that cannot be served."""
        self.failures[str(refusal.path)] = refusal.reason
        self._tell("load", "failed", str(refusal.path), refusal.reason)
        return self._failed("load", str(refusal.path), MODEL_UNUSABLE, refusal.reason)

    def _settled(self, before: Snapshot, scan: Scan) -> list[Change]:
        """The last step of a rescan: which version each name means, and what goes."""
        now = self.registry.snapshot
        plan = settle(before, now, scan, self._versions)
        gone = [now.models[full] for full in sorted(plan.gone)]
        self.registry.swap(now.changed(remove=plan.gone, current=plan.current))
        changes = [self._unloaded(one) for one in gone]
        for full, reason in plan.held.items():
            self._tell("unload", "refused", full, reason)
            changes.append(self._failed("unload", full, MODEL_NEEDED, reason))
        return changes

    def _check_needed(self, snapshot: Snapshot, name: str, gone: list[LoadedModel]) -> None:
        """Raises ProblemError when requests would find nothing by a name they use."""
        left = len(snapshot.versions(name)) - len(gone)
        if left and snapshot.meaning(name) in gone:
            detail = f"{gone[0].served.full_name} is what {name!r} means; first set another version"
        elif not left and name == snapshot.default:
            detail = f"{name!r} is the default model; first make another the default"
        elif name in snapshot.canaries and (
            snapshot.models[snapshot.canaries[name].full_name] in gone
        ):
            detail = f"{snapshot.canaries[name].full_name} is a canary; end that by a share of 0"
        else:
            return
        self._tell("unload", "refused", name, detail)
        raise ProblemError(MODEL_NEEDED, detail)

    def _unusable(self, action: Action, place: Place, error: CheckpointError) -> ProblemError:
        self.failures[place.full_name] = str(error)
        self._tell(action, "failed", place.full_name, str(error))
        return ProblemError(MODEL_UNUSABLE, str(error))

    def _unloaded(self, one: LoadedModel) -> Change:
        return self._done("unload", None, one)

    def _done(
        self, action: Action, new: LoadedModel | None, old: LoadedModel | None, seconds: float = 0.0
    ) -> Change:
        one = new or old
        model = one.served.full_name if one else ""
        self._tell(action, "ok", model, f"in {seconds:.2f} s")
        return Change(
            action=action,
            model=model,
            digest=new.served.digest if new else None,
            previous_digest=old.served.digest if old else None,
            seconds=round(seconds, 3),
        )

    def _failed(
        self, action: Action, model: str, kind: Kind, reason: str, seconds: float = 0.0
    ) -> Change:
        serving = self.registry.snapshot.models.get(model)
        digest = serving.served.digest if serving else None
        problem = Problem.model_validate(problems.problem(kind, reason, f"/v1/models/{model}"))
        return Change(
            action=action,
            model=model,
            digest=digest,
            previous_digest=digest,
            seconds=round(seconds, 3),
            problem=problem,
        )

    def _tell(self, action: Action, outcome: str, model: str, why: str) -> None:
        level = logger.info if outcome == "ok" else logger.error
        level("model change: %s %s: %s: %s", action, model, outcome, why)
        self.on_change(action, outcome)
