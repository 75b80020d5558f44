"""What becomes of each connection when a server ends, a byte at a time."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from tagbelt.service.process.drain import stop_listening
from tagbelt.service.process.server import Server
from tagbelt.service.process.sockets import bound, listen
from tagbelt.service.settings import Settings
from tests.service.fake import FakeTagger, fake_app
from tests.service.live import until_warm
from tests.service.process.running import until

LIVEZ = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


@contextmanager
def serving(tagger=None, **more):
    """A server in a thread, which ends when it is told to or the block does."""
    settings = Settings(**({"port": 0, "drain_seconds": 0} | more))
    app = fake_app(tagger or FakeTagger(), **more)
    with bound(settings) as listener:
        listen(listener, settings)
        server = Server(
            app,
            settings,
            listener,
            tls=None,
            started=lambda *_: None,
        )
        server.address = listener.getsockname()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started, "the start")
            until_warm(app)
            yield server
        finally:
            server.end()
            thread.join()


@contextmanager
def connected(server):
    with socket.create_connection(server.address, timeout=60) as connection:
        yield connection


def tag(text):
    body = json.dumps({"text": text}).encode()
    head = b"POST /v1/tag HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def replies(connection):
    """Everything until the connection is closed, as pairs of head and body."""
    received = b""
    while more := connection.recv(1 << 16):
        received += more
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        found.append((head.lower(), json.loads(rest[:size])))
        received = rest[size:]
    return found


def closes(head):
    return b"connection: close" in head


def test_connections_stay_open_until_it_drains():
    with serving() as server, connected(server) as connection:
        for _ in range(2):
            connection.sendall(LIVEZ)
            assert b"connection: close" not in connection.recv(1 << 16).lower()


def test_requests_that_came_one_behind_the_other_are_all_answered():
    tagger = FakeTagger()
    with serving(tagger) as server, connected(server) as connection:
        tagger.gate.clear()
        connection.sendall(tag("Toyota") + tag("Nagoya") + LIVEZ)
        until(lambda: tagger.calls[-1:] == [["Toyota"]], "the first request")
        server.end()
        until(lambda: server.server_state.is_draining, "the drain")
        tagger.gate.set()
        (first, _), (second, tagged), (last, status) = replies(connection)
        assert [closes(head) for head in (first, second, last)] == [False, False, True]
        assert tagged["results"][0]["entities"][0]["text"] == "Nagoya"
        assert status == {"status": "ok"}


def test_one_that_comes_behind_while_it_drains_is_answered_too():
    tagger = FakeTagger()
    with serving(tagger) as server, connected(server) as connection:
        tagger.gate.clear()
        connection.sendall(tag("Toyota"))
        until(lambda: tagger.calls[-1:] == [["Toyota"]], "the first request")
        server.end()
        until(lambda: server.server_state.is_draining, "the drain")
        connection.sendall(LIVEZ)
        until(lambda: has_two(server), "the second request")
        tagger.gate.set()
        (first, _), (second, status) = replies(connection)
        assert [closes(first), closes(second)] == [False, True]
        assert status == {"status": "ok"}


def has_two(server):
    return any(connection.pipeline for connection in server.server_state.open)


@pytest.mark.parametrize("cut", [1, 30, len(tag("Toyota")) - 3])
def test_a_request_that_is_on_its_way_in_is_waited_for(cut):
    whole = tag("Toyota")
    with serving() as server, connected(server) as connection:
        connection.sendall(LIVEZ)
        assert connection.recv(1 << 16)
        connection.sendall(whole[:cut])
        until(lambda: begun(server), "the first bytes")
        server.end()
        until(lambda: server.servers and not server.servers[0].is_serving(), "the end")
        connection.sendall(whole[cut:])
        [(head, tagged)] = replies(connection)
        assert closes(head)
        assert tagged["results"][0]["entities"][0]["text"] == "Toyota"


def begun(server):
    return any(
        not connection._has_head or (connection.cycle and not connection.cycle.response_complete)
        for connection in server.server_state.open
    )


def test_idle_connections_are_closed_at_once():
    with (
        serving(shutdown_seconds=3600) as server,
        connected(server) as idle,
        connected(server) as silent,
    ):
        idle.sendall(LIVEZ)
        assert idle.recv(1 << 16)
        server.end()
        assert idle.recv(1) == b""
        # One that never asked anything was given a moment to.
        assert silent.recv(1) == b""


def test_a_request_that_waits_unread_keeps_its_connection_open():
    """The moment between the arrival of a request and the look at it, made long."""
    tagger = FakeTagger()
    with serving(tagger) as server, connected(server) as connection:
        connection.sendall(LIVEZ)
        assert connection.recv(1 << 16)
        busy, seen = threading.Event(), threading.Event()

        def occupy():
            seen.set()
            assert busy.wait(60)
            # The request has arrived; what decides about idle connections comes before the read.
            for one in server.server_state.open:
                one.close_if_idle()
                one.timeout_keep_alive_handler()

        server._loop.call_soon_threadsafe(occupy)
        assert seen.wait(60)
        connection.sendall(tag("Toyota"))
        busy.set()
        assert b"Toyota" in connection.recv(1 << 16)


def test_who_has_connected_is_taken_in_and_then_nobody():
    taken = []

    async def take_in(connection):
        taken.append(connection)

    class Deaf:
        """Stands for an event loop that looked before they connected."""

        def close(self):
            pass

    async def main():
        await asyncio.gather(*await stop_listening([Deaf()], [listener], take_in))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
        with socket.create_connection(where) as first, socket.create_connection(where) as second:
            asyncio.run(main())
            names = [connection.getpeername() for connection in taken]
            assert names == [first.getsockname(), second.getsockname()]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)
    for connection in taken:
        connection.close()


def test_a_connection_that_was_taken_in_is_served():
    ours, theirs = socket.socketpair()
    with serving() as server, ours:
        theirs.setblocking(False)
        asyncio.run_coroutine_threadsafe(server._take_in(theirs), server._loop).result(60)
        ours.sendall(LIVEZ)
        assert ours.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
