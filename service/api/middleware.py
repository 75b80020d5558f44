"""The layers around every request: security headers, a limit on the body, a net for faults."""

from collections.abc import Awaitable, Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagbelt.service.api import problems
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.private_logging import log_failure
from tagbelt.service.shortage import DETAIL, is_shortage

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# A year: browsers that came by TLS once do not come without it again.
TRANSPORT_SECURITY = {"strict-transport-security": "max-age=31536000"}
_OUR_FAULT = "the request could not be answered; the fault is the server's"
_NOT_CACHED = (b"cache-control", b"no-store")


class SecurityHeaders:
    """Adds the security headers to every reply, and keeps replies out of caches by default."""

    def __init__(self, app: ASGIApp, *, over_tls: bool = False) -> None:
        self._app = app
        headers = SECURITY_HEADERS | (TRANSPORT_SECURITY if over_tls else {})
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass one connection on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The raw list: looking up by name would cost as much as all the rest.
                headers = message["headers"] = [*message["headers"], *self._headers]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NOT_CACHED)
            await send(message)

        return self._app(scope, receive, send_with_headers)


class FaultNet:
    """Answers an exception that nothing handled with a 500 problem; with 503 if memory ran out.

    It stands in front of the framework's own net, which would log the exception's message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except BaseException as error:
            is_short = is_shortage(error)
            if not (is_short or isinstance(error, Exception)) or scope["type"] != "http" or started:
                raise
            log_failure("a request failed", error)
            kind, detail = problems.INTERNAL, _OUR_FAULT
            if is_short:
                kind, detail = problems.NOT_READY, DETAIL
            reply = problems.response(kind, detail, scope["path"])
            await reply(scope, receive, send)


class HeadAsGet:
    """Answers HEAD as GET without the body: most of the framework's routes would refuse it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        # A copy: the server that sends the reply must still know that it was HEAD.
        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, send_head)
        finally:
            scope.update({name: asked[name] for name in ("route",) if name in asked})


class BodyLimit:
    """Refuses to read a body of more than `max_bytes`, declared or not.

    The paths of `streams` limit themselves.
    """

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, streams: Collection[str] = frozenset()
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._streams = streams

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass one connection on."""
        if scope["type"] != "http" or scope["path"] in self._streams:
            return self._app(scope, receive, send)
        declared = _declared_length(scope)
        read = 0
        more = True

        async def limited_receive() -> Message:
            nonlocal read, more
            if declared > self._max_bytes:
                raise self._too_large()
            message = await receive()
            if more and message["type"] == "http.disconnect":
                # The framework's own exception would pass for a fault of ours.
                raise ProblemError(problems.GONE, "the client has left")
            more = message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise self._too_large()
            return message

        return self._app(scope, limited_receive, send)

    def _too_large(self) -> ProblemError:
        return ProblemError(
            problems.BODY_TOO_LARGE,
            f"the body is larger than the limit of {self._max_bytes} bytes; "
            "send it in several requests",
        )


def _declared_length(scope: Scope) -> int:
    """Return the length of the body as the request states it; 0 when it states none."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
