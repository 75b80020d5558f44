"""A request's share of the work: some items for one model, and the place of their outcomes."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tagbelt.inference import Annotation
from tagbelt.service.engine.recorder import Work
from tagbelt.service.models.served import Served


class DeadlineError(Exception):
    """The time that the request allowed is over; nothing more is computed for it."""


class GoneError(Exception):
    """The client has left; nothing more is computed for it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The model failed on an item, alone. What it raised is in the log."""


Outcome = Annotation | Failure

# Of a batch's budget: what marginals, and each path, cost a token beside tagging it. In bulk that
# takes about 1.3 us, marginals 5 more, and a path of a long sentence 1.3 (of a short one more).
_MARGINALS_PRICE = 5
_PATH_PRICE = 2


@dataclass(eq=False, slots=True)
class Job:
    """Items for one model, made on an event loop and worked on by the inference thread.

    `items` are good texts or token lists. `deadline` is a time of `time.monotonic`. Only the
    event loop touches the future: `settle` tells it, from any thread.
    """

    served: Served
    items: Sequence[object]
    deadline: float
    work: Work
    marginals: bool = False
    paths: int = 0
    characters: int = 0
    arrived: float = field(default_factory=time.monotonic)
    taken: int = 0
    """Items that a batch has taken."""
    outcomes: list[Outcome | None] = field(init=False)
    remaining: int = field(init=False)
    future: asyncio.Future[list[Outcome]] = field(init=False)
    loop: asyncio.AbstractEventLoop = field(init=False)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()
        self.outcomes = [None] * len(self.items)
        self.remaining = len(self.items)

    @property
    def price_of_token(self) -> int:
        """What one token of this job takes of a batch's budget."""
        return 1 + _MARGINALS_PRICE * self.marginals + _PATH_PRICE * self.paths

    @property
    def weight(self) -> float:
        """The work left in it: characters times what each costs. Stays while the job waits."""
        left = 1 - self.taken / max(1, len(self.items))
        return self.characters * self.price_of_token * left

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.error is not None or self.future.done()

    def settle(self) -> None:
        """Hand over the outcomes, or the error. On the event loop only."""
        if self.future.done():
            return
        if self.error is None and time.monotonic() > self.deadline:
            self.error = DeadlineError()
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result([outcome or Failure() for outcome in self.outcomes])


def deliver(jobs: Iterable[Job]) -> None:
    """Settle jobs from the inference thread: each event loop is woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        with suppress(RuntimeError):  # closed: nobody waits there
            loop.call_soon_threadsafe(_settle, mine)


def _settle(jobs: Iterable[Job]) -> None:
    for job in jobs:
        job.settle()
