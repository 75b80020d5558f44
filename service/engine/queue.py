"""The one queue in which requests meet, bounded in requests and in characters."""

import threading
from collections import deque

from tagbelt.service.engine.job import Job


class OverloadedError(RuntimeError):
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
        self._characters = 0
        self._weight = 0.0
        self._ready = threading.Condition(threading.Lock())
        self._is_awaited = False
        self._closed = False

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._jobs)

    @property
    def characters(self) -> int:
        """Characters in the jobs that wait."""
        return self._characters

    @property
    def weight(self) -> float:
        """The work in the jobs that wait, as `Job.weight` counts it."""
        return self._weight

    @property
    def is_full(self) -> bool:
        """Whether no further job finds a place."""
        return len(self._jobs) >= self._max_jobs

    @property
    def is_closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._closed

    def put(self, job: Job) -> None:
        """Queue a new job. Raises OverloadedError, or ClosedError."""
        with self._ready:
            if self._closed:
                raise ClosedError
            full = len(self._jobs) >= self._max_jobs
            if full or self._characters + job.characters > self._max_characters:
                raise OverloadedError
            self._append(job)

    def put_back(self, job: Job) -> None:
        """Queue the rest of a job that was accepted before."""
        with self._ready:
            self._append(job)

    def _append(self, job: Job) -> None:
        self._jobs.append(job)
        self._count(job, 1)
        if self._is_awaited:  # to notify costs more than all the rest, and most find it at work
            self._ready.notify()

    def take(self, *, wait: bool) -> Job | None:
        """The job that waits longest; None when there is none, or nothing will come any more."""
        with self._ready:
            while wait and not self._jobs and not self._closed:
                self._is_awaited = True
                self._ready.wait()
            self._is_awaited = False
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            self._count(job, -1)
            return job

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
        self._characters += sign * job.characters
        # Sums of fractions drift; an empty queue holds nothing.
        self._weight = self._weight + sign * job.weight if self._jobs else 0.0

    def close(self) -> None:
        """Take nothing more; what waits is still handed out."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
