"""Several worker processes on one socket, and the small one that looks after them."""

import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from service.process.channel import DRAIN, FAILED, READY, RELOAD, RELOAD_KEYS, Channel
from service.process.restarts import Restarts
from service.process.signals import ENDING, SIGNALLED, Wakeup, logger
from service.settings import Settings
from service.telemetry.shared import forget_worker, share_metrics

RUNTIME_VARIABLE = "TAGBELT_RUNTIME"
"""Names the folder that the workers of this run share."""
PROGRAM = (sys.executable, "-P", "-m", "service.process.worker")
# What a worker has beyond its own limits before it is ended by force.
GRACE_SECONDS = 10.0
EXIT_SECONDS = 5.0


class WorkerError(RuntimeError):
    """Worker processes cannot be started; the message is for the operator."""


@dataclass(eq=False, slots=True)
class Worker:
    """A place for a worker process, and the one that is in it."""

    number: int
    restarts: Restarts = field(default_factory=Restarts)
    process: subprocess.Popen[bytes] | None = None
    channel: Channel | None = None
    since: float = 0.0
    is_ready: bool = False
    failure: str | None = None
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
        self._workers = [Worker(number) for number in range(1, settings.workers + 1)]
        self._has_greeted = False
        self._is_ending = False
        self._kill_at: float | None = None

    def run(self) -> None:
        """Serves until a signal ends it and all workers have drained.

        Raises WorkerError when a worker fails before all are ready for the first time.
        """
        with ExitStack() as at_end:
            wakeup = at_end.enter_context(Wakeup())
            runtime = at_end.enter_context(tempfile.TemporaryDirectory(prefix="tagbelt-"))
            at_end.callback(self._kill)
            os.environ[RUNTIME_VARIABLE] = runtime
            share_metrics(Path(runtime, "metrics"))
            self._selector.register(wakeup, selectors.EVENT_READ, self._signalled)
            # One first: what is wrong with a model or a setting is then told once.
            self._start(self._workers[0])
            while not (self._is_ending and not self._running()):
                for key, _ in self._selector.select(self._patience()):
                    key.data(key.fileobj)
                self._do_what_is_due()

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.process is not None]

    def _start(self, worker: Worker) -> None:
        ours, theirs = socket.socketpair()
        descriptors = [theirs.fileno(), self._listener.fileno()]
        with theirs:
            worker.process = subprocess.Popen(
                [*PROGRAM, *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                # What a terminal sends to all, such as Ctrl-C, comes to us alone.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        worker.channel = Channel(ours)
        worker.channel.send_object(self._job)
        worker.since, worker.due = time.monotonic(), None
        worker.is_ready, worker.failure = False, None
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._heard(worker))

    def _heard(self, worker: Worker) -> None:
        assert worker.channel is not None
        for what, text in worker.channel.receive():
            if what == READY:
                worker.is_ready = True
                self._welcome(text)
            elif what == FAILED:
                worker.failure = text
        if worker.channel.is_closed:
            self._ended(worker)

    def _welcome(self, greeting: str) -> None:
        if self._has_greeted or self._is_ending:
            return
        for worker in self._workers:
            if worker.process is None:
                self._start(worker)
        if all(worker.is_ready for worker in self._workers):
            self._has_greeted = True
            self._say(greeting)

    def _ended(self, worker: Worker) -> None:
        """A worker has gone: take what is left of it away, and see to the next one."""
        assert worker.channel is not None
        assert worker.process is not None
        self._selector.unregister(worker.channel.fileno())
        worker.channel.close()
        code = _exit_code(worker.process)
        forget_worker(worker.process.pid)
        how = _how(code) if worker.failure is None else worker.failure
        pid, worker.process, worker.channel = worker.process.pid, None, None
        if self._is_ending:
            return
        if not self._has_greeted:
            raise WorkerError(worker.failure or f"a worker process {how} before it was ready")
        wait = worker.restarts.wait_after(time.monotonic() - worker.since)
        worker.due = time.monotonic() + wait
        logger.error(
            "worker %d (process %d) %s; another starts in %g s", worker.number, pid, how, wait
        )

    def _patience(self) -> float | None:
        """How long nothing has to be done unless something happens, in seconds."""
        moments = [worker.due for worker in self._workers] + [self._kill_at]
        known = [moment for moment in moments if moment is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.due is not None and worker.due <= now:
                self._start(worker)
        if self._kill_at is not None and self._kill_at <= now:
            logger.error("%d workers have not ended in order and are killed", len(self._running()))
            self._kill()

    def _signalled(self, wakeup: object) -> None:
        assert isinstance(wakeup, Wakeup)
        for number in wakeup.signals():
            if number in ENDING:
                self._end(number)
            elif number == signal.SIGHUP:
                self._reload()

    def _end(self, number: int) -> None:
        if not self._has_greeted:
            raise SystemExit(SIGNALLED + number)
        if self._is_ending:
            logger.warning("a second signal: the workers are killed")
            self._kill()
            raise SystemExit(SIGNALLED + number)
        self._is_ending = True
        # The last worker to close it takes in who waits; with ours open nobody would.
        self._listener.close()
        limit = self._settings.drain_seconds + self._settings.shutdown_seconds + GRACE_SECONDS
        self._kill_at = time.monotonic() + limit
        for worker in self._workers:
            worker.due = None
            if worker.channel is not None:
                worker.channel.send(DRAIN)

    def _reload(self) -> None:
        """One worker looks for models, and the others follow it; each reads its keys itself."""
        ready = [worker.channel for worker in self._workers if worker.is_ready and worker.channel]
        for place, channel in enumerate(ready):
            channel.send(RELOAD if place == 0 else RELOAD_KEYS)

    def _kill(self) -> None:
        for worker in self._running():
            assert worker.process is not None
            worker.process.kill()
            worker.process.wait()


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Of a worker that has closed its end of the channel, as the last thing it does."""
    try:
        return process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:  # hangs, and must not keep us
        process.kill()
        return process.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"
