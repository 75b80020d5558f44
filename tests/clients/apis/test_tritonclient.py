"""Triton's own HTTP client, which speaks the Open Inference Protocol in binary."""

import json

import numpy as np
import pytest

from tests.clients.apis.conftest import KEY

triton = pytest.importorskip("tritonclient.http", reason="the client of Triton is not installed")
utils = pytest.importorskip("tritonclient.utils")

TEXTS = ["李明 met 👩‍🚀Ana in Nagoya.", "", "Toyota"]


@pytest.fixture
def client(url):
    made = triton.InferenceServerClient(url.removeprefix("http://"))
    yield made
    made.close()


def texts(values=TEXTS, *, binary=True, column=False):
    shape = [len(values), 1] if column else [len(values)]
    tensor = triton.InferInput("text", shape, "BYTES")
    data = np.array([value.encode() for value in values], dtype=np.object_)
    tensor.set_data_from_numpy(data.reshape(shape), binary_data=binary)
    return [tensor]


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("en")
    assert client.is_model_ready("zh", "3")
    assert not client.is_model_ready("none")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("en")
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("column", [True, False])
def test_every_tensor(client, binary, column):
    reply = client.infer("en", texts(binary=binary, column=column), request_id="42")
    assert reply.get_response()["id"] == "42"
    assert reply.as_numpy("row").tolist() == [0, 0, 0, 2]
    spans = zip(reply.as_numpy("start"), reply.as_numpy("end"), strict=True)
    words = [text.decode() for text in reply.as_numpy("entity_text")]
    rows = reply.as_numpy("row")
    assert [TEXTS[row][a:b] for row, (a, b) in zip(rows, spans, strict=True)] == words
    assert reply.as_numpy("label").tolist() == [b"PER", b"PER", b"LOC", b"ORG"]
    assert reply.as_numpy("score").dtype == np.float32
    assert [len(json.loads(one)) for one in reply.as_numpy("entities")] == [3, 0, 1]
    assert reply.as_numpy("error").tolist() == [b"", b"", b""]


def test_outputs_that_are_asked_for(client):
    outputs = [
        triton.InferRequestedOutput("label", binary_data=False),
        triton.InferRequestedOutput("score", binary_data=True),
    ]
    reply = client.infer("zh", texts(["上海"]), model_version="3", outputs=outputs)
    assert [one["name"] for one in reply.get_response()["outputs"]] == ["label", "score"]
    assert reply.as_numpy("label").tolist() == ["LOC"]
    assert reply.as_numpy("score").tolist() == pytest.approx([0.876543])
    assert reply.as_numpy("start") is None


def test_no_texts(client):
    reply = client.infer("en", texts([]))
    assert reply.as_numpy("row").tolist() == []
    assert reply.as_numpy("entities").tolist() == []


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("none", {}, "no model is named 'none'"),
        ("en", {"outputs": ["logits"]}, "there is no output 'logits'"),
        ("en", {"request_compression_algorithm": "gzip"}, "without content-encoding"),
    ],
)
def test_errors_are_told(client, model, options, message):
    if "outputs" in options:
        options = {"outputs": [triton.InferRequestedOutput(name) for name in options["outputs"]]}
    with pytest.raises(utils.InferenceServerException, match=message):
        client.infer(model, texts(), **options)


def test_the_key_is_a_header(guarded):
    client = triton.InferenceServerClient(guarded.removeprefix("http://"))
    with pytest.raises(utils.InferenceServerException) as raised:
        client.infer("fake", texts())
    assert raised.value.status() == "401"
    reply = client.infer("fake", texts(), headers={"Authorization": f"Bearer {KEY}"})
    assert reply.as_numpy("error").tolist() == [b"", b"", b""]
    client.close()
