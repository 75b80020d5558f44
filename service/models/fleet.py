"""Several worker processes that serve the same models: one makes a change, the others follow.

They meet in a private folder. `desired.json` says what all are to serve, and its generation;
`worker-PID.json` how far each has come. A change is made under a lock on `desired.lock`, by the
worker that was asked: a model that is no good fails there, and the others never hear of it.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tagbelt.service.api.problems import NOT_READY, WORKER_FAILED, ProblemError
from tagbelt.service.models.desired import State
from tagbelt.service.private_logging import log_failure, logger

RUNTIME_VARIABLE = "TAGBELT_RUNTIME"
"""Names the folder; it belongs to one run of one server."""

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
"""The time that a worker may take to follow."""
RETRY_SECONDS = 30.0

_DESIRED = "desired.json"
_LOCK = "desired.lock"
_WORKERS = "worker-*.json"


class Desired(BaseModel):
    """The state that all workers are to serve; `generation` counts the changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generation: int
    state: State


class Standing(BaseModel):
    """The last generation that a worker has tried, and why it still serves an older one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generation: int
    error: str | None = None


class Fleet:
    """One worker's view of all of them. `follow` makes it serve a state or raises."""

    def __init__(self, folder: Path, *, patience: float = PATIENCE_SECONDS) -> None:
        self._folder = folder
        self._patience = patience
        self._follow: Callable[[State], None] = lambda _: None
        self._reached = 0
        self._standing = Standing(generation=0)
        self._tried_at = 0.0
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fleet", daemon=True)

    def desired(self) -> Desired | None:
        """Return the state that all are to serve; None until the first change."""
        try:
            raw = (self._folder / _DESIRED).read_bytes()
        except FileNotFoundError:
            return None
        return Desired.model_validate_json(raw)

    def start(self, follow: Callable[[State], None], generation: int, error: str | None) -> None:
        """Say where this worker stands as it begins, and follow the others from now on."""
        self._follow = follow
        self._reached = generation
        self._stand(generation, error)
        # Whoever leads now sees this worker and waits for it, or has written what it is to serve.
        self.catch_up()
        self._thread.start()

    def close(self) -> None:
        """Follow no longer: this worker ends."""
        self._stop.set()
        self._thread.join()
        self._own_file().unlink(missing_ok=True)

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Only one worker at a time is in here, and it has followed all changes before its own.

        Raises ProblemError when it could not.
        """
        with (self._folder / _LOCK).open("ab") as lock:
            self._lock(lock.fileno())
            error = self.catch_up(again=True)
            if error is not None:
                detail = f"this worker could not follow an earlier change: {error}"
                raise ProblemError(WORKER_FAILED, detail)
            yield

    def publish(self, before: State, after: State) -> dict[int, str]:
        """Have all others follow, while leading, to a state that this worker is in already.

        Returns by process id who does not follow, and why.
        """
        desired = self.desired()
        # Until the first change all serve what they found; later what this worker serves counts,
        # also when it differs by itself: it may have begun after the files had changed.
        known = before if desired is None else desired.state
        if known == after and not any(one.error for one in self._others().values()):
            return {}
        generation = self._reached + 1
        self._reached = generation
        self._stand(generation, None)
        self._write(_DESIRED, Desired(generation=generation, state=after))
        return self._await(generation)

    def catch_up(self, *, again: bool = False) -> str | None:
        """Follow what is desired. Returns why that fails; it is tried once, unless `again`."""
        with self._turn:
            desired = self.desired()
            if desired is None or desired.generation <= self._reached:
                return None
            if desired.generation == self._standing.generation and not again:
                return self._standing.error
            self._tried_at = time.monotonic()
            try:
                self._follow(desired.state)
            except Exception as error:
                logger.error("this worker keeps its models: %s", error)
                self._stand(desired.generation, str(error))
                return str(error)
            self._reached = desired.generation
            self._stand(desired.generation, None)
            logger.info("this worker serves the models of generation %d", desired.generation)
            return None

    def _lock(self, file: int) -> None:
        while not self._stop.is_set():
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._stop.wait(POLL_SECONDS / 10)
        raise ProblemError(NOT_READY, "this worker is ending")

    def _watch(self) -> None:
        seen: tuple[int, int] | None = None
        while not self._stop.wait(POLL_SECONDS):
            mark = self._mark()
            failing = self._standing.generation > self._reached
            retry = failing and time.monotonic() - self._tried_at > RETRY_SECONDS
            if mark == seen and not retry:
                continue
            try:
                self.catch_up(again=retry)
                seen = mark
            except Exception as error:
                log_failure("the models of the other processes are not known", error)

    def _mark(self) -> tuple[int, int] | None:
        """Changes whenever the desired state is written."""
        try:
            found = (self._folder / _DESIRED).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _await(self, generation: int) -> dict[int, str]:
        """Wait until every other worker that is alive has tried a generation."""
        until = time.monotonic() + self._patience
        while True:
            standings = self._others()
            waiting = [pid for pid, s in standings.items() if s.generation < generation]
            late = time.monotonic() > until
            if not waiting or late or self._stop.wait(POLL_SECONDS / 10):
                break
        failed = {pid: s.error for pid, s in standings.items() if s.error and pid not in waiting}
        return failed | dict.fromkeys(waiting, f"did not answer within {self._patience:g} s")

    def _others(self) -> dict[int, Standing]:
        """Return the standing of each other living worker, by process id."""
        found = {}
        for path in self._folder.glob(_WORKERS):
            pid = int(path.stem.partition("-")[2])
            if pid == os.getpid():
                continue
            if not _is_alive(pid):
                path.unlink(missing_ok=True)
                continue
            try:
                found[pid] = Standing.model_validate_json(path.read_bytes())
            except (FileNotFoundError, ValidationError):
                continue  # it has ended this moment
        return found

    def _stand(self, generation: int, error: str | None) -> None:
        self._standing = Standing(generation=generation, error=error)
        self._write(self._own_file().name, self._standing)

    def _own_file(self) -> Path:
        return self._folder / f"worker-{os.getpid()}.json"

    def _write(self, name: str, value: BaseModel) -> None:
        """Write a file so that a reader finds the old one or the new one, whole."""
        fresh = self._folder / f".{name}.{os.getpid()}"
        fresh.write_text(value.model_dump_json(), encoding="utf-8")
        fresh.replace(self._folder / name)


def fleet_of_environment() -> Fleet | None:
    """The fleet that this process is started in; None for a process of its own."""
    folder = os.environ.get(RUNTIME_VARIABLE)
    return Fleet(Path(folder)) if folder else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
