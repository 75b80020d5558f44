"""The parent's side of a peer: a resident process that answers calls; see `peers/protocol.py`."""

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from benchmarks.common.record import BenchmarkError

PEERS = Path(__file__).resolve().parents[1] / "peers"


class PeerError(BenchmarkError):
    """A peer that failed or ended; the message has its traceback."""


class PeerProcess:
    """A program under some Python that is called by name. Use it as a context manager.

    `threads` is set for every library that reads it from the environment; a program sets it for
    those that do not.
    """

    def __init__(
        self,
        python: Path,
        program: Path,
        *,
        threads: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        count = str(threads)
        variables = {
            **os.environ,
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count),
            **(environment or {}),
        }
        self._name = program.stem
        self._process = subprocess.Popen(
            [python, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables,
            encoding="utf-8",
        )

    def call(self, name: str, **arguments: Any) -> Any:
        """Call a function of the program and return what it returned.

        Raises PeerError where it raised, or where the process is gone.
        """
        source, target = self._process.stdout, self._process.stdin
        if source is None or target is None:
            raise PeerError(f"{self._name}: no pipes")
        try:
            target.write(json.dumps({"call": name, "with": arguments}) + "\n")
            target.flush()
        except BrokenPipeError as error:
            raise PeerError(f"{self._name}: it ended before {name!r}") from error
        line = source.readline()
        if not line:
            raise PeerError(f"{self._name}: it ended in {name!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self._name}: {name!r} failed:\n{answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the process and wait for it."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # a call that a peer which ended never read
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
