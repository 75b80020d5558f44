"""Compare a canary with the model whose place it takes: both tag the same items."""

import asyncio
import time
from collections.abc import Sequence

from tagbelt.inference import Annotation
from tagbelt.service.engine.engine import Engine
from tagbelt.service.engine.queue import Job, Outcome, size_of
from tagbelt.service.engine.recorder import CanaryComparison, Recorder, Work
from tagbelt.service.models.served import Served
from tagbelt.service.private_logging import log_failure

MOST = 16
"""Comparisons that may be under way: what a canary answers while so many are is not compared."""


class Comparisons:
    """Has the other model tag what a canary has answered; nobody waits for it."""

    def __init__(self, engine: Engine, recorder: Recorder) -> None:
        self._engine = engine
        self._recorder = recorder
        self._running: set[asyncio.Task[None]] = set()

    def begin(
        self, stable: Served, canary: Job, outcomes: Sequence[object], seconds: float
    ) -> None:
        """Compare what a canary made of a job, in no more than so many seconds."""
        if len(self._running) >= MOST or self._engine.is_full:
            self._recorder.not_compared(canary.served, len(canary.items))
            return
        found = [one if isinstance(one, Annotation) else None for one in outcomes]
        task = asyncio.create_task(self._compare(stable, canary, found, seconds))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(
        self, stable: Served, canary: Job, found: Sequence[Annotation | None], seconds: float
    ) -> None:
        items = canary.items
        job = Job(
            stable,
            items,
            time.monotonic() + seconds,
            Work(),
            characters=sum(map(size_of, items)),  # type: ignore[arg-type]
        )
        try:
            other = await self._engine.run(job, None)
        except Exception:  # no room or no time for it; the client has its answer
            self._recorder.not_compared(canary.served, len(items))
            return
        try:
            for one in compared(stable, canary.served, found, other):
                self._recorder.compared(one)
            for served, work in ((stable, job.work), (canary.served, canary.work)):
                self._recorder.timed(served, work.tokenize + work.infer + work.decode)
        except Exception as error:
            log_failure("a comparison with a canary was lost", error)


def compared(
    stable: Served, canary: Served, found: Sequence[Annotation | None], other: Sequence[Outcome]
) -> list[CanaryComparison]:
    """Return a comparison an item: `found` by the canary, and by the `other`, `stable` one."""
    return [
        CanaryComparison(stable, canary, _entities(two), _entities(one))
        for one, two in zip(found, other, strict=True)
    ]


def _entities(outcome: Outcome | None) -> dict[tuple[str, int, int], float] | None:
    if not isinstance(outcome, Annotation):
        return None
    return {(one.label, one.start, one.end): one.score for one in outcome.entities}
