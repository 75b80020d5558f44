import threading
from dataclasses import replace

import pytest

from tagbelt.service.adapters import cbor
from tagbelt.service.adapters.comprehend import ENTITY_TYPES, entities
from tagbelt.service.adapters.comprehend_cbor import LARGE_BYTES
from tests.service.adapters.conftest import found, post
from tests.service.fake import FakeTagger

ARN = "arn:aws:comprehend:us-east-1:123456789012:entity-recognizer-endpoint/"
SINGLE = {"x_amz_target": "Comprehend_20171127.DetectEntities"}
BATCH = {"x_amz_target": "Comprehend_20171127.BatchDetectEntities"}


def refused(client, body, target=SINGLE):
    reply = post(client, "/", body, **target)
    members = reply.json()
    assert reply.headers["content-type"] == "application/x-amz-json-1.1"
    assert reply.headers["x-amzn-requestid"]
    assert reply.headers["x-amzn-errortype"] == members["__type"]
    return reply.status_code, members["__type"], members["Message"]


def test_the_target_decides_whose_request_it_is(models):
    body = {"Text": "Toyota", "LanguageCode": "en"}
    assert found(models, "/", body, **SINGLE)["Entities"]
    assert "error" in post(models, "/", body).json()
    assert found(models, "/aws/", body, **SINGLE) == found(models, "/", body, **SINGLE)
    assert (
        models.get("/", headers={"x-amz-target": "any"})
        .headers["content-type"]
        .startswith("text/html")
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"LanguageCode": "en"}, "Text is missing"),
        ({"Text": 5, "LanguageCode": "en"}, "Text: this item must be a string"),
        ({"Text": "a", "LanguageCode": "en", "Bytes": "YQ=="}, "send it as Text"),
        ({"Text": "a", "EndpointArn": "en"}, "EndpointArn must be arn:aws:comprehend:"),
        (
            {"Text": "a", "LanguageCode": "en", "Other": 1},
            "/Other: there is no such field, only: Text, ",
        ),
        ({"Text": "a\udfff", "LanguageCode": "en"}, "half of a surrogate pair"),
    ],
)
def test_a_request_that_makes_no_sense(models, body, message):
    status, kind, told = refused(models, body)
    assert (status, kind) == (400, "InvalidRequestException")
    assert message in told


def test_a_body_that_is_not_json(models):
    assert refused(models, b"{")[:2] == (400, "SerializationException")


def test_a_text_may_have_100_kb(models):
    fits = "李" * 33_333
    assert found(models, "/", {"Text": fits, "LanguageCode": "zh"}, **SINGLE) == {"Entities": []}
    status, kind, message = refused(models, {"Text": fits + "é", "LanguageCode": "zh"})
    assert (status, kind) == (400, "TextSizeLimitExceededException")
    assert "100001 bytes" in message


def test_a_text_over_the_servers_own_limit(make_client):
    with make_client(max_characters=3) as client:
        reply = refused(client, {"Text": "four", "LanguageCode": "en"})
    assert reply[:2] == (400, "TextSizeLimitExceededException")


def test_texts_of_a_batch_fail_alone(make_client):
    with make_client(FakeTagger(poison="bad")) as client:
        body = {"TextList": ["a" * 100_001, "bad", "Toyota", "\ud800"], "LanguageCode": "en"}
        reply = found(client, "/", body, **BATCH)
        empty = found(client, "/", {**body, "TextList": ["a" * 100_001]}, **BATCH)
    assert [one["Index"] for one in reply["ResultList"]] == [2]
    assert [(one["Index"], one["ErrorCode"]) for one in reply["ErrorList"]] == [
        (0, "TEXT_SIZE_LIMIT_EXCEEDED"),
        (1, "INTERNAL_SERVER_ERROR"),
        (3, "INVALID_REQUEST"),
    ]
    assert empty["ResultList"] == []
    assert len(empty["ErrorList"]) == 1


def test_an_endpoint_may_name_a_version(models):
    reply = post(models, "/", {"Text": "上海", "EndpointArn": f"{ARN}zh@3"}, **SINGLE)
    assert reply.headers["x-model-digest"] == "cd" * 32
    assert reply.json()["Entities"][0]["Type"] == "LOC"


@pytest.mark.parametrize(
    ("label", "kind"), [("gpe", "LOCATION"), ("MONEY", "QUANTITY"), ("MISC", "OTHER")]
)
def test_labels_become_types_of_the_built_in_model(label, kind):
    tagger = FakeTagger()
    (plain,) = tagger.annotate_items([tagger.tokenize("Toyota")])
    annotation = replace(plain, entities=(replace(plain.entities[0], label=label),))
    assert [one["Type"] for one in entities(annotation, ENTITY_TYPES)] == [kind]
    assert [one["Type"] for one in entities(annotation, None)] == [label]


def test_a_failing_model(make_client):
    with make_client(FakeTagger(poison="bad")) as client:
        body = {"Text": "bad", "LanguageCode": "en"}
        assert refused(client, body)[:2] == (500, "InternalServerException")


def test_the_binary_protocol(models):
    def ask(operation, body):
        content = body if isinstance(body, bytes) else cbor.dumps(body)
        path = f"/service/Comprehend_20171127/operation/{operation}"
        reply = models.request("POST", path, content=content)
        assert reply.headers["content-type"] == "application/cbor"
        assert reply.headers["smithy-protocol"] == "rpc-v2-cbor"
        assert reply.headers["x-amzn-requestid"]
        return reply.status_code, cbor.loads(reply.content)

    body = {"TextList": ["上海", 5], "LanguageCode": "zh"}
    plain = found(models, "/", body, **BATCH)
    assert ask("BatchDetectEntities", body) == (200, plain)
    for operation, bad, kind in [
        ("DetectEntities", {"Text": "a", "LanguageCode": "fr"}, "UnsupportedLanguageException"),
        ("DetectEntities", {"Text": 1.5, "LanguageCode": "en"}, "InvalidRequestException"),
        ("DetectEntities", [], "InvalidRequestException"),
        ("DetectEntities", b"\xff", "SerializationException"),
        ("DetectSyntax", {"Text": "a"}, "UnknownOperationException"),
    ]:
        status, members = ask(operation, bad)
        assert (status, members["__type"]) == (400, f"com.amazonaws.comprehend#{kind}")
        assert members["Message"]


def test_a_large_binary_body_is_read_off_the_event_loop(models, monkeypatch):
    threads = []

    def loads(raw):
        threads.append(threading.current_thread() is threading.main_thread())
        return read(raw)

    read = cbor.loads
    monkeypatch.setattr(cbor, "loads", loads)
    for text in ("Toyota", "Toyota " * LARGE_BYTES):
        body = cbor.dumps({"Text": text, "LanguageCode": "en"})
        path = "/service/Comprehend_20171127/operation/DetectEntities"
        assert models.request("POST", path, content=body).status_code == 200
    assert threads == [True, False]
