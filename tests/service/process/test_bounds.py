"""Clients that send without an end, or without ever coming to one."""

import json
import time

import pytest

from tagbelt.service.process.connection import HEAD_BYTES
from tests.service.process.running import until
from tests.service.process.test_drain import LIVEZ, connected, serving

POST = b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def server():
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def hasty():
    """A server that waits for 0.2 s for the headers, and as long for the rest."""
    with serving() as found:
        found.server_state.head_seconds = found.server_state.body_seconds = 0.2
        yield found


def all_of(connection):
    """What is sent until the connection is closed."""
    received = b""
    try:
        while more := connection.recv(1 << 16):
            received += more
    except ConnectionResetError:
        pass
    return received


def problem_of(received):
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    return status, problem["detail"]


@pytest.mark.parametrize(
    "piece", [b"x-a: " + b"a" * 8000 + b"\r\n", b"x: y\r\n" * 1000, b"a" * 8000], ids=range(3)
)
def test_headers_without_an_end(server, piece):
    with connected(server) as connection:
        connection.sendall(LIVEZ[:-2])
        try:
            for _ in range(100):  # 0.8 MB
                connection.sendall(piece)
        except OSError:
            pass  # it has hung up
        received = all_of(connection)
    # What it could not read any more may have cost us its words.
    if received:
        assert problem_of(received) == (431, f"the headers have more than {HEAD_BYTES} bytes")


def test_large_headers_that_end_are_read(server):
    with connected(server) as connection:
        connection.sendall(LIVEZ[:-2] + b"x-a: " + b"a" * 60_000 + b"\r\n")
        connection.sendall(b"connection: close\r\n\r\n")
        assert all_of(connection).startswith(b"HTTP/1.1 200")


def test_what_is_not_http_is_told_so(server):
    with connected(server) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert problem_of(all_of(connection))[0] == 400


@pytest.mark.parametrize("sent", [b"G", LIVEZ[:-1], POST % b"/v1/tag"], ids=range(3))
def test_a_head_that_stays_away(hasty, sent):
    with connected(hasty) as connection:
        connection.sendall(sent)
        status, detail = problem_of(all_of(connection))
    assert (status, "within 0.2 s" in detail) == (408, True)


@pytest.mark.parametrize("path", [b"/v1/tag", b"/analyze", b"/v1/models/fake/load"])
def test_a_body_that_stays_away(hasty, path):
    with connected(hasty) as connection:
        connection.sendall(POST % path + b'content-length: 20\r\n\r\n{"te')
        status, detail = problem_of(all_of(connection))
    assert (status, "within 0.4 s" in detail) == (408, True)


def test_bytes_that_trickle_in_do_not_win_time(hasty):
    with connected(hasty) as connection:
        connection.sendall(POST % b"/v1/tag" + b"content-length: 4000\r\n\r\n")
        sent = 0
        try:
            while sent < 3000:
                connection.sendall(b" ")
                sent += 1
                time.sleep(0.01)
        except OSError:
            pass
        assert sent < 3000


def test_a_body_that_nobody_reads_does_not_hold_the_connection(hasty):
    with connected(hasty) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n")
        first, _, rest = all_of(connection).partition(b'{"status":"ok"}')
    assert first.startswith(b"HTTP/1.1 200")
    assert problem_of(rest)[0] == 408


def test_a_stream_may_pause(hasty):
    """It has a patience of its own, for every piece."""
    with connected(hasty) as connection:
        connection.sendall(POST % b"/v1/tag/stream" + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(10):
            connection.sendall(b'd\r\n{"text":"a"}\n\r\n')
            time.sleep(0.1)
        connection.sendall(b"0\r\n\r\n")
        received = b""
        while b'"line":10' not in received:
            received += connection.recv(1 << 16)
    assert received.startswith(b"HTTP/1.1 200")


def test_requests_that_come_in_pieces_are_answered(server):
    body = b'{"text":"Toyota"}'
    request = POST % b"/v1/tag" + b"content-length: %d\r\n\r\n" % len(body) + body
    with connected(server) as connection:
        for _ in range(3):
            for byte in request:
                connection.sendall(bytes([byte]))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_who_is_idle_between_two_requests_is_not_late(hasty):
    with connected(hasty) as connection:
        for _ in range(2):
            connection.sendall(LIVEZ)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)


def test_a_client_that_leaves_in_the_middle_is_no_fault(server, caplog):
    for path in (b"/v1/tag", b"/models/fake", b"/v2/models/fake/infer"):
        with connected(server) as connection:
            connection.sendall(POST % path + b'content-length: 20\r\n\r\n{"te')
            until(lambda: server.server_state.tasks, "the request")
        until(lambda: not server.server_state.tasks, "its end")
    assert "failed" not in caplog.text
