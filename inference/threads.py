"""How many cores this process may use, and threads that share independent work.

The container's quota counts, not the machine's cores.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar
from weakref import WeakSet

T = TypeVar("T")

CGROUP = Path("/sys/fs/cgroup")

# Pieces handed out ahead of the one whose result is awaited, a thread: enough that no thread runs
# dry while the caller prepares more of them, few enough that their results take little memory.
_AHEAD = 8


def available_threads(cgroup: Path = CGROUP) -> int:
    """Return the cores of the affinity mask, or fewer where a cgroup quota allows fewer (>= 1)."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    # Rounded down: a thread that the quota stops keeps the others of its kernel waiting.
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Return the cgroup's CPU quota in cores, or None without one (cgroup v2, else v1)."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            texts = [(cgroup / name).read_text(encoding="ascii") for name in names]
            quota, period = " ".join(texts).split()
            return int(quota) / int(period) if quota not in ("max", "-1") else None
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None


class Renewable(Protocol):
    """A thing with locks or threads, which a forked child has to make anew."""

    def renew(self) -> None:
        """Forget threads that the child does not have, and locks that they may have held."""


_RENEWABLE: WeakSet[Renewable] = WeakSet()


def renew_in_child(owner: Renewable) -> None:
    """Call `owner.renew` in every child that this process forks."""
    _RENEWABLE.add(owner)


def _renew_all() -> None:
    for owner in list(_RENEWABLE):
        owner.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


class Workers:
    """Up to `count` threads, started when there is work for two; with one, the caller's own.

    Numpy, ONNX Runtime and the native functions let go of the interpreter while they compute;
    that is what makes threads worth while. Safe to use from several threads at once, and in a
    forked child.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"there must be at least 1 worker, got {count}")
        self.count = count
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Start with no thread."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def run(self, jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
        """Yield the results of the jobs, in order.

        What a job raises is raised here, in its turn. When the caller stops reading, no job is
        left running, and jobs that were not begun never are.
        """
        if self.count == 1:
            return (job() for job in jobs)
        return self._run(iter(jobs))

    def _run(self, jobs: Iterator[Callable[[], T]]) -> Iterator[T]:
        first = next(jobs, None)
        if first is None:
            return
        second = next(jobs, None)
        if second is None:  # not worth a change of threads
            yield first()
            return
        executor = self._started()
        running = deque([executor.submit(first), executor.submit(second)])
        try:
            for job in jobs:
                running.append(executor.submit(job))
                if len(running) > _AHEAD * self.count:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            _stop(running)

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.count, thread_name_prefix="tagger")
            return self._executor


def _stop(running: Iterable[Future[T]]) -> None:
    """Cancel what has not begun and wait for what has."""
    begun = [future for future in running if not future.cancel()]
    for future in begun:
        future.exception()
