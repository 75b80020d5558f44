"""What a call can raise. Everything is a TagbeltError."""

from tagbelt.client.results import Problem


class TagbeltError(Exception):
    """A call that gave no answer."""


class ConnectionFailedError(TagbeltError):
    """The server cannot be reached, or the connection broke; the cause is httpx's error."""


class ReplyError(TagbeltError):
    """A reply that is not one of Tagbelt's: another server, or something in between."""


class DeadlineError(TagbeltError, TimeoutError):
    """The deadline of the call has passed.

    `problem` is set when the server said so; otherwise the cause is the last failure, if any.
    """

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message, problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.args[0])


class StatusError(TagbeltError):
    """The server refused or failed; `problem` says why, `retry_after` when to ask again (s)."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
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


def error_of(problem: Problem, retry_after: float | None = None) -> TagbeltError:
    """The exception for a problem."""
    if problem.slug == DEADLINE_EXCEEDED:
        return DeadlineError(f"the server gave up: {problem.detail}", problem)
    fallback = ServerError if problem.status >= 500 else StatusError
    return _BY_STATUS.get(problem.status, fallback)(problem, retry_after)
