"""The measurements of the service: what they count, and the endpoint that they compare with."""

import json

import pytest

from benchmarks.serving import ending, overload, stream, workload
from benchmarks.serving.constant import SENTENCE, add_constant
from benchmarks.serving.loadgen import LOST, Tally
from benchmarks.serving.stream import Block
from tests.service.conftest import Client, fake_app

CASE = overload.Case("some", large=True, deadline=1.0, seconds=6.0)


@pytest.fixture
def http():
    app = add_constant(fake_app(None))
    yield Client(app)
    app.state.engine.close()


def test_the_constant_validates_as_tagging_does_and_always_answers_the_same(http):
    first = http.request("POST", workload.CONSTANT, json={"text": "Toyota"})
    assert first.status_code == 200
    assert (
        http.request("POST", workload.CONSTANT, json={"texts": ["a", "b"]}).content == first.content
    )
    real = http.request("POST", workload.PATH, json={"text": SENTENCE})
    assert first.json() == real.json()
    assert first.headers["x-model-digest"] == real.headers["x-model-digest"]
    bad = [
        http.request("POST", path, json={"text": 1, "x": 2})
        for path in (workload.CONSTANT, workload.PATH)
    ]
    assert [reply.status_code for reply in bad] == [422, 422]
    assert bad[0].json()["errors"] == bad[1].json()["errors"]


def test_requests_hold_the_texts():
    (request,) = workload.many("http://h:1", ["a"] * 70, {"x-request-timeout": "1"})
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"x-request-timeout: 1" in head.split(b"\r\n")
    assert json.loads(body) == {"texts": ["a"] * workload.TEXTS}
    assert [
        json.loads(r.partition(b"\r\n\r\n")[2]) for r in workload.single("http://h:1", "ab")
    ] == [
        {"text": "a"},
        {"text": "b"},
    ]


def tally(*replies, seconds=6.0):
    """Replies as (sent, ended, status)."""
    sent, ended, statuses = map(list, zip(*replies, strict=True))
    return Tally(seconds, 1.0, list(sent), sent, ended, statuses)


def row_of(found):
    memory = overload.Memory([100.0, 100.0, 110.0, 120.0, 120.0, 120.0])
    return overload._row(CASE, found, 1.0, memory)


def test_what_is_lost_and_what_is_late_are_failures():
    row = row_of(
        tally(
            (0.0, 0.5, 200),
            (0.0, 1.05, 200),  # within the grace
            (0.0, 1.2, 200),
            (0.0, 1.2, 504),
            (0.0, 0.1, 429),
            (0.0, 0.1, 503),
            (0.0, 0.1, LOST),
        )
    )
    counts = ("answered", "refused", "expired", "lost", "late")
    assert [row[name] for name in counts] == [3, 1, 1, 2, 2]
    assert row["failures"]["median"] == 4
    assert row["growth"]["median"] == pytest.approx(20)
    assert row["refusal_p50_ms"] == pytest.approx(100)


def test_goodput_is_what_came_in_time_in_each_part():
    found = tally(
        (0.0, 0.5, 200), (1.0, 1.5, 200), (1.0, 1.6, 200), (1.0, 3.5, 200), (5.0, 6.5, 200)
    )
    assert row_of(found)["goodput"]["values"] == [1, 2, 0, 0, 0, 0]


def test_runs_are_summed():
    runs = [{"workers": n, "accepted": 5, "lost": n, "back": 1.5, "exit_code": 0} for n in (1, 2)]
    row = ending.summed("some", runs)
    assert row == {
        "experiment": "some",
        "runs": 2,
        "clients": ending.CLIENTS,
        "accepted": 10,
        "lost": 3,
    }


def test_accepted_requests_are_those_of_the_log(tmp_path):
    log = tmp_path / "log"
    lines = [
        {"route": workload.PATH},
        {"route": "/readyz"},
        {"message": "x"},
        {"route": workload.PATH},
    ]
    log.write_text("Serving\n" + "\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    assert ending.accepted_by(type("Server", (), {"log": log})()) == 2


def test_a_block_of_lines_is_a_sentence_a_line():
    block = Block.of([["Toyota", "in"], ["Nagoya"]])
    lines = block.content.splitlines()
    assert [json.loads(line)["text"] for line in lines[:3]] == ["Toyota in", "Nagoya", "Toyota in"]
    assert len(lines) == block.lines == stream.BLOCK_LINES
    assert block.tokens == 3 * block.lines // 2
