"""The endpoint of streams."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tagbelt.service.api import problems
from tagbelt.service.api.bodies import check_encoding
from tagbelt.service.api.describe import errors, reference
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.schemas import StreamedFailure, StreamedResult, StreamLine, StreamOptions
from tagbelt.service.api.stream.response import MEDIA_TYPE, DuplexResponse
from tagbelt.service.api.stream.tagging import PATH, Stream
from tagbelt.service.api.v1 import check_labels
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import AUTO
from tagbelt.service.settings import Settings
from tagbelt.service.tagging import DIGEST_HEADER, RETRY_AFTER_SECONDS

SCHEMAS = (StreamLine, StreamedResult, StreamedFailure)
"""What lines hold: the framework does not find them, as they are no body of their own."""

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
    check_labels(registry, options)
    served = registry.get(None if options.model == AUTO else options.model)
    if app.state.open_streams >= settings.max_streams:
        app.state.recorder.rejected("streams")
        raise ProblemError(
            problems.OVERLOADED,
            f"{settings.max_streams} streams are open already; "
            f"try again in {RETRY_AFTER_SECONDS} s",
            headers={"retry-after": str(RETRY_AFTER_SECONDS)},
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
    return DuplexResponse(
        lines.answer(), headers=headers, patience=settings.timeout_seconds, on_end=end
    )
