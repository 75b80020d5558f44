"""Connections: shared, used again, broken off, never made."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tagbelt.client import Client, ConnectionFailedError, DeadlineError
from tests.service.fake import FakeTagger
from tests.service.live import serving
from tests.tagbelt.client.scripted import CLIENTS, labels


def test_threads_share_a_client(url):
    def ask(number):
        return client.tag_many([f"{number} Toyota", "李明"] * 6)[number % 12]

    with Client(url) as client, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(100)))
    expected = [len(f"{number} ") if number % 2 == 0 else 0 for number in range(100)]
    assert [outcome.entities[0].start for outcome in found] == expected


def test_connections_are_used_again(kind):
    connections = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            connections.append(self.client_address)
            super().setup()

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            body = b'{"model": null, "results": [{"entities": []}]}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        with CLIENTS[kind](base_url=f"http://127.0.0.1:{server.server_port}") as client:
            for _ in range(3):
                assert client.tag("a").model is None
        server.shutdown()
        thread.join()
    assert len(connections) == 1


def test_a_server_that_hangs_is_given_up_at_the_deadline(kind):
    tagger = FakeTagger()
    with serving(tagger) as url, CLIENTS[kind](base_url=url) as client:
        assert labels(client.tag("Toyota")) == ["ORG"]
        tagger.gate.clear()
        try:
            with pytest.raises(DeadlineError, match=r"no answer within 0\.3 s|the server gave up"):
                client.tag("Toyota", timeout=0.3)
        finally:
            tagger.gate.set()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"])
def test_a_reply_that_never_ends_is_given_up_at_the_deadline(kind, head):
    late = pytest.raises(DeadlineError, match=r"no answer within 0\.3 s")
    with dripping(head) as url, CLIENTS[kind](base_url=url) as client, late:
        client.tag("a", timeout=0.3)


@contextmanager
def dripping(head):
    """A server that never finishes: after a head it sends a byte whenever 20 ms have passed."""
    ended = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(head)
            while not ended.wait(0.02):
                connection.sendall(head and b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        thread.join()


def test_nobody_listens(kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with CLIENTS[kind](base_url=f"http://127.0.0.1:{port}") as client:
        assert client.ready() is False
        with pytest.raises(ConnectionFailedError):
            client.load("en")


def test_only_the_client_needs_httpx():
    program = (
        "import sys; sys.modules['httpx'] = None\n"
        "import tagbelt\n"
        "try:\n    import tagbelt.client\n"
        "except ImportError as error:\n    sys.stdout.write(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tagbelt[client]" in done.stdout
