"""Which request the running code belongs to, so that a log line can say so."""

from contextvars import ContextVar

current: ContextVar[tuple[str, str] | None] = ContextVar("current", default=None)
"""Its request id and its trace id, for the time of a request; not known in other threads."""
