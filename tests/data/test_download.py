"""Fetching from a server of our own, which breaks off, refuses or lies as told, and from files."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tagbelt.data.download import fetch_file
from tagbelt.errors import DataError

CONTENT = b"".join(f"word{n}\tO\n".encode() for n in range(30_000))
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """The answer to every request: a status, `content`, of which it sends `stop` bytes."""

    status: int = 200
    content: bytes = CONTENT
    stop: int | None = None
    requests: list = field(default_factory=list)
    address: str = ""

    def answer(self, handler):
        self.requests.append(handler.path)
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(len(self.content)))
        handler.end_headers()
        handler.wfile.write(self.content[: self.stop])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    known = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known.answer(self)

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    known.address = f"http://127.0.0.1:{running.server_address[1]}"
    yield known
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def get(server, tmp_path):
    """Fetch the file from the server; where it is to be, and whether it was fetched."""

    def run(**options):
        target = tmp_path / "new" / "train.conll"
        given = {"sha256": DIGEST, "size": len(CONTENT), **options}
        return target, fetch_file(f"{server.address}/a/b", target, **given)

    return run


def nothing_is_left(tmp_path):
    return not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_is_fetched_once(server, get, size):
    seen = []
    target, fetched = get(size=size, progress=lambda *values: seen.append(values))
    assert fetched
    assert target.read_bytes() == CONTENT
    assert [*target.parent.iterdir()] == [target]
    assert seen[-1] == ("train.conll", len(CONTENT), size)
    assert [have for _, have, _ in seen] == sorted(have for _, have, _ in seen)
    assert get() == (target, False)
    assert server.requests == ["/a/b"]


def test_a_broken_connection_leaves_nothing_and_can_be_called_again(server, get, tmp_path):
    server.stop = 1000
    with pytest.raises(DataError, match=rf"/a/b: ended after 1000 of {len(CONTENT)} bytes"):
        get()
    with pytest.raises(DataError, match="is not the file that is meant"):
        get(size=None)
    assert nothing_is_left(tmp_path)
    server.stop = None
    assert get()[1]


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_a_refusal_is_told(server, get, tmp_path, status):
    server.status = status
    with pytest.raises(DataError, match=f"/a/b: the answer was {status}"):
        get()
    assert server.requests == ["/a/b"]
    assert nothing_is_left(tmp_path)


def test_a_server_that_is_not_there_is_told(server, get):
    server.address = "http://127.0.0.1:1"
    with pytest.raises(DataError, match=r"/a/b: the connection failed: .*refused"):
        get()


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"X", b"Y" * len(CONTENT)])
def test_another_file_does_not_count(server, get, tmp_path, content):
    server.content = content
    with pytest.raises(DataError, match="is not the file that is meant: its SHA-256 is"):
        get()
    assert nothing_is_left(tmp_path)


def test_a_file_that_is_too_long_is_not_read_to_its_end(server, get, tmp_path):
    server.content = CONTENT * 3
    with pytest.raises(DataError, match="is longer than"):
        get()
    assert nothing_is_left(tmp_path)


def test_a_path_is_copied(tmp_path):
    source, target = tmp_path / "a" / "train.conll", tmp_path / "b" / "train.conll"
    with pytest.raises(DataError, match=r"a/train\.conll: cannot be read: .*No such file"):
        fetch_file(source, target, sha256=DIGEST)
    source.parent.mkdir()
    source.write_bytes(b"another")
    with pytest.raises(DataError, match="is not the file that is meant"):
        fetch_file(source, target, sha256=DIGEST)
    assert [*target.parent.iterdir()] == []
    source.write_bytes(CONTENT)
    assert fetch_file(source, target, sha256=DIGEST)
    assert source.read_bytes() == target.read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["ftp://example.org/a", "file:///etc/passwd", "a/b"])
def test_other_addresses_are_refused(tmp_path, address):
    with pytest.raises(DataError, match="is no http address"):
        fetch_file(address, tmp_path / "a", sha256=DIGEST)


def test_a_file_of_the_user_is_not_overwritten(server, get, tmp_path):
    mine = tmp_path / "new" / "train.conll"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(DataError, match="is another file; move it away first"):
        get()
    assert mine.read_bytes() == b"mine"
    assert server.requests == []
