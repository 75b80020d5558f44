"""Fuzzing a running server: bodies for every endpoint of its document, and raw bytes."""

import http.client
import json
import pathlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from benchmarks.common.record import Row
from benchmarks.reliability.mutation import mutated
from benchmarks.reliability.sizes import chance
from benchmarks.serving.loadgen import LoadError
from benchmarks.serving.servers import Server

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.02
SHOWN = 5
DECLARED = (503, 504)
"""What is above 499 and says nothing but that the server is busy or warms up."""
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Toyota in Nagoya"]}
BODIES = tuple(
    json.dumps(body).encode()
    for body in (
        {"text": "Angela Merkel visited Toyota in Nagoya on Monday.", "n_best": 3},
        {"texts": ["李明", "Toyota 👩‍🚀 é"], "include": ["tokens", "tags"], "offset_unit": "utf16"},
        {"tokens": [["Toyota", "in", "Nagoya"]], "labels": ["PER"], "min_score": 0.5},
        {"text": "Toyota", "language": "en", "entities": ["PERSON"], "score_threshold": 0.1},
        {"inputs": ["Toyota in Nagoya"], "parameters": {"aggregation_strategy": "simple"}},
        {"Text": "Toyota", "LanguageCode": "en"},
        {"TextList": ["Toyota", ""], "LanguageCode": "en"},
        {"id": "1", "inputs": [TENSOR], "outputs": [{"name": "entities"}]},
        {"version": "1"},
    )
)
STREAM = b'{"text": "Toyota"}\n{"texts": ["a"]}\n{"id": 1, "tokens": ["Nagoya"]}\n\n'
TYPES = ("application/json", "application/x-ndjson", "application/x-amz-json-1.1",
         "application/octet-stream", "application/cbor", "text/plain", "")  # fmt: skip
HEADERS = (("x-amz-target", "Comprehend_20171127.DetectEntities"), ("upgrade", "h2c"),
           ("inference-header-content-length", "120"), ("x-request-id", "\x7f"), ("accept", "*/*"),
           ("x-amz-target", "x"), ("expect", "100-continue"))  # fmt: skip
RAW = (
    b"POST /v1/tag HTTP/1.1\r\nhost: localhost\r\ncontent-length: 18\r\n\r\n"
    b'{"text": "Toyota"}',
    b"POST /v1/tag HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    b'12\r\n{"text": "Toyota"}\r\n0\r\nx-api-key: a\r\n\r\n',
    b"GET /readyz HTTP/1.0\r\n\r\nGET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"POST /v1/reload%0A HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\r\n",
)  # fmt: skip


@dataclass
class Watch(threading.Thread):
    """Asks /livez all the time; `late` are the seconds that it took."""

    server: Server
    late: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Ask."""
        while not self.over.wait(LOOK_SECONDS):
            began = time.perf_counter()
            self.server.ask("GET", "/livez")
            self.late.append(time.perf_counter() - began)


class Calls:
    """Endpoints of the server's document, as (method, path with names filled in)."""

    def __init__(self, server: Server) -> None:
        document = server.ask("GET", "/openapi.json")[1]
        self.name = server.ask("GET", "/v1/models")[1]["models"][0]["name"]
        self.all = [
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
            if method in ("get", "post") and not path.endswith(("/unload", "/default"))
        ]
        self.address = urlsplit(server.url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)

    def draw(self, chance: random.Random) -> tuple[str, str, bytes | None, dict[str, str]]:
        """A request: method, target, body, headers."""
        method, path = chance.choice(self.all)
        name = self.name if chance.random() < 0.9 else quote(mutated(chance, [b"en/..%\xff"])[:200])
        path = path.replace("{name}", name).replace("{version}", "1")
        if chance.random() < 0.1:
            path += "?" + quote(mutated(chance, [b"model=en&include=tags"])[:500], safe="=&%")
        if method == "GET":
            return method, path, None, {}
        body = mutated(chance, (*BODIES, STREAM) if "stream" not in path else (STREAM,))
        kind = chance.choice(TYPES) if chance.random() < 0.3 else "application/json"
        headers = {"content-type": kind} if kind else {}
        if chance.random() < 0.3:
            headers |= [chance.choice(HEADERS)]
        if "cbor" in kind or "aws" in path:
            headers.setdefault("x-amz-target", "Comprehend_20171127.DetectEntities")
        return method, path, body, headers

    def status(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> int:
        """Ask, and read the whole reply; 0 when the connection was closed instead."""
        try:
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
            reply.read()
            return reply.status
        except (http.client.HTTPException, ConnectionError):
            self.connection.close()
            return 0
        except TimeoutError:
            self.connection.close()
            return -1


def bodies(server: Server, count: int, seed: int) -> Row:
    """So many requests: what is no reply, or a fault of the server, is a failure."""
    calls = Calls(server)
    statuses: Counter[int] = Counter()
    shown: list[str] = []
    for number in range(count):
        request = calls.draw(chance(seed, "bodies", number))
        status = calls.status(*request)
        if status == 0:  # an idle connection may be closed at any time: once more decides
            status = calls.status(*request)
        statuses[status] += 1
        if status <= 0 or (status >= 500 and status not in DECLARED):
            shown.append(f"{number}: {status} for {request[0]} {request[1][:80]}")
    calls.connection.close()
    return _told(count, statuses, shown)


def raw(server: Server, count: int, seed: int) -> Row:
    """So many connections with mutated bytes: the server must go on, and answer within time."""
    address = urlsplit(server.url)
    statuses: Counter[int] = Counter()
    shown: list[str] = []
    for number in range(count):
        drawn = chance(seed, "raw", number)
        with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as one:
            try:
                one.sendall(mutated(drawn, RAW))
                one.shutdown(socket.SHUT_WR)
                reply = b"".join(iter(lambda one=one: one.recv(1 << 16), b""))
            except TimeoutError:
                reply = b"HTTP/1.1 -01 "
            except OSError:
                reply = b""
        status = int(reply[9:12]) if reply.startswith(b"HTTP/1.") else 0
        statuses[status] += 1
        if status < 0 or (status >= 500 and status not in DECLARED):
            shown.append(f"{number}: {status}")
    return _told(count, statuses, shown)


def _told(count: int, statuses: Counter[int], shown: Sequence[str]) -> Row:
    return {
        "cases": count,
        "failures": len(shown),
        "statuses": {str(status): statuses[status] for status in sorted(statuses)},
        "shown": list(shown[:SHOWN]),
    }


def alive(server: Server) -> None:
    """Raise LoadError when the server is gone."""
    if (
        server.process.poll() is not None
        or not pathlib.Path(f"/proc/{server.process.pid}").exists()
    ):
        raise LoadError(f"the server ended: {server.log.read_text(encoding='utf-8')[-2000:]}")
