"""What grows with a body is worked on in threads, in bounded steps: the event loop goes on."""

import json
import threading

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.adapters import cbor
from tagbelt.service.api import bodies, tagging
from tagbelt.service.api.bodies import LARGE, MOST_PARTS, parse_json
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.schemas import StreamLine, TagRequest
from tagbelt.service.api.stream import tagging as stream
from tests.service.fake import FakeTagger

LONG = "Toyota " * LARGE
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [LONG]}
AWS = {"x-amz-target": "Comprehend_20171127.DetectEntities"}
REQUESTS = {
    "/v1/tag": ({"text": LONG}, {}),
    "/v1/tag/stream": ({"text": LONG}, {}),
    "/analyze": ({"text": LONG, "language": "en"}, {}),
    "/models/fake": ({"inputs": LONG}, {}),
    "/v2/models/fake/infer": ({"inputs": [TENSOR]}, {}),
    "/aws/": ({"Text": LONG[:90_000], "LanguageCode": "en"}, AWS),
}
ROOM = {"max_characters": 1_000_000, "max_body_bytes": 1_000_000}


def post(client, path, body, headers=None) -> httpx.Response:
    sent = {"content-type": "application/json", **(headers or {})}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.request("POST", path, content=content, headers=sent)


@pytest.fixture
def room(make_client):
    with make_client(FakeTagger(), **ROOM) as client:
        yield client


@pytest.mark.parametrize("path", REQUESTS)
def test_a_large_body_is_read_and_its_reply_made_off_the_event_loop(path, room, monkeypatch):
    """The client runs its event loop on the main thread."""
    seen = {}

    def watch(owner, name):
        real = getattr(owner, name)

        def watched(*args, **options):
            seen[name] = threading.current_thread()
            return real(*args, **options)

        monkeypatch.setattr(owner, name, watched)

    watch(stream if "stream" in path else bodies, "parse_json")
    made = []
    real = tagging.asyncio.to_thread

    async def aside(work, *args):
        made.append(work)
        return await real(work, *args)

    monkeypatch.setattr(tagging.asyncio, "to_thread", aside)
    body, headers = REQUESTS[path]
    assert post(room, path, body, headers).status_code == 200
    assert seen["parse_json"] is not threading.main_thread()
    assert any("render" in work.__qualname__ or "lambda" in work.__qualname__ for work in made[1:])


def test_many_tokens_are_checked_off_the_event_loop(room, monkeypatch):
    seen = []
    real = tagging.token_list_fault
    monkeypatch.setattr(
        tagging,
        "token_list_fault",
        lambda *args: seen.append(threading.current_thread()) or real(*args),
    )
    assert post(room, "/v1/tag", {"tokens": [["a"] * 10_000] * 2}).status_code == 200
    assert seen
    assert threading.main_thread() not in seen


UNKNOWN = "{" + ",".join(f'"{n:x}" :0' for n in range(60_000)) + "}"
NESTED = {
    "members": '{"text":"a",' + UNKNOWN[1:],
    "lists": '{"texts":[' + "[]," * 200_000 + "[]]}",
    "objects": '{"texts":[' + "{}," * 200_000 + "{}]}",
    "deep members": '{"text":"a","labels":[' + UNKNOWN + "]}",
}


@pytest.mark.parametrize("kind", NESTED)
def test_a_body_that_is_made_to_take_long_is_refused_with_the_limit(room, kind):
    reply = post(room, "/v1/tag", NESTED[kind].encode())
    assert reply.status_code == 422
    assert "lists, objects and members" in reply.json()["detail"]
    lines = post(room, "/v1/tag/stream", (NESTED[kind] + "\n").encode() + b'{"text":"a"}')
    bad, good = map(json.loads, lines.content.splitlines())
    assert (bad["error"]["status"], "entities" in good) == (422, True)
    for path in ("/analyze", "/models/fake", "/v2/models/fake/infer"):
        assert (
            "lists, objects and members" in post(room, path, NESTED[kind].encode()).json()["error"]
        )


def test_no_schema_ever_sees_more_than_the_limit(monkeypatch):
    """Each unknown member costs an error, and each error a dict of Python's."""
    body = "{" + ",".join(f'"{n:x}":0' for n in range(MOST_PARTS - 2)) + "}"
    with pytest.raises(ProblemError) as caught:
        parse_json(body.encode(), StreamLine)
    assert len(caught.value.errors) == MOST_PARTS - 2
    monkeypatch.setattr(StreamLine, "model_validate_json", None)
    monkeypatch.setattr(StreamLine, "model_validate", None)
    with pytest.raises(ProblemError, match="more than 5000 lists, objects and members"):
        parse_json(UNKNOWN.encode(), StreamLine)


def test_what_only_looks_like_many_parts_is_read():
    texts = ["[{:" * 10_000, '"[]":' * 1000, "a"]
    assert parse_json(json.dumps({"texts": texts}).encode(), TagRequest).texts == texts
    tokens = [[":"] * 20_000]
    assert parse_json(json.dumps({"tokens": tokens}).encode(), TagRequest).tokens == tokens


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.sampled_from([None, 2]))
def test_counting_reads_as_the_usual_reader_does(value, indent):
    text = json.dumps(value, indent=indent).encode()
    assert bodies._loads(text, 1000) == bodies._loads(text, None) == value


@given(st.text(alphabet='[]{}:,"\\ae0 ', max_size=30))
def test_counting_refuses_as_the_usual_reader_does(text):
    def read(parts):
        try:
            return bodies._loads(text.encode(), parts)
        except ProblemError as error:
            return error.detail

    assert read(1000) == read(None)


@pytest.mark.parametrize("bad", [b"\xff", b"a"], ids=["faulty", "good"])
def test_faulty_items_of_a_tensor_count_too(client, bad):
    blob = (b"\1\0\0\0" + bad) * 257
    tensor = {"name": "text", "shape": [257], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(blob)}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    reply = post(client, "/v2/models/fake/infer", head + blob, headers)
    assert (reply.status_code, "more than 256" in reply.json()["error"]) == (422, True)
    tensor = {"name": "text", "shape": [257], "datatype": "BYTES", "data": ["a"] * 257}
    reply = post(client, "/v2/models/fake/infer", {"inputs": [tensor]})
    assert (reply.status_code, "the limit is 256" in reply.json()["error"]) == (422, True)


def test_cbor_of_many_values_is_not_read_to_its_end():
    with pytest.raises(ValueError, match="more than 5000 values"):
        cbor.loads(b"\x9a" + (1_000_000).to_bytes(4, "big") + b"\x80" * 5001)
