"""Make a batch of the jobs that wait, and tag it so that one bad item fails alone."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from tagbelt.inference import Annotation, Phases, TokenizedItem
from tagbelt.service.engine.queue import (
    ExpiredError,
    Failure,
    Job,
    Outcome,
    Pace,
    Queue,
    ReplyTooLargeError,
    deliver,
    most_tokens,
)
from tagbelt.service.engine.recorder import Recorder
from tagbelt.service.models.served import Served
from tagbelt.service.private_logging import log_failure
from tagbelt.service.shortage import is_shortage


@dataclass(slots=True)
class Part:
    """Items of one job, from `first` on, that are in a batch."""

    job: Job
    first: int
    waited: float | None
    """Seconds until the job's first batch, if this is it."""
    readings: list[TokenizedItem | Failure] = field(default_factory=list)
    """A failure where an item could not even be read."""
    seconds: float = 0.0
    """How long reading it took."""
    weight: float = 0.0
    """Its share of the job's work."""

    @property
    def outcomes(self) -> Sequence[Outcome | None]:
        """The outcomes of its items, once it was tagged."""
        return self.job.outcomes[self.first : self.first + len(self.readings)]


LONGEST_SECONDS = 0.1
"""Of a batch, by what is known of the pace: nobody is answered before it ends."""


def gather(
    queue: Queue,
    budget: int,
    pace: Pace,
    parts: list[Part],
    *,
    seconds: float = LONGEST_SECONDS,
) -> bool:
    """Wait for a job, then add to `parts` what is there until `budget` tokens are together.

    Or, by what is known of the pace, so many seconds of work.

    Jobs that are over, or would be before the batch is done, are passed by; nor does one come along
    for which another would be late. False when the queue is closed and empty.
    """
    weight, until = 0.0, math.inf
    while budget > 0:
        job = queue.take(wait=not parts)
        if job is None:
            break
        # The first is always tried: it would be known by no other way that the pace has changed.
        if not _is_in_time(job, pace.seconds_for(weight + job.weight) if parts else 0.0):
            continue
        weight += job.weight
        if parts:
            took = pace.seconds_for(weight)
            if took > seconds or time.monotonic() + took > until:
                queue.put_first(job)
                break
        until = min(until, job.deadline)
        parts.append(part := begun(job))
        budget -= read(part, budget)
        if job.taken < len(job.items) and not job.is_over:
            queue.put_back(job)
            break
    return bool(parts)


def begun(job: Job) -> Part:
    """Return the next part of a job, of which nothing is read yet."""
    waited = time.monotonic() - job.arrived if job.taken == 0 else None
    return Part(job, job.taken, waited)


def _is_in_time(job: Job, seconds: float) -> bool:
    """Whether a job that is done in so many seconds is done in time; if not, it is given up."""
    if time.monotonic() + seconds < job.deadline:
        return True
    job.error = ExpiredError()
    deliver([job])
    return False


def read(part: Part, budget: int) -> int:
    """Read items of a job until the budget is used up; return what they cost."""
    job = part.job
    cost = 0
    started = time.perf_counter()
    for item in job.items[part.first :]:
        if cost >= budget:
            break
        try:
            reading = job.served.tagger.tokenize(item, marginals=job.marginals, paths=job.paths)  # type: ignore[arg-type]
            if job.inspect is not None:
                reading = replace(reading, inspect=job.inspect)
            cost += max(1, reading.tokens * job.price_of_token)
        except Exception as error:
            log_failure("an item could not be read", error)
            part.readings.append(Failure(is_shortage(error)))
            continue
        part.readings.append(reading)
        if _is_too_much(part, reading.tokens):
            break
    job.taken += len(part.readings)
    share = len(part.readings) / max(1, len(job.items))
    part.weight = job.characters * job.price_of_token * share
    job.weight -= part.weight
    part.seconds = time.perf_counter() - started
    return cost


def _is_too_much(part: Part, tokens: int) -> bool:
    """Count tokens of a job; give it up, before it is tagged, if its reply would be too large."""
    job = part.job
    job.tokens += tokens
    most = most_tokens(job.marginals, job.paths)
    if most is None or job.tokens <= most:
        return False
    job.error = ReplyTooLargeError(most)
    deliver([job])
    part.readings.clear()
    return True


def tag(
    parts: Sequence[Part], recorder: Recorder, meanwhile: Callable[[], None] = lambda: None
) -> bool:
    """Fill in the outcomes of all parts, model by model. True when any item was tagged.

    `meanwhile` is called between the steps of the work.
    """
    by_model: dict[Served, list[Part]] = {}
    for part in parts:
        by_model.setdefault(part.job.served, []).append(part)
    for served, mine in by_model.items():
        _tag_with(served, mine, recorder, meanwhile)
    return any(isinstance(outcome, Annotation) for part in parts for outcome in part.outcomes)


def _tag_with(
    served: Served, parts: list[Part], recorder: Recorder, meanwhile: Callable[[], None]
) -> None:
    def go_on() -> None:
        _go_on(parts)
        meanwhile()

    phases = Phases(tokenize=sum(part.seconds for part in parts))
    readings = [reading for part in parts for reading in _read_ones(part)]
    outcomes = iter(_annotate(served, readings, phases, go_on))
    for part in parts:
        for place, reading in enumerate(part.readings, part.first):
            part.job.outcomes[place] = reading if isinstance(reading, Failure) else next(outcomes)
        part.job.remaining -= len(part.readings)
        _tell(part, phases)
    _record(served, parts, phases, recorder)


def _read_ones(part: Part) -> list[TokenizedItem]:
    return [reading for reading in part.readings if not isinstance(reading, Failure)]


class _AbandonedError(Exception):
    """Nobody waits for any of it any more."""


def _go_on(parts: Sequence[Part]) -> None:
    """Raise _AbandonedError once every job of a batch is late, or its client has left."""
    now = time.monotonic()
    if all(part.job.is_over or now >= part.job.deadline for part in parts):
        raise _AbandonedError


def _annotate(
    served: Served,
    readings: Sequence[TokenizedItem],
    phases: Phases,
    go_on: Callable[[], None],
) -> Sequence[Outcome]:
    """The outcome of each reading: a batch that fails is tried again item by item."""
    if not readings:
        return []
    try:
        return _annotate_all(served, readings, phases, go_on)
    except _AbandonedError:
        return [Failure()] * len(readings)
    except Exception as error:
        if len(readings) == 1:
            log_failure("an item failed", error)
            return [Failure(is_shortage(error))]
        log_failure("a batch failed and is tried again item by item", error)
    return [outcome for one in readings for outcome in _annotate(served, [one], phases, go_on)]


def _annotate_all(
    served: Served,
    readings: Sequence[TokenizedItem],
    phases: Phases,
    go_on: Callable[[], None],
) -> Sequence[Annotation]:
    annotations = served.tagger.annotate_items(readings, phases, go_on)
    if len(annotations) != len(readings):
        raise RuntimeError(f"{len(readings)} items in, {len(annotations)} annotations out")
    return annotations


def _tell(part: Part, phases: Phases) -> None:
    """Add to what the request is told of its own work."""
    work = part.job.work
    work.queue = max(work.queue, part.waited or 0.0)
    work.tokens += sum(reading.tokens for reading in _read_ones(part))
    work.tokenize += phases.tokenize
    work.infer += phases.infer
    work.decode += phases.decode


def _record(served: Served, parts: Iterable[Part], phases: Phases, recorder: Recorder) -> None:
    """Metrics must never cost a request its answer."""
    outcomes = [outcome for part in parts for outcome in part.outcomes]
    annotations = [outcome for outcome in outcomes if isinstance(outcome, Annotation)]
    try:
        recorder.batch(
            served,
            items=len(outcomes),
            tokens=sum(reading.tokens for part in parts for reading in _read_ones(part)),
            phases=phases,
            waited=[part.waited for part in parts if part.waited is not None],
        )
        recorder.annotated(served, annotations)
        for _ in range(len(outcomes) - len(annotations)):
            recorder.failed("internal")
    except Exception as error:
        log_failure("the metrics of a batch were lost", error)
