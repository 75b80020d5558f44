"""Servers to measure: processes of `tagbelt serve`, ready when the block begins."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import rss
from benchmarks.loadgen import LoadError
from benchmarks.machine import ROOT

PRODUCT = "tagbelt"
READY_SECONDS = 60.0


class Server:
    """A server that runs. `log` is a file with what it wrote."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    @property
    def workers(self) -> list[int]:
        """Process ids of what it has started, such as its worker processes."""
        pid = self.process.pid
        path = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(number) for number in path.read_text(encoding="ascii").split()]

    def resident_mb(self) -> float:
        """Resident memory of all its processes together, pages they share counted twice."""
        found = [rss.resident_mb(pid) for pid in (self.process.pid, *self.workers)]
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        command = [*before, sys.executable, "-m", module, "serve", str(models), "--port", "0"]
        kept = {name: value for name, value in os.environ.items() if name[:8] != "TAGBELT_"}
        with path.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [*command, *options],
                cwd=ROOT,
                env=kept,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
        try:
            server = Server(process, _url(process, path), path)
            _await_ready(server)
            yield server
        finally:
            _end(process)


def _url(process: subprocess.Popen[str], log: Path) -> str:
    """Where it says that it is."""
    said = ""
    for line in process.stdout or ():
        said += line
        if "Try: " in line and (found := re.search(r"https?://[^/ ]+", said)):
            return found.group()
    raise LoadError(f"the server did not start:\n{said}{log.read_text(encoding='utf-8')}")


def _await_ready(server: Server) -> None:
    end = time.monotonic() + READY_SECONDS
    while server.ask("GET", "/readyz")[0] != 200:
        if time.monotonic() > end:
            raise LoadError("the server did not get ready")
        time.sleep(0.01)


def _end(process: subprocess.Popen[str]) -> None:
    """End it in order, and hard when that does not help; its workers end with it."""
    process.terminate()
    try:
        process.wait(READY_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
