"""Made-up results of the measurements of the service, in the layout that they write."""

from benchmarks.serving.overload import CASES
from benchmarks.serving.workload import CLIENTS, THREADS


def service_results(spread):
    return {
        "load": load(spread),
        "overload": overload(spread),
        "swaps": [swaps(spread)],
        "ending": ending(spread),
        "stream": [stream(spread)],
    }


def load(spread):
    closed = {"experiment": "closed", "rate": spread(3000.0), "constant": spread(5000.0)}
    closed |= {"ratio": spread(0.6), "p50_ms": spread(2.0), "p99_ms": spread(5.0)}
    half = {"experiment": "half load", "asked": 1500.0, "rate": spread(1500.0)}
    half |= {"p50_ms": spread(1.0), "p99_ms": spread(3.0), "p99_over_p50": spread(3.0)}
    large = {"experiment": "batches", "clients": 4, "rate": spread(300_000.0)}
    large |= {"in_process": spread(400_000.0), "ratio": spread(0.75), "failures": 0}
    two = {"experiment": "workers", "clients": 64, "rate": spread(4000.0), "one": spread(3000.0)}
    return [
        *(closed | {"clients": n, "generator_share": 0.2, "failures": 0} for n in CLIENTS),
        *(half | {"clients": n, "lag_ms": spread(0.5), "held_back": 0} for n in CLIENTS),
        *(large | {"threads": threads} for threads in THREADS),
        two | {"ratio": spread(4 / 3), "failures": 0},
    ]


def overload(spread):
    counts = {"sent": 100, "held_back": 0, "answered": 10, "refused": 89, "expired": 1}
    costs = {"refusal_p50_ms": 1.0, "generator_share": 0.3, "first_mb": 200.0, "last_mb": 202.0}
    row = {"seconds": 60.0, "sent_rate": 1000.0, "asked": 1000.0, "idle_ms": 1.0}
    row |= counts | costs | {"lost": 0, "late": 0, "failures": spread(0.0)}
    row |= {"peak": spread(100.0), "goodput": spread(0.95), "growth": spread(1.0)}
    row |= {"recovery": spread(0.5)}
    return [row | {"experiment": case.name, "deadline": case.deadline} for case in CASES]


def swaps(spread):
    times = {"swap_ms": spread(100.0), "p50_ms": 1.0, "p99_ms": 5.0, "max_ms": 9.0}
    counts = {"swaps": 500, "models": 500, "seen": 400, "failed_swaps": 0, "requests": 9000}
    memory = {"before_mb": 120.0, "after_mb": 150.0}
    return {"experiment": "reloads under load", "failures": spread(0.0)} | times | counts | memory


def ending(spread):
    counts = {"answered": 9000, "lost": 0, "other": 0, "failures": spread(0.0)}
    term = {"experiment": "SIGTERM", "runs": 20, "accepted": 9000, "unread": 3}
    kill = {"experiment": "kill -9 of a worker", "runs": 5, "back_seconds": spread(1.2)}
    return [term | counts, kill | counts | {"most_lost": 0, "refused": 0}]


def stream(spread):
    row = {"experiment": "stream", "megabytes": 200.0, "lines": 1_000_000, "rate": spread(3e5)}
    row |= {"megabytes_per_second": 2.0, "first_mb": 200.0, "last_mb": 201.0, "peak_mb": 203.0}
    return row | {"growth": spread(0.5)}
