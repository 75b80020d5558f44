"""What may not be what it seems is said: in a header everywhere, and in the reply of /v1."""

import json

import pytest

from tagbelt.service.api.schemas import StreamedResult, TagReply
from tests.service.adapters.conftest import post
from tests.service.fake import FakeTagger

RUSSIAN = "Анна в Москве"
SAID = "most letters are Cyrillic, and fake@3 is for 'en'"
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [RUSSIAN]}
AWS = {"x_amz_target": "Comprehend_20171127.DetectEntities"}
REQUESTS = [
    ("/v1/tag", {"text": RUSSIAN}, {}),
    ("/v1/tag", {"text": RUSSIAN, "model": "auto"}, {}),
    ("/v1/tag", {"tokens": [RUSSIAN.split()]}, {}),
    ("/analyze", {"text": RUSSIAN, "language": "en"}, {}),
    ("/models/fake", {"inputs": RUSSIAN}, {}),
    ("/", {"inputs": [RUSSIAN]}, {}),
    ("/v2/models/fake/infer", {"inputs": [TENSOR]}, {}),
    ("/aws/", {"Text": RUSSIAN, "LanguageCode": "en"}, AWS),
]


@pytest.mark.parametrize(("path", "body", "headers"), REQUESTS, ids=range(len(REQUESTS)))
def test_a_script_that_is_not_the_models_is_told_by_every_endpoint(client, path, body, headers):
    reply = post(client, path, body, **headers)
    assert (reply.status_code, reply.headers["x-tagbelt-warning"]) == (200, SAID)
    if path == "/v1/tag":
        assert reply.json()["warnings"] == [SAID]
        TagReply.model_validate_json(reply.content)
    latin = json.loads(json.dumps(body).replace(json.dumps(RUSSIAN)[1:-1], "Ada"))
    if "tokens" not in body:
        assert "x-tagbelt-warning" not in post(client, path, latin, **headers).headers


def test_of_several_inputs_it_is_said_how_many(client):
    reply = client.tag(texts=[RUSSIAN, "Toyota", "", 5, "李明在上海", RUSSIAN])
    assert reply.json()["warnings"] == [
        f"2 of 6 inputs: {SAID}",
        f"1 of 6 inputs: {SAID.replace('Cyrillic', 'Han')}",
    ]


def test_nothing_is_said_without_a_reason(client):
    assert "warnings" not in client.tag(text="Toyota").json()


def test_the_model_of_the_script_is_no_reason(two_models):
    assert "warnings" not in two_models.tag(texts=["Toyota", "李明"], model="auto").json()


def test_each_line_of_a_stream_says_it(client):
    lines = "\n".join(json.dumps({"text": text}) for text in (RUSSIAN, "Toyota"))
    reply = client.request("POST", "/v1/tag/stream", content=lines.encode())
    first, second = reply.content.splitlines()
    assert StreamedResult.model_validate_json(first).warnings == [SAID]
    assert b"warnings" not in second


def test_labels_that_no_model_has_are_warned_of_where_that_is_set(make_client):
    with make_client(FakeTagger(), unknown_labels="warn") as client:
        reply = client.tag(text="Toyota in Nagoya", labels=["PERSON", "LOC"])
        (entity,) = reply.json()["results"][0]["entities"]
        assert entity["label"] == "LOC"
        (warning,) = reply.json()["warnings"]
        assert warning == reply.headers["x-tagbelt-warning"]
        assert warning == "'PERSON' is not a label of 'fake', which has: PER, ORG, LOC"
        query = "/v1/tag/stream?labels=PERSON"
        stream = client.request("POST", query, content=b'{"text":"Toyota"}')
        assert stream.headers["x-tagbelt-warning"] == warning
