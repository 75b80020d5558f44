"""An orderly end: every request that reached this process gets its reply.

While it drains, the server still takes connections, and each reply says that it is the last one
of its connection. Then it listens no more, closes what is idle and lets the rest finish.
"""

import asyncio
import select
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, cast

from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tagbelt.service.process.admission import Door
from tagbelt.service.process.bounds import Bounded, Patience
from tagbelt.service.process.signals import logger
from tagbelt.service.process.write_coalescing import JoinedTransport

TICK_SECONDS = 0.02
# Who has only just connected is about to ask.
FRESH_SECONDS = 0.5
MOST_TAKEN_IN = 4096


class Connections(Patience):
    """The connections of a server, and whether it is about to end."""

    def __init__(self, *, door: Door | None = None, **patience: Any) -> None:
        super().__init__(**patience)
        self.door = door
        self.is_draining = False

    def drain(self) -> None:
        """From now on the reply to a connection's last request ends the connection."""
        self.is_draining = True
        for connection in self.open:
            connection.end_after_reply()

    @property
    def open(self) -> list["Connection"]:
        """All that are open at this moment."""
        return cast("list[Connection]", list(self.connections))


class Connection(Bounded):
    """One connection, which is never closed on a request that has arrived."""

    server_state: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._since = time.monotonic()
        # Between a request's first byte and the end of its headers.
        self._is_begun = False
        # The request whose reply we made the last one.
        self._last: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects."""
        super().connection_made(cast(asyncio.Transport, JoinedTransport(transport, self.loop)))

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request is known; it may have come right behind another one."""
        before = self.cycle
        super().on_headers_complete()
        self._is_begun = False
        if self.server_state.is_draining and self.cycle is not before:
            if before is not None and before is self._last and not before.response_started:
                before.keep_alive = True
            self.end_after_reply()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Have a request answered, at the door if it cannot come in."""
        door, refusal = self.server_state.door, None
        # A connection that ends with its reply needs more care than this.
        if door is not None and cycle.keep_alive and not self.server_state.is_draining:
            refusal = door.refusal(cast(Scope, cycle.scope))
        if refusal is None:
            super()._start_asgi_task(cycle, app)
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(refusal)
        self.on_response_complete()

    def end_after_reply(self) -> None:
        """Have the reply that is due say, and mean, that the connection ends with it.

        One that has begun cannot say so any more; the connection is closed when it is idle.
        """
        cycle = self.cycle
        if cycle is not None and not cycle.response_started and cycle.keep_alive:
            cycle.keep_alive = False
            self._last = cycle

    def close_if_idle(self) -> None:
        """Close, unless a request is at work, on its way in, or to be expected."""
        cycle = self.cycle
        if cycle is None:
            is_busy = time.monotonic() - self._since < FRESH_SECONDS
        else:
            is_busy = bool(self.pipeline) or not cycle.response_complete
        if not is_busy and not self._is_begun and not self._has_input():
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long; unless it just did, the connection is closed."""
        if not self._has_input():
            super().timeout_keep_alive_handler()

    def _has_input(self) -> bool:
        """Whether bytes, or the client's end, wait to be read."""
        found = self.transport.get_extra_info("socket")
        return found is not None and is_readable(found.fileno())


def is_readable(descriptor: int) -> bool:
    """Whether something waits to be read. A descriptor that is closed has nothing."""
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


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
