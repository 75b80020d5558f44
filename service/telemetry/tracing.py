"""Traces, for whoever wants them: OpenTelemetry is imported only then."""

from typing import Protocol

from tagbelt.errors import SettingsError
from tagbelt.service.settings import ENV_PREFIX, Settings
from tagbelt.service.telemetry.exchange import Exchange

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
