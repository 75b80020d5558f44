"""Turn the framework's exceptions into problems: every error reply has one shape."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from tagbelt.service.api import problems
from tagbelt.service.api.problems import FieldError, Kind, ProblemError
from tagbelt.service.shortage import DETAIL, is_shortage


async def problem_error(request: Request, error: ProblemError) -> Response:
    """The reply to a request that ended in a problem."""
    return problems.response(
        error.kind,
        error.detail,
        request.scope["path"],
        errors=error.errors,
        headers=error.headers,
    )


async def _http_error(request: Request, error: HTTPException) -> Response:
    if is_shortage(error.__cause__):  # the framework takes any failure to read a body for a 400
        kind, detail = problems.NOT_READY, DETAIL
    elif error.status_code == problems.MALFORMED.status:
        kind, detail = problems.MALFORMED, "the body must be JSON in UTF-8, not nested too deeply"
    elif error.status_code == problems.NOT_FOUND.status:
        kind, detail = problems.NOT_FOUND, "nothing is served at this path; /docs lists what is"
    elif error.status_code == problems.METHOD.status:
        allowed = _allowed(request)
        kind, detail = problems.METHOD, f"this path answers: {allowed}"
        return problems.response(kind, detail, request.scope["path"], headers={"allow": allowed})
    else:
        kind, detail = Kind("", error.status_code, error.detail, ""), error.detail
    return problems.response(kind, detail, request.scope["path"], headers=error.headers)


def _allowed(request: Request) -> str:
    """The methods of all routes at a path; the framework names those of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    """Of what stands in the path or the query; bodies have `tagbelt.service.api.bodies`."""
    errors = [FieldError(problems.pointer(e["loc"]), e["msg"]) for e in error.errors()]
    detail = ": ".join(filter(None, (errors[0].pointer, errors[0].detail)))
    path = request.scope["path"]
    return problems.response(problems.INVALID, detail, path, errors=errors)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    ProblemError: problem_error,
    HTTPException: _http_error,
    RequestValidationError: _validation_error,
}
