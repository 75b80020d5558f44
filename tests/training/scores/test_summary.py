import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.artifact import write_json
from tagbelt.training.scores.summary import SeedRun, Summary, render, spread_of, summarise
from tests.training.tiny import tiny_config


@given(st.lists(st.floats(0, 1), min_size=1))
def test_the_spread_of_values_is_that_of_numpy(values):
    spread = spread_of(values)
    assert spread.mean == pytest.approx(np.mean(values))
    assert (spread.min, spread.max) == (min(values), max(values))
    if len(values) == 1:
        assert spread.sd is None
    else:
        assert spread.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def run_of(seed, dev, test=None, seconds=100.0):
    """A run whose modes differ by a point."""
    f1 = {"dev": {"strict": dev, "default": dev + 0.01}}
    if test is not None:
        f1["test"] = {"strict": test, "default": test + 0.01}
    return SeedRun(seed, f"seed-{seed}", 12, seconds, f1)


RUNS = (
    run_of(1, 0.92, 0.91, 500.0),
    run_of(2, 0.94, 0.88, 1500.0),
    run_of(3, 0.93, 0.90, 1000.0),
)


def test_scores_are_laid_out_with_the_best_on_dev():
    """The best on dev is the second, though the first has the best test score."""
    assert render(Summary("conll", RUNS)).splitlines() == [
        "conll, F1 of 3 seeds, in per cent",
        "                  mean     sd    min    max  seed 2, best on dev",
        "  dev  strict    93.00   1.00  92.00  94.00   94.00",
        "  dev  default   94.00   1.00  93.00  95.00   95.00",
        "  test strict    89.67   1.53  88.00  91.00   88.00",
        "  test default   90.67   1.53  89.00  92.00   89.00",
        "  training took 1,000 s a seed (500 to 1,500)",
    ]


def test_one_seed_without_a_test_file_has_no_deviation():
    assert render(Summary("x", (run_of(7, 1.0),))).splitlines()[:3] == [
        "x, F1 of 1 seed, in per cent",
        "                  mean     sd    min    max  seed 7, best on dev",
        "  dev  strict   100.00      - 100.00 100.00  100.00",
    ]


def test_of_seeds_equally_good_on_dev_the_lowest_is_the_best():
    runs = (*RUNS, run_of(4, 0.94, 0.99), run_of(5, 0.94, 0.99))
    assert Summary("x", runs).best.seed == 2
    assert Summary("x", (replace(RUNS[0], seed=9), *runs[3:])).best.seed == 4


def test_json_has_the_same_figures():
    value = json.loads(json.dumps(Summary("conll", RUNS).as_json()))
    assert value["seeds"] == [1, 2, 3]
    assert value["f1"]["test"]["strict"] == {
        "mean": pytest.approx(0.896667, abs=1e-6),
        "sd": pytest.approx(0.015275, abs=1e-6),
        "min": 0.88,
        "max": 0.91,
    }
    assert value["best_on_dev"]["f1"]["test"]["strict"] == 0.88
    assert value["seconds"]["mean"] == 1000.0
    assert [run["directory"] for run in value["runs"]] == ["seed-1", "seed-2", "seed-3"]


def write_run(directory, seed, f1):
    directory.mkdir()
    config = tiny_config({"training.seed": seed})
    write_json(directory / "config.json", config.model_dump(mode="json"))
    modes = {"strict": {"micro": {"f1": f1}}, "default": {"micro": {"f1": f1}}}
    write_json(directory / "report.json", {"dev": modes})
    lines = [json.dumps({"epoch": n, "train/seconds": 1.5}) + "\n" for n in (1, 2)]
    (directory / "metrics.jsonl").write_text("".join(lines) + '{"epoch": 3, "tr', encoding="utf-8")


def test_runs_that_are_not_finished_are_left_out(tmp_path):
    """A report cut short is none: the run was killed while it wrote it."""
    for seed in (4, 5, 6):
        write_run(tmp_path / f"seed-{seed}", seed, seed / 10)
    (tmp_path / "seed-5" / "report.json").write_text('{"dev": {', encoding="utf-8")
    summary = summarise([tmp_path / f"seed-{seed}" for seed in (4, 5, 6, 7)])
    modes = ({"strict": n / 10, "default": n / 10} for n in (4, 6))
    assert summary == Summary(
        "tiny",
        tuple(
            SeedRun(seed, f"seed-{seed}", 2, 3.0, {"dev": f1})
            for seed, f1 in zip((4, 6), modes, strict=True)
        ),
    )
