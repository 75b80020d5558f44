"""A response that is written while the request's body is still being read."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tagbelt.service.quietlog import logger

MEDIA_TYPE = "application/x-ndjson"


class DuplexResponse(Response):
    """Sends what `content` yields. Unlike the framework's, it leaves receiving to others.

    A client that takes nothing for `patience` seconds is given up. `on_end` is called in any case.
    """

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str],
        patience: float,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(None, 200, headers, MEDIA_TYPE)
        del self.headers["content-length"]
        # Proxies that buffer would keep the answer until the end.
        self.headers["x-accel-buffering"] = "no"
        self._content = content
        self._patience = patience
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answers the request."""
        try:
            await self._write(send)
        except (OSError, TimeoutError):
            # The reply has begun: all that is left is to break it off.
            logger.info("a stream ended early: its client took no more of it")
        finally:
            await self._content.aclose()
            self._on_end()

    async def _write(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        async for piece in self._content:
            async with asyncio.timeout(self._patience):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
