"""Tables of the service under load, made from the parts `load`, `overload`, `swaps` and so on."""

from collections.abc import Callable, Mapping

from benchmarks.common.record import Row
from benchmarks.report.bar import Spread
from benchmarks.report.parts import Parts, rows, spread_of
from benchmarks.report.writing import TIMES, Table, part_table, rounded, written

SHARE = "{:.0%}".format


def load(parts: Parts) -> str:
    """Requests a second in a closed loop."""
    body = [
        (
            str(row["clients"]),
            _written(row, "rate"),
            _written(row, "constant"),
            _written(row, "ratio", SHARE),
            _written(row, "p50_ms"),
            _written(row, "p99_ms"),
            f"{row['generator_share']:.0%}",
        )
        for row in rows(parts, "load", experiment="closed")
    ]
    header = ("clients", "requests/s", "constant, requests/s", "share", "p50, ms", "p99, ms")
    return part_table(parts, "load", (*header, "generator, of a core"), body)


def half_load(parts: Parts) -> str:
    """Latency of an open loop at half of that."""
    body = [
        (
            str(row["clients"]),
            rounded(row["asked"]),
            _written(row, "p50_ms"),
            _written(row, "p99_ms"),
            _written(row, "p99_over_p50", TIMES),
            _written(row, "lag_ms"),
        )
        for row in rows(parts, "load", experiment="half load")
    ]
    header = ("half of what clients got", "requests/s", "p50, ms", "p99, ms", "p99 over p50")
    return part_table(parts, "load", (*header, "sent late, p99, ms"), body)


def batches(parts: Parts) -> str:
    """Tokens a second in large requests."""
    body = [
        (
            str(row["threads"]),
            _written(row, "rate"),
            _written(row, "in_process"),
            _written(row, "ratio", SHARE),
        )
        for row in rows(parts, "load", experiment="batches")
    ]
    header = ("threads", "tokens/s over HTTP", "tokens/s in process", "share")
    return part_table(parts, "load", header, body)


def workers(parts: Parts) -> str:
    """Two worker processes."""
    body = [
        (
            str(row["clients"]),
            _written(row, "one"),
            _written(row, "rate"),
            _written(row, "ratio", TIMES),
        )
        for row in rows(parts, "load", experiment="workers")
    ]
    header = ("clients", "one worker, requests/s", "two, requests/s", "ratio")
    return part_table(parts, "load", header, body)


def overload(parts: Parts) -> str:
    """What became of the requests when there were ten times too many."""
    body = [
        (
            row["experiment"],
            f"{row['seconds']:g} s",
            _written(row, "peak"),
            rounded(row["sent_rate"]),
            f"{row['answered']:,}",
            f"{row['refused']:,}",
            f"{row['expired']:,}",
            f"{row['lost']:,}",
            f"{row['late']:,}",
            _written(row, "goodput", SHARE),
        )
        for row in rows(parts, "overload")
    ]
    header = ("requests", "for", "most answered/s", "sent/s", "200", "429", "504", "lost", "late")
    return part_table(parts, "overload", (*header, "in time, of the most"), body)


def overload_costs(parts: Parts) -> str:
    """Memory and recovery."""
    body = [
        (
            row["experiment"],
            f"{row['first_mb']:.0f}",
            f"{row['last_mb']:.0f}",
            "" if row["refusal_p50_ms"] is None else rounded(row["refusal_p50_ms"]),
            rounded(row["idle_ms"]),
            _written(row, "recovery"),
            f"{row['held_back']:,}",
        )
        for row in rows(parts, "overload")
    ]
    header = ("requests", "MB, first third", "MB, last third", "p50 of a 429, ms")
    more = ("idle, ms", "quick again after, s", "not sent")
    return part_table(parts, "overload", (*header, *more), body)


def swaps(parts: Parts) -> str:
    """Models exchanged under load."""
    body = [
        (
            f"{row['swaps']:,}",
            f"{row['failed_swaps']:,}",
            _written(row, "swap_ms"),
            f"{row['requests']:,}",
            f"{row['failures']['median']:.0f}",
            rounded(row["p50_ms"]),
            rounded(row["p99_ms"]),
            rounded(row["max_ms"]),
            f"{row['before_mb']:.0f}, {row['after_mb']:.0f}",
        )
        for row in rows(parts, "swaps")
    ]
    header = ("swaps", "of them failed", "a swap, ms", "requests", "failed or wrong", "p50, ms")
    more = ("p99, ms", "longest, ms", "MB before, after")
    return part_table(parts, "swaps", (*header, *more), body)


def ending(parts: Parts) -> str:
    """SIGTERM and kill -9 under load."""
    body = [
        (
            row["experiment"],
            str(row["runs"]),
            f"{row['answered']:,}",
            f"{row['lost']:,}",
            f"{row['other']:,}",
            f"{row['unread']:,}" if "unread" in row else "",
            _written(row, "back_seconds") if "back_seconds" in row else "",
        )
        for row in rows(parts, "ending")
    ]
    header = ("", "times", "answered", "accepted and lost", "answered otherwise")
    return part_table(parts, "ending", (*header, "closed before read", "two again after, s"), body)


def stream(parts: Parts) -> str:
    """A large file through the stream."""
    body = [
        (
            f"{row['megabytes']:.0f}",
            f"{row['lines']:,}",
            rounded(row["megabytes_per_second"]),
            _written(row, "rate"),
            f"{row['first_mb']:.0f}",
            f"{row['last_mb']:.0f}",
            f"{row['peak_mb']:.0f}",
        )
        for row in rows(parts, "stream")
    ]
    header = ("MB", "lines", "MB/s", "tokens/s", "MB, first third", "MB, last third", "most, MB")
    return part_table(parts, "stream", header, body)


def _written(row: Row, name: str, form: Callable[[float], str] = rounded) -> str:
    found: Spread | None = spread_of(row, name)
    return written(found, form)


SERVICE_TABLES: Mapping[str, Table] = {
    "load": load,
    "half load": half_load,
    "large requests": batches,
    "workers": workers,
    "overload": overload,
    "overload, costs": overload_costs,
    "swaps": swaps,
    "ending": ending,
    "stream": stream,
}
