"""What concerns every request is told by each API in its own shape."""

import asyncio
import json

import pytest

from tests.service.adapters.conftest import post, when_full
from tests.service.fake import FakeTagger

TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["bad"]}
# For each API a request, how it tells errors and what it calls them.
APIS = {
    "huggingface": ("/models/fake", {"inputs": "bad"}, {}, "error"),
    "presidio": ("/analyze", {"text": "bad", "language": "en"}, {}, "error"),
    "open-inference": ("/v2/models/fake/infer", {"inputs": [TENSOR]}, {}, "error"),
    "comprehend": (
        "/",
        {"Text": "bad", "LanguageCode": "en"},
        {"x_amz_target": "Comprehend_20171127.DetectEntities"},
        "Message",
    ),
}


@pytest.fixture(params=APIS.values(), ids=APIS)
def api(request):
    return request.param


def test_a_full_queue_is_429_at_once(make_client, api):
    path, body, headers, member = api
    tagger = FakeTagger()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    async def ask(http):
        return await http.post(path, json=body, headers=sent)

    with make_client(tagger, max_waiting=1) as client:
        reply = asyncio.run(when_full(client, tagger, ask))
        assert post(client, path, body, **headers).status_code == 200
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
    assert "requests wait already" in reply.json()[member]


def test_a_deadline_that_is_over_is_504(make_client, api):
    path, body, headers, member = api
    tagger = FakeTagger()
    with make_client(tagger) as client:
        tagger.gate.clear()
        reply = post(client, path, body, **headers, x_request_timeout="0.05")
        tagger.gate.set()
    assert reply.status_code == 504
    assert "within the time" in reply.json()[member]


def test_a_body_over_the_limit_is_413(make_client, api):
    path, body, headers, member = api
    limits = {"max_characters": 10, "max_tokens": 10, "max_body_bytes": 300}
    with make_client(**limits) as client:
        reply = post(client, path, json.dumps(body).encode() + b" " * 300, **headers)
    assert reply.status_code == 413
    assert "limit of 300 bytes" in reply.json()[member]


def test_a_body_that_is_not_json_is_400(models, api):
    path, _, headers, member = api
    reply = post(models, path, b'{"', **headers)
    assert reply.status_code == 400
    assert "not JSON" in reply.json()[member]


def test_a_fault_of_ours_is_500_and_tells_nothing(models, api, monkeypatch, caplog):
    path, body, headers, member = api

    async def fail(*_, **__):
        raise RuntimeError("the text was: bad")

    monkeypatch.setattr(models.app.state.tagging, "ask", fail)
    path = path.replace("fake", "en")
    reply = post(models, path, body, **headers)
    assert reply.status_code == 500
    assert "the fault is the server's" in reply.json()[member]
    assert "RuntimeError" in caplog.text
    assert "the text was" not in caplog.text + reply.text
