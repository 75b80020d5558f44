"""Turning requests away at the door: before anything of them is read but their headers."""

from collections.abc import Callable
from functools import lru_cache

from starlette.types import Scope

from tagbelt.service.api import problems
from tagbelt.service.engine.engine import Engine

# Changing the models is what may be needed most now.
_ADMIN = ("/v1/models", "/v1/reload")
RETRY_AFTER_SECONDS = 1


class Door:
    """Refuses tagging requests while the engine has as much waiting as it may.

    `rejected` is told of each, with the reason.
    """

    def __init__(self, engine: Engine, rejected: Callable[[str], None]) -> None:
        self._engine = engine
        self._rejected = rejected

    def refusal(self, scope: Scope) -> bytes | None:
        """The whole reply to a request that must not come in now."""
        if not self._engine.is_full or scope["method"] != "POST":
            return None
        if scope["path"].startswith(_ADMIN):
            return None
        self._rejected("queue_full")
        return _reply(scope["path"])


@lru_cache(maxsize=64)
def _reply(path: str) -> bytes:
    detail = f"too much waits already; try again in {RETRY_AFTER_SECONDS} s"
    reply = problems.response(problems.OVERLOADED, detail, path)
    head = (
        "HTTP/1.1 429 Too Many Requests",
        f"content-type: {problems.MEDIA_TYPE}",
        f"content-length: {len(reply.body)}",
        f"retry-after: {RETRY_AFTER_SECONDS}",
    )
    return "\r\n".join((*head, "", "")).encode() + bytes(reply.body)
