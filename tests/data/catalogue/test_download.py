"""Fetching from a server of our own, which breaks off, refuses, or knows no ranges, as told."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tagbelt.data.catalogue.download import Patience, fetch
from tagbelt.data.catalogue.entries import CatalogueFile
from tagbelt.errors import DataError

CONTENT = b"".join(f"word{n}\tO\n".encode() for n in range(30_000))
FILE = CatalogueFile(
    name="train.conll",
    address="http://127.0.0.1:1/",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
)


@dataclass
class Server:
    """`plan` has for each request how it is answered, the last one for all that follow."""

    plan: list = field(default_factory=lambda: [{}])
    requests: list = field(default_factory=list)
    address: str = ""

    def answer(self, handler):
        step = self.plan[min(len(self.requests), len(self.plan) - 1)]
        asked = handler.headers.get("Range")
        self.requests.append((handler.path, asked))
        content = step.get("content", CONTENT)
        start = int(asked[6:-1]) if asked and step.get("ranges", True) else 0
        status = step.get("status", 206 if start else 200)
        handler.send_response(status)
        for name, value in step.get("headers", {}).items():
            handler.send_header(name, value)
        if status >= 400:
            content, start = b"", 0
        if status == 206:
            first = step.get("first", start)
            last = len(content) - 1
            handler.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + step.get("stop", len(content))])


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
    """Fetch the file; the seconds that were waited."""

    def run(tries=5, **options):
        waited = []
        patience = Patience(tries=tries, pause=1.0, timeout=20.0, sleep=waited.append)
        file = FILE.model_copy(update={"address": f"{server.address}/a/b"})
        assert fetch(file, tmp_path, patience=patience, **options)
        assert [p.name for p in tmp_path.iterdir()] == ["train.conll"]
        assert (tmp_path / "train.conll").read_bytes() == CONTENT
        return waited

    return run


def test_a_file_is_fetched_once(server, get, tmp_path):
    seen = []
    assert get(progress=lambda *values: seen.append(values)) == []
    assert server.requests == [("/a/b", None)]
    assert seen[-1] == ("train.conll", FILE.size, FILE.size)
    assert [have for _, have, _ in seen] == sorted(have for _, have, _ in seen)
    assert fetch(FILE, tmp_path) is False
    assert len(server.requests) == 1


def test_a_broken_connection_goes_on_where_it_stopped(server, get):
    server.plan = [{"stop": 1000}, {"stop": 500}, {}]
    assert get() == [1.0, 2.0]
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=1500-"]


def test_what_an_earlier_call_left_is_used(server, get, tmp_path):
    server.plan = [{"stop": 1000}]
    with pytest.raises(DataError, match=r"ended after 2000 of \d+ bytes, 2 times; call again"):
        get(tries=2)
    assert (tmp_path / "train.conll.part").read_bytes() == CONTENT[:2000]
    server.plan = [{}]
    get()
    assert server.requests[-1] == ("/a/b", "bytes=2000-")


def test_a_server_without_ranges_gives_the_whole_again(server, get):
    server.plan = [{"stop": 1000}, {"ranges": False}]
    assert get() == [1.0]
    assert server.requests[-1] == ("/a/b", "bytes=1000-")


def test_a_server_that_gives_another_range_is_asked_for_the_whole(server, get):
    server.plan = [{"stop": 1000}, {"first": 7}, {}]
    assert get() == [1.0, 2.0]
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", None]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_when_it_says(server, get, status):
    busy = {"status": status, "headers": {"Retry-After": "7"}}
    server.plan = [busy, {"status": status}, {}]
    assert get() == [7.0, 2.0]


def test_a_server_that_asks_for_hours_is_not_waited_for_that_long(server, get):
    server.plan = [{"status": 503, "headers": {"Retry-After": "7200"}}, {}]
    assert get() == [30.0]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server, get, status):
    server.plan = [{"status": status}]
    with pytest.raises(DataError, match=f"/a/b: the answer was {status}"):
        get()
    assert len(server.requests) == 1


def test_nobody_there(server, get):
    server.address = "http://127.0.0.1:1"
    with pytest.raises(DataError, match=r"the connection failed: .*refused.*, 2 times"):
        get(tries=2)


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"X", b"Y" * len(CONTENT)])
def test_another_file_does_not_count(server, get, tmp_path, content):
    server.plan = [{"content": content}]
    with pytest.raises(DataError, match="is not the file that the catalogue means"):
        get()
    assert [*tmp_path.iterdir()] == []
    server.plan = [{}]
    get()


def test_a_file_that_is_too_long_is_not_read_to_its_end(server, get):
    server.plan = [{"content": CONTENT * 3}]
    with pytest.raises(DataError, match="is longer than"):
        get()


@pytest.mark.parametrize("left", [b"nonsense", b"Z" * len(CONTENT), b"Z" * (len(CONTENT) + 1)])
def test_what_is_left_of_another_file_is_not_in_the_way(server, get, tmp_path, left):
    (tmp_path / "train.conll.part").write_bytes(left)
    get()
    assert server.requests[-1] == ("/a/b", None)


def test_a_range_that_the_server_does_not_have(server, get, tmp_path):
    (tmp_path / "train.conll.part").write_bytes(CONTENT[:10])
    server.plan = [{"status": 416}, {}]
    get()
    assert [asked for _, asked in server.requests] == ["bytes=10-", None]


def test_a_mirror(server, get):
    get(mirror=f"{server.address}/mirror/", entry="wnut17")
    assert server.requests == [("/mirror/wnut17/train.conll", None)]


@pytest.mark.parametrize("place", ["wnut17/train.conll", "train.conll"])
def test_a_folder(get, server, tmp_path_factory, place):
    folder = tmp_path_factory.mktemp("offline")
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_bytes(CONTENT)
    get(mirror=folder, entry="wnut17")
    assert server.requests == []


def test_a_folder_with_another_file_or_none(tmp_path):
    offline, target = tmp_path / "offline", tmp_path / "target"
    offline.mkdir()
    with pytest.raises(DataError, match=r"has neither wnut17/train\.conll nor train\.conll"):
        fetch(FILE, target, mirror=offline, entry="wnut17")
    (offline / "train.conll").write_bytes(b"another")
    with pytest.raises(DataError, match="is not the file"):
        fetch(FILE, target, mirror=offline, entry="wnut17")
    assert [*target.iterdir()] == []
    assert (offline / "train.conll").read_bytes() == b"another"


def test_a_file_of_the_user_is_not_overwritten(tmp_path):
    (tmp_path / "train.conll").write_bytes(b"mine")
    with pytest.raises(DataError, match="is another file; move it away first"):
        fetch(FILE, tmp_path)
    assert (tmp_path / "train.conll").read_bytes() == b"mine"
