"""Reading a JSON body into a schema, in one step where it is good and with care where it is not."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, get_type_hints

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response

from tagbelt.service.api import problems
from tagbelt.service.api.problems import FieldError, ProblemError

_JSON = re.compile(r"application/(.+\+)?json", re.IGNORECASE)

Schema = TypeVar("Schema", bound=BaseModel)


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


async def read_json(request: Request, schema: type[Schema]) -> Schema:
    """The body of a request. Raises ProblemError: 400, 413, 415 or 422."""
    raw = await request.body()
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json":
        check_content_type(content_type)
    check_encoding(request)
    return parse_json(raw, schema)


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


def parse_json(raw: bytes, schema: type[Schema]) -> Schema:
    """JSON in UTF-8 as `schema` describes it. Raises ProblemError, 400 or 422."""
    raw = raw.removeprefix(BOM_UTF8)
    try:
        return schema.model_validate_json(raw)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise invalid(error) from None
    # The fast parser refuses half surrogate pairs for the whole body: that is for items to say.
    try:
        return schema.model_validate(_loads(raw))
    except ValidationError as error:
        raise invalid(error) from None


def _loads(raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8"))
    except json.JSONDecodeError as error:
        detail = f"the body is not JSON: {error.msg} at character {error.pos}"
    except (UnicodeDecodeError, RecursionError):
        detail = "the body must be JSON in UTF-8, not nested too deeply"
    except ValueError:
        detail = "the body holds a whole number of thousands of digits"
    raise ProblemError(problems.MALFORMED, detail)


def invalid(error: ValidationError) -> ProblemError:
    """The problem of a body that does not fit its schema: a pointer for each field at fault."""
    errors = [_field_error(details) for details in error.errors(include_url=False)]
    detail = ": ".join(filter(None, (errors[0].pointer, errors[0].detail)))
    return ProblemError(problems.INVALID, detail, errors=errors)


def _field_error(details: ErrorDetails) -> FieldError:
    return FieldError(problems.pointer(details["loc"]), details["msg"])
