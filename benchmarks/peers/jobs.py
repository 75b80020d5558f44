"""The jobs that every tagging peer does, around the functions that are the peer's own."""

import time
from collections.abc import Callable
from typing import Any

from protocol import read_json

Tags = list[list[str]]


class Jobs:
    """Times a peer's functions on sentences that stay in memory.

    `tokens(sentences, batch)` returns one list of tags a sentence; `texts(texts, batch)` one list
    of entities a text; both may be None. `batches` are the batch sizes that are tried in warm-up,
    of which the fastest is kept.
    """

    def __init__(
        self,
        tokens: Callable[[list[list[str]], int], Any] | None = None,
        texts: Callable[[list[str], int], Any] | None = None,
        batches: tuple[int, ...] = (0,),
    ) -> None:
        self._functions: dict[str, Callable[[Any, int], Any] | None] = {
            "tokens": tokens,
            "texts": texts,
        }
        self._batches = batches
        self._items: dict[str, list[Any]] = {}
        self._batch: dict[str, int] = {}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The calls that a parent may make."""
        return {
            "read": self.read,
            "warm": self.warm,
            "run": self.run,
            "timed": self.timed,
            "latency": self.latency,
            "output": self.output,
        }

    def read(self, job: str, path: str) -> int:
        """Read the sentences or texts of a job; return how many there are."""
        self._items[job] = read_json(path)
        return len(self._items[job])

    def warm(self, job: str, batch: int | None = None) -> dict[str, Any]:
        """Run each batch size twice and keep the fastest; `first` is the time of the very first."""
        tried = self._batches if batch is None else (batch,)
        first = self._seconds(job, tried[0])
        seconds = {size: min(self._seconds(job, size) for _ in range(2)) for size in tried}
        self._batch[job] = min(seconds, key=lambda size: seconds[size])
        return {"first": first, "batch": self._batch[job], "tried": seconds}

    def run(self, job: str, least: float, batch: int) -> float:
        """Seconds that all items of a job take, a mean of the passes that fill `least` seconds."""
        passes, seconds = 0, 0.0
        while not passes or seconds < least:
            seconds += self._seconds(job, batch)
            passes += 1
        return seconds / passes

    def timed(self, job: str, batch: int) -> tuple[Any, float]:
        """Return the output for all items, and the seconds of CPU time that one pass took."""
        began = time.process_time()
        made = self._function(job)(self._items[job], batch)
        return made, time.process_time() - began

    def output(self, job: str) -> Any:
        """Return the peer's output for all items of a job."""
        return self._function(job)(self._items[job], self._batch[job])

    def latency(self, job: str, calls: int, start: int) -> list[float]:
        """Microseconds of single calls, one item each; item number `start` is the first."""
        items, function, batch = self._items[job], self._function(job), self._batch[job]
        result = []
        for number in range(start, start + calls):
            item = [items[number % len(items)]]
            began = time.perf_counter()
            function(item, batch)
            result.append(1e6 * (time.perf_counter() - began))
        return result

    def _seconds(self, job: str, batch: int) -> float:
        items, function = self._items[job], self._function(job)
        began = time.perf_counter()
        made = function(items, batch)
        seconds = time.perf_counter() - began
        if len(made) != len(items):
            raise ValueError(f"{len(made)} results for {len(items)} items")
        return seconds

    def _function(self, job: str) -> Callable[[Any, int], Any]:
        function = self._functions[job]
        if function is None:
            raise ValueError(f"this peer does not do {job}")
        return function
