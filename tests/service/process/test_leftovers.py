"""What a request leaves behind goes by itself: no model waits for the collector of garbage."""

import gc
import socket
import struct
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.service.fake import FakeTagger
from tests.service.process.running import until
from tests.service.process.test_drain import LIVEZ, connected, serving, tag


@contextmanager
def circles():
    """What only the collector of garbage would have freed of what the block made: kinds of ours."""
    found = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = (type(one) for one in gc.garbage)
        found.update(
            k.__qualname__ for k in kinds if k.__module__.startswith(("tagbelt", "uvicorn"))
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def leave(connection):
    """End it by a reset, as a client that is killed does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


REQUEST = tag("Toyota is in Nagoya")


@pytest.mark.parametrize(
    "sent",
    [b"", REQUEST[:20], REQUEST[:-5], REQUEST, REQUEST * 3, b"\0\n\n", LIVEZ + REQUEST[:30]],
    ids=["nothing", "head", "body", "one", "three", "no HTTP", "one and a part"],
)
def test_a_client_that_leaves(sent):
    with serving() as server:
        with circles() as found:
            with connected(server) as connection:
                connection.sendall(sent)
                until(lambda: len(server.server_state.open) == 1 or b"\0" in sent, "the connection")
                leave(connection)
            until(lambda: not server.server_state.open, "the end of the connection")
            until(lambda: not server.server_state.tasks, "the end of its requests")
        assert not found


@pytest.mark.parametrize("end", ["gone", "expired", "refused", "answered"])
def test_a_job_that_waits(end):
    tagger = FakeTagger()
    with serving(tagger, max_waiting=1) as server, connected(server) as first:
        tagger.gate.clear()
        before = len(tagger.calls)
        first.sendall(tag("Toyota" * 3000))
        until(lambda: len(tagger.calls) > before, "the tagging")
        with circles() as found, connected(server) as second:
            timeout = b"x-request-timeout: %s\r\n\r\n" % (b"0.3" if end == "expired" else b"30")
            second.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\n" + timeout, 1))
            engine = server._app.state.engine
            until(lambda: len(engine.queue), "the queue")
            if end == "refused":
                with connected(server) as third:
                    third.sendall(REQUEST)
                    assert third.recv(1 << 16).startswith(b"HTTP/1.1 429 ")
                    leave(third)
            if end == "expired":
                assert second.recv(1 << 16).startswith(b"HTTP/1.1 504 ")
            if end == "answered":
                tagger.gate.set()
                assert second.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            leave(second)
            until(lambda: len(server.server_state.open) == 1, "the end of the connections")
            until(lambda: not len(engine.queue), "an empty queue")
            tagger.gate.set()
            until(lambda: not server.server_state.tasks, "the end of the requests")
        assert not found
