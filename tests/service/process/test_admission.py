"""Admission: requests that are refused before they are read, and those that come in anyway."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn

from tagbelt.service.engine.engine import Engine as RealEngine
from tagbelt.service.process.connection import Admission, Connection, Connections
from tests.service.process.running import running, until


class Engine:
    is_full = True
    backlog_seconds = 0.4
    coming = 0.0

    def would_be_late(self, weight, seconds):
        return self.backlog_seconds + weight / 1000 > seconds


def scope(path, method="POST", **headers):
    named = [(name.replace("_", "-").encode(), str(v).encode()) for name, v in headers.items()]
    return {"method": method, "path": path, "headers": named}


@pytest.mark.parametrize("path", ["/v1/tag", "/v1/tag/stream", "/", "/models/en", "/analyze"])
def test_tagging_is_refused_while_the_engine_is_full(path):
    told = []
    reply = Admission(Engine(), told.append).refusal(scope(path))
    head, body = reply.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["instance"] == path
    assert told == ["queue_full"]


@pytest.mark.parametrize(
    "asked",
    [
        scope("/v1/models/en/load"),
        scope("/v1/reload"),
        scope("/readyz", "GET"),
        scope("/v1/tag", "OPTIONS"),
    ],
)
def test_everything_else_comes_in(asked):
    assert Admission(Engine(), pytest.fail).refusal(asked) is None


def test_nothing_is_refused_while_there_is_room():
    engine = Engine()
    engine.is_full = False
    assert Admission(engine, pytest.fail).refusal(scope("/v1/tag")) is None


@pytest.mark.parametrize(
    ("stated", "refused"),
    [
        ({"x_request_timeout": "0.3"}, True),
        ({"x_request_timeout": "0.5"}, False),
        ({"x_request_timeout": "0.5", "content_length": 200}, True),
        ({"content_length": 10**9}, False),
        ({"x_request_timeout": "nan"}, False),
        ({"x_request_timeout": "-1"}, False),
    ],
)
def test_what_would_be_late_is_refused_before_it_is_read(stated, refused):
    engine, told = Engine(), []
    engine.is_full = False
    reply = Admission(engine, told.append).refusal(scope("/v1/tag", **stated))
    assert (reply is not None) == refused
    assert told == ["too_late"] * refused


async def nothing(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


class Wire(asyncio.Transport):
    """A connection's other end, which has sent one request."""

    def __init__(self, state, size):
        super().__init__()
        self.sent = b""
        config = uvicorn.Config(nothing)
        config.load()
        made = Connection(config=config, server_state=state, app_state={})
        made.connection_made(self)
        head = f"POST /v1/tag HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n"
        made.data_received(head.encode() + b"x" * size)

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return False

    def close(self):
        pass

    def resume_reading(self):
        pass


def test_what_comes_in_one_turn_counts_before_it_is_queued():
    async def main():
        engine = RealEngine(
            max_waiting=100,
            max_waiting_characters=10_000,
            max_waiting_seconds=1.0,
            max_batch_tokens=1000,
        )
        engine._pace.add(100.0, 1.0)
        told = []
        state = Connections(admission=Admission(engine, told.append))
        for _ in range(2):  # another turn begins anew
            wires = [Wire(state, 60) for _ in range(4)]
            while not all(wire.sent for wire in wires):
                await asyncio.sleep(0)
            assert [wire.sent[9:12] for wire in wires] == [b"204", b"204", b"429", b"429"]
        assert told == ["queue_full"] * 4
        engine.close(timeout=10)

    asyncio.run(main())


def test_a_connection_goes_on_after_a_refusal(tmp_path):
    with (
        running(tmp_path, settings={"max_waiting": 1}) as server,
        ThreadPoolExecutor(2) as pool,
        httpx.Client(base_url=server.url) as http,
    ):

        def tag(text):
            return http.post("/v1/tag", json={"text": text})

        held = pool.submit(httpx.post, f"{server.url}/v1/tag", json={"text": "hold"}, timeout=30)
        until((tmp_path / "holding").exists, "the tagging")
        waiting = pool.submit(httpx.post, f"{server.url}/v1/tag", json={"text": "a"}, timeout=30)
        until(lambda: "tagbelt_queue_depth 1.0" in http.get("/metrics").text, "the queue")
        refused = tag("x" * 50_000)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["title"] == "Overloaded"
        assert [tag("x" * 100).status_code for _ in range(3)] == [429] * 3
        assert http.get("/livez").status_code == 200
        assert 'reason="queue_full"' in http.get("/metrics").text
        (tmp_path / "go").touch()
        assert held.result().status_code == waiting.result().status_code == 200
        assert tag("Toyota").status_code == 200
