"""Reading a JSON body into a schema, in one step where it is good and with care where it is not."""

import asyncio
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any, TypeVar, get_type_hints

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tagbelt.service.api import problems
from tagbelt.service.api.errors import problem_error
from tagbelt.service.api.problems import FieldError, ProblemError

_JSON = re.compile(r"application/(.+\+)?json", re.IGNORECASE)

Schema = TypeVar("Schema", bound=BaseModel)
T = TypeVar("T")

LARGE = 16_384
"""Bytes, or tokens, that are looked through on the event loop; more take milliseconds."""
MOST_PARTS = 5_000
"""Lists, objects and their members that one body may have, besides two for each item."""


async def aside(size: int, work: Callable[[], T]) -> T:
    """What `work` returns; it is called in a thread when there are so many bytes or tokens."""
    return await asyncio.to_thread(work) if size > LARGE else work()


class JsonRoute(APIRoute):
    """A route whose endpoint takes (body, request) and answers with a Response.

    The framework describes such an endpoint, and this class calls it: the body goes from its
    bytes into the schema of `body` without a detour.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that the framework calls for each request."""
        endpoint: Any = self.endpoint
        schema = get_type_hints(endpoint)["body"]

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(await read_json(request, schema), request)
            return response

        return handle


class Direct:
    """Calls the endpoint of a JsonRoute for POST to its path; all else goes to the framework.

    The framework would do the same, in five times as many steps: search its routes, and stand ready
    for files, dependencies and exceptions that such an endpoint does not have.
    """

    def __init__(self, app: ASGIApp, *, route: JsonRoute) -> None:
        self._app = app
        self._route = route
        self._handle = route.get_route_handler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on, or answer it."""
        if (
            scope["type"] != "http"
            or scope["path"] != self._route.path
            or scope["method"] != "POST"
        ):
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route  # telemetry asks for it
        request = Request(scope, receive)
        try:
            response = await self._handle(request)
        except ProblemError as error:
            response = await problem_error(request, error)
        await response(scope, receive, send)


async def read_json(request: Request, schema: type[Schema]) -> Schema:
    """The body of a request. Raises ProblemError: 400, 413, 415 or 422."""
    raw = await request.body()
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json":
        check_content_type(content_type)
    check_encoding(request)
    return await parse_aside(request, raw, schema)


async def parse_aside(request: Request, raw: bytes, schema: type[Schema]) -> Schema:
    """As `parse_json`; a large body is left to a thread, so that other requests go on."""
    parts = MOST_PARTS + 2 * request.app.state.settings.max_items
    return await aside(len(raw), lambda: parse_json(raw, schema, parts))


def check_content_type(stated: str) -> None:
    """Raises ProblemError, 415, unless it is JSON by some name."""
    kind = stated.partition(";")[0].strip()
    if not _JSON.fullmatch(kind):
        sent = f"not {kind!r}" if kind else "which is missing"
        detail = f"send the header content-type: application/json, {sent}"
        raise ProblemError(problems.MEDIA, detail)


def check_encoding(request: Request) -> None:
    """Raises ProblemError, 415, for a compressed body: a small one could unpack to any size."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        detail = f"send the body as it is, without content-encoding: {encoding}"
        raise ProblemError(problems.MEDIA, detail, headers={"accept-encoding": "identity"})


def parse_json(raw: bytes, schema: type[Schema], parts: int = MOST_PARTS) -> Schema:
    """JSON in UTF-8 as `schema` describes it. Raises ProblemError, 400 or 422.

    It has at most so many lists, objects and members: what holds more is made to take long.
    """
    raw = raw.removeprefix(BOM_UTF8)
    # The most that there may be; of a text, some of these are characters in it.
    has_many = sum(map(raw.count, (b"[", b"{", b":"))) > parts
    if not has_many:
        try:
            return schema.model_validate_json(raw)
        except ValidationError as error:
            if error.error_count() > 1 or error.errors()[0]["type"] != "json_invalid":
                raise invalid(error, schema) from None
    # The fast parser refuses half surrogate pairs for the whole body: that is for items to say.
    try:
        return schema.model_validate(_loads(raw, parts if has_many else None))
    except ValidationError as error:
        raise invalid(error, schema) from None


class _CountingDecoder(json.JSONDecoder):
    """Reads JSON in small steps, between which other threads go on, and counts its parts."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._parts = self._left = parts
        self.parse_object = self._object
        self.parse_array = self._array
        self.scan_once = py_make_scanner(self)

    def _object(self, start: tuple[str, int], strict: bool, scan: Any, *more: Any) -> Any:
        def counted(text: str, place: int) -> Any:
            self._count()
            return scan(text, place)

        self._count()
        return JSONObject(start, strict, counted, *more)

    def _array(self, start: tuple[str, int], scan: Any) -> Any:
        self._count()
        return JSONArray(start, scan)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            detail = (
                f"the body has more than {self._parts} lists, objects and members; "
                "send it in several requests"
            )
            raise ProblemError(problems.INVALID, detail)


def _loads(raw: bytes, parts: int | None) -> object:
    try:
        text = raw.decode("utf-8")
        return json.loads(text) if parts is None else _CountingDecoder(parts).decode(text)
    except json.JSONDecodeError as error:
        detail = f"the body is not JSON: {error.msg} at character {error.pos}"
    except (UnicodeDecodeError, RecursionError):
        detail = "the body must be JSON in UTF-8, not nested too deeply"
    except ValueError:
        detail = "the body holds a whole number of thousands of digits"
    raise ProblemError(problems.MALFORMED, detail)


def invalid(error: ValidationError, schema: type[BaseModel]) -> ProblemError:
    """The problem of a body that does not fit its schema: a pointer for each field at fault."""
    errors = [_field_error(details, schema) for details in error.errors(include_url=False)]
    detail = ": ".join(filter(None, (errors[0].pointer, errors[0].detail)))
    return ProblemError(problems.INVALID, detail, errors=errors)


def _field_error(details: ErrorDetails, schema: type[BaseModel]) -> FieldError:
    place, said = details["loc"], details["msg"]
    if details["type"] == "extra_forbidden":
        said = "there is no such field"
        if len(place) == 1:
            said += f", only: {', '.join(schema.model_fields)}"
    return FieldError(problems.pointer(place), said)
