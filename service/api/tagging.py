"""Tag the items of a request: each gets an annotation, or a fault that says why not."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from tagbelt.inference import Annotation, Occlude
from tagbelt.service.api import problems
from tagbelt.service.api.problems import FieldError, Kind, ProblemError
from tagbelt.service.api.schemas import DIGEST_HEADER
from tagbelt.service.engine.engine import Engine
from tagbelt.service.engine.queue import (
    ClosedError,
    ExpiredError,
    Failure,
    GoneError,
    Job,
    Outcome,
    QueueFullError,
)
from tagbelt.service.engine.recorder import Work
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import AUTO, Served
from tagbelt.service.settings import Settings


@dataclass(frozen=True, slots=True)
class ItemFault:
    """The reason why an item cannot be tagged. `detail` never quotes the item."""

    kind: Kind
    detail: str


def text_fault(item: object, settings: Settings) -> ItemFault | None:
    """Return the fault of an item of `texts`, or of `text`; None when it is good."""
    if not isinstance(item, str):
        return ItemFault(problems.NOT_TEXT, "this item must be a string")
    return _length_fault(len(item), settings) or _surrogate_fault(item, "")


def token_list_fault(item: object, settings: Settings) -> ItemFault | None:
    """Return the fault of an item of `tokens`; None when it is good."""
    if not isinstance(item, list):
        return ItemFault(problems.NOT_TEXT, "this item must be a list of tokens")
    if len(item) > settings.max_tokens:
        return ItemFault(
            problems.TOO_LONG,
            f"this item has {len(item)} tokens and the limit is {settings.max_tokens}",
        )
    for index, token in enumerate(item):
        if not isinstance(token, str):
            return ItemFault(problems.NOT_TEXT, f"token {index} must be a string")
        if fault := _surrogate_fault(token, f" of token {index}"):
            return fault
    return _length_fault(sum(map(len, item)), settings)


def _length_fault(characters: int, settings: Settings) -> ItemFault | None:
    if characters <= settings.max_characters:
        return None
    return ItemFault(
        problems.TOO_LONG,
        f"this item has {characters} characters and the limit is {settings.max_characters}; "
        "split it between sentences",
    )


def _surrogate_fault(text: str, of: str) -> ItemFault | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        detail = f"code point {error.start}{of} is half of a surrogate pair, U+{code:04X}"
        return ItemFault(problems.NOT_UNICODE, detail)
    return None


# A reply about more than this takes long enough to make that other requests would notice.
_LONG_TOKENS = 50_000
MOST_READ = 2_000_000
"""Characters, or tokens, that one request may have read in all its n-best readings: seconds of
work, and tens of megabytes of reply."""
TIMEOUT_HEADER = "x-request-timeout"


@dataclass(frozen=True, slots=True)
class Query:
    """A request to tag texts, or token lists. Nothing about the items is checked yet.

    `model` is a name, name@version, "auto" or None for the default one. `paths` is how many of
    the most probable readings are wanted of each item, besides the annotation.
    """

    items: Sequence[object]
    tokens: bool = False
    model: str | None = None
    marginals: bool = False
    paths: int = 0
    inspect: Occlude | None = None
    """Look inside, too; see `Tagger.inspect`."""
    field: str = "texts"
    """The name of the items in messages."""
    served: Served | None = None
    """The very model, whatever its name means by now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One outcome an item, in order, and the model that each went to."""

    outcomes: Sequence[Annotation | ItemFault]
    served: Sequence[Served]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell which models answered."""
        return {DIGEST_HEADER: ", ".join(dict.fromkeys(one.digest for one in self.served))}


async def rendered(answer: Answer, render: Callable[[], bytes]) -> bytes:
    """The body that `render` makes, in a thread when it takes long."""
    size = sum(len(one.tokens) for one in answer.outcomes if not isinstance(one, ItemFault))
    return await asyncio.to_thread(render) if size > _LONG_TOKENS else render()


async def ask(request: Request, query: Query) -> Answer:
    """The answer of the app that the request came to. Raises ProblemError."""
    tagging: Tagging = request.app.state.tagging
    return await tagging.ask(request, query)


class Tagging:
    """Answers queries with the registry's models, through the engine."""

    def __init__(self, registry: Registry, engine: Engine, settings: Settings) -> None:
        self._registry = registry
        self._engine = engine
        self._settings = settings

    async def ask(self, request: Request, query: Query, *, listen: bool = True) -> Answer:
        """One outcome for each item. Raises ProblemError when there is no answer as a whole.

        With `listen` a client that leaves ends the work; not where the body is still being read.
        """
        self._check_count(query)
        served = self._models(query)
        if not query.items:
            return Answer((), served)
        work = _work(request, query, served)
        check = token_list_fault if query.tokens else text_fault
        outcomes: list[Annotation | ItemFault | None] = [
            check(item, self._settings) for item in query.items
        ]
        _check_readings(query, outcomes)
        deadline = time.monotonic() + self._timeout(request)
        shares = _shares(served, outcomes)
        jobs = [
            (places, self._job(model, [query.items[p] for p in places], query, deadline, work))
            for model, places in shares.items()
        ]
        await self._run(request, outcomes, jobs, listen)
        if jobs and all(_has_failed(outcomes[p]) for places, _ in jobs for p in places):
            detail = "the model failed on every item of this request"
            raise ProblemError(problems.INTERNAL, detail)
        return Answer([outcome or _FAILED for outcome in outcomes], served)

    def _check_count(self, query: Query) -> None:
        if len(query.items) > self._settings.max_items:
            raise ProblemError(
                problems.TOO_MANY_ITEMS,
                f"{query.field} holds {len(query.items)} items and the limit is "
                f"{self._settings.max_items} a request; send them in several requests",
            )

    def _models(self, query: Query) -> Sequence[Served]:
        """The model of each item; of no items, the one that would answer."""
        if query.served is not None:
            return [query.served] * max(1, len(query.items))
        if not query.items:
            return [self._registry.get(None if query.model == AUTO else query.model)]
        return self._registry.route(query.items, query.model)

    def _timeout(self, request: Request) -> float:
        stated = request.headers.get(TIMEOUT_HEADER)
        if stated is None:
            return self._settings.timeout_seconds
        try:
            seconds = float(stated)
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            detail = "the header X-Request-Timeout must be a number of seconds above 0"
            raise ProblemError(problems.INVALID, detail)
        return min(seconds, self._settings.timeout_seconds)

    def _job(
        self, served: Served, items: Sequence[Any], query: Query, deadline: float, work: Work
    ) -> Job:
        sizes = (sum(map(len, item)) if query.tokens else len(item) for item in items)
        return Job(
            served,
            items,
            deadline,
            work,
            marginals=query.marginals,
            paths=query.paths,
            inspect=query.inspect,
            characters=sum(sizes),
        )

    async def _run(
        self,
        request: Request,
        outcomes: list[Annotation | ItemFault | None],
        jobs: Sequence[tuple[Sequence[int], Job]],
        listen: bool,
    ) -> None:
        """Put the outcomes of the jobs in their places."""
        gone = _departure(request) if listen else None
        try:
            # One after the other is as good: the engine works on one batch at a time.
            for places, job in jobs:
                for place, outcome in zip(places, await self._engine.run(job, gone), strict=True):
                    outcomes[place] = _fault(outcome)
        except QueueFullError:
            raise self._overloaded() from None
        except ExpiredError:
            detail = "the request was not answered within the time that it, or the server, allows"
            raise ProblemError(problems.DEADLINE, detail) from None
        except GoneError:
            raise ProblemError(problems.GONE, "the client has left") from None
        except ClosedError:
            raise ProblemError(problems.NOT_READY, "the server is ending") from None

    def _overloaded(self) -> ProblemError:
        backlog = self._engine.backlog_seconds
        pause = max(problems.RETRY_AFTER_SECONDS, math.ceil(backlog))
        return ProblemError(
            problems.OVERLOADED,
            f"{len(self._engine.queue)} requests wait already, about {backlog:.2g} s of work; "
            f"try again in {pause} s",
            headers={"retry-after": str(pause)},
        )


def _check_readings(query: Query, outcomes: Sequence[Annotation | ItemFault | None]) -> None:
    """Raises ProblemError, 422, for more readings than can be found in good time."""
    if not query.paths:
        return
    pairs = zip(query.items, outcomes, strict=True)
    size = sum(len(item) for item, fault in pairs if fault is None and isinstance(item, str | list))
    if query.paths * size > MOST_READ:
        unit = "tokens" if query.tokens else "characters"
        detail = (
            f"{query.paths} readings of {size} {unit} are too many: the limit is "
            f"{MOST_READ // query.paths} {unit}; send them in several requests, or lower n_best"
        )
        raise ProblemError(problems.INVALID, detail, errors=[FieldError("/n_best", detail)])


_FAILED = ItemFault(problems.INTERNAL, "the model failed on this item")


def _work(request: Request, query: Query, served: Sequence[Served]) -> Work:
    """The account of this request, where telemetry finds it."""
    names = dict.fromkeys(one.full_name for one in served)
    work = Work(model=",".join(names), items=len(query.items), texts=query.items)
    request.scope.setdefault("state", {})["work"] = work
    return work


def _shares(
    served: Sequence[Served], outcomes: Sequence[Annotation | ItemFault | None]
) -> dict[Served, list[int]]:
    """For each model the places of its good items."""
    shares: dict[Served, list[int]] = {}
    for place, (model, fault) in enumerate(zip(served, outcomes, strict=True)):
        if fault is None:
            shares.setdefault(model, []).append(place)
    return shares


def _fault(outcome: Outcome) -> Annotation | ItemFault:
    return _FAILED if isinstance(outcome, Failure) else outcome


def _has_failed(outcome: Annotation | ItemFault | None) -> bool:
    return outcome is _FAILED


def _departure(request: Request) -> Callable[[], Any]:
    """Returns when the client has left; only once the body was read."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)

    return gone
