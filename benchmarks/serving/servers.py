"""Servers to measure: processes of `tagbelt serve`, ready when the block begins."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.common import machine
from benchmarks.common.machine import ROOT
from benchmarks.serving.loadgen import LoadError

PRODUCT = "tagbelt"
READY_SECONDS = 60.0
POLL_SECONDS = 0.005
LOG_LINES = 10
GREETING = "Try: "


class Server:
    """A server that runs. `log` is a file with what it wrote."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log
        self.ready_seconds = 0.0
        """From the start of the process to its first 200 of /readyz."""

    @property
    def workers(self) -> list[int]:
        """Process ids of what it has started, such as its worker processes."""
        pid = self.process.pid
        path = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(number) for number in path.read_text(encoding="ascii").split()]

    @property
    def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        try:
            return self.ask("GET", "/readyz")[0] == HTTPStatus.OK
        except OSError:
            return False

    @property
    def has_all_workers(self) -> bool:
        """Whether it has greeted, which it does when all its workers are there."""
        return GREETING in self.log.read_text(encoding="utf-8")

    def resident_mb(self) -> float:
        """Resident memory of all its processes together, pages they share counted twice."""
        found = [machine.resident_mb(pid) for pid in (self.process.pid, *self.workers)]
        return sum(megabytes for megabytes in found if megabytes is not None)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request on a connection of its own: status and JSON of the reply."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=READY_SECONDS)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"content-type": "application/json"})
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        is_json = "json" in response.headers.get("content-type", "")
        return response.status, json.loads(raw) if is_json and raw else raw

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(READY_SECONDS)


@contextmanager
def serving(
    models: Path, *options: str, module: str = PRODUCT, before: Sequence[str] = ()
) -> Iterator[Server]:
    """`python -m MODULE serve MODELS OPTIONS`, answering; ended after the block.

    Raises LoadError when it does not come up.
    """
    port = free_port()
    command = [*before, sys.executable, "-m", module, "serve", str(models), "--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAGBELT_")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        began = time.perf_counter()
        with path.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [*command, *options], cwd=ROOT, env=kept, stdout=log, stderr=log
            )
        server = Server(process, f"http://127.0.0.1:{port}", path)
        try:
            _await(server, lambda: server.is_ready)
            server.ready_seconds = time.perf_counter() - began
            _await(server, lambda: server.has_all_workers)
            yield server
        finally:
            _end(process)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: Server, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + READY_SECONDS
    while not is_so():
        if server.process.poll() is not None or time.monotonic() > end:
            said = server.log.read_text(encoding="utf-8").splitlines()[-LOG_LINES:]
            raise LoadError("\n".join(["the server did not get ready:", *said]))
        time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it in order, and hard when that does not help; its workers end with it."""
    process.terminate()
    try:
        process.wait(READY_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
