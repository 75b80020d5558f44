"""A server under a long mixed load: every answer is compared with the offline Tagger's.

    python -m benchmarks.reliability.soak [--size quick|normal|long] [--seed N]

Requests come at random moments (an open loop), half as many as the machine answers when asked
without a pause: English and Chinese, from a word to thousands of tokens, among them wrong ones;
other clients leave in the middle; the English model is exchanged again and again. Memory,
descriptors and threads are looked at every second.
"""

import json
import math
import random
import re
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.common.machine import ROOT
from benchmarks.common.measure import percentile
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.reliability.sizes import chance, parser
from benchmarks.serving import workload
from benchmarks.serving.loadgen import LOST, Generator, post
from benchmarks.serving.servers import Server, serving
from benchmarks.serving.swaps import NAME, change
from tagbelt import Tagger, read_conll

SECONDS = {"quick": 120.0, "normal": 300.0, "long": 1200.0}
SHARE = 0.5
"""Of the requests that are answered when there is no pause: so much comes, and few are refused."""
CONNECTIONS = 64
ASKING = 2
"""Clients that find out how many that is; they ask everything once, or for MOST_ASKING seconds."""
MOST_ASKING = 60.0
REQUESTS = 400
"""Different ones, asked again and again."""
BAD_SHARE = 0.1
WORDS = (1, 5, 20, 20, 20, 100, 500, 4000)
SWAP_SECONDS, LEAVE_SECONDS, LOOK_SECONDS = 5.0, 0.2, 1.0
SETTLING = 0.25
"""The share of the run after which memory is fitted."""
WINDOWS = 30
"""Of what is left. In each the least memory counts: more is that of requests at work."""
MS = 1000.0
BUSY = (429, 503, 504)
BAD = (b"{", b'{"text": 5}', b'{"text": "a", "txt": "b"}', b'{"text": "a", "model": "nobody"}',
       b'{"texts": "a"}', b'{"text": "a", "min_score": 7}', b"\xff")  # fmt: skip
_ID = re.compile(rb"\r\nx-request-id: ([^\r]+)\r\n", re.IGNORECASE)


@dataclass
class Expectation:
    """Requests, each with an id by which its reply is known, and what each must be answered."""

    requests: list[bytes] = field(default_factory=list)
    entities: dict[str, Any] = field(default_factory=dict)
    """By id; None for a request that must be refused with 4xx."""
    counts: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)

    def add(self, url: str, body: bytes, entities: Any) -> None:
        """One more request."""
        name = f"soak-{len(self.requests)}"
        self.requests.append(post(url, workload.PATH, body, {"x-request-id": name}))
        self.entities[name] = entities

    def check(self, status: int, raw: bytes) -> None:
        """Compare a reply."""
        head, _, body = raw.partition(b"\r\n\r\n")
        found = _ID.search(head + b"\r\n")
        wanted = self.entities[found[1].decode()] if found else "?"
        if status in BUSY:
            kind = "busy"
        elif wanted is None:
            kind = "refused" if 400 <= status < 500 else "wrong"
        else:
            is_right = status == HTTPStatus.OK and json.loads(body)["results"] == wanted
            kind = "right" if is_right else "wrong"
        self.counts[kind] += 1
        if kind == "wrong" and len(self.shown) < 5:
            self.shown.append(f"{found and found[1]!r}: {status} {body[:300]!r}")


def expectation(url: str, taggers: dict[str, Tagger], seed: int) -> Expectation:
    """Texts of our own examples in all lengths, and what the offline Tagger says of them."""
    drawn = chance(seed, "soak")
    words = {
        "en": [
            token for s in read_conll(ROOT / "examples/train.conll").sentences for token in s.tokens
        ],
        "zh": [
            token
            for s in read_conll(ROOT / "examples/zh/train.bmes").sentences
            for token in s.tokens
        ],
    }
    made = Expectation()
    for _ in range(REQUESTS):
        if drawn.random() < BAD_SHARE:
            made.add(url, drawn.choice(BAD), None)
            continue
        language = drawn.choice(("en", "en", "zh"))
        texts = [_text(drawn, words[language], language) for _ in range(drawn.choice((1, 1, 4)))]
        name = NAME if language == "en" else language
        body = json.dumps({"texts": texts, "model": name}).encode()
        found = taggers[language].tag(texts)
        made.add(url, body, [{"entities": [_wire(one) for one in each]} for each in found])
    return made


def _text(drawn: random.Random, words: Sequence[str], language: str) -> str:
    count = drawn.choice(WORDS)
    at = drawn.randrange(len(words))
    taken = [words[(at + n) % len(words)] for n in range(count)]
    return ("" if language == "zh" else " ").join(taken)


def _wire(entity: Any) -> dict[str, Any]:
    names = ("label", "start", "end", "text")
    return {name: getattr(entity, name) for name in names} | {"score": round(entity.score, 6)}


class Beside(threading.Thread):
    """Does something to the server again and again, until `over`."""

    def __init__(self, pause: float) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.times = 0
        self.failed = 0
        self._pause = pause

    def run(self) -> None:
        """Do it."""
        while not self.over.wait(self._pause):
            self.times += 1
            self.failed += not self.once()

    def once(self) -> bool:
        """Do it once; whether it went well."""
        raise NotImplementedError


class Swaps(Beside):
    """Exchanges the English model by one that is described otherwise."""

    def __init__(self, server: Server, checkpoint: Path) -> None:
        super().__init__(SWAP_SECONDS)
        self._server, self._checkpoint = server, checkpoint

    def once(self) -> bool:
        """Swap."""
        change(self._checkpoint, self.times)
        status, report = self._server.ask("POST", f"/v1/models/{NAME}/reload")
        return bool(status == HTTPStatus.OK and report["ok"])


class Leavers(Beside):
    """Clients that go away: in the head, in the body, or before the reply."""

    def __init__(self, server: Server, requests: Sequence[bytes], seed: int) -> None:
        super().__init__(LEAVE_SECONDS)
        parts = urlsplit(server.url)
        self._address, self._requests = (parts.hostname, parts.port), requests
        self._chance = chance(seed, "leavers")

    def once(self) -> bool:
        """Connect, send some of a request, and leave."""
        request = self._chance.choice(self._requests)
        try:
            with socket.create_connection(self._address, 10) as one:
                one.sendall(request[: self._chance.randint(0, len(request))])
        except ConnectionError:  # it may be refused by its head, as any other
            return False
        return True


class Looks(Beside):
    """Memory, descriptors and threads of the server, over time."""

    def __init__(self, server: Server) -> None:
        super().__init__(LOOK_SECONDS)
        self._server, self._began = server, time.perf_counter()
        self.seconds: list[float] = []
        self.megabytes: list[float] = []
        self.files: list[int] = []
        self.threads: list[int] = []

    def once(self) -> bool:
        """Look."""
        place = Path(f"/proc/{self._server.process.pid}")
        self.seconds.append(time.perf_counter() - self._began)
        self.megabytes.append(self._server.resident_mb())
        self.files.append(sum(1 for _ in (place / "fd").iterdir()))
        self.threads.append(sum(1 for _ in (place / "task").iterdir()))
        return True

    def row(self) -> Row:
        """What came of it, after the first SETTLING of the time."""
        at = int(SETTLING * len(self.seconds))
        growth, error = trend(self.seconds[at:], self.megabytes[at:])
        return {
            "mb": round(statistics.median(self.megabytes[at:]), 1),
            "growth_an_hour": 3600 * growth,
            "growth_error": 3600 * error,
            "files": [min(self.files[at:]), max(self.files[at:])],
            "files_end": self.files[-1],
            "threads": [min(self.threads[at:]), max(self.threads[at:])],
        }


def trend(seconds: Sequence[float], megabytes: Sequence[float]) -> tuple[float, float]:
    """Growth a second, as a share, by least squares over the least of each window; its error.

    The error is the standard error of the slope, the windows taken for independent of each other.
    """
    size = -(-len(seconds) // WINDOWS)
    starts = range(0, len(seconds), size)
    x = [statistics.fmean(seconds[at : at + size]) for at in starts]
    y = [min(megabytes[at : at + size]) for at in starts]
    slope, first = statistics.linear_regression(x, y)
    rest = sum((b - first - slope * a) ** 2 for a, b in zip(x, y, strict=True)) / (len(x) - 2)
    around = sum((a - statistics.fmean(x)) ** 2 for a in x)
    start = first + slope * x[0]
    return slope / start, math.sqrt(rest / around) / start


def answered_a_second(server: Server, wanted: Expectation) -> float:
    """How many of these requests are answered in a second, when asked without a pause."""
    with Generator(server.url, wanted.requests, ASKING) as generator:
        tally = generator.closed(
            MOST_ASKING, lambda: len(generator.tally.statuses) >= len(wanted.requests)
        )
    return len(tally.statuses) / tally.seconds


def soak(models: Path, seconds: float, seed: int) -> Row:
    """So many seconds of it."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, chinese = Path(folder) / NAME / "1", Path(folder) / "zh" / "1"
        shutil.copytree(models / "en", checkpoint)
        shutil.copytree(models / "zh", chinese)
        change(checkpoint, 0)
        taggers = {"en": Tagger.load(checkpoint), "zh": Tagger.load(chinese)}
        with serving(Path(folder), "--threads", "1") as server:
            wanted = expectation(server.url, taggers, seed)
            del taggers
            rate = SHARE * answered_a_second(server, wanted)
            tell(f"{seconds:.0f} s at {rate:.1f} requests a second")
            looks = Looks(server)
            beside = (
                Swaps(server, checkpoint),
                Leavers(server, wanted.requests, seed),
                looks,
            )
            with Generator(
                server.url, wanted.requests, CONNECTIONS, on_reply=wanted.check, seed=seed
            ) as generator:
                for one in beside:
                    one.start()
                tally = generator.open(rate, seconds)
                for one in beside:
                    one.over.set()
                    one.join()
            swaps, leavers, _ = beside
            return {
                "experiment": "mixed load",
                "seconds": seconds,
                "rate": round(rate, 1),
                "requests": len(tally.statuses),
                **{kind: wanted.counts[kind] for kind in ("right", "refused", "busy", "wrong")},
                "lost": tally.counts[LOST],
                "held_back": tally.held_back,
                "swaps": swaps.times,
                "failed_swaps": swaps.failed,
                "left": leavers.times,
                "p50_ms": MS * percentile(tally.times(), 0.5),
                "p99_ms": MS * percentile(tally.times(), 0.99),
                **looks.row(),
                "shown": wanted.shown,
            }


def main() -> None:
    """Soak and write the part `soak`; end with 1 if an answer was wrong or lost."""
    given = parser(__doc__).parse_args()
    row = soak(given.models, SECONDS[given.size], given.seed)
    settings = {"size": given.size, "seed": given.seed, "share": SHARE}
    write_result("soak", settings, [row], directory=given.results)
    if row["wrong"] + row["lost"] + row["failed_swaps"]:
        sys.exit("error: answers were wrong or lost: see `shown` in the result")


if __name__ == "__main__":
    run_program(main)
