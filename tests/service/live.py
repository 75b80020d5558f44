"""A real server on a loopback port, in a thread of the test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.service.fake import fake_app


@contextmanager
def serving(tagger: Any = None, **settings: Any) -> Iterator[str]:
    """The URL of a server over `tagger`, warm and up for the time of the block."""
    app = fake_app(tagger, **settings)
    with running(app) as url:
        until_warm(app)
        yield url


def until_warm(app: Any) -> None:
    """Wait until the models are warm: a gate that closes before would hold up the warm-up."""
    end = time.monotonic() + 60
    while not app.state.health.is_ready:
        assert time.monotonic() < end, "the models did not get warm"
        time.sleep(0.01)


@contextmanager
def running(app: Any, listener: socket.socket | None = None) -> Iterator[str]:
    """The URL of the app; with a listener of its own it is found another way."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with listener or socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
