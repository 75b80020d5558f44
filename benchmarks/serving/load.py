"""The service under load on loopback: throughput, latency, large requests, two worker processes.

    python -m benchmarks.serving.load [--quick] [--models DIR]

POST /v1/tag takes turns with an endpoint of the same app that validates the same request and
answers a constant (`constant.py`). The generator is this process, on the same machine.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.common.measure import interleaved, percentile, ratio, spread
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.serving import workload
from benchmarks.serving.loadgen import Generator, Tally
from benchmarks.serving.servers import serving
from tagbelt.inference import Tagger

MOST_OUT = 256
"""Requests that may be out in the open loop."""
BATCH_CLIENTS = 4
WORKER_CLIENTS = 64
WARM_SECONDS = 0.5
CONSTANT_MODULE = "benchmarks.serving.constant"
MS = 1000.0


@dataclass(frozen=True)
class Rounds:
    """How often candidates take turns, and for how many seconds."""

    count: int = 5
    seconds: float = 2.0


def turn(url: str, requests: list[bytes], clients: int, seconds: float, into: list[Tally]) -> float:
    """Replies a second of a closed loop, after a short warm-up; the tally is added to `into`."""
    with Generator(url, requests, clients) as generator:
        generator.closed(min(WARM_SECONDS, seconds))
        tally = generator.closed(seconds)
    into.append(tally)
    return tally.rate()


def closed(url: str, texts: list[str], clients: int, rounds: Rounds) -> Row:
    """Requests a second of both endpoints with so many clients."""
    tell(f"{clients} clients")
    tallies: dict[str, list[Tally]] = {workload.PATH: [], workload.CONSTANT: []}
    turns: dict[str, Callable[[], float]] = {
        path: partial(turn, url, workload.single(url, texts, path), clients, rounds.seconds, into)
        for path, into in tallies.items()
    }
    rates = interleaved(turns, rounds.count)
    ours = tallies[workload.PATH]
    return {
        "experiment": "closed",
        "clients": clients,
        "rate": spread(rates[workload.PATH]),
        "constant": spread(rates[workload.CONSTANT]),
        "ratio": ratio(rates[workload.PATH], rates[workload.CONSTANT]),
        "p50_ms": spread([MS * percentile(tally.times(), 0.5) for tally in ours]),
        "p99_ms": spread([MS * percentile(tally.times(), 0.99) for tally in ours]),
        "generator_share": max(tally.cpu_share for one in tallies.values() for tally in one),
        "failures": failures([tally for one in tallies.values() for tally in one]),
    }


def half_load(url: str, texts: list[str], clients: int, rate: float, rounds: Rounds) -> Row:
    """Latency where requests come at random, half as many as `clients` clients got answered."""
    tell(f"half the load of {clients} clients: {rate / 2:.0f} requests a second")
    tallies = []
    for seed in range(rounds.count):
        with Generator(url, workload.single(url, texts), MOST_OUT, seed=seed) as generator:
            generator.open(rate / 2, min(WARM_SECONDS, rounds.seconds))
            tallies.append(generator.open(rate / 2, rounds.seconds))
    medians = [percentile(tally.times(), 0.5) for tally in tallies]
    tails = [percentile(tally.times(), 0.99) for tally in tallies]
    return {
        "experiment": "half load",
        "clients": clients,
        "asked": rate / 2,
        "rate": spread([tally.rate() for tally in tallies]),
        "p50_ms": spread([MS * seconds for seconds in medians]),
        "p99_ms": spread([MS * seconds for seconds in tails]),
        "p99_over_p50": ratio(tails, medians),
        "lag_ms": spread([MS * tally.lag() for tally in tallies]),
        "held_back": sum(tally.held_back for tally in tallies),
        "failures": failures(tallies),
    }


def batches(models: Path, words: list[list[str]], threads: int, rounds: Rounds) -> Row:
    """Tokens a second in requests of many texts, and of the same texts in this process."""
    tell(f"requests of {workload.TEXTS} texts, {threads} threads")
    words = words[: len(words) // workload.TEXTS * workload.TEXTS]
    texts = workload.joined(words)
    mean = sum(map(len, words)) / len(words)
    tagger = Tagger.load(default_model(models), threads=threads)
    tallies: list[Tally] = []
    with serving(models, "--threads", str(threads)) as server:
        requests = workload.many(server.url, texts)

        def over_http() -> float:
            rate = turn(server.url, requests, BATCH_CLIENTS, rounds.seconds, tallies)
            return rate * workload.TEXTS * mean

        rates = interleaved(
            {"http": over_http, "bulk": lambda: bulk(tagger, texts, mean, rounds.seconds)},
            rounds.count,
        )
    return {
        "experiment": "batches",
        "threads": threads,
        "clients": BATCH_CLIENTS,
        "rate": spread(rates["http"]),
        "in_process": spread(rates["bulk"]),
        "ratio": ratio(rates["http"], rates["bulk"]),
        "failures": failures(tallies),
    }


def bulk(tagger: Tagger, texts: list[str], mean: float, seconds: float) -> float:
    """Tokens a second of `Tagger.tag` over all texts, again and again."""
    tagger.tag(texts)
    count, begin = 0, time.perf_counter()
    while (took := time.perf_counter() - begin) < seconds or not count:
        tagger.tag(texts)
        count += len(texts)
    return count * mean / took


def workers(models: Path, texts: list[str], rounds: Rounds) -> Row:
    """Requests a second of two worker processes against one, of one thread each."""
    tell("two worker processes")
    tallies: list[Tally] = []
    with ExitStack() as stack:
        turns: dict[str, Callable[[], float]] = {}
        for count in ("1", "2"):
            options = ("--threads", "1", "--workers", count)
            url = stack.enter_context(serving(models, *options)).url
            requests = workload.single(url, texts)
            turns[count] = partial(turn, url, requests, WORKER_CLIENTS, rounds.seconds, tallies)
        rates = interleaved(turns, rounds.count)
    return {
        "experiment": "workers",
        "clients": WORKER_CLIENTS,
        "rate": spread(rates["2"]),
        "one": spread(rates["1"]),
        "ratio": ratio(rates["2"], rates["1"]),
        "failures": failures(tallies),
    }


def failures(tallies: list[Tally]) -> int:
    """Requests that had another reply than 200, or none."""
    return sum(status != 200 for tally in tallies for status in tally.statuses)


def default_model(models: Path) -> Path:
    """The checkpoint that answers when a request names no model: the first by name."""
    return models if (models / "config.json").exists() else min(models.iterdir())


def main() -> None:
    """Measure and write the part `load`."""
    given = workload.parser(__doc__).parse_args()
    rounds = Rounds(2, 0.3) if given.quick else Rounds()
    words = workload.word_lists(given.data)
    texts = workload.joined(words)
    rows = []
    with serving(given.models, module=CONSTANT_MODULE) as server:
        for clients in workload.CLIENTS:
            rows.append(closed(server.url, texts, clients, rounds))
        for row in list(rows):
            rate = row["rate"]["median"]
            rows.append(half_load(server.url, texts, row["clients"], rate, rounds))
    rows += [batches(given.models, words, threads, rounds) for threads in workload.THREADS]
    rows.append(workers(given.models, texts, rounds))
    settings = {
        "quick": given.quick,
        "rounds": rounds.count,
        "seconds": rounds.seconds,
        "data": workload.DATA,
        "texts_a_large_request": workload.TEXTS,
        "open_loop": f"Poisson, at most {MOST_OUT} requests out; time counts from when it was due",
        "server": "tagbelt serve as it is, access log into a file, on the same machine",
    }
    write_result("load", settings, rows, directory=given.results)


if __name__ == "__main__":
    run_program(main)
