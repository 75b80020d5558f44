"""What a client may take of a connection before it has asked anything: room, and time.

The web server knows no bounds of either: headers without an end would fill the memory, and
requests that are begun and never finished would use up the connections that there can be.
"""

import asyncio
import http
import json
import time
from collections.abc import Collection
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tagbelt.service.api.problems import MEDIA_TYPE, Kind, problem

HEAD_BYTES = 65_536
"""Of request line and headers, besides what comes with the first packet of them."""
BYTES_PER_SECOND = 16_384
"""A client that sends its body more slowly is given up; no line in use is that slow."""

MALFORMED = Kind("", 400, "Bad request", "")
TOO_SLOW = Kind("", 408, "Request timeout", "")
HEAD_TOO_LARGE = Kind("", 431, "Request header fields too large", "")


class Patience(ServerState):
    """The state of a server whose connections are bounded."""

    def __init__(
        self, *, head: float = 30.0, body: float = 64.0, streams: Collection[str] = frozenset()
    ) -> None:
        """`head` is how many seconds request line and headers may take, and `body` how many more
        the body may, but for those of `streams`: paths that have a patience of their own.
        """
        super().__init__()
        self.head_seconds = head
        self.body_seconds = body
        self.streams = streams


class Bounded(HttpToolsProtocol):
    """A connection with bounds. What it refuses is told as a problem, and ends it."""

    server_state: Patience

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Of the request that is coming in.
        self._has_message = False
        self._has_head = True
        self._head_bytes = 0
        self._began = 0.0
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects; whoever then says nothing is as idle as between two requests."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._unset_keepalive_if_required()
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something was sent. Requests that come whole, as most do, need no clock."""
        is_more_of_head = not self._has_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if is_more_of_head and not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HEAD_TOO_LARGE, f"the headers have more than {HEAD_BYTES} bytes")
                return
        if not self._has_message:
            self._stop_clock()
        elif self._limit is None:
            self._began = time.monotonic()
            self._limit = self.loop.call_later(self.server_state.head_seconds, self._is_late)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._stop_clock()
        self._has_message, self._has_head, self._head_bytes = True, False, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are all there."""
        self._has_head = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._has_message = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answers what is not HTTP, and ends the connection."""
        self._refuse(MALFORMED, "this is not a request as HTTP/1.1 knows it")

    def _stop_clock(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _is_late(self) -> None:
        """Time is up, unless it is for the body, or we ourselves have not read on."""
        self._limit = None
        patience = self.server_state
        allowed = patience.head_seconds + (patience.body_seconds if self._has_head else 0.0)
        left = self._began + allowed - time.monotonic()
        if self._has_head and (self.flow.read_paused or self.scope["path"] in patience.streams):
            left = max(left, patience.head_seconds)
        if left > 0:
            self._limit = self.loop.call_later(left, self._is_late)
            return
        self._refuse(TOO_SLOW, f"the request was not all there within {allowed:g} s")

    def _refuse(self, kind: Kind, detail: str) -> None:
        """Say why, unless a reply has begun, and end the connection."""
        self._stop_clock()
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = json.dumps(problem(kind, detail, "")).encode()
            head = (
                f"HTTP/1.1 {kind.status} {http.HTTPStatus(kind.status).phrase}",
                f"content-type: {MEDIA_TYPE}",
                f"content-length: {len(body)}",
                "connection: close",
            )
            self.transport.write("\r\n".join((*head, "", "")).encode() + body)
        self.transport.close()
