"""Hugging Face's own client, which is only told another URL."""

import asyncio

import pytest

from tests.clients.apis.conftest import KEY
from tests.service.fake import NAMES, SCORE, FakeTagger
from tests.service.live import serving

hub = pytest.importorskip("huggingface_hub", reason="the client of Hugging Face is not installed")

TEXT = "李明 met 👩‍🚀Ana in Nagoya."


@pytest.fixture
def client():
    with hub.InferenceClient(token="unused") as made:
        yield made


@pytest.mark.parametrize("path", ["", "/", "/models/en", "/models/en@3"])
def test_entities(client, url, path):
    found = client.token_classification(TEXT, model=url + path)
    assert [(one.entity_group, one.word) for one in found] == [
        ("PER", "李明"), ("PER", "👩‍🚀Ana"), ("LOC", "Nagoya"),
    ]  # fmt: skip
    assert all(TEXT[one.start : one.end] == one.word for one in found)
    assert {round(SCORE, 6)} == {one.score for one in found}


def test_tokens_with_every_parameter(client, url):
    found = client.token_classification(
        TEXT,
        model=f"{url}/models/zh",
        aggregation_strategy="none",
        ignore_labels=["O", "B-LOC"],
        stride=16,
    )
    assert [(one.entity, one.word) for one in found] == [("B-PER", "李明"), ("B-PER", "👩‍🚀Ana")]
    assert {NAMES[one.word] for one in found} == {"PER"}
    assert [one.score for one in found] == [0.75, 0.75]


def test_the_asynchronous_client(url):
    async def ask():
        async with hub.AsyncInferenceClient(model=url) as client:
            return await client.token_classification("Toyota")

    assert [one.entity_group for one in asyncio.run(ask())] == ["ORG"]


def test_errors_are_told(client, url):
    with pytest.raises(hub.errors.HfHubHTTPError, match="no model is named 'none'") as raised:
        client.token_classification(TEXT, model=f"{url}/models/none")
    assert raised.value.response.status_code == 404


def test_a_text_that_is_too_long_is_told(client):
    wanted = pytest.raises(hub.errors.HfHubHTTPError, match="the limit is 3")
    with serving(FakeTagger(), max_characters=3) as url, wanted as raised:
        client.token_classification("four", model=url)
    assert raised.value.response.status_code == 422


def test_the_token_is_the_key(guarded):
    with hub.InferenceClient(model=guarded, token=KEY) as client:
        assert [one.word for one in client.token_classification("Toyota")] == ["Toyota"]
    refused = pytest.raises(hub.errors.HfHubHTTPError)
    with hub.InferenceClient(model=guarded, token="tb_other") as client, refused as raised:
        client.token_classification("Toyota")
    assert raised.value.response.status_code == 401
