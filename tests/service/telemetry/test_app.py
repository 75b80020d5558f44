"""The whole service, as its metrics and its log show it."""

import time

import httpx
import pytest

from tests.service.fake import FakeTagger
from tests.service.live import serving


def samples(text: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


def test_tagging_is_counted(client):
    client.results(texts=["Toyota in Nagoya", "李明", 5])
    client.results(text="Nagoya")
    found = samples(client.get("/metrics").text)
    assert found['tagbelt_requests_total{method="POST",route="/v1/tag",status="200"}'] == 2
    assert found["tagbelt_queue_seconds_count"] == 2
    assert found["tagbelt_batch_items_sum"] == 3
    assert found['tagbelt_tokens_total{model="fake"}'] == 5
    assert found['tagbelt_entities_total{label="LOC",model="fake"}'] == 2
    assert found['tagbelt_entities_total{label="ORG",model="fake"}'] == 1
    assert found["tagbelt_queue_depth"] == 0
    (info,) = [name for name in found if name.startswith("tagbelt_model_info")]
    assert 'model="fake",version="3"' in info


def test_readiness_is_a_metric():
    with serving() as url, httpx.Client(base_url=url) as http:
        assert samples(http.get("/metrics").text)["tagbelt_ready"] == 1


def test_a_failed_item_is_counted(make_client):
    with make_client(FakeTagger(poison="sesame")) as client:
        client.results(texts=["Toyota", "sesame"])
        found = samples(client.get("/metrics").text)
    assert found['tagbelt_items_failed_total{reason="internal"}'] == 1


def test_labels_that_do_not_exist_add_no_series(client):
    client.results(text="Toyota")
    before = samples(client.get("/metrics").text)
    for number in range(50):
        client.tag(text="Toyota", labels=[f"LABEL{number}"])
        client.tag(text="Toyota", model=f"model{number}")
    after = samples(client.get("/metrics").text)
    # What errors need, once: a bucket or more, a count, a sum, and a counter for each status.
    assert len(after.keys() - before.keys()) < 50
    assert not [name for name in after if "LABEL" in name or "model1" in name]


def test_a_tagged_request_has_its_work_in_the_log(client, lines):
    reply = client.tag(texts=["Toyota", "in Nagoya"])
    (line,) = lines.all()
    assert line["request_id"] == reply.headers["x-request-id"]
    assert (line["model"], line["items"], line["tokens"]) == ("fake@3", 2, 3)
    assert line["bytes"] == len(reply.content)
    assert "queue;dur=" in reply.headers["server-timing"]
    assert "Toyota" not in str(lines.all(""))


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"texts": ["Toyota", "Nagoya"]}, ["Toyota", "Nagoya"]),
        ({"tokens": [["in", "Nagoya"]]}, ["in Nagoya"]),
    ],
)
def test_texts_are_in_the_log_when_asked_for(make_client, lines, body, texts):
    with make_client(log_texts=True) as client:
        client.tag(**body)
    (line,) = lines.all()
    assert line["texts"] == texts


def test_a_client_that_leaves_is_a_499():
    tagger = FakeTagger()
    left = 'tagbelt_requests_total{method="POST",route="/v1/tag",status="499"}'
    with serving(tagger) as url, httpx.Client(base_url=url) as http:
        http.post("/v1/tag", json={"text": "a"})
        tagger.gate.clear()
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/tag", json={"text": "a"}, timeout=0.1)
        deadline = time.monotonic() + 20
        while left not in (found := samples(http.get("/metrics").text)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        tagger.gate.set()
    assert found['tagbelt_rejected_total{reason="disconnected"}'] == 1


def test_a_stream_has_all_its_work_in_the_log(client, lines):
    texts = b"".join(b'{"text":"Toyota in Nagoya"}\n' for _ in range(300))
    assert client.request("POST", "/v1/tag/stream", content=texts).status_code == 200
    (line,) = lines.all()
    assert (line["items"], line["tokens"], line["model"]) == (300, 900, "fake@3")
