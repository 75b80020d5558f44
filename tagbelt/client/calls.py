"""Every call of the clients, without its I/O."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

from tagbelt.client.batches import (
    Batcher,
    CallOptions,
    RequestBatch,
    RequestLimits,
    T,
    TaggingOptions,
    check_names,
    to_members,
)
from tagbelt.client.exchange import Deadline, Reply, Request, Retry, Steps, exchange
from tagbelt.client.replies import (
    ItemError,
    Result,
    StatusError,
    card_of,
    error_of,
    models_of,
    report_of,
    results_of,
)
from tagbelt.errors import TagbeltError
from tagbelt.service.models.schemas import Action, ModelState, ModelStates, Report

TAG = "/v1/tag"

V = TypeVar("V")
Tagged: TypeAlias = tuple[V, Result | ItemError]
"""An item as it was given, and its outcome."""


@dataclass(frozen=True, slots=True)
class TaggingPlan(Generic[T]):
    """The options and the deadline of a call that tags; the deadline may be of each request."""

    core: "Calls"
    members: bytes
    timeout: float | None
    whole: Deadline | None

    def batches(self, items: Iterable[T]) -> Iterator[Steps[list[Tagged[T]]]]:
        """Yield the requests for the items, each as the steps to its results, in order."""
        batcher = Batcher[T](self.core.limits)
        for item in items:
            if (batch := batcher.add(item)) is not None:
                yield self._tag(batch)
        if (batch := batcher.rest()) is not None:
            yield self._tag(batch)

    async def batches_async(
        self, items: Iterable[T] | AsyncIterable[T]
    ) -> AsyncIterator[Steps[list[Tagged[T]]]]:
        """As `batches`, for items that may have to be waited for."""
        batcher = Batcher[T](self.core.limits)
        async for item in _each(items):
            if (batch := batcher.add(item)) is not None:
                yield self._tag(batch)
        if (batch := batcher.rest()) is not None:
            yield self._tag(batch)

    def _tag(self, batch: RequestBatch[T]) -> Steps[list[Tagged[T]]]:
        return self.core.tag_batch(batch, self.members, self.timeout, self.whole)


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class Calls:
    """The calls of both clients: their requests, in order, and the values of the replies."""

    def __init__(self, retry: Retry, limits: RequestLimits, timeout: float | None) -> None:
        self.retry = retry
        self.limits = limits
        self.timeout = timeout
        self.deadline({})  # refuses a timeout that is none

    def deadline(self, options: Mapping[str, Any]) -> Deadline:
        """Return the deadline of a call with these options."""
        return Deadline(options.get("timeout", self.timeout), self.retry.clock)

    def plan(self, options: TaggingOptions, *, whole: bool) -> TaggingPlan[Any]:
        """Return the plan of tagging with these options; `whole`: one deadline for all requests."""
        check_names(options, TaggingOptions)
        deadline = self.deadline(options)
        timeout = options.get("timeout", self.timeout)
        return TaggingPlan(self, to_members(options), timeout, deadline if whole else None)

    def tag(self, text: str, options: TaggingOptions) -> Steps[Result]:
        """Tag one text. Raises the item's own error too."""
        [steps] = self.plan(options, whole=True).batches(texts_of([text]))
        [(_, outcome)] = yield from steps
        if isinstance(outcome, ItemError):
            raise error_of(outcome.problem)
        return outcome

    def tag_batch(
        self,
        batch: RequestBatch[T],
        members: bytes,
        timeout: float | None,
        whole: Deadline | None,
    ) -> Steps[list[Tagged[T]]]:
        """Tag a batch; in halves where the server takes less than it holds."""
        waiting, tagged = [batch], list[Tagged[T]]()
        while waiting:
            part = waiting.pop()
            body = part.body(members)
            deadline = whole or Deadline(timeout, self.retry.clock)
            try:
                reply = yield from exchange(Request("POST", TAG, body), self.retry, deadline)
            except StatusError as error:
                if not self._too_much(error, part, body):
                    raise
                if len(part.items) == 1:
                    tagged.append((part.items[0], ItemError(error.problem)))
                else:
                    waiting += reversed(part.halves())
                continue
            found = results_of(reply.body, len(part.items), reply.headers.get("x-request-id", ""))
            tagged += zip(part.items, found, strict=True)
        return tagged

    def _too_much(self, error: StatusError, part: RequestBatch[T], body: bytes) -> bool:
        """Tell if a request was refused for its size alone; if so, make later ones smaller."""
        if error.problem.status == 413:
            if len(part.items) > 1:
                self.limits.shrink_bytes(len(body))
            return True
        if error.problem.slug == "too-many-items" and len(part.items) > 1:
            self.limits.shrink_items(len(part.items))
            return True
        return False

    def models(self, options: CallOptions) -> Steps[ModelStates]:
        """List the models."""
        reply = yield from self._call(Request("GET", "/v1/models"), options)
        return models_of(reply.body)

    def model(self, name: str, options: CallOptions) -> Steps[ModelState]:
        """Describe a model."""
        reply = yield from self._call(Request("GET", _model_path(name)), options)
        return card_of(reply.body)

    def change(
        self, name: str, action: Action, version: str | None, options: CallOptions
    ) -> Steps[Report]:
        """Change a model. Never repeated: a second try could meet the first at work."""
        body = json.dumps({} if version is None else {"version": version}).encode()
        request = Request("POST", f"{_model_path(name)}/{action}", body, repeatable=False)
        return report_of((yield from self._call(request, options)).body)

    def rescan(self, options: CallOptions) -> Steps[Report]:
        """Look for models again. Never repeated either."""
        request = Request("POST", "/v1/reload", repeatable=False)
        return report_of((yield from self._call(request, options)).body)

    def ready(self, options: CallOptions) -> Steps[bool]:
        """Ask once whether requests can be answered."""
        try:
            yield from self._call(Request("GET", "/readyz", repeatable=False), options)
        except TagbeltError as error:
            if isinstance(error, StatusError) and error.problem.status != 503:
                raise
            return False
        return True

    def _call(self, request: Request, options: CallOptions) -> Steps[Reply]:
        check_names(options, CallOptions)
        return (yield from exchange(request, self.retry, self.deadline(options)))


def texts_of(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, each checked. Raises TypeError for anything else."""
    if isinstance(texts, str):
        raise TypeError("texts must be a list of strings, not one string; `tag` takes one")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a text is a str, not {type(text).__name__}")
        yield text


def sentences_of(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield the token lists, each checked. Raises TypeError for anything else."""
    for tokens in sentences:
        if isinstance(tokens, str) or not isinstance(tokens, Sequence):
            raise TypeError(f"a sentence is a list of tokens, not {type(tokens).__name__}")
        yield tokens


def _model_path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='@')}"
