"""The wire between the supervisor and a worker: lines of JSON both ways.

It also tells each of them when the other one has gone: the system closes it.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

READY, FAILED = "ready", "failed"
DRAIN, RELOAD, RELOAD_KEYS = "drain", "reload", "reload-keys"


class Channel:
    """One end of the wire."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = b""
        self.is_closed = False
        """Whether the other end has gone."""

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._end.fileno()

    def send(self, what: str, text: str = "") -> None:
        """Tells the other end, if it is still there."""
        with suppress(OSError):
            self._end.sendall(json.dumps([what, text]).encode() + b"\n")

    def receive(self) -> Iterator[tuple[str, str]]:
        """Yield the messages that have come; note when the other end has gone."""
        try:
            found = self._end.recv(1 << 16)
        except OSError:
            found = b""
        self.is_closed = not found
        *lines, self._rest = (self._rest + found).split(b"\n")
        for line in lines:
            what, text = json.loads(line)
            yield what, text

    def send_object(self, value: bytes) -> None:
        """Sends bytes of any kind, before anything else, if the other end is still there."""
        with suppress(OSError):
            self._end.sendall(len(value).to_bytes(8, "big") + value)

    def receive_object(self) -> bytes:
        """The counterpart of `send_object`. Raises EOFError when the other end has gone."""
        with self._end.makefile("rb", buffering=0) as stream:
            size = int.from_bytes(_exactly(stream, 8), "big")
            return _exactly(stream, size)

    def close(self) -> None:
        """Leave."""
        self._end.close()


def _exactly(stream: Any, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = stream.read(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found
