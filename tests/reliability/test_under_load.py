"""Short versions of the measurements of reliability, with real processes and a tiny model."""

from dataclasses import replace
from http import HTTPStatus

import pytest

from benchmarks.serving import ending, overload, stream, swaps
from benchmarks.serving.servers import serving
from tests.service.models.folders import real

TEXTS = ["Toyota in Nagoya", "Angela Merkel visited Toyota", "nobody"]


@pytest.fixture
def models(tmp_path):
    real(tmp_path / "models" / "tiny" / "1", description="first")
    return tmp_path / "models"


@pytest.mark.parametrize("case", overload.CASES, ids=lambda case: case.name)
def test_too_much_load_loses_nothing(models, case, monkeypatch):
    monkeypatch.setattr(overload, "CONNECTIONS", 256)
    with serving(models, "--threads", "1") as server:
        row = overload.overload(server, TEXTS * 50, replace(case, seconds=0.5))
        assert server.ask("POST", "/v1/tag", {"text": TEXTS[0]})[0] == HTTPStatus.OK
    assert row["lost"] == 0
    assert row["answered"] > 0
    assert row["answered"] + row["refused"] + row["expired"] == row["sent"]
    assert row["recovery"]["median"] < overload.RECOVERY_LIMIT


def test_no_request_fails_while_models_are_swapped(models):
    row = swaps.swapped(models / "tiny" / "1", TEXTS, 5)
    assert row["failures"]["median"] == row["failed_swaps"] == 0
    assert row["swaps"] == row["models"] == 5
    assert row["requests"] > 5


def test_an_end_in_order_loses_nothing(models):
    row = ending.terminated(models, TEXTS, 0)
    assert (row["lost"], row["other"], row["exit_code"]) == (0, 0, 0)
    assert row["accepted"] == row["answered"] > 0


def test_a_killed_worker_harms_nobody_else(models):
    row = ending.killed(models, TEXTS)
    assert (row["other"], row["refused"]) == (0, 0)
    assert row["lost"] <= ending.CLIENTS
    assert row["answered"] > 0


def test_a_stream_answers_every_line(models):
    block = stream.Block.of([text.split() for text in TEXTS])
    with serving(models, "--threads", "1") as server:
        row = stream.streamed(server, block, 2)
    assert row["lines"] == 2 * block.lines
    assert row["failed_lines"] == 0
