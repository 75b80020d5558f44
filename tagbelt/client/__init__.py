"""A client of the HTTP service, blocking or for asyncio. It needs httpx: tagbelt[client]."""

try:
    import httpx as _httpx  # noqa: F401
except ImportError as error:
    raise ImportError("the client needs httpx: install tagbelt[client]") from error

from tagbelt.client.asynchronous import AsyncClient
from tagbelt.client.errors import (
    ConflictError,
    ConnectionFailedError,
    DeadlineError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    ReplyError,
    ServerError,
    StatusError,
    TagbeltError,
    TooLargeError,
    UnauthorizedError,
)
from tagbelt.client.options import CallOptions, FileOptions, TagOptions
from tagbelt.client.results import (
    Alternative,
    Change,
    Entity,
    FieldProblem,
    FileCounts,
    ItemError,
    ModelCard,
    ModelList,
    Path,
    PathEntity,
    Problem,
    Report,
    Result,
    Token,
    WorkerTrouble,
)
from tagbelt.client.retry import Retry
from tagbelt.client.sync import Client

__all__ = [
    "Alternative",
    "AsyncClient",
    "CallOptions",
    "Change",
    "Client",
    "ConflictError",
    "ConnectionFailedError",
    "DeadlineError",
    "Entity",
    "FieldProblem",
    "FileCounts",
    "FileOptions",
    "ForbiddenError",
    "InvalidRequestError",
    "ItemError",
    "ModelCard",
    "ModelList",
    "NotFoundError",
    "NotReadyError",
    "OverloadedError",
    "Path",
    "PathEntity",
    "Problem",
    "ReplyError",
    "Report",
    "Result",
    "Retry",
    "ServerError",
    "StatusError",
    "TagOptions",
    "TagbeltError",
    "Token",
    "TooLargeError",
    "UnauthorizedError",
    "WorkerTrouble",
]
