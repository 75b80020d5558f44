"""Memory that runs out, wherever it does: 503, never the client's fault, and then all is well."""

import json

import pytest
from starlette.exceptions import HTTPException

from tagbelt.service.api.schemas import TagRequest
from tagbelt.service.process.connection import Connection
from tests.service.fake import FakeTagger
from tests.service.process.test_drain import connected, replies, serving, tag

Panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
SHORTAGES = pytest.mark.parametrize("error", [MemoryError, Panic])
HUGGING_FACE = {"inputs": "Toyota"}


class Short(FakeTagger):
    """Finds no memory for so many calls; or not even for reading."""

    def __init__(self, error, calls=1, *, reads=False):
        super().__init__()
        self.error, self.left, self.reads = error, calls, reads

    def _take(self):
        if self.left:
            self.left -= 1
            raise self.error

    def tokenize(self, *arguments, **options):
        if self.reads:
            self._take()
        return super().tokenize(*arguments, **options)

    def annotate_items(self, *arguments):
        if not self.reads:
            self._take()
        return super().annotate_items(*arguments)


def assert_short(reply):
    assert reply.status_code == 503, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == "/docs#not-ready"
    assert "memory" in reply.json()["detail"]


@SHORTAGES
@pytest.mark.parametrize("reads", [False, True])
def test_a_tagger_without_memory_is_503_and_later_requests_are_answered(make_client, error, reads):
    with make_client(Short(error, reads=reads)) as client:
        assert_short(client.tag(text="Toyota"))
        # The thread may have died of it, and is replaced.
        client.app.state.engine.revive()
        assert len(client.results(text="Toyota")[0]["entities"]) == 1


def test_an_adapter_says_so_in_its_own_way(make_client):
    with make_client(Short(MemoryError)) as client:
        ask = {"content": json.dumps(HUGGING_FACE), "headers": {"content-type": "application/json"}}
        assert client.request("POST", "/", **ask).status_code == 503
        assert client.request("POST", "/", **ask).status_code == 200


@SHORTAGES
@pytest.mark.parametrize("length", [10, 50_000])
def test_a_body_that_there_is_no_memory_to_read_is_503(client, monkeypatch, error, length):
    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(TagRequest, "model_validate_json", fail)
        assert_short(client.tag(text="a" * length))
    assert client.tag(text="a" * length).status_code == 200


def test_the_frameworks_400_for_a_lack_of_memory_is_503(client):
    async def read():
        raise HTTPException(400, "There was an error parsing the body") from MemoryError()

    client.app.add_api_route("/read", read)
    assert_short(client.get("/read"))


@SHORTAGES
@pytest.mark.parametrize("callback", ["on_body", "on_headers_complete"])
def test_a_connection_without_memory_does_not_blame_the_client(monkeypatch, error, callback):
    def fail(*_):
        raise error

    with serving() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Connection, callback, fail)
            with connected(server) as connection:
                connection.sendall(tag("Toyota"))
                ((head, problem),) = replies(connection)
        assert head.startswith(b"http/1.1 503 ")
        assert problem["type"] == "/docs#not-ready"
        with connected(server) as connection:
            connection.sendall(tag("Toyota"))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
