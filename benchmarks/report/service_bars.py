"""The bars of the service: under load, under too much of it, while models change and at its end."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.report.bar import Bar, Find
from benchmarks.report.parts import first_spread
from benchmarks.serving.overload import CASES
from benchmarks.serving.requests import CLIENTS, THREADS

LOAD = "`tagbelt serve` under load"
OVERLOAD = "10 times the load that it can carry"
KEPT = "Changes and ends under load"
STREAM = "`/v1/tag/stream`, a file of 200 MB"

SHARE = "{:.0%}"
COUNT = "{:.0f}"
PERCENT = "{:.1f} %"
SECONDS = "{:.3g} s"


def _find(part: str, *path: str, **fields: Any) -> Find:
    return partial(first_spread, part=part, path=path, **fields)


def _load() -> Iterator[Bar]:
    for n in CLIENTS:
        find = _find("load", "ratio", experiment="closed", clients=n)
        measure = f"one sentence, {n} clients: share of an endpoint that answers a constant"
        yield Bar(LOAD, measure, "load", find, 0.5, form=SHARE)
    for n in CLIENTS:
        find = _find("load", "p99_over_p50", experiment="half load", clients=n)
        measure = f"half the load of {n} clients: p99 over p50"
        yield Bar(LOAD, measure, "load", find, 4, floor=False)
    for threads in THREADS:
        find = _find("load", "ratio", experiment="batches", threads=threads)
        measure = f"64 texts a request, threads {threads}: share of the bulk rate in process"
        yield Bar(LOAD, measure, "load", find, 0.6, form=SHARE)
    find = _find("load", "ratio", experiment="workers")
    yield Bar(LOAD, "two worker processes against one", "load", find, None)


def _overload() -> Iterator[Bar]:
    for case in CASES:
        goodput = _find("overload", "goodput", experiment=case.name)
        failures = _find("overload", "failures", experiment=case.name)
        yield Bar(
            OVERLOAD, f"{case.name}: in time, of the most", "overload", goodput, 0.9, form=SHARE
        )
        measure = f"{case.name}: lost, or late beyond the deadline"
        yield Bar(OVERLOAD, measure, "overload", failures, 0, floor=False, form=COUNT)
    name = CASES[0].name
    growth = _find("overload", "growth", experiment=name)
    measure = f"{name}: growth of memory"
    yield Bar(OVERLOAD, measure, "overload", growth, 5, floor=False, form=PERCENT)
    recovery = _find("overload", "recovery", experiment=name)
    measure = f"{name}: afterwards as quick as idle within"
    yield Bar(OVERLOAD, measure, "overload", recovery, 1, floor=False, form=SECONDS)


def _kept() -> Iterator[Bar]:
    for part, experiment, measure in (
        ("swaps", "reloads under load", "500 model swaps: replies that failed or were wrong"),
        ("ending", "SIGTERM", "SIGTERM, 20 times: accepted requests lost"),
        ("ending", "kill -9 of a worker", "kill -9 of one of two workers: others harmed"),
    ):
        find = _find(part, "failures", experiment=experiment)
        yield Bar(KEPT, measure, part, find, 0, floor=False, form=COUNT)
    find = _find("ending", "back_seconds", experiment="kill -9 of a worker")
    yield Bar(KEPT, "kill -9 of a worker: two again after", "ending", find, None, form=SECONDS)
    find = _find("stream", "growth", experiment="stream")
    yield Bar(STREAM, "growth of memory", "stream", find, 5, floor=False, form=PERCENT)


SERVICE_BARS: Sequence[Bar] = (*_load(), *_overload(), *_kept())
