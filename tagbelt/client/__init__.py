"""A client of the HTTP service, blocking or for asyncio. It needs httpx: tagbelt[client]."""

from tagbelt.errors import TagbeltError, missing_package

try:
    from tagbelt.client.asynchronous import AsyncClient
    from tagbelt.client.sync import Client
except ModuleNotFoundError as error:
    raise missing_package(error) or error from error

from tagbelt.client.batches import CallOptions, FileOptions
from tagbelt.client.batches import TaggingOptions as TagOptions
from tagbelt.client.exchange import Retry
from tagbelt.client.files import FileCounts
from tagbelt.client.replies import (
    ConflictError,
    ConnectionFailedError,
    DeadlineError,
    ForbiddenError,
    InvalidRequestError,
    ItemError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    ReplyError,
    RequestProblem,
    Result,
    ServerError,
    StatusError,
    TooLargeError,
    UnauthorizedError,
)
from tagbelt.data.types import Entity
from tagbelt.service.api.schemas import Alternative, FieldProblem, Problem
from tagbelt.service.api.schemas import ReadEntity as PathEntity
from tagbelt.service.api.schemas import Reading as Path
from tagbelt.service.api.schemas import TaggedToken as Token
from tagbelt.service.models.schemas import Change, Report, WorkerTrouble
from tagbelt.service.models.schemas import ModelState as ModelCard
from tagbelt.service.models.schemas import ModelStates as ModelList

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
    "RequestProblem",
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
