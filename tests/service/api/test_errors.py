"""Every error is a problem, with the status and the pointers that it should have."""

import asyncio
import gzip
import json

import pytest

from tagbelt.service.api.problems import KINDS, MAX_ERRORS
from tests.service.fake import FakeTagger


def assert_problem(reply, status, slug):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(problem)
    assert problem["type"] == f"/docs#{slug}"
    assert problem["status"] == status
    assert problem["detail"]
    assert slug in {kind.slug for kind in KINDS}
    return problem


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/tag/", "/page/../app.py", "/page/x"])
def test_404(client, path):
    problem = assert_problem(client.get(path), 404, "not-found")
    assert "/docs" in problem["detail"]


def test_the_instance_is_a_valid_reference(client):
    problem = assert_problem(client.get("/no%20where%3F%ff"), 404, "not-found")
    assert problem["instance"].startswith("/no%20where%3F")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/tag", "POST"),
        ("HEAD", "/v1/tag", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("DELETE", "/v1/models/fake", "GET, HEAD"),
        # A page and an API, which are routes of their own.
        ("OPTIONS", "/", "GET, HEAD, POST"),
        ("PUT", "/page/app.js", "GET, HEAD"),
    ],
)
def test_405(client, method, path, allowed):
    reply = client.request(method, path)
    assert reply.headers["allow"] == allowed
    if method != "HEAD":
        detail = assert_problem(reply, 405, "method-not-allowed")["detail"]
        assert detail == f"this path answers: {allowed}"


def test_head_is_get_without_the_body(client):
    asyncio.run(client.app.state.health.warm_up())
    paths = [
        p for p, item in client.app.openapi()["paths"].items() if "get" in item and "{" not in p
    ]
    for path in [*paths, "/", "/metrics", "/v1/models/fake", "/v2/models/fake", "/nowhere"]:
        get, head = client.get(path), client.request("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        names = get.headers.keys() - {"content-length"}
        assert names <= head.headers.keys(), path


def test_413_declared(make_client):
    with make_client(max_body_bytes=50, max_characters=10, max_tokens=10) as client:
        assert client.tag(text="a").status_code == 200
        problem = assert_problem(client.tag(text="a" * 50), 413, "body-too-large")
    assert "limit of 50 bytes" in problem["detail"]


@pytest.mark.parametrize(("size", "status"), [(50, 200), (51, 413)])
def test_413_streamed(make_client, size, status):
    async def chunks():
        body = b'{"text":"a"}'
        for start in range(0, len(body), 5):
            yield body[start : start + 5]
        yield b" " * (size - len(body))

    with make_client(max_body_bytes=50, max_characters=10, max_tokens=10) as client:
        reply = client.post_json(chunks())
    assert reply.status_code == status
    if status == 413:
        assert_problem(reply, 413, "body-too-large")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "text/json", "application/x-www-form-urlencoded"]
)
def test_415(client, content_type):
    headers = {"content-type": content_type} if content_type else {}
    reply = client.request("POST", "/v1/tag", content=b'{"text":"a"}', headers=headers)
    problem = assert_problem(reply, 415, "unsupported-media-type")
    assert "content-type: application/json" in problem["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_spelling_is_read(client, content_type):
    headers = {"content-type": content_type}
    reply = client.request("POST", "/v1/tag", content=b'{"text":"a"}', headers=headers)
    assert reply.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip"])
@pytest.mark.parametrize("path", ["/v1/tag", "/v1/tag/stream", "/models/fake", "/analyze"])
def test_415_for_a_compressed_body(client, path, encoding):
    headers = {"content-type": "application/json", "content-encoding": encoding}
    body = gzip.compress(b'{"text":"a"}')
    reply = client.request("POST", path, content=body, headers=headers)
    assert reply.status_code == 415
    assert f"without content-encoding: {encoding}" in reply.text
    assert reply.headers["accept-encoding"] == "identity"


def test_a_compressed_body_is_refused_as_aws_tells_it(client):
    headers = {"x-amz-target": "Comprehend_20171127.DetectEntities", "content-encoding": "gzip"}
    reply = client.request("POST", "/", content=b"{}", headers=headers)
    assert reply.status_code == 400
    assert "without content-encoding: gzip" in reply.json()["Message"]


def test_a_body_that_is_said_not_to_be_compressed_is_read(client):
    headers = {"content-type": "application/json", "content-encoding": "identity"}
    reply = client.request("POST", "/v1/tag", content=b'{"text":"a"}', headers=headers)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"text":',
        b"{'text':'a'}",
        b"\xff\xfe{}",
        b'{"text":"\xe9"}',
        b"[" * 100_000,
        b'{"text":"a","n_best":' + b"9" * 10_000 + b"}",
        b'{"text":"\\ud800","texts":[' + b"9" * 10_000 + b"]}",
    ],
    ids=range(7),
)
def test_400(client, body):
    reply = client.post_json(body)
    assert_problem(reply, 400, "malformed-json")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, [""]),
        ([], [""]),
        ("text", [""]),
        (None, [""]),
        ({"text": "a", "texts": ["a"]}, [""]),
        ({"text": None}, ["/text"]),
        ({"text": 5}, ["/text"]),
        ({"text": ["a"]}, ["/text"]),
        ({"texts": "a"}, ["/texts"]),
        ({"texts": {"a": "b"}}, ["/texts"]),
        ({"tokens": "a"}, ["/tokens"]),
        ({"text": "a", "colour": 1}, ["/colour"]),
        ({"text": "a", "a/b~c": 1}, ["/a~1b~0c"]),
        ({"text": "a", "model": 5}, ["/model"]),
        ({"text": "a", "model": "x" * 201}, ["/model"]),
        ({"text": "a", "model": "\ud800"}, ["/model"]),
        ({"text": "a", "labels": ["x" * 201]}, ["/labels/0"]),
        ({"text": "a", "labels": "PER"}, ["/labels"]),
        ({"text": "a", "labels": []}, ["/labels"]),
        ({"text": "a", "labels": ["PER", 5]}, ["/labels/1"]),
        ({"text": "a", "labels": ["PER", "PERSON"]}, ["/labels/1"]),
        ({"text": "a", "min_score": 1.01}, ["/min_score"]),
        ({"text": "a", "min_score": "0.5"}, ["/min_score"]),
        ({"text": "a", "min_score": True}, ["/min_score"]),
        ({"text": "a", "min_score": float("nan")}, ["/min_score"]),
        ({"text": "a", "offset_unit": "bytes"}, ["/offset_unit"]),
        ({"text": "a", "include": "tags"}, ["/include"]),
        ({"text": "a", "include": ["tags", "scores"]}, ["/include/1"]),
        ({"text": 5, "min_score": 2}, ["/min_score", "/text"]),
    ],
)
def test_422(client, body, pointers):
    reply = client.post_json(json.dumps(body))
    problem = assert_problem(reply, 422, "invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert problem["instance"] == "/v1/tag"


def test_422_names_the_labels_there_are(client):
    assert "PER, ORG, LOC" in client.tag(text="a", labels=["PERSON"]).json()["detail"]


@pytest.mark.parametrize(
    ("body", "most", "pointer"),
    [
        ({"texts": ["a " * 20_000] * 2, "n_best": 20}, 25_000, "/n_best"),
        ({"tokens": [["a"] * 20_000] * 2, "n_best": 20}, 25_000, "/n_best"),
        ({"text": "a " * 20_000, "n_best": 20, "include": ["alternatives"]}, 20_833, "/n_best"),
        ({"texts": [". " * 40_000] * 4, "include": ["alternatives"]}, 125_000, "/include"),
        ({"tokens": [["a"] * 19_000] * 7, "include": ["alternatives"]}, 125_000, "/include"),
    ],
)
def test_422_for_a_reply_that_would_be_too_large(make_client, body, most, pointer):
    tagger = FakeTagger()
    with make_client(tagger) as client:
        if most == 20_833:
            assert client.tag(**body).status_code == 200  # 20,000 tokens
            body["text"] += "a " * 834
        tagger.calls.clear()
        problem = assert_problem(client.tag(**body), 422, "invalid-request")
        assert f"the limit is {most} tokens; send them in several" in problem["detail"]
        assert problem["errors"][0]["pointer"] == pointer
        # What shows that it is too large is not tagged, and what comes next is not affected.
        assert not tagger.calls or len(body.get("texts", [])) > 1
        assert client.tag(text="Toyota", n_best=20).status_code == 200


def test_the_longest_text_may_have_all_its_readings(client):
    # What is too long on its own is not read, and so does not count.
    longest, longer = "aaa " * 25_000, "a " * 50_001
    first, second = client.results(texts=[longest, longer], n_best=20)
    assert first["paths"]
    assert "error" in second


def test_422_lists_a_bounded_number_of_errors(client):
    body = {"text": "a"} | {f"field{i}": i for i in range(1000)}
    problem = assert_problem(client.tag(**body), 422, "invalid-request")
    assert len(problem["errors"]) == MAX_ERRORS
    assert "of 1000" in problem["detail"]


def test_422_too_many_items(make_client):
    with make_client(max_items=2) as client:
        assert len(client.results(texts=["a", "b"])) == 2
        problem = assert_problem(client.tag(texts=["a", "b", "c"]), 422, "too-many-items")
    assert "holds 3 items and the limit is 2" in problem["detail"]


@pytest.mark.parametrize("name", ["en", "", "Fake"])
def test_404_for_a_model_that_is_not_served(client, name):
    reply = client.tag(text="a", model=name)
    assert assert_problem(reply, 404, "unknown-model")["detail"].endswith("served: fake")


def test_429_when_the_queue_is_full_and_recovery(make_client):
    tagger = FakeTagger()

    async def crowd(client):
        tagger.gate.clear()
        async with client.connect() as http:

            async def post(n):
                return await http.post("/v1/tag", json={"text": f"{n}"})

            first = [asyncio.create_task(post(0))]
            while not tagger.calls:
                await asyncio.sleep(0.01)
            first += [asyncio.create_task(post(n)) for n in (1, 2)]
            while len(client.app.state.engine.queue) < 2:
                await asyncio.sleep(0.01)
            refused = await post(3)
            alive = await http.get("/livez")
            tagger.gate.set()
            return refused, alive, await asyncio.gather(*first), await post(4)

    with make_client(tagger, max_waiting=2) as client:
        refused, alive, first, after = asyncio.run(crowd(client))
    problem = assert_problem(refused, 429, "overloaded")
    assert "2 requests wait" in problem["detail"]
    assert refused.headers["retry-after"] == "1"
    assert alive.status_code == 200
    assert [reply.status_code for reply in [*first, after]] == [200] * 4


def test_500_for_a_fault_nobody_foresaw(client, caplog):
    async def broken(*_):
        raise RuntimeError("a secret text")

    client.app.state.tagging.ask = broken
    reply = client.tag(text="a secret text")
    assert_problem(reply, 500, "internal-error")
    assert "RuntimeError at " in caplog.text
    assert "secret" not in caplog.text + reply.text


def test_no_error_quotes_the_text(client):
    secret = "hunter2"
    bodies = [
        {"text": [secret]},
        {"texts": secret},
        {"texts": [{"a": secret}, f"{secret}\ud800"]},
        {"tokens": [[secret, 5], secret]},
        {"text": secret, "tokens": [[secret]]},
    ]
    for body in bodies:
        assert secret not in client.post_json(json.dumps(body)).text
