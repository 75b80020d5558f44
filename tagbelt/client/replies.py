"""From the bytes of a reply to values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tagbelt.client.errors import ReplyError
from tagbelt.client.results import FieldProblem, ItemError, ModelCard, ModelList, Problem, Result

T = TypeVar("T")

_QUOTED = 200  # characters of a body that is no problem


@dataclass(frozen=True, slots=True)
class _ModelName:
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Failed:
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _TagReply:
    results: list[Result | _Failed]
    model: _ModelName | None = None


def results_of(body: bytes, count: int, request_id: str) -> list[Result | ItemError]:
    """The results of a reply to /v1/tag. Raises ReplyError unless there are `count`."""
    reply = parsed(body, _TagReply)
    if len(reply.results) != count:
        raise ReplyError(f"{count} items were sent and {len(reply.results)} results came back")
    model = reply.model and f"{reply.model.name}@{reply.model.version}"
    return [_result(found, model, request_id) for found in reply.results]


def _result(found: Result | _Failed, model: str | None, request_id: str) -> Result | ItemError:
    if isinstance(found, _Failed):
        return ItemError(_problem(found.error, 0, request_id))
    return found if found.model is not None or model is None else replace(found, model=model)


def card_of(body: bytes) -> ModelCard:
    """The model that a reply describes."""
    return parsed(body, ModelCard)


def models_of(body: bytes) -> ModelList:
    """The models that a reply lists."""
    return parsed(body, ModelList)


def problem_of(status: int, body: bytes, request_id: str) -> Problem:
    """The problem that an error reply describes, whatever its body is."""
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, dict) and "title" in members:
        return _problem(members, status, request_id)
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    said = body.decode("utf-8", "replace").strip()[:_QUOTED]
    return Problem("about:blank", title, status, said, request_id=request_id)


def _problem(members: dict[str, Any], status: int, request_id: str) -> Problem:
    stated = members.get("status")
    return Problem(
        type=str(members.get("type", "about:blank")),
        title=str(members.get("title", "")),
        status=stated if isinstance(stated, int) else status,
        detail=str(members.get("detail", "")),
        instance=str(members.get("instance", "")),
        errors=_fields(members.get("errors")),
        request_id=request_id,
    )


def _fields(errors: object) -> tuple[FieldProblem, ...]:
    if not isinstance(errors, Sequence):
        return ()
    return tuple(
        FieldProblem(str(error.get("pointer", "")), str(error.get("detail", "")))
        for error in errors
        if isinstance(error, dict)
    )


def parsed(body: bytes, kind: type[T]) -> T:
    """A reply's JSON as a value. Raises ReplyError when it does not fit."""
    adapter: TypeAdapter[T] = _adapter(kind)
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = "/".join(map(str, first["loc"]))
        raise ReplyError(f"the reply is not Tagbelt's: {place}: {first['msg']}") from None


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
