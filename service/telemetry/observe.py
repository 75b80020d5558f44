"""The outermost layer: names every request, watches its reply, and reports it to all telemetry."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from tagbelt.errors import SettingsError
from tagbelt.service.private_logging import log_failure
from tagbelt.service.settings import ENV_PREFIX, Settings
from tagbelt.service.telemetry.exchange import Exchange
from tagbelt.service.telemetry.logs import AccessLog, current
from tagbelt.service.telemetry.metrics import Metrics

EXTRA = "otel"


class Tracing(Protocol):
    """Turns requests into spans."""

    def request(self, exchange: Exchange) -> None:
        """A request has been answered; its spans will be sent soon."""

    def close(self) -> None:
        """Sends what is waiting; gives up after a few seconds."""


def make_tracing(settings: Settings) -> Tracing | None:
    """Sends spans to `otlp_endpoint`; None when there is none.

    Raises SettingsError when the packages for it are not installed.
    """
    if settings.otlp_endpoint is None:
        return None
    try:
        from tagbelt.service.telemetry.otel import OtelTracing
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"otlp_endpoint={settings.otlp_endpoint} needs the module {error.name}, which is not "
            f"installed: pip install 'tagbelt[{EXTRA}]', or unset {ENV_PREFIX}OTLP_ENDPOINT"
        ) from error
    return OtelTracing.to(settings.otlp_endpoint)


REFRESH_SECONDS = 1.0


class Telemetry:
    """Metrics always; an access log and traces as far as the settings want them.

    Raises SettingsError when traces are wanted and cannot be made.
    """

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics()
        self._access = AccessLog(texts=settings.log_texts) if settings.access_log else None
        self._tracing: Tracing | None = make_tracing(settings)

    def tell(self, exchange: Exchange) -> None:
        """A request has been answered, or will not be."""
        self.metrics.request(exchange.route, exchange.method, exchange.status, exchange.seconds)
        if self._access is not None:
            self._access.write(exchange)
        if self._tracing is not None:
            self._tracing.request(exchange)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For the life of the app: keeps the gauges fresh, and sends what is left at the end."""
        refreshing = asyncio.create_task(self._keep_fresh())
        try:
            yield
        finally:
            refreshing.cancel()
            if self._tracing is not None:
                await asyncio.to_thread(self._tracing.close)

    async def _keep_fresh(self) -> None:
        # A scrape may be answered by another process, which reads what this one has written.
        while True:
            try:
                self.metrics.refresh()
            except Exception as error:
                log_failure("the gauges could not be brought up to date", error)
            await asyncio.sleep(REFRESH_SECONDS)


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
        exchange = Exchange(scope, receive, send)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        state["trace_id"] = exchange.trace_id
        state["client_name"] = None
        token = current.set((exchange.request_id, exchange.trace_id))
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            # The server ends and does not wait any longer.
            exchange.sent_status = exchange.sent_status or UNAVAILABLE
            raise
        finally:
            exchange.ended = exchange.ended or time.perf_counter()
            self._telemetry.tell(exchange)
            current.reset(token)
