"""A call as a generator of steps, so that the blocking and the asyncio client share all but I/O.

A generator yields `Send` and `Pause`; whoever runs it does that and sends the outcome back in.
"""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from uuid import uuid4

import httpx

from tagbelt.client.errors import ConnectionFailedError, DeadlineError, TagbeltError, error_of
from tagbelt.client.replies import problem_of
from tagbelt.client.retry import Deadline, Retry, retry_after

T = TypeVar("T")

# Faults of a moment. Others, such as a reply that cannot be decoded, would come again.
_PASSING = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask. A `repeatable` one has the same effect when it is sent twice."""

    method: str
    path: str
    body: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """The step of sending a request; an answer after the deadline is of no use."""

    request: Request
    headers: Mapping[str, str]
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Pause:
    """The step of doing nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; the names of `headers` are matched in any case."""

    status: int
    headers: httpx.Headers
    body: bytes


Outcome: TypeAlias = Reply | httpx.RequestError
Steps: TypeAlias = Generator[Send | Pause, Outcome | None, T]


def exchange(request: Request, retry: Retry, deadline: Deadline) -> Steps[Reply]:
    """The reply to a request, asked again where that is safe and may help.

    Raises a TagbeltError when there is none, or when it is an error.
    """
    request_id = uuid4().hex  # one for all tries: they are one call in the server's log
    tries = 0
    while True:
        outcome = yield from _send(request, request_id, deadline)
        if isinstance(outcome, Reply) and outcome.status < 300:
            return outcome
        error = _error(outcome, request_id, deadline)
        asked = getattr(error, "retry_after", None) or 0.0
        pause = max(retry.pause(tries), asked)
        again = request.repeatable and tries < retry.retries and _passing(outcome, error)
        if not again or pause >= deadline.left():
            raise error from (outcome if isinstance(outcome, Exception) else None)
        yield Pause(pause)
        tries += 1


def _send(request: Request, request_id: str, deadline: Deadline) -> Steps[Outcome]:
    headers = {"accept": "application/json", "x-request-id": request_id}
    if request.body is not None:
        headers["content-type"] = "application/json"
    left = deadline.left()
    if left <= 0:
        raise _late(deadline, request_id)
    if left != math.inf:
        headers["x-request-timeout"] = f"{max(left, 0.001):.3f}"
    outcome = yield Send(request, headers, deadline)
    if outcome is None:
        raise TypeError("the outcome of a Send must be sent in")
    return outcome


def _error(outcome: Outcome, request_id: str, deadline: Deadline) -> TagbeltError:
    if isinstance(outcome, Reply):
        headers = outcome.headers
        problem = problem_of(
            outcome.status, outcome.body, headers.get("x-request-id") or request_id
        )
        return error_of(problem, retry_after(headers.get("retry-after"), headers.get("date")))
    if deadline.left() <= 0:
        return _late(deadline, request_id)
    what = str(outcome) or type(outcome).__name__
    return ConnectionFailedError(f"no answer: {what} (request {request_id})")


def _late(deadline: Deadline, request_id: str) -> DeadlineError:
    return DeadlineError(f"no answer within {deadline.seconds:g} s (request {request_id})")


def _passing(outcome: Outcome, error: TagbeltError) -> bool:
    if isinstance(error, DeadlineError):
        return False
    if isinstance(outcome, Reply):
        return outcome.status in _BUSY
    return isinstance(outcome, _PASSING)
