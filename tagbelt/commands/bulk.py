"""`tagbelt tag --out`: the options of a bulk run, and the line that tells how far it is."""

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from tagbelt.bulk.job import BulkJob
from tagbelt.bulk.run import BulkEngine, BulkProgress, run
from tagbelt.bulk.shards import Format
from tagbelt.errors import InputError
from tagbelt.inference.threads import available_threads

SHOWN = 20
"""Failures that are shown; all are counted."""
QUIET_SECONDS = 30.0
"""Between two lines where nobody looks on."""


def tag_bulk(
    inputs: Sequence[str],
    out: str,
    job: BulkJob,
    *,
    given: Format | None,
    engine: BulkEngine,
    address: str | None,
    workers: int | None,
    shard_bytes: int,
) -> bool:
    """Run it and tell of it on standard error; whether every row and shard was good.

    Raises InputError as `tagbelt.bulk.run.run` does, and for options that do not fit.
    """
    if not inputs or "-" in inputs:
        raise InputError("--out: say files, folders or addresses; standard input is not cut up")
    if address is not None and engine != "ray":
        raise InputError("--address: needs --engine ray")
    view = _View(sys.stderr)
    progress = run(
        inputs,
        out,
        job,
        given=given,
        shard_bytes=shard_bytes,
        engine=engine,
        workers=workers or available_threads(),
        address=address,
        tell=view.show,
    )
    view.end(progress, out)
    return not progress.failures and not progress.bad


class _View:
    """One line, written over on a terminal and now and then elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._began = time.monotonic()
        self._last = self._began

    def show(self, progress: BulkProgress) -> None:
        """Tell how far it is."""
        now = time.monotonic()
        if self._is_terminal:
            self._stream.write(f"\r{_line(progress, now - self._began)}\x1b[K")
            self._stream.flush()
        elif now - self._last >= QUIET_SECONDS:
            self._stream.write(_line(progress, now - self._began) + "\n")
            self._last = now

    def end(self, progress: BulkProgress, out: str) -> None:
        """Tell what was done, and what was not."""
        start = "\r" if self._is_terminal else ""
        line = _line(progress, time.monotonic() - self._began)
        self._stream.write(f"{start}{line}: {out.partition('?')[0]}\n")
        for failure in progress.failures[:SHOWN]:
            self._stream.write(f"tagbelt tag: not written: {failure}\n")
        if progress.failures:
            missing = f"files of the output that are missing: {len(progress.failures)}"
            self._stream.write(f"{missing}; the same command tries again\n")


def _line(progress: BulkProgress, seconds: float) -> str:
    here = progress.before + progress.done
    parts = [f"{here:,} of {progress.total:,} shards"]
    if progress.before:
        parts.append(f"{progress.before:,} of them from before")
    parts.append(f"{progress.rows:,} rows")
    if progress.bad:
        parts.append(f"{progress.bad:,} bad")
    if progress.done and seconds > 0:
        parts.append(f"{progress.tokens / seconds:,.0f} tokens/s")
        left = seconds * (progress.total - here) / progress.done
        if left >= 1:
            parts.append(f"{left / 60:.0f} min left" if left >= 120 else f"{left:.0f} s left")
    return ", ".join(parts)
