"""Streams over the app and over real sockets."""

import asyncio
import json
import socket
import threading
from contextlib import suppress

import httpx
import pytest

from tagbelt.service.api.schemas import StreamedFailure, StreamedResult
from tests.service.fake import FakeTagger
from tests.service.live import serving

PATH = "/v1/tag/stream"


def ask(client, body, query=""):
    content = body if isinstance(body, bytes) else "\n".join(map(json.dumps, body)).encode()
    reply = client.request("POST", PATH + query, content=content)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.content.splitlines()]


def test_a_line_for_each_line_in_order(client):
    texts = [{"text": f"{n} Toyota", "id": n} for n in range(1000)]
    results = ask(client, texts)
    assert [r["line"] for r in results] == list(range(1, 1001))
    assert [r["id"] for r in results] == list(range(1000))
    assert all(r["entities"][0]["start"] == len(f"{n} ") for n, r in enumerate(results))
    for line in results[:3]:
        StreamedResult.model_validate(line, strict=True)


def test_texts_and_tokens_may_be_mixed(client):
    results = ask(client, [{"text": "a Toyota"}, {"tokens": ["in", "Nagoya"]}, {"text": "Ana"}])
    assert [[(e["label"], e["start"]) for e in r["entities"]] for r in results] == [
        [("ORG", 2)], [("LOC", 1)], []
    ]  # fmt: skip


def test_the_options_stand_in_the_query(client):
    query = (
        "?labels=PER&labels=LOC&min_score=0.5&offset_unit=utf16&include=tags&n_best=1&model=fake"
    )
    (result,) = ask(client, [{"text": "👩‍🚀Ana Toyota Nagoya"}], query)
    assert [(e["label"], e["end"]) for e in result["entities"]] == [("PER", 8), ("LOC", 22)]
    assert result["tags"] == ["B-PER", "B-ORG", "B-LOC"]
    assert len(result["paths"]) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [("?colour=red", 422), ("?min_score=2", 422), ("?labels=X", 422), ("?model=x", 404)],
)
def test_bad_options_are_refused_before_the_stream(client, query, status):
    reply = client.request("POST", PATH + query, content=b'{"text":"a"}')
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_bad_line_fails_alone(make_client):
    bad = [b"{", b"[]", b"{}", b'{"text":1,"tokens":[]}', b'{"text":5,"id":"five"}',
           b'{"text":"a","colour":1}', b'{"text":"' + b"x" * 200 + b'"}', b'{"text":"\\ud800"}',
           b'{"text":"poison"}', b"\xff"]  # fmt: skip
    with make_client(
        FakeTagger(poison="poison"), max_body_bytes=100, max_characters=90, max_tokens=20
    ) as client:
        results = ask(client, b'\n\n{"text":"Ana"}\n' + b"\n".join(bad) + b'\n{"text":"Toyota"}\n')
    assert [r["line"] for r in results] == list(range(3, 5 + len(bad)))
    assert results[0]["entities"] == []
    assert results[-1]["entities"][0]["label"] == "ORG"
    slugs = [r["error"]["type"].partition("#")[2] for r in results[1:-1]]
    assert slugs == [
        "malformed-json", "invalid-request", "invalid-request", "invalid-request", "not-text",
        "invalid-request", "too-long", "not-unicode", "internal-error", "malformed-json",
    ]  # fmt: skip
    assert results[5]["id"] == "five"
    for line in results[1:-1]:
        StreamedFailure.model_validate(line, strict=True)


def test_an_empty_stream_has_an_empty_answer(client):
    assert ask(client, b"") == []
    assert ask(client, b"\n \n") == []


def test_a_full_queue_slows_a_stream_and_fails_nothing(make_client):
    tagger = FakeTagger()

    async def main(client):
        tagger.gate.clear()
        async with client.connect() as http:
            first = [asyncio.create_task(http.post("/v1/tag", json={"text": "a"}))]
            while not tagger.calls:
                await asyncio.sleep(0.01)
            first.append(asyncio.create_task(http.post("/v1/tag", json={"text": "b"})))
            while not len(client.app.state.engine.queue):
                await asyncio.sleep(0.01)
            stream = asyncio.create_task(http.post(PATH, content=b'{"text":"Toyota"}\n'))
            await asyncio.sleep(0.1)
            assert not stream.done()
            tagger.gate.set()
            await asyncio.gather(*first)
            return (await stream).json()

    with make_client(tagger, max_waiting=1) as client:
        assert asyncio.run(main(client))["entities"][0]["label"] == "ORG"


def test_no_more_streams_than_allowed(make_client):
    tagger = FakeTagger()

    async def main(client):
        tagger.gate.clear()
        async with client.connect() as http:
            first = asyncio.create_task(http.post(PATH, content=b'{"text":"a"}'))
            while not tagger.calls:
                await asyncio.sleep(0.01)
            refused = await http.post(PATH, content=b'{"text":"a"}')
            tagger.gate.set()
            assert (await first).status_code == 200
            return refused, await http.post(PATH, content=b'{"text":"a"}')

    with make_client(tagger, max_streams=1) as client:
        refused, after = asyncio.run(main(client))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert after.status_code == 200


def conversation(url):
    """A connection on which lines are sent and read by turns."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(
        f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    )
    return connection, connection.makefile("rb")


def send(connection, line):
    connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))


def read_line(file):
    """The next line of JSON in a chunked reply."""
    while not (line := file.readline()).startswith(b"{"):
        assert line
    return json.loads(line)


def test_answers_come_while_the_request_is_being_sent():
    with serving() as url:
        connection, file = conversation(url)
        with connection, file:
            for number in range(1, 4):
                send(connection, b'{"text":"in Nagoya"}\n')
                assert read_line(file)["line"] == number
            send(connection, b'{"text":"Toyota"}')  # without an end
            connection.sendall(b"0\r\n\r\n")
            assert read_line(file)["entities"][0]["label"] == "ORG"
        assert httpx.get(f"{url}/livez").status_code == 200


def test_a_stream_that_falls_silent_is_told_where_to_go_on():
    with serving(timeout_seconds=0.3) as url:
        connection, file = conversation(url)
        with connection, file:
            send(connection, b'{"text":"a"}\n')
            assert read_line(file)["line"] == 1
            last = read_line(file)
    assert last["line"] == 2
    assert last["error"]["status"] == 504


def test_a_client_that_leaves_gives_its_place_back():
    with serving(max_streams=1) as url:
        for _ in range(3):
            connection, file = conversation(url)
            with connection, file:
                send(connection, b'{"text":"a"}\n')
                assert read_line(file)["line"] == 1
            for _ in range(200):
                reply = httpx.post(f"{url}{PATH}", content=b'{"text":"a"}')
                if reply.status_code == 200:
                    break
            assert reply.status_code == 200


def test_a_client_that_does_not_read_stops_the_server_from_reading():
    line = b'{"text":"' + b"in Nagoya " * 200 + b'"}\n'
    with serving() as url:
        connection, file = conversation(url)
        with connection, file:
            connection.settimeout(1.0)
            sent = 0
            with suppress(TimeoutError):
                while sent < 100_000_000:
                    send(connection, line)
                    sent += len(line)
            assert sent < 100_000_000, "the server read it all, and keeps it in memory"
            # Reading sets it going again.
            connection.settimeout(20)
            reader = threading.Thread(target=lambda: [read_line(file) for _ in range(1000)])
            reader.start()
            reader.join(timeout=20)
            assert not reader.is_alive()


def test_a_byte_order_mark_is_no_part_of_a_body(client):
    line = b'\xef\xbb\xbf{"text": "Toyota"}'
    (result,) = ask(client, line)
    assert [e["label"] for e in result["entities"]] == ["ORG"]
    headers = {"content-type": "application/json"}
    reply = client.request("POST", "/v1/tag", content=line, headers=headers)
    assert (reply.status_code, reply.json()["results"][0]["entities"][0]["text"]) == (200, "Toyota")
