"""Models exchanged under load: a client after the other asks, and none may notice.

    python -m benchmarks.serving.swaps [--quick] [--models DIR]

A model is changed on the disk (its description, and so its digest) and reloaded by the admin
call, again and again, while clients ask. Every reply must be a 200 with the right entities from a
model that was served.
"""

import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from benchmarks.common.measure import percentile, spread
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.serving import workload
from benchmarks.serving.load import default_model, failures
from benchmarks.serving.loadgen import Generator, LoadError, Tally
from benchmarks.serving.servers import Server, serving
from tagbelt.data.checkpoint.artifact import CONFIG, write_sums

NAME = "swapped"
SWAPS, QUICK_SWAPS = 500, 20
CLIENTS = 8
TEXTS = 16
MOST_SECONDS = 900.0
TELL_EVERY = 100
MS = 1000.0
_DIGEST = re.compile(rb'"digest":"([0-9a-f]+)"')
_HEADER = re.compile(rb"\r\nx-model-digest: ([0-9a-f]+)\r\n", re.IGNORECASE)


class Replies:
    """Checks every reply against what the model says of these texts when nobody changes it."""

    def __init__(self, server: Server, texts: Sequence[str]) -> None:
        self.digests: set[str] = set()
        self.wrong = 0
        self._right = set()
        for text in texts:
            status, reply = server.ask("POST", workload.PATH, {"text": text})
            if status != HTTPStatus.OK:
                raise LoadError(f"the server answered {status} to a text")
            self._right.add(json.dumps(reply["results"], sort_keys=True))

    def check(self, status: int, raw: bytes) -> None:
        """Note a reply."""
        head, _, body = raw.partition(b"\r\n\r\n")
        told, in_body = _HEADER.search(head + b"\r\n"), _DIGEST.search(body)
        if status != HTTPStatus.OK or told is None or in_body is None or told[1] != in_body[1]:
            self.wrong += 1
            return
        self.digests.add(told[1].decode())
        if json.dumps(json.loads(body)["results"], sort_keys=True) not in self._right:
            self.wrong += 1


class Swapping(threading.Thread):
    """Changes the model and reloads it, so many times."""

    def __init__(self, server: Server, checkpoint: Path, count: int) -> None:
        super().__init__(daemon=True)
        self.seconds: list[float] = []
        self.digests: set[str] = set()
        self.failed = 0
        self._server, self._checkpoint, self._count = server, checkpoint, count

    def run(self) -> None:
        """Swap, and note how each went."""
        for number in range(1, self._count + 1):
            change(self._checkpoint, number)
            began = time.perf_counter()
            status, report = self._server.ask("POST", f"/v1/models/{NAME}/reload")
            self.seconds.append(time.perf_counter() - began)
            if status == HTTPStatus.OK and report["ok"]:
                self.digests.add(report["changes"][0]["digest"])
            else:
                self.failed += 1
            if number % TELL_EVERY == 0:
                tell(f"{number} of {self._count} swaps")


def change(checkpoint: Path, number: int) -> None:
    """Describe a checkpoint otherwise, which changes its digest and not what it finds."""
    path = checkpoint / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"name": NAME, "description": f"number {number}"}
    path.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    write_sums(checkpoint)


def swapped(source: Path, texts: Sequence[str], count: int) -> Row:
    """Swap so many times under load."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / NAME / "1"
        shutil.copytree(source, checkpoint)
        change(checkpoint, 0)
        with serving(Path(folder)) as server:
            replies = Replies(server, texts)
            first = server.ask("GET", f"/v1/models/{NAME}")[1]["digest"]
            before = server.resident_mb()
            swapping = Swapping(server, checkpoint, count)
            requests = workload.single(server.url, texts)
            with Generator(server.url, requests, CLIENTS, on_reply=replies.check) as generator:
                swapping.start()
                tally = generator.closed(MOST_SECONDS, lambda: not swapping.is_alive())
            swapping.join()
            return _row(tally, replies, swapping, first) | {
                "before_mb": before,
                "after_mb": server.resident_mb(),
            }


def _row(tally: Tally, replies: Replies, swapping: Swapping, first: str) -> Row:
    unknown = replies.digests - swapping.digests - {first}
    return {
        "experiment": "reloads under load",
        "swaps": len(swapping.seconds),
        "models": len(swapping.digests),
        "seen": len(replies.digests),
        "failed_swaps": swapping.failed,
        "clients": CLIENTS,
        "requests": len(tally.statuses),
        "failures": spread([float(max(failures([tally]), replies.wrong) + len(unknown))]),
        "swap_ms": spread([MS * seconds for seconds in swapping.seconds]),
        "p50_ms": MS * percentile(tally.times(), 0.5),
        "p99_ms": MS * percentile(tally.times(), 0.99),
        "max_ms": MS * max(tally.times()),
    }


def main() -> None:
    """Measure and write the part `swaps`."""
    given = workload.parser(__doc__).parse_args()
    texts = workload.joined(workload.word_lists(given.data))[:TEXTS]
    count = QUICK_SWAPS if given.quick else SWAPS
    row = swapped(default_model(given.models), texts, count)
    row["swap_ms"].pop("values")
    settings = {"quick": given.quick, "data": workload.DATA, "texts": TEXTS}
    write_result("swaps", settings, [row], directory=given.results)


if __name__ == "__main__":
    run_program(main)
