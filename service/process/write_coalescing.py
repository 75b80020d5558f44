"""A transport that sends what is written in one turn of the event loop in one piece."""

import asyncio
from typing import Any


class JoinedTransport:
    """Joins the head of a reply and its body: one call of the kernel, and one packet, less.

    All but writing and closing is left to the transport that it is made of.
    """

    __slots__ = ("_loop", "_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """What the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send at the end of the turn."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        """Send what was written, and end."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """End, whatever was written."""
        self._pieces.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._transport.write(data)
