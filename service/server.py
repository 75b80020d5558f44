"""The server process: load the models, listen, say where."""

import json
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from inference.tagger import Tagger
from service.app import create_app
from service.models.registry import Registry
from service.models.served import Served
from service.schemas import SENTENCE
from service.settings import ENV_PREFIX, Settings, SettingsError
from service.taggers import find_checkpoints
from service.v1 import PATH as TAG_PATH

SHUTDOWN_SECONDS = 8
BACKLOG = 2048


def run(settings: Settings, models: Path, *, say: Callable[[str], None]) -> None:
    """Serves the checkpoint, or the folder of checkpoints, at `models` until told to stop.

    `say` is told, once requests are answered, where the page is and what to try. Raises
    SettingsError when the address cannot be listened on, FileNotFoundError when there is no
    checkpoint, and what Tagger.load raises for one that is damaged.
    """
    with _bind(settings) as listener:
        registry = _load(settings, models)
        address = _address(listener)
        server = _Server(
            uvicorn.Config(
                create_app(settings, registry),
                log_config=_log_config(settings),
                log_level=settings.log_level,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                backlog=BACKLOG,
            ),
            on_start=lambda: say(_greeting(registry, address)),
        )
        with suppress(KeyboardInterrupt):  # raised again by uvicorn after an orderly end
            server.run(sockets=[listener])


def _load(settings: Settings, models: Path) -> Registry:
    loaded = [Tagger.load(path, threads=settings.threads) for path in find_checkpoints(models)]
    try:
        return Registry([Served(one) for one in loaded], default=settings.default_model)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _log_config(settings: Settings) -> dict[str, Any]:
    """The web server's, with our own messages on the same handler."""
    own = {"handlers": ["default"], "level": settings.log_level.upper(), "propagate": False}
    loggers = LOGGING_CONFIG["loggers"] | {"service": own}
    return LOGGING_CONFIG | {"loggers": loggers, "disable_existing_loggers": False}


def _bind(settings: Settings) -> socket.socket:
    """A socket on the address, not listening yet: early, so that a taken port fails at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as on_failure:
            listener = on_failure.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            on_failure.pop_all()
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {error}; choose another "
            f"with {ENV_PREFIX}HOST and {ENV_PREFIX}PORT"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    """The URL that a person on this machine types."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _greeting(registry: Registry, address: str) -> str:
    models = ", ".join(
        f"{served.name} {served.version} ({', '.join(served.labels)})" for served in registry.served
    )
    body = json.dumps({"text": SENTENCE})
    return (
        f"Serving {models}\n"
        f"The page:  {address}/\n"
        f"The API:   {address}/docs\n"
        f"Try:       curl -s {address}{TAG_PATH} -H 'content-type: application/json' -d '{body}'"
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_start()
