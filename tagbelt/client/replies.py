"""From the bytes of a reply to values."""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tagbelt.client.errors import ReplyError
from tagbelt.client.results import ItemError, ModelCard, ModelList, Problem, Report, Result

T = TypeVar("T")

_QUOTED = 200  # characters of a body that is no problem


@dataclass(frozen=True, slots=True)
class _ModelName:
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Problem


@dataclass(frozen=True, slots=True)
class _TagReply:
    results: list[Result | _Failed]
    model: _ModelName | None = None


def results_of(body: bytes, count: int, request_id: str) -> list[Result | ItemError]:
    """The results of a reply to /v1/tag. Raises ReplyError unless there are `count`."""
    reply = _parsed(body, _TagReply)
    if len(reply.results) != count:
        raise ReplyError(f"{count} items were sent and {len(reply.results)} results came back")
    model = None if reply.model is None else f"{reply.model.name}@{reply.model.version}"
    return [_result(found, model, request_id) for found in reply.results]


def _result(found: Result | _Failed, model: str | None, request_id: str) -> Result | ItemError:
    if isinstance(found, _Failed):
        return ItemError(replace(found.error, request_id=request_id))
    return found if found.model is not None or model is None else replace(found, model=model)


def card_of(body: bytes) -> ModelCard:
    """The model that a reply describes."""
    return _parsed(body, ModelCard)


def models_of(body: bytes) -> ModelList:
    """The models that a reply lists."""
    return _parsed(body, ModelList)


def report_of(body: bytes) -> Report:
    """What a reply says about a change of the models."""
    return _parsed(body, Report)


def problem_of(status: int, body: bytes, request_id: str) -> Problem:
    """The problem that an error reply describes, whatever its body is."""
    try:
        found: Problem = _ADAPTERS[Problem].validate_json(body)
    except ValidationError:
        found = Problem()
    if found.title:
        return replace(found, status=found.status or status, request_id=request_id)
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    said = body.decode("utf-8", "replace").strip()[:_QUOTED]
    return Problem(title=title, status=status, detail=said, request_id=request_id)


def _parsed(body: bytes, kind: type[T]) -> T:
    """A reply's JSON as a value. Raises ReplyError when it does not fit."""
    try:
        value: T = _ADAPTERS[kind].validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = "/".join(map(str, first["loc"]))
        raise ReplyError(f"the reply is not Tagbelt's: {place}: {first['msg']}") from None
    return value


_ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (_TagReply, ModelCard, ModelList, Report, Problem)
}
