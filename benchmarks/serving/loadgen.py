"""A load generator: HTTP/1.1 over plain sockets, in one thread, with little work for a request.

It shares the machine with the server that it measures, so requests are bytes made beforehand and
of a reply only the status and the length are read. Closed loop: each client asks again when it
was answered. Open loop: requests are due at random moments, whatever the server does, and a
request's time counts from the moment when it was due.
"""

import random
import re
import resource
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

from benchmarks.common.measure import percentile
from benchmarks.common.record import BenchmarkError

LOST = 0
"""The status of a request that was sent and never answered whole."""
PATIENCE_SECONDS = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_PIECE = 1 << 16
_SPARE_FILES = 64
_LOOK_SECONDS = 0.1

OnReply = Callable[[int, bytes], None]
"""Is told of each reply: the status, and head and body as they came."""


class LoadError(BenchmarkError):
    """A server or a generator that cannot be measured."""


def post(url: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A request with a JSON body, as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", f"host: {urlsplit(url).netloc}"]
    lines += [f"content-length: {len(body)}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Tally:
    """The outcome of each request of a run. Times are seconds since its start."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Processor time that the generator itself took."""
    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    held_back: int = 0
    """Requests that were due while as many as allowed were out, and not sent at all."""
    refused: int = 0
    """Connections that were not to be had."""

    @property
    def counts(self) -> Counter[int]:
        """How many requests had each status."""
        return Counter(self.statuses)

    @property
    def cpu_share(self) -> float:
        """Of one core, what the generator took."""
        return self.cpu_seconds / self.seconds

    def rate(self, status: int = 200, begin: float = 0.0, end: float | None = None) -> float:
        """Replies of a status a second, of those that came between two moments of the run."""
        end = self.seconds if end is None else end
        came = zip(self.ended, self.statuses, strict=True)
        return sum(found == status and begin < at <= end for at, found in came) / (end - begin)

    def times(self, status: int = 200) -> list[float]:
        """Seconds from when each request with this status was due to the end of its reply."""
        return [
            ended - due
            for due, ended, found in zip(self.due, self.ended, self.statuses, strict=True)
            if found == status
        ]

    def lag(self, share: float = 0.99) -> float:
        """A percentile of how much later than due the requests were sent, in seconds."""
        return percentile([b - a for a, b in zip(self.due, self.sent, strict=True)], share)


class _Connection:
    """A socket, and the request that is out on it."""

    __slots__ = ("descriptor", "due", "received", "sent", "socket", "unsent", "whole")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.descriptor = self.socket.fileno()
        self.received = b""
        self.whole = 0
        self.unsent = b""
        self.due = self.sent = 0.0

    def write(self) -> None:
        """Send what can be sent now."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return

    def read(self) -> bool | None:
        """Take what has come. True: the reply is whole. None: the other end has gone."""
        piece = self.socket.recv(_PIECE)
        if not piece:
            return None
        self.received = self.received + piece if self.received else piece
        if not self.whole:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return False
            length = _LENGTH.search(self.received, 0, head)
            if length is None:
                raise LoadError(f"a reply without a length: {self.received[:head]!r}")
            self.whole = head + 4 + int(length[1])
        return len(self.received) >= self.whole


class Generator:
    """Asks a server for the requests in turn, over up to `connections` connections.

    Use it as a context manager. `stop_when_refused` ends a run when nobody listens any more.
    """

    def __init__(
        self,
        url: str,
        requests: Sequence[bytes],
        connections: int,
        *,
        on_reply: OnReply | None = None,
        stop_when_refused: bool = False,
        seed: int = 0,
    ) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        self._requests: Iterator[bytes] = cycle(requests)
        self._limit = connections
        self._on_reply = on_reply
        self._stop_when_refused = stop_when_refused
        self._chance = random.Random(seed)
        self._epoll = select.epoll()
        self._out: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []
        self.tally = Tally()
        self._began = 0.0
        self._is_refused = False
        allow_files(connections + _SPARE_FILES)

    def __enter__(self) -> "Generator":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in [*self._idle, *self._out.values()]:
            connection.socket.close()
        self._epoll.close()

    def closed(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> Tally:
        """Every client asks, and asks again as soon as it is answered, until `is_over` or time is.

        A client whose connection is closed on it makes another one.
        """
        self._start()
        while self._now() < seconds and not self._is_refused and not is_over():
            for _ in range(self._limit - len(self._out)):
                self._ask(self._now())
            self._take_replies(min(_LOOK_SECONDS, seconds - self._now()))
        return self._finished()

    def open(self, rate: float, seconds: float) -> Tally:
        """Requests are due at random moments, `rate` a second on average (a Poisson process).

        One that is due while all connections are busy is counted and not sent.
        """
        self._start()
        due = self._chance.expovariate(rate)
        while due < seconds and not self._is_refused:
            while due <= self._now() and due < seconds:
                if len(self._out) < self._limit:
                    self._ask(due)
                else:
                    self.tally.held_back += 1
                due += self._chance.expovariate(rate)
            self._take_replies(due - self._now())
        return self._finished()

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _start(self) -> None:
        self.tally = Tally()
        self._is_refused = False
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def _finished(self) -> Tally:
        """The rate is that until now; those still out are waited for."""
        tally = self.tally
        tally.seconds = self._now()
        tally.cpu_seconds = time.process_time() - self._cpu
        while self._out:
            if self._now() > tally.seconds + PATIENCE_SECONDS:
                raise LoadError(f"{len(self._out)} requests had no reply for {PATIENCE_SECONDS} s")
            self._take_replies(0.1)
        return tally

    def _ask(self, due: float) -> None:
        connection = self._idle.pop() if self._idle else self._connect()
        if connection is None:
            return
        connection.received, connection.whole = b"", 0
        connection.unsent = next(self._requests)
        connection.due, connection.sent = due, self._now()
        self._out[connection.descriptor] = connection
        try:
            connection.write()
        except OSError:
            self._end(connection, LOST)
            return
        if connection.unsent:
            self._epoll.modify(connection.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _connect(self) -> _Connection | None:
        try:
            connection = _Connection(self._address)
        except OSError:
            self.tally.refused += 1
            self._is_refused = self._stop_when_refused
            return None
        self._epoll.register(connection.descriptor, select.EPOLLIN)
        return connection

    def _take_replies(self, patience: float) -> None:
        """Wait for something to happen, not longer than `patience` seconds, and see to it."""
        # An epoll waits in whole milliseconds; a select on it does not.
        if select.select([self._epoll], (), (), max(0.0, patience))[0]:
            for descriptor, event in self._epoll.poll(0):
                self._handle(descriptor, event)

    def _handle(self, descriptor: int, event: int) -> None:
        connection = self._out.get(descriptor)
        if connection is None:  # an idle one, closed by the server
            self._forget(descriptor)
            return
        try:
            if event & select.EPOLLOUT:
                connection.write()
                if not connection.unsent:
                    self._epoll.modify(descriptor, select.EPOLLIN)
            if not event & ~select.EPOLLOUT:
                return
            is_whole = connection.read()
        except BlockingIOError:
            return
        except OSError:
            is_whole = None
        if is_whole is not False:
            self._end(connection, int(connection.received[9:12]) if is_whole else LOST)

    def _end(self, connection: _Connection, status: int) -> None:
        tally = self.tally
        tally.due.append(connection.due)
        tally.sent.append(connection.sent)
        tally.ended.append(self._now())
        tally.statuses.append(status)
        del self._out[connection.descriptor]
        head = connection.received.find(b"\r\n\r\n")
        if status == LOST or _CLOSES.search(connection.received, 0, head + 2):
            self._close(connection)
        else:
            self._idle.append(connection)
        if self._on_reply is not None and status != LOST:
            self._on_reply(status, connection.received)

    def _forget(self, descriptor: int) -> None:
        for connection in self._idle:
            if connection.descriptor == descriptor:
                self._idle.remove(connection)
                self._close(connection)
                return

    def _close(self, connection: _Connection) -> None:
        self._epoll.unregister(connection.descriptor)
        connection.socket.close()


def allow_files(count: int) -> None:
    """Let this process have so many files open. Raises LoadError where the system forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise LoadError(f"{count} connections need as many open files; the limit is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
