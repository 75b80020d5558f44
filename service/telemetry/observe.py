"""The outermost layer: it names every request, sees every reply, and tells of both."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagbelt.service.engine.recorder import Work
from tagbelt.service.telemetry.context import current
from tagbelt.service.telemetry.exchange import Exchange
from tagbelt.service.telemetry.wiring import Telemetry

UNAVAILABLE = 503


class Observe:
    """Counts, times, logs and traces each request.

    It sets `request_id`, `trace_id` and `client_name` in the scope's state, and the headers
    X-Request-ID and, where the engine worked, Server-Timing on the reply.
    """

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one connection on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        state["trace_id"] = exchange.trace_id
        state["client_name"] = None
        watch = _Watch(exchange, receive, send)
        token = current.set((exchange.request_id, exchange.trace_id))
        try:
            await self._app(scope, watch.receive, watch.send)
        except asyncio.CancelledError:
            # The server ends and does not wait any longer.
            exchange.sent_status = exchange.sent_status or UNAVAILABLE
            raise
        finally:
            exchange.ended = exchange.ended or time.perf_counter()
            self._telemetry.tell(exchange)
            current.reset(token)


class _Watch:
    """The two ends of a connection, with somebody looking."""

    __slots__ = ("_complete", "_exchange", "_receive", "_send")

    def __init__(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._complete = False

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        # After a complete reply this message only says that there is nothing more to come.
        if message["type"] == "http.disconnect" and not self._complete:
            self._exchange.left = True
        return message

    async def send(self, message: Message) -> None:
        """The next part of the reply."""
        exchange = self._exchange
        if message["type"] == "http.response.start":
            exchange.replied = time.perf_counter()
            exchange.sent_status = message["status"]
            message["headers"] = [*message.get("headers", ()), *_headers(exchange)]
        elif message["type"] == "http.response.body":
            exchange.body_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        await self._send(message)
        if self._complete:
            exchange.ended = time.perf_counter()


def _headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", exchange.request_id.encode())]
    if exchange.work is not None:
        total = time.perf_counter() - exchange.began
        headers.append((b"server-timing", server_timing(exchange.work, total)))
    return headers


def server_timing(work: Work, total: float) -> bytes:
    """The value of the header Server-Timing, in milliseconds; `total` is in seconds."""
    return (
        f"queue;dur={work.queue * 1000:.3f}, tokenize;dur={work.tokenize * 1000:.3f}, "
        f"infer;dur={work.infer * 1000:.3f}, decode;dur={work.decode * 1000:.3f}, "
        f"total;dur={total * 1000:.3f}"
    ).encode()
