"""Sends one request until it has a reply: address, deadline and retries.

A call is a generator of steps, so that the blocking and the asyncio client share all but I/O. It
yields `Send` and `Pause`; whoever runs it does that and sends the outcome back in.
"""

import math
import os
import random
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from tagbelt.client.replies import (
    ConnectionFailedError,
    DeadlineError,
    error_of,
    problem_of,
)
from tagbelt.errors import TagbeltError

T = TypeVar("T")

URL_VARIABLE = "TAGBELT_URL"
KEY_VARIABLE = "TAGBELT_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"

# Faults of a moment. Others, such as a reply that cannot be decoded, would come again.
_PASSING = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class ServerAddress:
    """The server. `api_key` is never shown; `uds` is the path of a unix socket."""

    url: str
    api_key: str | None = field(repr=False)
    uds: str | None
    verify: bool | ssl.SSLContext
    connections: int

    @classmethod
    def of(
        cls,
        base_url: str | None,
        api_key: str | None,
        uds: str | os.PathLike[str] | None,
        verify: bool | ssl.SSLContext,
        connections: int,
    ) -> "ServerAddress":
        """Return the address from the arguments, then the environment, then the default."""
        return cls(
            url=base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL,
            api_key=api_key or os.environ.get(KEY_VARIABLE) or None,
            uds=None if uds is None else os.fspath(uds),
            verify=verify,
            connections=connections,
        )

    def options(self) -> dict[str, Any]:
        """Return arguments for both of httpx's clients."""
        headers = {"user-agent": f"tagbelt-client httpx/{httpx.__version__}"}
        if self.api_key is not None:
            headers["authorization"] = f"Bearer {self.api_key}"
        return {"base_url": self.url, "headers": headers}

    def transport_options(self) -> dict[str, Any]:
        """Return arguments for both of httpx's transports."""
        limits = httpx.Limits(
            max_connections=self.connections, max_keepalive_connections=self.connections
        )
        return {"verify": self.verify, "limits": limits, "uds": self.uds}


@dataclass(frozen=True, slots=True)
class Retry:
    """Up to `retries` more tries, with pauses drawn from [0, first_seconds * 2**n], capped.

    A server's Retry-After counts when it is longer. No pause is begun that would end after the
    call's deadline. `random` gives numbers in [0, 1), `clock` monotonic seconds.
    """

    retries: int = 4
    first_seconds: float = 0.25
    most_seconds: float = 8.0
    random: Callable[[], float] = field(default=random.random, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        if self.retries < 0 or not 0 <= self.first_seconds <= self.most_seconds:
            raise ValueError(
                f"a retry policy needs retries >= 0 and 0 <= first_seconds <= most_seconds: {self}"
            )

    def pause(self, tries: int) -> float:
        """Return the seconds to wait after `tries` retries that failed."""
        # Bounded first: the power of a great number of tries is no float.
        longest = min(self.most_seconds, self.first_seconds * 2.0 ** min(tries, 64))
        return self.random() * longest


class Deadline:
    """The end of a call that may take `seconds`; None has no end."""

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"timeout must be more than 0 seconds, or None, not {seconds}")
        self.seconds = math.inf if seconds is None else seconds
        self._clock = clock
        self._end = clock() + self.seconds

    def left(self) -> float:
        """Return the seconds until then; negative when it has passed, infinite without an end."""
        return self._end - self._clock()


def retry_after(value: str | None, date: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for; None when it says nothing of use.

    A date is measured against the reply's own Date header, since the two clocks may differ.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    then = _instant(value)
    if then is None:
        return None
    now = (date and _instant(date)) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds())


def _instant(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date without a zone is in UTC, as all of HTTP's are.
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Timeouts(Mapping[str, float | None]):
    """The timeout of each phase of a request in httpx: the seconds left until the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __getitem__(self, phase: str) -> float | None:
        left = self._deadline.left()
        return None if left == math.inf else max(left, 0.001)

    def __iter__(self) -> Iterator[str]:
        return iter(("connect", "read", "write", "pool"))

    def __len__(self) -> int:
        return 4


@dataclass(frozen=True, slots=True)
class Request:
    """A request. A `repeatable` one has the same effect when it is sent twice."""

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
    """Return the reply to a request; it is sent again where that is safe and may help.

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
