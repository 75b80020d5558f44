"""A worker process: `python -m service.process.worker CHANNEL LISTENER`, both open descriptors.

The supervisor starts it; what it is to serve comes through the channel. It ends when it is told
to, and when the supervisor has gone.
"""

import asyncio
import os
import pickle
import shutil
import socket
import sys
from collections.abc import Sequence

from tagbelt.errors import TagbeltError
from tagbelt.service.models.fleet import RUNTIME_VARIABLE
from tagbelt.service.process.channel import DRAIN, FAILED, READY, RELOAD, RELOAD_KEYS, Channel
from tagbelt.service.process.server import Server, serve
from tagbelt.service.process.signals import Signals

EXPECTED = (TagbeltError, OSError)
"""Errors that speak of what a person can mend."""


def main(arguments: Sequence[str]) -> int:
    """Serves until the end; the exit code."""
    descriptors = [int(argument) for argument in arguments]
    channel, listener = (socket.socket(fileno=number) for number in descriptors)
    # The supervisor is told what a signal means; one that is sent to all must not count twice.
    with Signals(second_ends=False) as signals, listener:
        return work(Channel(channel), listener, signals)


def work(channel: Channel, listener: socket.socket, signals: Signals) -> int:
    """Serves what comes through the channel."""
    try:
        # Pickled by the process that started this one, on a wire that nobody else has.
        settings, models = pickle.loads(channel.receive_object())  # noqa: S301  # nosec B301
    except EOFError:
        return 1
    try:
        serve(
            settings,
            models,
            listener,
            signals=signals,
            started=lambda server, text: _begin(server, channel, text),
        )
    except EXPECTED as error:
        channel.send(FAILED, str(error))
        return 1
    if channel.is_closed:
        # The supervisor would have removed it.
        shutil.rmtree(os.environ[RUNTIME_VARIABLE], ignore_errors=True)
    return 0


def _begin(server: Server, channel: Channel, text: str) -> None:
    asyncio.get_running_loop().add_reader(channel.fileno(), _obey, server, channel)
    channel.send(READY, text)


def _obey(server: Server, channel: Channel) -> None:
    for what, _ in channel.receive():
        if what == DRAIN:
            server.end()
        elif what in (RELOAD, RELOAD_KEYS):
            server.reload(models=what == RELOAD)
    if channel.is_closed:
        asyncio.get_running_loop().remove_reader(channel.fileno())
        server.is_orphan = True
        server.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
