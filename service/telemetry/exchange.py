"""One request and its reply, as far as the metrics, the log and the trace want to know it."""

import time
from urllib.parse import quote

from starlette.types import Scope

from tagbelt.service.engine.recorder import Work
from tagbelt.service.telemetry.ids import TraceParent, new_trace_id, parse_traceparent, request_id

OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_LEFT = 499
"""The status, in metrics and log, of a request whose client did not wait for the reply."""
QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/health"})
QUIET_FOLDER = "/v2/health/"


class Exchange:
    """A request from its first byte to the last of its reply. Durations are in seconds."""

    __slots__ = (
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

    def __init__(self, scope: Scope) -> None:
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
        """What the engine did for it; None when it did nothing."""
        work: Work | None = self.scope["state"].get("work")
        return work

    @property
    def status(self) -> int:
        """Of the reply, 499 when the client left, 500 when there was no reply."""
        return CLIENT_LEFT if self.left else self.sent_status or 500

    @property
    def seconds(self) -> float:
        """From the request to the end of the reply."""
        return (self.ended or time.perf_counter()) - self.began

    @property
    def quiet(self) -> bool:
        """Whether it is one of those that would drown the others in a log."""
        path: str = self.scope["path"]
        return path in QUIET_PATHS or path.startswith(QUIET_FOLDER)
