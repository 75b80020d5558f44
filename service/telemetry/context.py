"""Which request the running code belongs to, so that a log line can say so."""

from contextvars import ContextVar

from service.telemetry.exchange import Exchange

current: ContextVar[Exchange | None] = ContextVar("current", default=None)
"""Set by the outermost layer for the time of a request; not known in other threads."""
