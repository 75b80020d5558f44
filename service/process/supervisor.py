"""Several worker processes on one socket, and the small one that looks after them."""

import os
import pickle
import selectors
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tagbelt.errors import WorkerError
from tagbelt.service.process.channel import DRAIN, FAILED, READY, RELOAD, RELOAD_KEYS
from tagbelt.service.process.signals import ENDING, SIGNALLED, Wakeup, logger
from tagbelt.service.process.spawn import Restarts, Spawned
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.shared import forget_worker, share_metrics

RUNTIME_VARIABLE = "TAGBELT_RUNTIME"
"""Names the folder that the workers of this run share."""
# What workers have beyond their own limits before they are ended by force.
GRACE_SECONDS = 10.0


@dataclass(eq=False, slots=True)
class WorkerSlot:
    """A slot for a worker, which is taken or waits for the next one."""

    number: int
    restarts: Restarts = field(default_factory=Restarts)
    worker: Spawned | None = None
    due: float | None = None
    """When the next one is to be started, on the monotonic clock."""


class Supervisor:
    """Starts workers, replaces those that end, and passes on what it is told."""

    def __init__(
        self,
        settings: Settings,
        models: Path,
        listener: socket.socket,
        *,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._job = pickle.dumps((settings, models))
        self._listener = listener
        self._say = say
        self._selector = selectors.DefaultSelector()
        self._slots = [WorkerSlot(number) for number in range(1, settings.workers + 1)]
        self._has_begun = False
        """Whether one was ever ready: it answers, and no setting is at fault when another dies."""
        self._has_greeted = False
        self._kill_at: float | None = None
        """When those that do not end in order are killed; None until it is to end."""

    def run(self) -> None:
        """Serves until a signal ends it and all workers have drained.

        Raises WorkerError when a worker says what is wrong before all are ready for the first time,
        and when the first one ends before it is ready.
        """
        with ExitStack() as at_end:
            wakeup = at_end.enter_context(Wakeup())
            runtime = at_end.enter_context(tempfile.TemporaryDirectory(prefix="tagbelt-"))
            at_end.callback(self._kill)
            os.environ[RUNTIME_VARIABLE] = runtime
            share_metrics(Path(runtime, "metrics"))
            self._watch(wakeup.fileno(), lambda: self._signalled(wakeup))
            # One first: what is wrong with a model or a setting is then told once.
            self._start(self._slots[0])
            while self._kill_at is None or self._workers:
                # What workers have said before a signal came counts: one that is up must drain.
                ready = [key for key, _ in self._selector.select(self._patience())]
                for key in sorted(ready, key=lambda key: key.fd == wakeup.fileno()):
                    key.data()
                self._do_what_is_due()

    @property
    def _workers(self) -> list[Spawned]:
        return [slot.worker for slot in self._slots if slot.worker is not None]

    def _watch(self, descriptor: int, call: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, call)

    def _start(self, slot: WorkerSlot) -> None:
        slot.worker = worker = Spawned(self._job, self._listener)
        slot.due = None
        self._watch(worker.channel.fileno(), lambda: self._heard(slot, worker))

    def _heard(self, slot: WorkerSlot, worker: Spawned) -> None:
        for what, text in worker.channel.receive():
            if what == READY:
                worker.is_ready = self._has_begun = True
                self._welcome(text)
            elif what == FAILED:
                worker.failure = text
        if worker.channel.is_closed:
            self._ended(slot, worker)

    def _welcome(self, greeting: str) -> None:
        if self._has_greeted or self._kill_at is not None:
            return
        for slot in self._slots:
            if slot.worker is None:
                self._start(slot)
        if all(worker.is_ready for worker in self._workers):
            self._has_greeted = True
            self._say(greeting)

    def _ended(self, slot: WorkerSlot, worker: Spawned) -> None:
        """Take away what is left of a worker, and see to the next one."""
        self._selector.unregister(worker.channel.fileno())
        how = worker.reap()
        slot.worker = None
        forget_worker(worker.pid)
        if self._kill_at is not None:
            return
        if not self._has_greeted and (worker.failure or not self._has_begun):
            raise WorkerError(worker.failure or f"a worker process {how} before it was ready")
        self._start_later(slot, worker.lived, f"(process {worker.pid}) {worker.failure or how}")

    def _start_later(self, slot: WorkerSlot, lived: float, why: str) -> None:
        wait = slot.restarts.wait_after(lived)
        slot.due = time.monotonic() + wait
        logger.error("worker %d %s; another starts in %g s", slot.number, why, wait)

    def _patience(self) -> float | None:
        """Return the seconds until something has to be done, None for no such time."""
        moments = [slot.due for slot in self._slots] + [self._kill_at]
        known = [moment for moment in moments if moment is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.due is not None and slot.due <= now:
                try:
                    self._start(slot)
                except OSError as error:  # no memory, or no process, to be had at the moment
                    self._start_later(slot, 0.0, f"cannot be started: {error}")
        if self._kill_at is not None and self._kill_at <= now:
            logger.error("%d workers have not ended in order and are killed", len(self._workers))
            self._kill()

    def _signalled(self, wakeup: Wakeup) -> None:
        for number in wakeup.signals():
            if number in ENDING:
                self._end(number)
            elif number == signal.SIGHUP:
                self._reload()

    def _end(self, number: int) -> None:
        if self._kill_at is not None:
            logger.warning("a second signal: the workers are killed")
        # One that was ready has answered requests, whether or not all are there yet.
        if self._kill_at is not None or not self._has_begun:
            raise SystemExit(SIGNALLED + number)
        # The last worker to close it takes in who waits; with ours open nobody would.
        self._listener.close()
        limit = self._settings.drain_seconds + self._settings.shutdown_seconds + GRACE_SECONDS
        self._kill_at = time.monotonic() + limit
        for slot in self._slots:
            slot.due = None
        for worker in self._workers:
            worker.channel.send(DRAIN)

    def _reload(self) -> None:
        """One worker looks for models, and the others follow it; each reads its keys itself."""
        ready = [worker for worker in self._workers if worker.is_ready]
        for slot, worker in enumerate(ready):
            worker.channel.send(RELOAD if slot == 0 else RELOAD_KEYS)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.kill()
