import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagbelt.service.adapters.tensors import pack_strings
from tests.service.adapters.conftest import found, post
from tests.service.fake import NAMES

INFER = "/v2/models/en/infer"
PIECES = st.sampled_from([*NAMES, " ", "a ", "é", "."])


def tensor(texts, **changes):
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts, **changes}


def binary(strings, size=None, **members):
    """The JSON, and the header for it, of a request with a binary tensor; then its bytes."""
    blob = pack_strings(strings)
    parameters = {"binary_data_size": len(blob) if size is None else size}
    part = {"name": "text", "shape": [len(strings)], "datatype": "BYTES", "parameters": parameters}
    head = json.dumps({"inputs": [part], **members}).encode()
    return head + blob, {"inference_header_content_length": str(len(head))}


def data(reply, name):
    (output,) = [one for one in reply["outputs"] if one["name"] == name]
    return output["data"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=4))
def test_binary_texts_give_what_json_texts_give(models, texts):
    plain = found(models, INFER, {"inputs": [tensor(texts)]})
    content, headers = binary([text.encode() for text in texts])
    assert found(models, INFER, content, **headers) == plain


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=4))
def test_the_columns_are_the_entities(models, texts):
    reply = found(models, INFER, {"inputs": [tensor(texts)]})
    names = ("row", "label", "start", "end", "score", "entity_text")
    columns = [*zip(*(data(reply, name) for name in names), strict=True)]
    rows = [
        (row, e["label"], e["start"], e["end"], e["score"], e["text"])
        for row, entities in enumerate(data(reply, "entities"))
        for e in json.loads(entities)
    ]
    assert columns == rows
    assert all(texts[row][start:end] == text for row, _, start, end, _, text in rows)


def test_binary_and_plain_outputs_can_be_mixed(models):
    outputs = [
        {"name": "label"},
        {"name": "start", "parameters": {"binary_data": False}},
        {"name": "end", "parameters": {"binary_data": True}},
    ]
    body = {
        "inputs": [tensor(["李明 met Toyota"])],
        "outputs": outputs,
        "parameters": {"binary_data_output": True, "priority": 3},
    }
    reply = post(models, INFER, body)
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    label, start, end = json.loads(reply.content[:length])["outputs"]
    assert label["parameters"] == {"binary_data_size": 14}
    assert start["data"] == [0, 7]
    assert end["parameters"] == {"binary_data_size": 8}
    assert reply.content[length:] == (
        pack_strings([b"PER", b"ORG"]) + b"\x02\x00\x00\x00\x0d\x00\x00\x00"
    )


def test_elements_that_are_no_texts_fail_alone(models):
    content, headers = binary([b"Toyota", b"\xff", b"\xe6\x9d"])
    reply = found(models, INFER, content, **headers)
    assert [len(json.loads(entities)) for entities in data(reply, "entities")] == [1, 0, 0]
    assert data(reply, "error") == [
        "",
        "byte 0 of this item does not continue a text in UTF-8",
        "byte 0 of this item does not continue a text in UTF-8",
    ]
    content, headers = binary([b"\xff"])
    assert data(found(models, INFER, content, **headers), "entities") == ["[]"]
    halves = found(models, INFER, {"inputs": [tensor(["Toyota", "\ud800", ["a", "b"]])]})
    assert [bool(error) for error in data(halves, "error")] == [False, True, True]


def test_no_texts_give_empty_tensors(models):
    reply = found(models, INFER, {"inputs": [tensor([])]})
    assert "id" not in reply
    assert {one["name"]: (one["shape"], one["data"]) for one in reply["outputs"]} == dict.fromkeys(
        [one["name"] for one in reply["outputs"]], ([0], [])
    )


def test_a_model_may_be_chosen_by_script(models):
    reply = post(models, "/v2/models/auto/infer", {"inputs": [tensor(["Toyota", "李明"])]})
    assert reply.headers["x-model-digest"] == f"{'ab' * 32}, {'cd' * 32}"
    assert reply.json()["model_name"] == "auto"
    assert "model_version" not in reply.json()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"inputs": []}, "inputs must be one tensor, 'text', not: none"),
        ({"inputs": [tensor(["a"]), tensor(["a"])]}, "not: text, text"),
        ({"inputs": [tensor(["a"], datatype="FP32")]}, "must be BYTES, not 'FP32'"),
        ({"inputs": [tensor(["a"], shape=[1, 2])]}, "1 elements and the shape [1, 2]"),
        ({"inputs": [tensor(["a"], data=None)]}, "either data or binary_data_size"),
        ({"inputs": [tensor(["a"], parameters={"binary_data_size": 5})]}, "0 bytes follow"),
        ({"inputs": [tensor(["a"])], "outputs": [{"name": "text"}]}, "no output 'text'"),
        (
            {"inputs": [tensor(["a"])],
             "outputs": [{"name": "label", "parameters": {"classification": 3}}]},
            "no classification",
        ),
        ({"inputs": [tensor(["a"])], "model": "en"}, "/model: there is no such field, only: "),
    ],
)  # fmt: skip
def test_a_request_that_does_not_fit_is_an_error_in_the_apis_shape(models, changes, error):
    reply = post(models, INFER, changes)
    assert reply.status_code == 422
    assert list(reply.json()) == ["error"]
    assert error in reply.json()["error"]


@pytest.mark.parametrize(
    ("length", "error"),
    [
        ("-1", "must be a number of bytes"),
        ("1" * 5000, "must be a number of bytes"),
        ("²", "must be a number of bytes"),
        ("9999", "is 9999; the body has"),
    ],
)
def test_a_length_that_is_none(models, length, error):
    content, _ = binary([b"a"])
    headers = [
        (b"inference-header-content-length", length.encode("latin-1")),
        (b"content-type", b"application/octet-stream"),
    ]
    reply = models.request("POST", INFER, content=content, headers=headers)
    assert reply.status_code == 422
    assert error in reply.json()["error"]


@pytest.mark.parametrize(
    ("strings", "size", "error"),
    [([b"ab"], 5, "binary_data_size 5; 6 bytes follow"), ([b"ab"], "6", "binary_data_size '6'")],
)
def test_binary_data_of_another_size(models, strings, size, error):
    content, headers = binary(strings, size)
    reply = post(models, INFER, content, **headers)
    assert reply.status_code == 422
    assert error in reply.json()["error"]


def test_binary_data_that_is_cut_off(models):
    content, headers = binary([b"ab"], 5)
    reply = post(models, INFER, content[:-1], **headers)
    assert "an element of 2 bytes begins 1 before its end" in reply.json()["error"]


def test_a_compressed_body_is_not_read(models):
    reply = post(models, INFER, b"\x1f\x8b", content_encoding="gzip")
    assert reply.status_code == 415
    assert "without content-encoding: gzip" in reply.json()["error"]


def test_readiness_is_that_of_the_models(models):
    def ask(path):
        reply = models.get(f"/v2/{path}")
        return reply.status_code, reply.json()

    assert ask("health/live") == (200, {"live": True})
    assert ask("health/ready") == (503, {"ready": False})
    assert ask("models/en/ready") == (503, {"name": "en", "ready": False})
    asyncio.run(models.app.state.health.warm_up())
    assert ask("health/ready") == (200, {"ready": True})
    assert ask("models/en/ready") == (200, {"name": "en", "ready": True})
    assert ask("models/none/ready")[0] == 404


ADAPTERS = {"AWS Comprehend", "Hugging Face", "Open Inference Protocol", "Presidio"}


def test_the_document_describes_every_route(models):
    paths = models.get("/openapi.json").json()["paths"]
    described = {path for path, methods in paths.items() for one in methods.values()
                 if one.get("tags", [""])[0] in ADAPTERS}  # fmt: skip
    assert described == {
        "/", "/models/{name}", "/analyze", "/supportedentities", "/recognizers", "/health", "/aws/",
        "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}",
        "/v2/models/{name}/ready", "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/versions/{version}/ready", "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}/infer",
    }  # fmt: skip
