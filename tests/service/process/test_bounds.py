"""Clients that send without an end, or without ever coming to one."""

import json
import time

import pytest

from tagbelt.service.process.connection import HEAD_BYTES
from tests.service.access.guarded import INLINE, KEYS
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


CHUNKED = POST % b"/v1/tag" + b"transfer-encoding: chunked\r\n\r\n"
BODY = b'11\r\n{"text":"Toyota"}\r\n'


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (BODY + b"0\r\n", b"x-a: y\r\n" * 1000),
        (BODY + b"0\r\nx-a: ", b"a" * 8000),
        (BODY + b"0\r\n", b"a" * 8000),
        (BODY + b"5;a=", b"a" * 8000),
    ],
    ids=["trailers", "one trailer", "its name", "chunk extension"],
)
def test_what_surrounds_a_body_without_an_end(server, before, piece):
    with connected(server) as connection:
        connection.sendall(CHUNKED + before)
        sent = 0
        try:
            while sent < 100 * HEAD_BYTES:
                connection.sendall(piece)
                sent += len(piece)
                time.sleep(0.001)
        except OSError:
            pass  # it has hung up
        received = all_of(connection)
    assert sent < 100 * HEAD_BYTES
    if received:
        status, detail = problem_of(received)
        assert (status, f"more than {HEAD_BYTES} bytes" in detail) == (431, True)


@pytest.mark.parametrize("pause", [0, 0.05], ids=["one packet", "two packets"])
def test_a_trailer_is_no_header(pause):
    trailers = b"x-api-key: %s\r\nx-request-id: from-a-trailer\r\n\r\n" % KEYS["boss"].encode()
    with serving(api_keys=INLINE) as server, connected(server) as connection:
        connection.sendall(CHUNKED.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        time.sleep(pause)
        connection.sendall(BODY + b"0\r\n" + trailers)
        received = all_of(connection)
    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"from-a-trailer" not in received


def test_trailers_are_read_past(server):
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(CHUNKED + BODY + b"0\r\ncontent-type: text/plain\r\nx: y\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


OFFERS = [
    b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\n",
    b"connection: keep-alive, Upgrade\r\nupgrade: TLS/1.0\r\n",
    b"upgrade: h2c\r\n",
]
CHUNKS = b'2\r\n{"\r\nf\r\ntext":"Toyota"}\r\n0\r\n\r\n'
SENT = [
    b'content-length: 17\r\n\r\n{"text":"Toyota"}',
    b"transfer-encoding: chunked\r\n\r\n" + CHUNKS,
]


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
@pytest.mark.parametrize("sent", SENT, ids=["length", "chunked"])
@pytest.mark.parametrize("offer", OFFERS, ids=["h2c", "websocket", "tls", "no connection"])
def test_an_offer_of_another_protocol_is_read_past(server, offer, sent, piece):
    """Also where the body looks like a request, and other requests follow it."""
    smuggled = b"POST /v1/tag HTTP/1.1\r\nhost: localhost\r\n" + offer
    requests = [
        POST % b"/v1/tag" + offer + sent,
        smuggled + b"content-length: %d\r\n\r\n" % len(LIVEZ) + LIVEZ,
        LIVEZ[:-2] + offer + b"\r\n",
        POST % b"/v1/tag" + offer + b"connection: close\r\n" + sent,
    ]
    stream = b"".join(requests)
    with connected(server) as connection:
        for place in range(0, len(stream), piece):
            connection.sendall(stream[place : place + piece])
        received = all_of(connection)
    found = [part.split(b" ")[0] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert found == [b"200", b"415", b"200", b"200"]
    assert received.count(b'"text":"Toyota"') == 2


def test_thousands_of_offers_in_a_row(server):
    with connected(server) as connection:
        connection.sendall((LIVEZ[:-2] + OFFERS[0] + b"\r\n") * 2000)
        connection.sendall(LIVEZ[:-2] + b"connection: close\r\n\r\n")
        assert all_of(connection).count(b"HTTP/1.1 200") == 2001


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
