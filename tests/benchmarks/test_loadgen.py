"""The load generator, against servers that answer, refuse, break off and go."""

import socket
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from benchmarks.serving.loadgen import LOST, Generator, LoadError, Tally, post

BODY = b'{"text": "Toyota"}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


class Server:
    """Answers each request by what `replies` says of its number; None closes the connection."""

    def __init__(self, replies):
        self.replies = replies
        self.got = []
        self.connections = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as file:
            while head := self._head(file):
                length = next(int(line.split(b":")[1]) for line in head if b"-length" in line)
                content = file.read(length)
                with self._lock:
                    self.got.append((head, content))
                    number = len(self.got)
                reply = self.replies(number)
                if reply is None:
                    return
                for piece in reply if isinstance(reply, list) else [reply]:
                    connection.sendall(piece)
                if b"close" in reply:
                    return

    def _head(self, file):
        head = []
        while line := file.readline().strip():  # empty at the end of the head, and of the file
            head.append(line)
        return head


@contextmanager
def server(replies):
    made = Server(replies)
    try:
        yield made
    finally:
        made.close()


def run(url, clients=2, count=20, **options):
    """A closed loop until so many replies have come."""
    seen = []
    requests = [post(url, "/v1/tag", BODY), post(url, "/v1/tag", BODY * 2)]
    on_reply = lambda status, raw: seen.append((status, raw))  # noqa: E731
    with Generator(url, requests, clients, on_reply=on_reply, **options) as generator:
        tally = generator.closed(60, lambda: len(generator.tally.statuses) >= count)
    return tally, seen


def test_a_closed_loop_asks_again_when_it_is_answered():
    with server(lambda _: REPLY) as asked:
        tally, seen = run(asked.url)
        assert asked.connections == 2
    assert len(tally.statuses) == len(asked.got) >= 20
    assert set(seen) == {(200, REPLY)}
    head, _ = asked.got[0]
    assert head[0] == b"POST /v1/tag HTTP/1.1"
    # The requests in turn.
    assert Counter(content for _, content in asked.got).keys() == {BODY, BODY * 2}
    assert all(time > 0 for time in tally.times())
    assert tally.cpu_seconds > 0


def test_a_reply_in_pieces_is_one_reply():
    pieces = [REPLY[:20], REPLY[20:-3], REPLY[-3:]]
    with server(lambda _: pieces) as asked:
        _, seen = run(asked.url)
    assert set(seen) == {(200, REPLY)}


def test_statuses_are_counted_apart():
    with server(lambda number: BUSY if number % 4 == 0 else REPLY) as asked:
        tally, _ = run(asked.url, clients=1)
    assert tally.counts[429] == len(asked.got) // 4
    assert tally.counts[200] + tally.counts[429] == len(asked.got)
    assert len(tally.times(429)) == tally.counts[429]


def test_a_reply_that_never_comes_is_lost_and_the_client_connects_again():
    with server(lambda number: None if number == 5 else REPLY) as asked:
        tally, _ = run(asked.url, clients=1)
        assert asked.connections == 2
    assert tally.counts[LOST] == 1
    assert tally.counts[200] == len(asked.got) - 1


def test_half_a_reply_is_lost():
    with server(lambda number: LAST[:-1] if number == 5 else REPLY) as asked:
        tally, _ = run(asked.url, clients=1)
    assert tally.counts[LOST] == 1


def test_a_reply_that_ends_its_connection_is_no_failure():
    with server(lambda _: LAST) as asked:
        tally, _ = run(asked.url, clients=1)
        assert asked.connections >= 20
    assert set(tally.statuses) == {200}


def test_a_server_that_is_gone_ends_the_run():
    with server(lambda _: REPLY) as asked:
        url = asked.url
    tally, _ = run(url, stop_when_refused=True)
    assert tally.statuses == []
    assert tally.refused > 0


def test_an_open_loop_keeps_its_rate_and_never_has_too_many_out():
    with server(lambda _: REPLY) as asked:
        with Generator(asked.url, [post(asked.url, "/", BODY)], 4) as generator:
            tally = generator.open(rate=500, seconds=0.4)
        assert asked.connections <= 4
    # 200 are due on average; the deviation is 14.
    assert 130 < len(tally.statuses) + tally.held_back < 270
    assert all(0 < due < 0.4 for due in tally.due)
    moments = zip(tally.due, tally.sent, tally.ended, strict=True)
    assert all(due <= sent <= ended for due, sent, ended in moments)


def test_what_is_due_while_all_are_out_is_held_back():
    gate = threading.Event()

    def held(_):
        gate.wait(60)
        return REPLY

    with server(held) as asked, Generator(asked.url, [post(asked.url, "/", BODY)], 3) as generator:
        threading.Timer(0.5, gate.set).start()
        tally = generator.open(rate=1000, seconds=0.2)
    assert len(tally.statuses) == 3
    assert tally.held_back > 100
    # None came while it ran.
    assert tally.rate() == 0


def test_rates_are_of_what_came_in_time():
    tally = Tally(seconds=2.0, ended=[0.5, 1.5, 1.9, 2.5], statuses=[200, 200, 429, 200])
    assert tally.rate() == 1
    assert tally.rate(429) == 0.5
    assert tally.rate(begin=1.0) == 1
    assert tally.rate(end=1.0) == 1


def test_time_counts_from_when_a_request_was_due():
    tally = Tally(due=[0.0, 1.0], sent=[0.5, 1.0], ended=[2.0, 1.25], statuses=[200, 200])
    assert tally.times() == [2.0, 0.25]
    assert tally.lag(1.0) == 0.5


def test_a_reply_without_a_length_is_an_error():
    with (
        server(lambda _: b"HTTP/1.1 200 OK\r\n\r\n") as asked,
        Generator(asked.url, [post(asked.url, "/", BODY)], 1) as generator,
        pytest.raises(LoadError, match="without a length"),
    ):
        generator.closed(60)
