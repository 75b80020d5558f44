"""The values that calls answer with, the errors that they raise, and how replies become them.

Members that a newer server adds are ignored.
"""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tagbelt.data.types import Entity
from tagbelt.errors import TagbeltError
from tagbelt.service.api.schemas import (
    Alternative,
    Failed,
    ModelName,
    Problem,
    Reading,
    TaggedToken,
)
from tagbelt.service.models.schemas import ModelState, ModelStates, Report

T = TypeVar("T")

_QUOTED = 200  # characters of a body that is no problem


class RequestProblem(Problem):
    """A problem of a request, whose id finds it in the server's log.

    Something between the client and the server that answers without problem details gives one of
    type "about:blank".
    """

    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The entities of one item, and what else was asked for.

    `tokens`, `tags` and `alternatives` are None unless `include` asked for them, and `paths`, the
    best first, unless `n_best` did. `start` and `end` count in the offset unit that was asked for;
    for token lists they are token indices. `model` is the name@version that tagged this item.
    """

    entities: tuple[Entity, ...]
    tokens: tuple[TaggedToken, ...] | None = None
    tags: tuple[str, ...] | None = None
    alternatives: tuple[tuple[Alternative, ...], ...] | None = None
    paths: tuple[Reading, ...] | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ItemError:
    """Stands in the place of a result whose item is bad on its own."""

    problem: RequestProblem


class ConnectionFailedError(TagbeltError):
    """The server cannot be reached, or the connection broke; the cause is httpx's error."""


class ReplyError(TagbeltError):
    """A reply that is not one of Tagbelt's: another server, or something in between."""


class DeadlineError(TagbeltError, TimeoutError):
    """The deadline of the call has passed.

    `problem` is set when the server said so; otherwise the cause is the last failure, if any.
    """

    def __init__(self, message: str, problem: RequestProblem | None = None) -> None:
        super().__init__(message, problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.args[0])


class StatusError(TagbeltError):
    """The server refused or failed; `problem` says why, `retry_after` when to ask again (s)."""

    def __init__(self, problem: RequestProblem, retry_after: float | None = None) -> None:
        super().__init__(problem, retry_after)
        self.problem = problem
        self.retry_after = retry_after

    def __str__(self) -> str:
        problem = self.problem
        text = f"{problem.status} {problem.title}: {problem.detail}"
        return f"{text} (request {problem.request_id})" if problem.request_id else text


class InvalidRequestError(StatusError):
    """400, 415, 422: the request cannot be answered as it is; see `problem.errors`."""


class UnauthorizedError(StatusError):
    """401: no key, or one that is not known."""


class ForbiddenError(StatusError):
    """403: the key has not the scope."""


class NotFoundError(StatusError):
    """404: no such model, or no such path."""


class ConflictError(StatusError):
    """409: what the models are now does not allow it, or a checkpoint cannot be served."""


class TooLargeError(StatusError):
    """413: the body is over the server's limit."""


class OverloadedError(StatusError):
    """429: the queue is full, or the key's rate is used up."""


class ServerError(StatusError):
    """5xx: the fault is not the client's."""


class NotReadyError(ServerError):
    """503: the server is starting, ending, or broken."""


_BY_STATUS: dict[int, type[StatusError]] = {
    400: InvalidRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: OverloadedError,
    503: NotReadyError,
}

DEADLINE_EXCEEDED = "deadline-exceeded"


def error_of(problem: RequestProblem, retry_after: float | None = None) -> TagbeltError:
    """Return the exception for a problem."""
    if problem.slug == DEADLINE_EXCEEDED:
        return DeadlineError(f"the server gave up: {problem.detail}", problem)
    fallback = ServerError if problem.status >= 500 else StatusError
    return _BY_STATUS.get(problem.status, fallback)(problem, retry_after)


@dataclass(frozen=True, slots=True)
class _TagReply:
    results: list[Result | Failed]
    model: ModelName | None = None


def results_of(body: bytes, count: int, request_id: str) -> list[Result | ItemError]:
    """Return the results of a reply to /v1/tag. Raises ReplyError unless there are `count`."""
    reply = _parsed(body, _TagReply)
    if len(reply.results) != count:
        raise ReplyError(f"{count} items were sent and {len(reply.results)} results came back")
    model = None if reply.model is None else reply.model.full_name
    return [_result(found, model, request_id) for found in reply.results]


def _result(found: Result | Failed, model: str | None, request_id: str) -> Result | ItemError:
    if isinstance(found, Failed):
        return ItemError(_problem(dict(found.error), request_id))
    return found if found.model is not None or model is None else replace(found, model=model)


def card_of(body: bytes) -> ModelState:
    """Return the model that a reply describes."""
    return _parsed(body, ModelState)


def models_of(body: bytes) -> ModelStates:
    """Return the models that a reply lists."""
    return _parsed(body, ModelStates)


def report_of(body: bytes) -> Report:
    """Return the report of a change of the models."""
    return _parsed(body, Report)


def problem_of(status: int, body: bytes, request_id: str) -> RequestProblem:
    """Return the problem that an error reply describes, whatever its body is."""
    try:
        found = _problem({"status": status, **json.loads(body)}, request_id)
    except (ValueError, TypeError, RecursionError):  # no JSON, no object, or another's members
        found = None
    if found is not None and found.title:
        return found
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    said = body.decode("utf-8", "replace").strip()[:_QUOTED]
    return _problem({"title": title, "status": status, "detail": said}, request_id)


_BLANK = {"type": "about:blank", "title": "", "detail": "", "instance": ""}


def _problem(members: dict[str, Any], request_id: str) -> RequestProblem:
    value = {**_BLANK, **members, "errors": members.get("errors") or [], "request_id": request_id}
    return RequestProblem.model_validate(value, extra="ignore")


def _parsed(body: bytes, kind: type[T]) -> T:
    """Return a reply's JSON as a value. Raises ReplyError when it does not fit."""
    try:
        value: T = _ADAPTERS[kind].validate_json(body, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = "/".join(map(str, first["loc"]))
        raise ReplyError(f"the reply is not Tagbelt's: {place}: {first['msg']}") from None
    return value


_ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (_TagReply, ModelState, ModelStates, Report)
}
