"""Ten times the load that the service can carry: what is lost, late or refused, and what remains.

    python -m benchmarks.serving.overload [--quick] [--models DIR]

Requests come at random moments, whatever the server does. Each says how long it is worth waiting
for. First the most that the server answers is measured, in a closed loop. While it is overloaded
its memory is read, and once that is over one-sentence requests see how soon it is itself again.
"""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.common.measure import percentile, spread
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.serving import workload
from benchmarks.serving.loadgen import Generator, LoadError, Tally
from benchmarks.serving.servers import Server, serving

FACTOR = 10
CONNECTIONS = 1024
PEAK_CLIENTS = 16
GRACE_SECONDS = 0.1
"""How much later than its deadline a reply may be read."""
SAMPLE_SECONDS = 0.2
PROBES = 50
PROBE_PAUSE = 0.02
RECOVERED_TIMES = 3.0
RECOVERY_LIMIT = 30.0
TIMEOUT = "x-request-timeout"
EXPECTED = frozenset({HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GATEWAY_TIMEOUT})
MS = 1000.0


@dataclass(frozen=True)
class Case:
    """One kind of overload. `deadline` is what each request says, in seconds."""

    name: str
    large: bool
    deadline: float
    seconds: float


CASES = (
    Case("64 texts, deadline 10 s", large=True, deadline=10.0, seconds=60.0),
    Case("64 texts, deadline 1 s", large=True, deadline=1.0, seconds=15.0),
    Case("one sentence, deadline 1 s", large=False, deadline=1.0, seconds=15.0),
)
QUICK_SECONDS = 5.0


@dataclass
class Memory:
    """Resident memory of a server, read again and again."""

    megabytes: list[float] = field(default_factory=list)

    def thirds(self) -> tuple[float, float]:
        """Medians of the first and of the last third."""
        third = max(1, len(self.megabytes) // 3)
        return (
            statistics.median(self.megabytes[:third]),
            statistics.median(self.megabytes[-third:]),
        )


@contextmanager
def watched(server: Server) -> Iterator[Memory]:
    """Read the memory of a server on a thread, for the time of a block."""
    memory, over = Memory(), threading.Event()

    def read() -> None:
        while not over.wait(SAMPLE_SECONDS):
            memory.megabytes.append(server.resident_mb())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()
        memory.megabytes.append(server.resident_mb())


def overload(server: Server, texts: Sequence[str], case: Case) -> Row:
    """Measure one case."""
    requests = _requests(server.url, texts, case)
    tell(f"{case.name}: the most that is answered")
    before = peak(server.url, requests, case)
    if not before:
        raise LoadError("the server answered nothing")
    idle = statistics.median(probe(server, texts[0]) for _ in range(PROBES))
    rate = FACTOR * before
    tell(f"{case.name}: {rate:.0f} requests a second for {case.seconds:g} s")
    with Generator(server.url, requests, CONNECTIONS) as generator, watched(server) as memory:
        generator.closed(0.2)  # connections, and what first use costs
        memory.megabytes.clear()
        recovery = _Recovery(server, texts[0], case.seconds, RECOVERED_TIMES * idle)
        tally = generator.open(rate, case.seconds)
    recovered = recovery.seconds()
    after = peak(server.url, requests, case)
    return _row(case, tally, statistics.mean((before, after)), memory) | {
        "peak": spread([before, after]),
        "asked": rate,
        "idle_ms": MS * idle,
        "recovery": spread([recovered]),
    }


def _requests(url: str, texts: Sequence[str], case: Case) -> list[bytes]:
    headers = {TIMEOUT: f"{case.deadline:g}"}
    if case.large:
        return workload.many(url, texts, headers)
    return workload.single(url, texts, headers=headers)


def peak(url: str, requests: Sequence[bytes], case: Case) -> float:
    """Replies a second of a server that has always enough to do."""
    seconds = min(case.seconds / 4, 4.0)
    with Generator(url, requests, PEAK_CLIENTS if case.large else 4 * PEAK_CLIENTS) as generator:
        generator.closed(0.5)
        return generator.closed(seconds).rate()


def probe(server: Server, text: str) -> float:
    """Seconds that a single request takes, connecting included; infinity if it is refused."""
    time.sleep(PROBE_PAUSE)
    began = time.perf_counter()
    status, _ = server.ask("POST", workload.PATH, {"text": text})
    return time.perf_counter() - began if status == HTTPStatus.OK else float("inf")


class _Recovery(threading.Thread):
    """Waits for the end of an overload, and asks until a reply is as quick as when idle."""

    def __init__(self, server: Server, text: str, after: float, quick: float) -> None:
        super().__init__(daemon=True)
        self._server, self._text, self._quick = server, text, quick
        self._end = time.perf_counter() + after
        self._took = RECOVERY_LIMIT
        self.start()

    def run(self) -> None:
        """Ask until it is quick."""
        time.sleep(max(0.0, self._end - time.perf_counter()))
        while (now := time.perf_counter() - self._end) < RECOVERY_LIMIT:
            if probe(self._server, self._text) <= self._quick:
                self._took = now
                return

    def seconds(self) -> float:
        """From the last request of the overload to asking what was answered quickly."""
        self.join()
        return self._took


def _row(case: Case, tally: Tally, most: float, memory: Memory) -> Row:
    counts = tally.counts
    in_time = [
        status == HTTPStatus.OK and ended - sent <= case.deadline + GRACE_SECONDS
        for sent, ended, status in zip(tally.sent, tally.ended, tally.statuses, strict=True)
    ]
    waits = [b - a for a, b in zip(tally.sent, tally.ended, strict=True)]
    lost = sum(count for status, count in counts.items() if status not in EXPECTED)
    late = sum(wait > case.deadline + GRACE_SECONDS for wait in waits)
    first, last = memory.thirds()
    refusals = tally.times(HTTPStatus.TOO_MANY_REQUESTS)
    return {
        "experiment": case.name,
        "seconds": case.seconds,
        "deadline": case.deadline,
        "sent": len(tally.statuses),
        "sent_rate": len(tally.statuses) / tally.seconds,
        "held_back": tally.held_back,
        "answered": counts[HTTPStatus.OK],
        "refused": counts[HTTPStatus.TOO_MANY_REQUESTS],
        "expired": counts[HTTPStatus.GATEWAY_TIMEOUT],
        "lost": lost,
        "late": late,
        "failures": spread([float(lost + late)]),
        "goodput": goodput(tally, in_time, most),
        "refusal_p50_ms": MS * percentile(refusals, 0.5) if refusals else None,
        "generator_share": tally.cpu_share,
        "first_mb": first,
        "last_mb": last,
        "growth": spread([100 * (last / first - 1)]),
    }


def goodput(
    tally: Tally, in_time: Sequence[bool], most: float, parts: int = 6
) -> dict[str, object]:
    """Replies in time a second as shares of the most there can be, in each part of the run."""
    width = tally.seconds / parts
    shares = []
    for part in range(parts):
        begin, end = part * width, (part + 1) * width
        came = zip(tally.ended, in_time, strict=True)
        shares.append(sum(good and begin < at <= end for at, good in came) / width / most)
    return spread(shares)


def main() -> None:
    """Measure and write the part `overload`."""
    given = workload.parser(__doc__).parse_args()
    texts = workload.joined(workload.word_lists(given.data))
    rows = []
    for case in CASES:
        seconds = min(QUICK_SECONDS, case.seconds) if given.quick else case.seconds
        with serving(given.models) as server:
            rows.append(
                overload(server, texts, Case(case.name, case.large, case.deadline, seconds))
            )
    settings = {
        "quick": given.quick,
        "factor": FACTOR,
        "connections": CONNECTIONS,
        "data": workload.DATA,
        "texts_a_large_request": workload.TEXTS,
        "grace_seconds": GRACE_SECONDS,
        "recovered": f"a single request takes at most {RECOVERED_TIMES:g} times what it does idle",
    }
    write_result("overload", settings, rows, directory=given.results)


if __name__ == "__main__":
    run_program(main)
