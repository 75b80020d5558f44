"""POST /v1/tag/stream: the endpoint, and a response that is written while the body is read."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tagbelt.service.api import problems
from tagbelt.service.api.bodies import check_encoding
from tagbelt.service.api.describe import errors, reference
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.schemas import (
    DIGEST_HEADER,
    StreamedFailure,
    StreamedResult,
    StreamLine,
    StreamOptions,
)
from tagbelt.service.api.stream.tagging import PATH, Stream
from tagbelt.service.api.tagging import warning_header
from tagbelt.service.api.v1 import check_labels
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import AUTO
from tagbelt.service.private_logging import logger
from tagbelt.service.settings import Settings

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


SCHEMAS = (StreamLine, StreamedResult, StreamedFailure)
"""The shapes of lines: the framework does not find them, as they are no body of their own."""

router = APIRouter()

_REQUEST = {
    "required": True,
    "description": "JSON lines, each with one text or one token list, in a body of any length.",
    "content": {
        MEDIA_TYPE: {
            "schema": reference(StreamLine),
            "example": '{"id": 1, "text": "Ada Lovelace lived in London."}\n'
            '{"tokens": ["Angela", "Merkel"]}\n',
        }
    },
}
_REPLY: dict[str, Any] = {
    "description": "One line for each line, in order.",
    "content": {
        MEDIA_TYPE: {
            "schema": {"oneOf": [reference(StreamedResult), reference(StreamedFailure)]},
            "example": '{"line": 1, "id": 1, "entities": [{"label": "PER", "start": 0, "end": 12, '
            '"text": "Ada Lovelace", "score": 0.998}]}\n{"line": 2, "entities": []}\n',
        }
    },
}


@router.post(
    PATH,
    tags=["tagging"],
    summary="Find the entities of any number of texts",
    response_class=Response,
    responses={200: _REPLY, **errors(404, 415, 422, 429, 503)},
    openapi_extra={"requestBody": _REQUEST},
)
async def stream(options: Annotated[StreamOptions, Query()], request: Request) -> Response:
    """Answers line by line while the request is still being sent, in constant memory.

    A line that is bad fails alone. Read the answer while you send, or both sides wait for each
    other. A stream that must end early says so in its last line, with the number of the first
    line that was not answered.
    """
    app = request.app
    settings: Settings = app.state.settings
    registry: Registry = app.state.registry
    check_encoding(request)
    unknown = check_labels(request, options)
    served = registry.get(None if options.model == AUTO else options.model)
    if app.state.open_streams >= settings.max_streams:
        app.state.recorder.rejected("streams")
        raise ProblemError(
            problems.OVERLOADED,
            f"{settings.max_streams} streams are open already; "
            f"try again in {problems.RETRY_AFTER_SECONDS} s",
            headers={"retry-after": str(problems.RETRY_AFTER_SECONDS)},
        )
    app.state.open_streams += 1

    def end() -> None:
        app.state.open_streams -= 1

    lines = Stream(
        request,
        options,
        served,
        patience=settings.timeout_seconds,
        max_line_bytes=settings.max_body_bytes,
    )
    headers = {} if options.model == AUTO else {DIGEST_HEADER: served.digest}
    headers |= warning_header(unknown)
    return DuplexResponse(
        lines.answer(), headers=headers, patience=settings.timeout_seconds, on_end=end
    )
