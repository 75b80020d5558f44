"""Errors as RFC 9457 problem details: one table of kinds, one exception, one way to JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
RETRY_AFTER_SECONDS = 1
"""Least pause that a reply of 429 asks for."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. `slug` is an anchor of the documentation page; `meaning` its text."""

    slug: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The problem's `type`: a URI reference that leads to its description."""
        return f"/docs#{self.slug}" if self.slug else "about:blank"


# Of what is no request as HTTP has it; it leads to no place in the documentation.
BAD_REQUEST = Kind("", 400, "Bad request", "")
MALFORMED = Kind("malformed-json", 400, "Malformed JSON", "The body is not JSON in UTF-8.")
UNAUTHORIZED = Kind(
    "unauthorized",
    401,
    "Unauthorized",
    "The request needs an API key that is known here: Authorization: Bearer KEY or X-API-Key: KEY.",
)
FORBIDDEN = Kind(
    "forbidden",
    403,
    "Forbidden",
    "The API key lacks the scope in detail; or without keys, the request came from elsewhere.",
)
NOT_FOUND = Kind("not-found", 404, "Not found", "Nothing is served at this path.")
UNKNOWN_MODEL = Kind(
    "unknown-model", 404, "Unknown model", "No model of that name is served; detail lists them."
)
MODEL_UNUSABLE = Kind(
    "model-not-usable",
    409,
    "Model not usable",
    "The checkpoint on the disk cannot be served, for the reason in detail. What was served before "
    "goes on serving.",
)
MODEL_NEEDED = Kind(
    "admin-conflict",
    409,
    "Model needed",
    "The change would leave requests without their model; detail says what to do first.",
)
WORKER_FAILED = Kind(
    "worker-failed",
    500,
    "Worker failed",
    "A worker process could not follow a change of the models and serves what it served before.",
)
METHOD = Kind(
    "method-not-allowed", 405, "Method not allowed", "The path does not answer this method."
)
BODY_TOO_LARGE = Kind(
    "body-too-large", 413, "Body too large", "The body is larger than the limit in detail."
)
MEDIA = Kind(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "The body must be sent with content-type: application/json.",
)
WRONG_HOST = Kind(
    "wrong-host",
    421,
    "Wrong host",
    "The Host header names none of the hosts that the service may be called by.",
)
INVALID = Kind(
    "invalid-request",
    422,
    "Invalid request",
    "The JSON does not fit the schema; errors holds a JSON pointer for each field at fault.",
)
TOO_MANY_ITEMS = Kind(
    "too-many-items", 422, "Too many items", "More texts or token lists than one request may hold."
)
NOT_TEXT = Kind("not-text", 422, "Not a text", "This item has the wrong JSON type.")
NOT_UNICODE = Kind(
    "not-unicode", 422, "Not Unicode text", "This item holds half of a surrogate pair."
)
TOO_LONG = Kind("too-long", 422, "Too long", "This item is longer than the limit in detail.")
RATE_LIMITED = Kind(
    "rate-limited",
    429,
    "Rate limited",
    "The API key, or without keys the address, asks too often; Retry-After says when to go on.",
)
OVERLOADED = Kind(
    "overloaded", 429, "Overloaded", "Too many requests wait already; try again later."
)
INTERNAL = Kind("internal-error", 500, "Internal error", "The fault is the server's; see its log.")
NOT_READY = Kind("not-ready", 503, "Not ready", "The server cannot answer requests now.")
DEADLINE = Kind(
    "deadline-exceeded",
    504,
    "Deadline exceeded",
    "The time that X-Request-Timeout, or the server, allows for the request was over first.",
)
# Nobody reads it; metrics and logs do.
GONE = Kind("", 499, "Client closed request", "The client left before the answer.")

KINDS = (
    MALFORMED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, UNKNOWN_MODEL, METHOD, MODEL_UNUSABLE,
    MODEL_NEEDED, BODY_TOO_LARGE, MEDIA, WRONG_HOST, INVALID, TOO_MANY_ITEMS, NOT_TEXT,
    NOT_UNICODE, TOO_LONG, RATE_LIMITED, OVERLOADED, INTERNAL, WORKER_FAILED, NOT_READY, DEADLINE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field of a body. `pointer` is a JSON pointer (RFC 6901) into the body."""

    pointer: str
    detail: str


class ProblemError(HTTPException):
    """Raised anywhere under the app to answer with a problem."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind.status, detail, dict(headers) if headers else None)
        self.kind = kind
        self.errors = errors


def problem(
    kind: Kind, detail: str, instance: str, errors: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """The JSON object of a problem. `instance` names the request, or the item of it."""
    members: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
    }
    if errors:
        shown = [{"pointer": e.pointer, "detail": e.detail} for e in errors[:MAX_ERRORS]]
        members["errors"] = shown
        if len(errors) > MAX_ERRORS:
            members["detail"] += f" (the first {MAX_ERRORS} of {len(errors)} are listed)"
    return members


def response(
    kind: Kind,
    detail: str,
    path: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a whole reply to a request for `path`."""
    # ASCII escapes, since names quoted from a request may hold what UTF-8 cannot carry.
    body = json.dumps(problem(kind, detail, quote(path, errors="replace"), errors))
    return Response(body, kind.status, headers=headers, media_type=MEDIA_TYPE)


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer for the way to a field: ("texts", 3) -> "/texts/3"."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in location)
