"""Rates of tagging systems, side by side: each reads its items, warms up, and takes its turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.common.materials import kept, sample, tokens_in
from benchmarks.common.measure import Series, interleaved, ratio, spread
from benchmarks.common.record import Row, tell
from benchmarks.speed.systems import Opened

WARM_UP = (
    "each system tags all items once, then twice per batch size that is tried; the fastest batch "
    "size is kept"
)


@dataclass(frozen=True)
class Rounds:
    """How often candidates take turns, and for how long at least, in seconds, each time."""

    count: int = 7
    least: float = 1.0

    @classmethod
    def of(cls, *, quick: bool) -> "Rounds":
        """Those of a quick run or of a whole one."""
        return cls(2, 0.2) if quick else cls()


@dataclass(frozen=True)
class Warmed:
    """A system that is ready for a job, with what warming up showed."""

    opened: Opened
    job: str
    sentences: int
    tokens: int
    first: float
    batch: int
    tried: dict[str, float]

    def rate(self, least: float) -> float:
        """Tokens a second of one turn."""
        child = self.opened.child
        seconds: float = child.call("run", job=self.job, least=least, batch=self.batch)
        return self.tokens / seconds


def warmed(
    opened: Opened,
    job: str,
    sentences: Sequence[Sequence[str]],
    *,
    join: str = " ",
    batch: int | None = None,
) -> Warmed:
    """Give a system its sentences (joined to texts for the job "texts") and warm it up."""
    system = opened.system
    tell(f"warming {system.name}")
    taken = sample(list(sentences), system.most or len(sentences))
    items: list[Any] = [join.join(words) for words in taken] if job == "texts" else taken
    opened.child.call("read", job=job, path=str(kept(f"items-{job}.json", items)))
    told = opened.child.call("warm", job=job, batch=batch)
    tokens = tokens_in(taken)
    first = tokens / told["first"]
    tried = {size: tokens / seconds for size, seconds in told["tried"].items()}
    return Warmed(opened, job, len(taken), tokens, first, told["batch"], tried)


def take_turns(candidates: dict[str, Warmed], rounds: Rounds) -> Series:
    """Rates in tokens a second, by name of the candidate."""
    calls: dict[str, Callable[[], float]] = {
        name: partial(warm.rate, rounds.least) for name, warm in candidates.items()
    }
    return interleaved(calls, rounds.count, tell=tell)


def row(warm: Warmed, name: str, rates: Sequence[float]) -> Row:
    """Return the row of one system, without comparisons."""
    system, about = warm.opened.system, warm.opened.about
    found = {
        "system": name,
        "rate": spread(rates),
        "first": warm.first,
        "threads": system.threads,
        "sentences": warm.sentences,
        "tokens": warm.tokens,
        "batch": warm.batch or "",
        "batches_tried": warm.tried if len(warm.tried) > 1 else {},
        "note": system.note,
    }
    return found | about


def compared(candidates: dict[str, Warmed], series: Series, base: str) -> list[Row]:
    """A row a system; all but the base have the ratio of the base's rate to theirs."""
    rows = []
    for name, warm in candidates.items():
        made = row(warm, name, series[name])
        if name != base:
            made["ratio"] = ratio(series[base], series[name])
        rows.append(made)
    return rows
