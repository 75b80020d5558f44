"""POST /v1/tag: the contract."""

import time

import pytest

from tagbelt.service.api import v1
from tagbelt.service.api.schemas import TagReply
from tagbelt.service.api.tagging import ARRIVED
from tests.service.conftest import Client
from tests.service.fake import SCORE, FakeTagger, fake_app

SENTENCE = "Angela Merkel visited Toyota in Nagoya on Monday."
SCORED = {"score": 0.876543}  # six digits of SCORE


def test_the_golden_reply(client):
    reply = client.tag(text=SENTENCE)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {
        "model": {"name": "fake", "version": "3", "digest": "ab" * 32},
        "offset_unit": "codepoint",
        "results": [
            {
                "entities": [
                    {"label": "PER", "start": 0, "end": 13, "text": "Angela Merkel", **SCORED},
                    {"label": "ORG", "start": 22, "end": 28, "text": "Toyota", **SCORED},
                    {"label": "LOC", "start": 32, "end": 38, "text": "Nagoya", **SCORED},
                ]
            }
        ],
    }


def test_results_keep_the_order_of_the_texts(client):
    texts = ["Nagoya", "", "nothing here", "Toyota", " \n\t", "Angela Merkel"]
    labels = [[e["label"] for e in r["entities"]] for r in client.results(texts=texts)]
    assert labels == [["LOC"], [], [], ["ORG"], [], ["PER"]]


@pytest.mark.parametrize("body", [{"texts": []}, {"tokens": []}])
def test_no_input_gives_no_result(client, body):
    assert client.results(**body) == []


@pytest.mark.parametrize(
    "body", [{"text": ""}, {"texts": [""]}, {"texts": ["\u3000\r\n"]}, {"tokens": [[]]}]
)
def test_blank_input_has_no_entities(client, body):
    assert client.results(**body) == [{"entities": []}]


def test_tokens_are_counted_in_tokens(client):
    reply = client.tag(
        tokens=[["I", "saw", "Toyota"]], include=["tokens", "tags", "alternatives"]
    ).json()
    assert reply["offset_unit"] == "token"
    assert reply["results"] == [
        {
            "entities": [{"label": "ORG", "start": 2, "end": 3, "text": "Toyota", **SCORED}],
            "tokens": [
                {"text": "I", "start": 0, "end": 1},
                {"text": "saw", "start": 1, "end": 2},
                {"text": "Toyota", "start": 2, "end": 3},
            ],
            "tags": ["O", "O", "B-ORG"],
            "alternatives": [
                [{"tag": "O", "score": 1.0}],
                [{"tag": "O", "score": 1.0}],
                [{"tag": "B-ORG", "score": 0.75}, {"tag": "I-LOC", "score": 0.25}],
            ],
        }
    ]


@pytest.mark.parametrize(
    ("unit", "encoding", "size"),
    [("codepoint", "utf-32-le", 4), ("utf16", "utf-16-le", 2), ("utf8", "utf-8", 1)],
)
def test_offsets_slice_the_text_in_the_unit_asked_for(client, unit, encoding, size):
    text = "👋🏽 李明 é met 👩‍🚀Ana in Nagoya"
    reply = client.tag(text=text, offset_unit=unit, include=["tokens"]).json()
    assert reply["offset_unit"] == unit
    result = reply["results"][0]
    assert [e["text"] for e in result["entities"]] == ["李明", "👩‍🚀Ana", "Nagoya"]
    units = text.encode(encoding)
    for part in result["entities"] + result["tokens"]:
        assert units[part["start"] * size : part["end"] * size].decode(encoding) == part["text"]


def test_labels_choose_entities_and_leave_tags_alone(client):
    (result,) = client.results(text=SENTENCE, labels=["ORG", "LOC"], include=["tags"])
    assert [e["label"] for e in result["entities"]] == ["ORG", "LOC"]
    assert "B-PER" in result["tags"]


@pytest.mark.parametrize(("least", "count"), [(0.0, 1), (SCORE, 1), (SCORE + 1e-6, 0), (1, 0)])
def test_min_score_is_inclusive(client, least, count):
    (result,) = client.results(text="Toyota", min_score=least)
    assert len(result["entities"]) == count


def test_only_what_was_asked_for_is_included(client):
    (result,) = client.results(text=SENTENCE, include=["tags"])
    assert set(result) == {"entities", "tags"}


def test_marginals_are_computed_only_when_asked_for(make_client):
    class Watched(FakeTagger):
        def annotate_items(self, readings, phases=None, between=lambda: None):
            asked.extend(reading.marginals for reading in readings)
            return super().annotate_items(readings, phases, between)

    asked: list[bool] = []
    with make_client(Watched()) as client:
        client.tag(text="a")
        client.tag(text="a", include=["alternatives"])
    assert asked == [False, True]


def test_one_request_is_one_batch_on_the_inference_thread(make_client):
    tagger = FakeTagger()
    with make_client(tagger) as client:
        client.tag(texts=["a", "b", "c"])
    assert tagger.calls == [["a", "b", "c"]]
    assert tagger.threads == {"inference"}


@pytest.mark.parametrize(
    "body",
    [
        {"text": SENTENCE, "include": ["tokens", "tags", "alternatives"]},
        {"texts": [SENTENCE, 5, "\ud800"]},
        {"tokens": [["a"], "b"]},
    ],
)
def test_replies_fit_the_published_schema(client, body):
    TagReply.model_validate_json(client.tag(**body).content, strict=True)


def test_the_most_probable_readings(client):
    (result,) = client.results(text="Ana said 👩‍🚀Ana", n_best=2, offset_unit="utf16")
    assert [path["score"] for path in result["paths"]] == [0.75, 0.25]
    assert result["paths"][0]["entities"] == [
        {"label": "PER", "start": 9, "end": 17, "text": "👩‍🚀Ana"}
    ]
    assert result["paths"][1]["entities"] == []
    assert result["paths"][1]["tags"] == ["O", "O", "O"]
    (filtered,) = client.results(text="👩‍🚀Ana", n_best=1, labels=["LOC"])
    assert filtered["paths"][0]["entities"] == []


def test_the_digest_of_the_model_is_a_header(client):
    assert client.tag(text="a").headers["x-model-digest"] == "ab" * 32
    assert client.tag(texts=[]).headers["x-model-digest"] == "ab" * 32


@pytest.mark.parametrize("stated", ["0", "-1", "soon", "nan", ""])
def test_a_timeout_that_is_none_is_refused(client, stated):
    reply = client.request(
        "POST", "/v1/tag", json={"text": "a"}, headers={"x-request-timeout": stated}
    )
    assert reply.status_code == 422
    assert "X-Request-Timeout" in reply.json()["detail"]


def test_a_reply_that_is_ready_too_late_is_not_sent(monkeypatch):
    def slow(*_):
        time.sleep(0.06)
        return b"{}"

    app = fake_app()
    try:
        monkeypatch.setattr(v1, "reply", slow)
        headers = {"x-request-timeout": "0.05"}
        reply = Client(app).request("POST", "/v1/tag", json={"text": "Ana"}, headers=headers)
    finally:
        app.state.engine.close()
    assert (reply.status_code, reply.json()["type"]) == (504, "/docs#deadline-exceeded")


@pytest.mark.parametrize(("since", "status"), [(10, 504), (0, 200)])
def test_time_counts_from_when_the_request_was_there(since, status):
    app = fake_app()

    async def waited(scope, receive, send):
        scope.setdefault("state", {})[ARRIVED] = time.monotonic() - since
        await app(scope, receive, send)

    try:
        headers = {"x-request-timeout": "9"}
        reply = Client(waited).request("POST", "/v1/tag", json={"text": "Ana"}, headers=headers)
    finally:
        app.state.engine.close()
    assert reply.status_code == status
