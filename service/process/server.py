"""One process that serves: it loads the models, listens, answers and ends in order."""

import asyncio
import gc
import logging.config
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from tagbelt.errors import SettingsError
from tagbelt.inference.threads import available_threads
from tagbelt.service.app import create_app
from tagbelt.service.engine.engine import LOOP_WEIGHT
from tagbelt.service.models.fleet import fleet_of_environment
from tagbelt.service.models.loading import checkpoint_loader
from tagbelt.service.models.manager import open_models
from tagbelt.service.process.connection import BYTES_PER_SECOND, Admission, Connection, Connections
from tagbelt.service.process.drain import finish, stop_listening
from tagbelt.service.process.greeting import greeting
from tagbelt.service.process.hooks import check_hooks
from tagbelt.service.process.signals import Signals, logger
from tagbelt.service.process.sockets import BACKLOG, listen
from tagbelt.service.process.tls import renew, tls_context
from tagbelt.service.process.watchdog import begun_pool, watched
from tagbelt.service.settings import Settings
from tagbelt.service.shortage import give_back_memory
from tagbelt.service.telemetry.logs import log_config

# Longer than proxies and load balancers keep a connection that is not used: who closes first
# must not be the one that cannot know whether a request is on its way.
KEEP_ALIVE_SECONDS = 75
# For what is left to do when every connection has ended.
REST_SECONDS = 5


def serve(
    settings: Settings,
    models: Path,
    listener: socket.socket,
    *,
    signals: Signals,
    started: Callable[["Server", str], None],
) -> None:
    """Answers on the socket with the models of a checkpoint, or of a folder, until it is ended.

    `started` is told once requests are answered, with the greeting. Raises SettingsError,
    FileNotFoundError when there is no checkpoint, CheckpointError for one that is damaged and
    MissingPackageError for a uvicorn that cannot be used.
    """
    # A panic of a Rust extension that finds no memory would hang as it gathers its backtrace, and
    # it holds the interpreter's lock.
    os.environ["RUST_BACKTRACE"] = "0"
    check_hooks()
    logging.config.dictConfig(log_config(settings))
    tls = tls_context(settings)
    app = open_app(settings, models)
    listen(listener, settings)
    server = Server(app, settings, listener, tls, started)
    signals.on_end, signals.on_hangup = server.end, server.reload
    server.run(sockets=[listener])


def share_of_threads(settings: Settings) -> int:
    """Return the number of threads that one worker process may use for inference."""
    return settings.threads or max(1, available_threads() // settings.workers)


def open_app(settings: Settings, models: Path) -> FastAPI:
    """The app over the models at that path. Raises as `serve` does."""
    try:
        manager = open_models(
            models,
            load=checkpoint_loader(share_of_threads(settings), encode_forms=settings.encode_forms),
            default=settings.default_model,
            versions=settings.versions,
            fleet=fleet_of_environment(),
            state_dir=settings.state_dir,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return create_app(settings, manager, loop_weight=LOOP_WEIGHT)


class Server(uvicorn.Server):
    """The web server, with an end that loses no request."""

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        started: Callable[["Server", str], None],
    ) -> None:
        super().__init__(_config(app, settings, tls))
        self.server_state = self._connections = Connections(
            head=settings.timeout_seconds,
            body=settings.max_body_bytes / BYTES_PER_SECOND,
            streams=app.state.streams,
            admission=Admission(app.state.engine, app.state.recorder.rejected),
        )
        self.is_orphan = False
        self._app = app
        self._settings = settings
        self._listener = listener
        self._tls = tls
        self._started = started
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Drain and end; may be called from a signal handler."""
        self.should_exit = True

    def reload(self, *, models: bool = True) -> None:
        """Read certificate and keys again, and what models there are; returns at once."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._reload, models)

    def _reload(self, models: bool) -> None:
        """Read the files again. What cannot be used is logged, and what was loaded before stays."""
        if self._tls is not None:
            try:
                renew(self._tls, self._settings)
                logger.info("read the certificate %s", self._settings.tls_certificate)
            except SettingsError as error:
                logger.error("the certificate stays as it was: %s", error)
        # Both of them log what becomes of it.
        self._app.state.keys.reload()
        if models:
            self._app.state.models.request_rescan()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until it is to end, and never hang for ever."""
        with watched():
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and tell."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(begun_pool())
        await super().startup(sockets=sockets)
        if self.started:
            self._loop = loop
            _calm_collector()
            sys.setswitchinterval(_SWITCH_SECONDS)
            self._started(self, greeting(self._app.state.registry, self._listener, self._settings))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then end what the web server has started."""
        settings = self._settings
        # An orphan's place is wanted by the next server, which cannot listen before it has gone.
        pause = 0.0 if self.is_orphan else settings.drain_seconds
        logger.info("draining: no longer ready, and still answering for %g s", pause)
        with _limited_to(pause + settings.shutdown_seconds + REST_SECONDS):
            self._app.state.health.drain()
            self._connections.drain()
            await asyncio.sleep(pause)
            arriving = await stop_listening(self.servers, sockets or [], self._take_in)
            await finish(self._connections, arriving, seconds=settings.shutdown_seconds)
            await super().shutdown(sockets=sockets)

    async def _take_in(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted by hand."""
        with suppress(OSError):  # it may have gone by now
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(
                    config=self.config,
                    server_state=self._connections,
                    app_state=self.lifespan.state,
                ),
                connection,
                ssl=self._tls,
            )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: signals are handled from before the server is there until after it has gone."""
        yield


@contextmanager
def _limited_to(seconds: float) -> Iterator[None]:
    """Ends the process if the block takes longer, whatever it is that hangs."""

    def give_up() -> None:
        logger.error("not ended in order after %g s: ended at once", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# In seconds. A busy event loop keeps the inference thread waiting so long after each call of a
# kernel, of which a batch has dozens.
_SWITCH_SECONDS = 0.0005


def _calm_collector() -> None:
    """Have requests wait less for the collector of garbage, and give back what nobody holds."""
    # What is there now stays: to look through it all at each full collection keeps every request
    # waiting for tens of milliseconds. And what requests leave behind hardly ever is a cycle.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    give_back_memory()  # what loading took


def _config(app: FastAPI, settings: Settings, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        # Ours has more in it, and less that is nobody's business.
        access_log=False,
        # Its own default believes whoever is on this machine.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # When this counts, their clients have gone already.
        timeout_graceful_shutdown=1,
        ssl_context_factory=None if tls is None else lambda _, __: tls,
    )
