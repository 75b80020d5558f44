"""Tag the items of a request: each gets an annotation, or a fault that says why not."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from tagbelt.inference import Annotation, Occlude
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import aside
from tagbelt.service.api.canary import Comparisons
from tagbelt.service.api.problems import FieldError, Kind, ProblemError
from tagbelt.service.api.schemas import DIGEST_HEADER, WARNING_HEADER
from tagbelt.service.engine.engine import Engine, Gone
from tagbelt.service.engine.queue import (
    ClosedError,
    ExpiredError,
    Failure,
    GoneError,
    Job,
    Outcome,
    QueueFullError,
    ReplyTooLargeError,
    most_tokens,
    size_of,
)
from tagbelt.service.engine.recorder import Recorder, Work
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.routing import foreign_script
from tagbelt.service.models.served import AUTO, Served
from tagbelt.service.settings import Settings
from tagbelt.service.shortage import DETAIL


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
    return _token_fault(item) or _length_fault(sum(map(len, item)), settings)


def _token_fault(tokens: list[Any]) -> ItemFault | None:
    try:
        "".join(tokens).encode("utf-8")  # halves of two tokens never pair up
        return None
    except (TypeError, UnicodeEncodeError):
        pass
    for index, token in enumerate(tokens):
        if not isinstance(token, str):
            return ItemFault(problems.NOT_TEXT, f"token {index} must be a string")
        if fault := _surrogate_fault(token, f" of token {index}"):
            return fault
    return None


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


# A reply that says more than this takes so long to make that other requests would notice.
_LONG_REPLY = 5_000
# What the likely tags of a token take of it beside the token itself.
_ALTERNATIVES = 5
Reply = TypeVar("Reply")
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
    work: Work | None = None
    """Where to add to, when this is not all that the request asks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One outcome an item, in order, and the model that each went to."""

    outcomes: Sequence[Annotation | ItemFault]
    served: Sequence[Served]
    warnings: Sequence[str] = ()
    """Why it may not be what it seems."""
    deadline: float = math.inf
    """Until when it is worth sending, as a time of `time.monotonic`."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell which models answered, and of warnings."""
        found = {DIGEST_HEADER: ", ".join(dict.fromkeys(one.digest for one in self.served))}
        return found | warning_header(self.warnings)


def warning_header(warnings: Sequence[str]) -> dict[str, str]:
    """Return the header that tells of warnings; none without any."""
    value = "; ".join(warnings).encode("ascii", "backslashreplace").decode()
    return {WARNING_HEADER: value} if value else {}


def script_warning(item: object, served: Served) -> str | None:
    """Return what to say of an item in a script that its model was not made for."""
    script = foreign_script(item, served.info.language)
    if script is None:
        return None
    return f"most letters are {script}, and {served.full_name} is for {served.info.language!r}"


def _script_warnings(items: Sequence[object], served: Sequence[Served]) -> list[str]:
    """The warnings about all items, each once, with the number of items that it is about."""
    said = [one for one in map(script_warning, items, served) if one is not None]
    if len(items) == 1 or not said:
        return said
    return [f"{number} of {len(items)} inputs: {what}" for what, number in Counter(said).items()]


async def rendered(answer: Answer, render: Callable[[], Reply]) -> Reply:
    """The body, or parts of one, that `render` makes, in a thread when it takes long.

    Raises ProblemError, 504, when it is too late for it.
    """
    size = sum(map(_reply_size, answer.outcomes))
    reply = await asyncio.to_thread(render) if size > _LONG_REPLY else render()
    if time.monotonic() > answer.deadline:
        raise _too_late()
    return reply


def _too_late() -> ProblemError:
    detail = "the request was not answered within the time that it, or the server, allows"
    return ProblemError(problems.DEADLINE, detail)


def _reply_size(outcome: Annotation | ItemFault) -> int:
    """Return how much there is to say of an item, in tokens."""
    if isinstance(outcome, ItemFault):
        return 1
    times = 1 + len(outcome.paths or ()) + _ALTERNATIVES * (outcome.marginals is not None)
    return len(outcome.tokens) * times


async def ask(request: Request, query: Query) -> Answer:
    """The answer of the app that the request came to. Raises ProblemError."""
    tagging: Tagging = request.app.state.tagging
    return await tagging.ask(request, query)


class Tagging:
    """Answers queries with the registry's models, through the engine."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        settings: Settings,
        recorder: Recorder | None = None,
    ) -> None:
        self._registry = registry
        self._recorder = recorder or Recorder()
        self.comparisons = Comparisons(engine, self._recorder)
        self._engine = engine
        self._settings = settings

    async def ask(self, request: Request, query: Query, *, listen: bool = True) -> Answer:
        """One outcome for each item. Raises ProblemError when there is no answer as a whole.

        With `listen` a client that leaves ends the work; not where the body is still being read.
        """
        check_count(len(query.items), query.field, self._settings)
        served = self._models(query)
        if not query.items:
            return Answer((), served)
        canaries = self._canaries(request, query, served)
        served = [canaries.get(one, one) for one in served]
        work = _work(request, query, served)
        outcomes = await self._faults(query)
        if query.tokens:
            _check_reply(query, outcomes)
        deadline = _arrival(request, listen) + self._timeout(request)
        shares = _shares(served, outcomes)
        jobs = [
            (places, self._job(model, [query.items[p] for p in places], query, deadline, work))
            for model, places in shares.items()
        ]
        gone = _departure(request) if listen else None
        await self._run(query, outcomes, jobs, gone)
        for stable, canary in canaries.items():
            for places, job in jobs:
                if job.served is canary:
                    found = [outcomes[place] for place in places]
                    self.comparisons.begin(stable, job, found, self._settings.timeout_seconds)
        if jobs and all(_has_failed(outcomes[p]) for places, _ in jobs for p in places):
            if any(outcomes[p] is _SHORT for places, _ in jobs for p in places):
                raise ProblemError(problems.NOT_READY, DETAIL)
            detail = "the model failed on every item of this request"
            raise ProblemError(problems.INTERNAL, detail)
        warnings = _script_warnings(query.items, served)
        answered = [outcome or _FAILED for outcome in outcomes]
        return Answer(answered, served, warnings, deadline)

    async def _faults(self, query: Query) -> list[Annotation | ItemFault | None]:
        """The faults of the items, in order; to look through many tokens is left to a thread."""
        check = token_list_fault if query.tokens else text_fault
        tokens = sum(len(item) for item in query.items if isinstance(item, list))
        return await aside(
            tokens if query.tokens else 0, lambda: [check(i, self._settings) for i in query.items]
        )

    def _models(self, query: Query) -> Sequence[Served]:
        """The model of each item; of no items, the one that would answer."""
        if query.served is not None:
            return [query.served] * max(1, len(query.items))
        if not query.items:
            return [self._registry.get(None if query.model == AUTO else query.model)]
        return self._registry.route(query.items, query.model)

    def _canaries(
        self, request: Request, query: Query, served: Sequence[Served]
    ) -> dict[Served, Served]:
        """The canaries that answer this request, by the models whose place they take."""
        if query.inspect is not None or "@" in (query.model or ""):
            return {}
        state = request.scope.get("state", {})
        found = self._registry.canaries(served, state.get("request_id", ""))
        for stable, canary in found.items():
            self._recorder.answered(canary or stable)
        return {stable: canary for stable, canary in found.items() if canary is not None}

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
        return Job(
            served,
            items,
            deadline,
            work,
            marginals=query.marginals,
            paths=query.paths,
            inspect=query.inspect,
            characters=sum(map(size_of, items)),
        )

    async def _run(
        self,
        query: Query,
        outcomes: list[Annotation | ItemFault | None],
        jobs: Sequence[tuple[Sequence[int], Job]],
        gone: Gone | None,
    ) -> None:
        """Put the outcomes of the jobs in their places."""
        try:
            # One after the other is as good: the engine works on one batch at a time.
            for places, job in jobs:
                for place, outcome in zip(places, await self._engine.run(job, gone), strict=True):
                    outcomes[place] = _fault(outcome)
        except QueueFullError:
            raise self._overloaded() from None
        except ReplyTooLargeError as error:
            raise _reply_too_large(query, error.tokens) from None
        except ExpiredError:
            raise _too_late() from None
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


def check_count(count: int, field: str, settings: Settings) -> None:
    """Raises ProblemError, 422, for more items than a request may have, good or bad."""
    if count > settings.max_items:
        raise ProblemError(
            problems.TOO_MANY_ITEMS,
            f"{field} holds {count} items and the limit is "
            f"{settings.max_items} a request; send them in several requests",
        )


def _check_reply(query: Query, outcomes: Sequence[Annotation | ItemFault | None]) -> None:
    """Raises ProblemError, 422, when a reply about these token lists would be too large.

    Of texts the tokens are not known yet: the engine looks at them.
    """
    most = most_tokens(query.marginals, query.paths)
    pairs = zip(query.items, outcomes, strict=True)
    tokens = sum(len(i) for i, fault in pairs if fault is None and isinstance(i, list))
    if most is not None and tokens > most:
        raise _reply_too_large(query, most)


def _reply_too_large(query: Query, most: int) -> ProblemError:
    field, remedy = ("n_best", "lower n_best") if query.paths else ("include", "ask for less")
    detail = (
        "the reply would be too large: with what is asked for of each token the limit is "
        f"{most} tokens; send them in several requests, or {remedy}"
    )
    return ProblemError(problems.INVALID, detail, errors=[FieldError(f"/{field}", detail)])


_FAILED = ItemFault(problems.INTERNAL, "the model failed on this item")
_SHORT = ItemFault(problems.NOT_READY, DETAIL)


def _work(request: Request, query: Query, served: Sequence[Served]) -> Work:
    """The account of this request, where telemetry finds it."""
    names = dict.fromkeys(one.full_name for one in served)
    work = query.work or Work()
    known = filter(None, work.model.split(","))
    work.model = ",".join(dict.fromkeys([*known, *names]))
    work.items += len(query.items)
    work.texts = work.texts or query.items
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
    if isinstance(outcome, Failure):
        return _SHORT if outcome.is_shortage else _FAILED
    return outcome


def _has_failed(outcome: Annotation | ItemFault | None) -> bool:
    return outcome is _FAILED or outcome is _SHORT


ARRIVED = "arrived"
"""Where in the scope's state the connection says when the request was there, body and all."""


def _arrival(request: Request, listen: bool) -> float:
    """Return when a request's time began, on `time.monotonic`; of a part of a stream, it is now."""
    now = time.monotonic()
    arrived: float = request.scope.get("state", {}).get(ARRIVED, now)
    return arrived if listen else now


def _departure(request: Request) -> Gone:
    """Returns when the client has left; only once the body was read."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)

    return gone
