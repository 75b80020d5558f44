"""An orderly end: every request that reached this process gets its reply.

While it drains, the server still takes connections, and each reply says that it is the last one
of its connection. Then it listens no more, closes what is idle and lets the rest finish.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from tagbelt.service.process.connection import Connections
from tagbelt.service.process.signals import logger

TICK_SECONDS = 0.02
MOST_TAKEN_IN = 4096


async def stop_listening(
    servers: Sequence[asyncio.AbstractServer],
    listeners: Sequence[socket.socket],
    take_in: Callable[[socket.socket], Coroutine[Any, Any, object]],
) -> set[asyncio.Task[object]]:
    """Take in who has connected already, and then nobody.

    An event loop closes a socket some time after it last looked for connections. Who connects
    between the two would be cut off: `take_in` is called for them. Returns what is on its way.
    """
    spares = [listener.dup() for listener in listeners]
    for server in servers:
        server.close()
    for listener in listeners:
        listener.close()
    await asyncio.sleep(0)  # from here on the loop accepts no more
    accepted = []
    for spare in spares:
        with spare:
            accepted += _accept_all(spare)
    return {asyncio.ensure_future(take_in(connection)) for connection in accepted}


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    listener.setblocking(False)
    with suppress(OSError):  # none is left, or none can be had
        while len(accepted) < MOST_TAKEN_IN:
            connection, _ = listener.accept()
            connection.setblocking(False)
            accepted.append(connection)
    return accepted


async def finish(
    connections: Connections, arriving: set[asyncio.Task[object]], *, seconds: float
) -> None:
    """Wait until every request is answered, at most `seconds`; then end what is left."""
    deadline = time.monotonic() + seconds
    while True:
        # Also when nothing seems left: who was accepted last is not among the connections yet.
        await asyncio.sleep(TICK_SECONDS)
        for connection in connections.open:
            connection.close_if_idle()
        arriving = {task for task in arriving if not task.done()}
        if time.monotonic() >= deadline or not (connections.open or arriving):
            break
    left = connections.open
    if left:
        logger.warning(
            "%d connections were not done %g s after the server stopped listening; they are ended",
            len(left),
            seconds,
        )
    for connection in left:
        connection.transport.abort()
