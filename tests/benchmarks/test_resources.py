"""The measurements of scale, memory and start: their arithmetic, and what they set up."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.common import machine
from benchmarks.speed.memory import growth
from benchmarks.speed.scale import BLOCK, Point, extremes, measure, tag_blocks
from benchmarks.speed.start import checkpoints, models_folder
from tagbelt.data.checkpoint.artifact import CONFIG, Header, verify_sums

BUNDLED = Path(__file__).parents[2] / "checkpoints"


def test_the_dearest_is_compared_with_the_cheapest_round_by_round():
    row = extremes("length", {"5": [2.0, 4.0, 3.0], "20": [1.0, 2.0, 1.0], "50": [1.5, 2.5, 2.0]})
    assert (row["dearest"], row["cheapest"], row["median"]) == (5, 20, 2.0)
    assert row["values"] == [2.0, 2.0, 3.0]


def test_busy_rounds_do_not_make_a_size_dear():
    row = extremes("length", {"5": [1.0, 10.0, 10.0], "20": [1.2, 12.0, 12.0], "9": [1.1, 11, 11]})
    assert (row["dearest"], row["cheapest"]) == (20, 5)
    assert row["median"] == pytest.approx(1.2)


def test_cost_is_in_microseconds_a_token():
    points = [Point("length", size, 1000, lambda size=size: size / 10) for size in (5, 10)]
    first, second, ends = measure(points, 3)
    assert (first["size"], second["size"]) == (5, 10)
    assert first["median"] == pytest.approx(500)  # 0.5 s for 1,000 tokens
    assert ends["median"] == pytest.approx(2)


def test_a_short_pass_is_repeated():
    calls = []
    point = Point("length", 5, 10, lambda: calls.append(None) or 0.06)
    assert point.seconds() == pytest.approx(0.06)
    assert len(calls) == 4


def test_blocks_cover_the_stream():
    sizes = []
    tagger = SimpleNamespace(tag_tokens=lambda block: sizes.append(len(block)))
    tag_blocks(tagger, iter([("a",)] * (2 * BLOCK + 1)))
    assert sizes == [BLOCK, BLOCK, 1]


def test_growth_is_counted_from_the_warm_level():
    samples = [
        {"tokens": tokens, "rss_mb": mb, "seconds": tokens / 100}
        for tokens, mb in ((500, 100.0), (1000, 200.0), (1500, 210.0), (2000, 204.0))
    ]
    row = growth(samples, 1000)
    assert row["warm_mb"] == 200
    assert row["median"] == pytest.approx(2)
    assert row["max"] == pytest.approx(5)
    assert row["tokens_per_second"] == pytest.approx(100)


@pytest.mark.skipif(machine.resident_mb() is None, reason="no /proc here")
def test_resident_memory_rises_with_what_is_held():
    machine.reset_peak()
    before = machine.resident_mb()
    held = bytearray(b"x") * 50_000_000
    assert machine.resident_mb() - before > 40
    del held
    assert machine.peak_mb() - before > 40


def test_a_process_that_is_gone_has_no_memory():
    assert machine.resident_mb(2**31 - 1) is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_folder_has_as_many_valid_models_as_asked_for(tmp_path, count):
    found = checkpoints(models_folder(BUNDLED, count, tmp_path))
    assert len(found) == count
    for path in found:
        verify_sums(path)
    assert len({Header.read(path).name for path in found}) == count
    names = {json.loads((path / CONFIG).read_text(encoding="utf-8"))["name"] for path in found}
    assert names >= {Header.read(path).name for path in checkpoints(BUNDLED)[:count]}
