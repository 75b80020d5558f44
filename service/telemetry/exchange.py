"""One request and its reply, as the metrics, the log and the trace need them."""

import random
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.types import Message, Receive, Scope, Send

from tagbelt.service.engine.recorder import Work

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})"
    rb"-(?!0{32})(?P<trace>[0-9a-f]{32})"
    rb"-(?!0{16})(?P<parent>[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})"
    # Later versions may add fields; version 00 has none.
    rb"(?P<rest>-.*)?"
)
_SAMPLED = 1
# Ids must differ, not be secret: the system's own source costs a call of the kernel each time.
_random = random.Random()


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's span. The ids are lower-case hexadecimal, of 16 and 8 bytes."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(value: bytes) -> TraceParent | None:
    """The header `traceparent`; None when it is malformed and must be ignored."""
    found = _TRACEPARENT.fullmatch(value)
    if found is None or (found["version"] == b"00" and found["rest"] is not None):
        return None
    sampled = bool(int(found["flags"], 16) & _SAMPLED)
    return TraceParent(found["trace"].decode(), found["parent"].decode(), sampled)


def request_id(value: bytes | None) -> str:
    """The caller's id when it is fit for a header and a log line, a new one otherwise."""
    if value is not None and _REQUEST_ID.fullmatch(value):
        return value.decode()
    return f"{_random.getrandbits(128):032x}"


def new_trace_id() -> str:
    """A trace id that nobody has used, as 32 hexadecimal digits, not all zero."""
    return f"{_random.getrandbits(120):030x}01"


OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_PATH = 500
"""Characters of a path that a log line may hold."""
CLIENT_LEFT = 499
"""The status, in metrics and log, of a request whose client did not wait for the reply."""
QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/health"})
QUIET_FOLDER = "/v2/health/"


class Exchange:
    """A request from its first byte to the last of its reply. Durations are in seconds.

    `receive` and `send` stand between the app and the connection, and note what passes.
    """

    __slots__ = (
        "_complete",
        "_receive",
        "_send",
        "began",
        "began_ns",
        "body_bytes",
        "ended",
        "left",
        "parent",
        "replied",
        "request_id",
        "scope",
        "sent_status",
        "trace_id",
        "tracestate",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._complete = False
        self.began = time.perf_counter()
        self.began_ns = time.time_ns()
        self.scope = scope
        self.left = False
        """Whether the client went away before the reply was complete."""
        self.sent_status: int | None = None
        self.replied: float | None = None
        self.ended: float | None = None
        self.body_bytes = 0
        self.parent: TraceParent | None = None
        self.tracestate: list[bytes] = []
        wanted, parents = None, []
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                wanted = value
            elif name == b"traceparent":
                parents.append(value)
            elif name == b"tracestate":
                self.tracestate.append(value)
        self.request_id = request_id(wanted)
        # Two of them are no better than a malformed one.
        if len(parents) == 1:
            self.parent = parse_traceparent(parents[0])
        self.trace_id = self.parent.trace_id if self.parent else new_trace_id()

    async def receive(self) -> Message:
        """Return the next part of the request."""
        message = await self._receive()
        # After a complete reply this message only says that there is nothing more to come.
        if message["type"] == "http.disconnect" and not self._complete:
            self.left = True
        return message

    async def send(self, message: Message) -> None:
        """Send the next part of the reply."""
        if message["type"] == "http.response.start":
            self.replied = time.perf_counter()
            self.sent_status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers()]
        elif message["type"] == "http.response.body":
            self.body_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        await self._send(message)
        if self._complete:
            self.ended = time.perf_counter()

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", self.request_id.encode())]
        if self.work is not None:
            total = time.perf_counter() - self.began
            headers.append((b"server-timing", server_timing(self.work, total)))
        return headers

    @property
    def method(self) -> str:
        """The request's method."""
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encoded, without the query."""
        raw: bytes | None = self.scope.get("raw_path")
        return quote(self.scope["path"]) if raw is None else raw.decode("latin-1")

    @property
    def route(self) -> str:
        """The template of the route that answered; OTHER when none did."""
        route: str = getattr(self.scope.get("route"), "path_format", OTHER)
        return route

    @property
    def work(self) -> Work | None:
        """The engine's account of it; None when the engine did nothing."""
        work: Work | None = self.scope["state"].get("work")
        return work

    @property
    def status(self) -> int:
        """Of the reply, 499 when the client left, 500 when there was no reply."""
        return CLIENT_LEFT if self.left else self.sent_status or 500

    @property
    def seconds(self) -> float:
        """Seconds from the request to the end of the reply."""
        return (self.ended or time.perf_counter()) - self.began

    @property
    def quiet(self) -> bool:
        """Whether it is one of those that would drown the others in a log."""
        path: str = self.scope["path"]
        return path in QUIET_PATHS or path.startswith(QUIET_FOLDER)

    def fields(self) -> dict[str, Any]:
        """Return what a line of the access log says of it, without the texts."""
        fields: dict[str, Any] = {
            "method": self.method,
            "path": self.path[:MAX_PATH],
            "route": self.route,
            "status": self.status,
            "seconds": round(self.seconds, 6),
            "bytes": self.body_bytes,
        }
        address = self.scope.get("client")
        if address is not None:
            fields["address"] = address[0]
        client = self.scope["state"]["client_name"]
        if client is not None:
            fields["client"] = client
        work = self.work
        if work is not None:
            fields |= {"model": work.model, "items": work.items, "tokens": work.tokens}
        return fields


def server_timing(work: Work, total: float) -> bytes:
    """Return the value of the header Server-Timing, in milliseconds; `total` is in seconds."""
    return (
        f"queue;dur={work.queue * 1000:.3f}, tokenize;dur={work.tokenize * 1000:.3f}, "
        f"infer;dur={work.infer * 1000:.3f}, decode;dur={work.decode * 1000:.3f}, "
        f"total;dur={total * 1000:.3f}"
    ).encode()
