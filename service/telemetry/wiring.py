"""All of an app's telemetry, made from its settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tagbelt.service.quietlog import log_failure
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.access import AccessLog
from tagbelt.service.telemetry.exchange import Exchange
from tagbelt.service.telemetry.metrics import Metrics
from tagbelt.service.telemetry.tracing import Tracing, make_tracing

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
