"""Whatever is sent to an adapter, the answer is a reply or an error in its own shape."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.adapters.conftest import post

# st.text() draws no surrogates unless it is told to.
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TENSORS = st.fixed_dictionaries(
    {"name": st.just("text") | VALUES, "shape": st.just([1]) | st.lists(st.integers(), max_size=2)},
    optional={
        "datatype": st.just("BYTES"),
        "data": st.lists(VALUES, max_size=2),
        "parameters": st.dictionaries(st.just("binary_data_size"), VALUES),
    },
)
DETECT = {"x_amz_target": "Comprehend_20171127.DetectEntities"}
BATCH = {"x_amz_target": "Comprehend_20171127.BatchDetectEntities"}
# For each way to ask: its path and headers, where errors are told, and its fields.
WAYS = {
    "huggingface": ("/models/en", {}, "error", {
        "inputs": TEXTS | st.lists(TEXTS, max_size=2),
        "parameters": st.dictionaries(
            st.sampled_from(["aggregation_strategy", "ignore_labels", "stride"]),
            st.sampled_from(["none", "max"]) | VALUES,
        ),
        "options": VALUES,
    }),
    "presidio": ("/analyze", {}, "error", {
        "text": TEXTS | st.lists(TEXTS, max_size=2),
        "language": st.just("en") | TEXTS,
        "entities": st.lists(st.sampled_from(["PERSON", "X"])) | VALUES,
        "score_threshold": st.floats(0, 1) | VALUES,
        "allow_list": st.lists(TEXTS) | VALUES,
        "correlation_id": TEXTS | VALUES,
    }),
    "comprehend": ("/", DETECT, "Message", {
        "Text": TEXTS,
        "LanguageCode": st.just("en") | TEXTS,
        "EndpointArn": TEXTS.map("arn:aws:comprehend:a:b:entity-recognizer-endpoint/{}".format),
    }),
    "comprehend-batch": ("/aws/", BATCH, "Message", {
        "TextList": st.lists(TEXTS | VALUES, max_size=3),
        "LanguageCode": st.just("en") | TEXTS,
    }),
    "open-inference": ("/v2/models/en/infer", {}, "error", {
        "inputs": st.lists(TENSORS, max_size=2),
        "outputs": st.lists(st.fixed_dictionaries({"name": st.just("label") | VALUES})),
        "parameters": st.dictionaries(TEXTS, VALUES, max_size=2),
        "id": TEXTS,
    }),
}  # fmt: skip
FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request):
    return request.param


def check(reply, member):
    assert reply.status_code < 500, reply.text
    if reply.status_code != 200:
        assert isinstance(reply.json()[member], str)


@FUZZ
@given(drawn=st.data())
def test_any_fields(models, way, drawn):
    path, headers, member, fields = way
    body = drawn.draw(st.fixed_dictionaries({}, optional=fields) | VALUES)
    check(post(models, path, body, **headers), member)


@FUZZ
@given(body=st.binary(max_size=40), length=st.integers(-1, 60))
def test_any_bytes(models, way, body, length):
    path, headers, member, _ = way
    check(post(models, path, body, **headers), member)
    check(post(models, path, body, **headers, inference_header_content_length=f"{length}"), member)
