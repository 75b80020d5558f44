"""Whatever is sent, the answer is a reply or a problem, never a fault of the server."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagbelt.service.api.schemas import Problem, TagReply

# st.text() draws no surrogates unless it is told to.
ANY_TEXT = st.text(st.characters())
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=10,
)
TOKEN_LISTS = st.lists(st.lists(ANY_TEXT, max_size=4) | JSON_VALUES, max_size=4)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "text": ANY_TEXT | JSON_VALUES,
        "texts": st.lists(ANY_TEXT | JSON_VALUES, max_size=5) | JSON_VALUES,
        "tokens": TOKEN_LISTS | JSON_VALUES,
        "model": st.none() | ANY_TEXT | JSON_VALUES,
        "labels": st.lists(st.sampled_from(["PER", "ORG"]) | ANY_TEXT) | JSON_VALUES,
        "min_score": st.floats() | JSON_VALUES,
        "offset_unit": st.sampled_from(["codepoint", "utf16", "utf8"]) | JSON_VALUES,
        "include": st.lists(st.sampled_from(["tokens", "tags", "alternatives"])) | JSON_VALUES,
        "\ud800": JSON_VALUES,
    },
)
PIECES = st.sampled_from(["Toyota", "李明", "👩‍🚀Ana", " ", "é", "\u0301", "\r\n", "محمد"])
UNITS = {"codepoint": ("utf-32-le", 4), "utf16": ("utf-16-le", 2), "utf8": ("utf-8", 1)}
# The app keeps no state between requests that could carry over from one example to the next.
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(reply):
    assert reply.status_code < 500, reply.text
    if reply.status_code == 200:
        TagReply.model_validate_json(reply.content)
    else:
        assert reply.headers["content-type"] == "application/problem+json"
        Problem.model_validate_json(json.dumps(reply.json()).encode())


@FUZZ
@given(body=BODIES | JSON_VALUES)
def test_any_json(client, body):
    check(client.post_json(json.dumps(body)))


@FUZZ
@given(body=st.binary())
def test_any_bytes(client, body):
    check(client.post_json(body))


@FUZZ
@given(
    texts=st.lists(st.lists(PIECES | ANY_TEXT).map("".join), max_size=4),
    unit=st.sampled_from(list(UNITS)),
)
def test_every_place_slices_the_untouched_text(client, texts, unit):
    reply = client.post_json(
        json.dumps({"texts": texts, "offset_unit": unit, "include": ["tokens"]})
    )
    results = reply.json()["results"]
    assert len(results) == len(texts)
    encoding, size = UNITS[unit]
    for text, result in zip(texts, results, strict=True):
        if "error" in result:
            assert any("\ud800" <= character <= "\udfff" for character in text)
            continue
        units = text.encode(encoding)
        for part in result["entities"] + result["tokens"]:
            piece = units[part["start"] * size : part["end"] * size]
            assert piece.decode(encoding) == part["text"]
