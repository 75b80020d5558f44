"""From a valid request to its reply: check each item, tag the good ones, keep the order."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import to_json

from inference.tagger import Annotation
from service import problems
from service.items import Fault, text_fault, token_list_fault
from service.problems import FieldError, ProblemError
from service.quietlog import log_failure
from service.results import result
from service.schemas import TagRequest
from service.settings import Settings
from service.taggers import Registry, Tagger
from service.worker import OverloadedError, Worker

PATH = "/v1/tag"
RETRY_AFTER_SECONDS = 1


class Tagging:
    """Answers tag requests with the registry's taggers, on the worker's thread."""

    def __init__(self, registry: Registry, worker: Worker, settings: Settings) -> None:
        self._registry = registry
        self._worker = worker
        self._settings = settings

    async def answer(self, request: TagRequest) -> bytes:
        """The JSON reply. Raises ProblemError when the request as a whole has no answer."""
        tagger = self._tagger(request)
        if len(request.items) > self._settings.max_items:
            raise ProblemError(
                problems.TOO_MANY_ITEMS,
                f"{request.field} holds {len(request.items)} items and the limit is "
                f"{self._settings.max_items} a request; send them in several requests",
            )
        try:
            return await self._worker.run(lambda: _reply(tagger, request, self._settings))
        except OverloadedError:
            raise ProblemError(
                problems.OVERLOADED,
                f"{self._settings.max_waiting} requests wait already; "
                f"try again in {RETRY_AFTER_SECONDS} s",
                headers={"retry-after": str(RETRY_AFTER_SECONDS)},
            ) from None

    def _tagger(self, request: TagRequest) -> Tagger:
        tagger = self._registry.get(request.model)
        labels = tagger.info.labels
        unknown = [
            FieldError(f"/labels/{index}", f"{label!r} is not a label of {tagger.info.name!r}")
            for index, label in enumerate(request.labels or ())
            if label not in labels
        ]
        if unknown:
            detail = f"{unknown[0].detail}, which has: {', '.join(labels)}"
            raise ProblemError(problems.INVALID, detail, errors=unknown)
        return tagger


def _reply(tagger: Tagger, request: TagRequest, settings: Settings) -> bytes:
    check = token_list_fault if request.field == "tokens" else text_fault
    items = request.items
    faults = [check(item, settings) for item in items]
    good = [item for item, fault in zip(items, faults, strict=True) if fault is None]
    annotations = iter(_annotate(tagger, request, good))
    outcomes = [fault or next(annotations) for fault in faults]
    info = tagger.info
    return to_json(
        {
            "model": {"name": info.name, "version": info.version, "digest": info.digest},
            "offset_unit": "token" if request.field == "tokens" else request.offset_unit,
            "results": [
                {"error": problems.problem(outcome.kind, outcome.detail, _place(request, index))}
                if isinstance(outcome, Fault)
                else result(items[index], outcome, request)
                for index, outcome in enumerate(outcomes)
            ],
        }
    )


def _place(request: TagRequest, index: int) -> str:
    item = "text" if request.field == "text" else f"{request.field}/{index}"
    return f"{PATH}#/{item}"


def _annotate(tagger: Tagger, request: TagRequest, good: list[Any]) -> list[Annotation | Fault]:
    """The outcome of each good item: a batch that fails is tried again item by item."""
    try:
        return list(_annotate_batch(tagger, request, good))
    except Exception as error:
        log_failure("a batch failed and is tried again item by item", error)
    outcomes: list[Annotation | Fault] = []
    for item in good:
        try:
            outcomes += _annotate_batch(tagger, request, [item])
        except Exception as error:
            log_failure("an item failed", error)
            outcomes.append(Fault(problems.INTERNAL, "the model failed on this item"))
    if all(isinstance(outcome, Fault) for outcome in outcomes):
        raise ProblemError(problems.INTERNAL, "the model failed on every item of this request")
    return outcomes


def _annotate_batch(tagger: Tagger, request: TagRequest, items: list[Any]) -> Sequence[Annotation]:
    if not items:
        return []
    method: Callable[..., Sequence[Annotation]] = (
        tagger.annotate_tokens if request.field == "tokens" else tagger.annotate
    )
    annotations = method(items, marginals="alternatives" in request.include)
    if len(annotations) != len(items):
        raise RuntimeError(f"{len(items)} items in, {len(annotations)} annotations out")
    return annotations
