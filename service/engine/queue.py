"""Jobs, the bounded queue in which they wait, and how fast they get done."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tagbelt.inference import Annotation, Occlude
from tagbelt.service.engine.recorder import Work
from tagbelt.service.models.served import Served


class ExpiredError(Exception):
    """The time that the request allowed is over; nothing more is computed for it."""


class GoneError(Exception):
    """The client has left; nothing more is computed for it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The model failed on an item, alone. What it raised is in the log."""

    is_shortage: bool = False
    """Whether memory ran out."""


Outcome = Annotation | Failure

# Of a batch's budget: what marginals, and each path, cost a token beside tagging it. In bulk that
# takes about 1.3 us, marginals 5 more, and a path of a long sentence 1.3 (of a short one more).
_MARGINALS_PRICE = 5
_PATH_PRICE = 2
# Looking inside takes about 1 ms a token, and 11 when each token is hidden and lengthened in turn.
_INSPECT_PRICE = 800
_OCCLUDE_PRICE = 8000


# Of a reply's size: what the likely tags of a token take beside a tag, and an entity, of a reading.
_ALTERNATIVES_SIZE = 4
MOST_TOLD = 500_000
"""Tags that a reply may tell of all its tokens, in all readings; likely tags count as four.

At the worst each begins an entity, and takes some 600 bytes while the reply is made.
"""


def most_tokens(marginals: bool, paths: int) -> int | None:
    """Return how many tokens a reply may be about; None when it tells no more than entities."""
    price = _ALTERNATIVES_SIZE * marginals + paths
    return MOST_TOLD // price if price else None


class ReplyTooLargeError(Exception):
    """The reply would be larger than it may be: it may be about so many tokens."""

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self.tokens = tokens


def size_of(item: str | Sequence[str]) -> int:
    """Return what an item weighs: its characters and its tokens, "" among them, and itself.

    Of a text the tokens are not known yet; there a token's end mostly is a space, which counts.
    """
    return 1 + len(item) + (0 if isinstance(item, str) else sum(map(len, item)))


@dataclass(eq=False, slots=True)
class Job:
    """Items for one model, made on an event loop and worked on by the inference thread.

    `items` are good texts or token lists. `deadline` is a time of `time.monotonic`. Only the
    event loop touches the future, which is done once the job is settled.
    """

    served: Served
    items: Sequence[object]
    deadline: float
    work: Work
    marginals: bool = False
    paths: int = 0
    inspect: Occlude | None = None
    characters: int = 0
    """Its size, as `size_of` counts items."""
    arrived: float = field(default_factory=time.monotonic)
    taken: int = 0
    """Items that a batch has taken."""
    tokens: int = 0
    """Tokens of these items."""
    price_of_token: int = field(init=False)
    """The part of a batch's budget that one token of this job takes."""
    weight: float = field(init=False)
    """The work left in it: characters times what each costs. Stays while the job waits."""
    outcomes: list[Outcome | None] = field(init=False)
    remaining: int = field(init=False)
    future: asyncio.Future[None] = field(init=False)
    loop: asyncio.AbstractEventLoop = field(init=False)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()
        self.price_of_token = 1 + _MARGINALS_PRICE * self.marginals + _PATH_PRICE * self.paths
        if self.inspect is not None:
            self.price_of_token += _OCCLUDE_PRICE if self.inspect else _INSPECT_PRICE
        self.weight = float(self.characters * self.price_of_token)
        self.outcomes = [None] * len(self.items)
        self.remaining = len(self.items)

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.error is not None or self.future.done()

    def settle(self) -> None:
        """Wake whoever waits for the result. On the event loop only."""
        if self.future.done():
            return
        if self.error is None and time.monotonic() > self.deadline:
            self.error = ExpiredError()
        self.future.set_result(None)

    def result(self) -> list[Outcome]:
        """The outcomes of a settled job, of which the error is raised, if there is one; once."""
        error, self.error = self.error, None
        if error is None:
            return [outcome or Failure() for outcome in self.outcomes]
        # An error holds the frames that it passes, and they this job. As the job's own it would
        # keep the model until the collector of garbage comes, long after the model was exchanged.
        try:
            raise error
        finally:
            del error


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


class QueueFullError(RuntimeError):
    """As much waits as may wait, or as can be done in time; nothing was queued."""


class ClosedError(RuntimeError):
    """The queue takes nothing more."""


class Queue:
    """Jobs in the order of their arrival. Safe to use from several threads.

    A job that a batch takes only a part of goes to the back, so that a long one never holds up
    the short ones behind it.
    """

    def __init__(self, *, max_jobs: int, max_characters: int) -> None:
        self._max_jobs = max_jobs
        self._max_characters = max_characters
        self._jobs: deque[Job] = deque()
        self.characters = 0
        """Characters in the jobs that wait."""
        self.weight = 0.0
        """The work in the jobs that wait, as `Job.weight` counts it."""
        self.is_full = False
        """Whether no further job finds a place."""
        self._ready = threading.Condition(threading.Lock())
        self._is_awaited = False
        self._closed = False

    def __len__(self) -> int:
        """Return the number of jobs that wait."""
        return len(self._jobs)

    @property
    def is_closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._closed

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and somebody waits for something to do."""
        return self._is_awaited and not self._jobs and not self._closed

    def put(self, job: Job) -> None:
        """Queue a new job. Raises QueueFullError, or ClosedError."""
        with self._ready:
            if self._closed:
                raise ClosedError
            if self.is_full or self.characters + job.characters > self._max_characters:
                raise QueueFullError
            self._append(job)

    def put_back(self, job: Job) -> None:
        """Queue the rest of a job that was accepted before."""
        with self._ready:
            self._append(job)

    def put_first(self, job: Job) -> None:
        """Queue a job again that was taken out and is not begun."""
        with self._ready:
            self._jobs.appendleft(job)
            self._count(job, 1)

    def _append(self, job: Job) -> None:
        self._jobs.append(job)
        self._count(job, 1)
        if self._is_awaited:  # to notify costs more than all the rest, and most find it at work
            self._ready.notify()

    def take(self, *, wait: bool) -> Job | None:
        """Take out the job that waits longest, and pass by those that are over.

        None when there is none, or when nothing will come any more.
        """
        with self._ready:
            while True:
                while wait and not self._jobs and not self._closed:
                    self._is_awaited = True
                    self._ready.wait()
                self._is_awaited = False
                if not self._jobs:
                    return None
                job = self._jobs.popleft()
                self._count(job, -1)
                if not job.is_over:
                    return job

    def take_small(self, most: float) -> list[Job]:
        """Take out jobs, in order, that weigh no more than `most` together; others stay."""
        with self._ready:
            found = []
            for job in list(self._jobs):
                if job.weight <= most:
                    most -= job.weight
                    found.append(job)
                    self._jobs.remove(job)
                    self._count(job, -1)
            return [job for job in found if not job.is_over]

    def remove(self, job: Job) -> bool:
        """Take out a job that nobody waits for any more; False when a batch has it."""
        with self._ready:
            try:
                self._jobs.remove(job)
            except ValueError:
                return False
            self._count(job, -1)
            return True

    def _count(self, job: Job, sign: int) -> None:
        self.characters += sign * job.characters
        self.is_full = len(self._jobs) >= self._max_jobs
        # Sums of fractions drift; an empty queue holds nothing.
        self.weight = self.weight + sign * job.weight if self._jobs else 0.0

    def close(self) -> None:
        """Take nothing more; what waits is still handed out."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()


# Of what counted before, after each batch: big batches, of which there is much to learn, outlast
# the small ones between them.
_KEPT = 0.9


class Pace:
    """Work done a second, over the last batches. Work is characters times what each costs."""

    def __init__(self) -> None:
        # Together, for whoever reads them in another thread.
        self._work_and_seconds = 0.0, 0.0

    def add(self, work: float, seconds: float) -> None:
        """A batch was done. Of one without work nothing is learnt."""
        if work > 0:
            before, took = self._work_and_seconds
            self._work_and_seconds = _KEPT * before + work, _KEPT * took + seconds

    def seconds_for(self, work: float) -> float:
        """Return the seconds that so much work takes; 0 as long as nothing is known."""
        done, seconds = self._work_and_seconds
        return work * seconds / done if done else 0.0
