"""One connection: bounded in what it may send and how slowly, and never closed on a request.

The web server knows no bounds: headers without an end would fill the memory, and requests that
are begun and never finished would use up the connections that there can be. This subclass of its
protocol adds them. It also refuses to tag while the engine is full, before a body is read; sends
what is written in one turn of the event loop in one piece; and ends in order with the server.
"""

import asyncio
import http
import json
import math
import re
import select
import sys
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tagbelt.service.api import problems
from tagbelt.service.api.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, Kind, problem
from tagbelt.service.api.tagging import ARRIVED, TIMEOUT_HEADER
from tagbelt.service.engine.engine import Engine
from tagbelt.service.shortage import DETAIL, is_shortage

HEAD_BYTES = 65_536
"""Most bytes of request line and headers, besides what comes with the first packet of them.

As many may come between two pieces of a body, or behind it: chunk extensions and trailers.
"""
BYTES_PER_SECOND = 16_384
"""A client that sends its body more slowly is given up; no line in use is that slow."""
# Who has only just connected is about to ask.
FRESH_SECONDS = 0.5

TOO_SLOW = Kind("", 408, "Request timeout", "")
HEAD_TOO_LARGE = Kind("", 431, "Request header fields too large", "")

_TIMEOUT = TIMEOUT_HEADER.encode()
# What is stated in another way is for the app to read, or to refuse.
_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{0,9})?")

# Changing the models is what may be needed most while the engine is full.
_ADMIN = ("/v1/models", "/v1/reload")


class Admission:
    """Refuses tagging requests while the engine has as much waiting as it may.

    `rejected` is called for each, with the reason.
    """

    def __init__(self, engine: Engine, rejected: Callable[[str], None]) -> None:
        self._engine = engine
        self._rejected = rejected

    def refusal(self, scope: Scope) -> bytes | None:
        """Return the whole reply to a request that is refused, None for one that may come in."""
        if self._engine.is_full:
            reason: str | None = "queue_full"
        elif self._engine.backlog_seconds:
            reason = self._lateness(scope["headers"])
        else:
            return None
        if reason is None or scope["method"] != "POST" or scope["path"].startswith(_ADMIN):
            return None
        self._rejected(reason)
        return _overloaded(scope["path"])

    def let_in(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        """Count a request whose body of so many bytes is there, until it is queued.

        What is read in one turn of the event loop is queued in the next: without this, all of it
        would find the queue as short as the first does.
        """
        if not self._engine.coming:
            loop.call_soon(self._forget)
        self._engine.coming += size

    def _forget(self) -> None:
        self._engine.coming = 0.0

    def _lateness(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the reason of refusing what would not be done in the time that it states."""
        size, seconds = 0, math.inf
        for name, value in headers:
            if name == _TIMEOUT and (stated := _SECONDS.fullmatch(value)):
                seconds = float(stated[0])
            elif name == b"content-length" and value.isdigit():
                size = int(value)
        return "too_late" if self._engine.would_be_late(size, seconds) else None


@lru_cache(maxsize=64)
def _overloaded(path: str) -> bytes:
    detail = f"too much waits already; try again in {RETRY_AFTER_SECONDS} s"
    reply = problems.response(problems.OVERLOADED, detail, path)
    return _reply(reply.status_code, bytes(reply.body), (f"retry-after: {RETRY_AFTER_SECONDS}",))


def _reply(status: int, body: bytes, headers: tuple[str, ...]) -> bytes:
    """Return a problem as the bytes of a whole reply."""
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        *headers,
    )
    return "\r\n".join((*head, "", "")).encode() + body


class CoalescingTransport:
    """A transport that sends what is written in one turn of the event loop in one piece.

    The head of a reply and its body then take one call of the kernel, and one packet, less. All but
    writing and closing is left to the transport that it is made of.
    """

    __slots__ = ("_loop", "_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the transport."""
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
            # The client may have gone since: an event loop's transport may say so by an error.
            with suppress(RuntimeError):
                self._transport.write(data)


class Connections(ServerState):
    """The connections of a server, their limits, and whether the server is about to end.

    `head` is how many seconds request line and headers may take, and `body` how many more the body
    may, but for those of `streams`: paths that have a limit of their own.
    """

    def __init__(
        self,
        *,
        head: float = 30.0,
        body: float = 64.0,
        streams: Collection[str] = frozenset(),
        admission: Admission | None = None,
    ) -> None:
        super().__init__()
        self.head_seconds = head
        self.body_seconds = body
        self.streams = streams
        self.admission = admission
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


class _Parser(httptools.HttpRequestParser):
    """Reads HTTP/1.1, and reads on where a client offers to switch to another protocol.

    The library's own stops behind the headers of such a request, body or not.
    """

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection)
        # The reply to the first of two requests may end the connection while the second is read.
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._connection = connection

    def feed_data(self, data: Any) -> None:
        """Read on. Raises HttpParserError."""
        parser = self
        while True:
            try:
                super(_Parser, parser).feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                if not self._connection.has_offer:  # CONNECT
                    raise
                data = memoryview(data)[offer.args[0] :]
            parser = self._connection.begin_again()


# Headers that offer another protocol, or belong to such an offer.
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


def _without_offer(name: bytes, value: bytes) -> bytes:
    """Return a header line as a client without any other protocol would send it; maybe empty."""
    if name in _OFFERS:
        return b""
    if name == b"connection":
        tokens = (token.strip() for token in value.split(b","))
        value = b", ".join(token for token in tokens if token.lower() not in _OFFERS)
    return name + b": " + value + b"\r\n"


class Connection(HttpToolsProtocol):
    """One connection. Whatever it refuses gets a problem as its reply, and ends the connection."""

    server_state: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = _Parser(self)
        self.has_offer = False
        """Whether the request being read offers to switch to another protocol."""
        self._since = time.monotonic()
        # Of the request that is coming in: whether any of it is missing, and whether its head is.
        self._has_message = False
        self._has_head = True
        self._head_bytes = 0
        # Whether the last data held more than a part of headers, or of what surrounds a body.
        self._has_news = False
        self._began = 0.0
        self._limit: asyncio.TimerHandle | None = None
        # The request whose reply we made the last one.
        self._last: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected; while it says nothing it is as idle as between two requests."""
        super().connection_made(cast(asyncio.Transport, CoalescingTransport(transport, self.loop)))
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._unset_keepalive_if_required()
        self._stop_clock()
        super().connection_lost(exc)
        # A request holds its connection: in a circle both, and the body, would wait for the
        # collector of garbage.
        self.cycle = self._last = None  # type: ignore[assignment]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Data has come. Requests that come whole, as most do, need no clock."""
        was_within, self._has_news = self._has_message, False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if was_within and self._has_message and not self._has_news:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                what = "trailers" if self._has_head else "headers"
                self._refuse(HEAD_TOO_LARGE, f"the {what} have more than {HEAD_BYTES} bytes")
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
        self._has_news, self.has_offer = True, False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is there. A trailer, which comes behind the body, is not one of them."""
        if not self._has_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of the body is there."""
        self._has_news, self._head_bytes = True, 0
        super().on_body(body)

    def begin_again(self) -> _Parser:
        """Read the head of a request anew, without the offer in it; return what reads on."""
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/"]
        head += [self.parser.get_http_version().encode(), b"\r\n"]
        head += [_without_offer(name, value) for name, value in self.headers]
        parser = self.parser = _Parser(self)
        parser.feed_data(b"".join([*head, b"\r\n"]))
        return parser

    def on_headers_complete(self) -> None:
        """All headers of a request are there; it may have come right behind another one."""
        before = self.cycle
        self._has_head = self._has_news = True
        self.has_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self.has_offer:
            return
        super().on_headers_complete()
        if self.server_state.is_draining and self.cycle is not before:
            if before is not None and before is self._last and not before.response_started:
                before.keep_alive = True
            self.end_after_reply()

    def on_message_complete(self) -> None:
        """All of a request is there."""
        if self.has_offer:  # only its head is
            return
        self._has_message = False
        self.scope["state"][ARRIVED] = time.monotonic()
        super().on_message_complete()
        admission, cycle = self.server_state.admission, self.cycle
        if admission is not None and not cycle.response_complete:
            admission.let_in(len(cycle.body), self.loop)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer what is not HTTP, and end the connection."""
        # The parser passes off as the client's fault what fails while its data is looked at.
        error = sys.exception()
        if error is not None and is_shortage(error.__context__):
            self._refuse(problems.NOT_READY, DETAIL)
            return
        self._refuse(problems.BAD_REQUEST, "this is not a request as HTTP/1.1 knows it")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Have a request answered, or refuse it if the engine is full."""
        admission, refusal = self.server_state.admission, None
        # A connection that ends with its reply needs more care than this.
        if admission is not None and cycle.keep_alive and not self.server_state.is_draining:
            refusal = admission.refusal(cast(Scope, cycle.scope))
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
        if not is_busy and self._has_head and not self._has_input():
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing came for long, unless something just did."""
        if not self._has_input():
            super().timeout_keep_alive_handler()

    def _has_input(self) -> bool:
        """Whether bytes, or the client's end, wait to be read."""
        found = self.transport.get_extra_info("socket")
        return found is not None and is_readable(found.fileno())

    def _stop_clock(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _is_late(self) -> None:
        """Time is up, unless it is for the body, or we ourselves have not read on."""
        self._limit = None
        state = self.server_state
        allowed = state.head_seconds + (state.body_seconds if self._has_head else 0.0)
        left = self._began + allowed - time.monotonic()
        if self._has_head and (self.flow.read_paused or self.scope["path"] in state.streams):
            left = max(left, state.head_seconds)
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
            self.transport.write(_reply(kind.status, body, ("connection: close",)))
        self.transport.close()


def is_readable(descriptor: int) -> bool:
    """Whether something waits to be read. A descriptor that is closed has nothing."""
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
