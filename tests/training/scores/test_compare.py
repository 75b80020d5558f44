import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tagbelt.data.checkpoint.artifact import write_json
from tagbelt.errors import ConfigError
from tagbelt.training.data_config import FileLayout
from tagbelt.training.rundir import read_saved
from tagbelt.training.scores.compare import compare, open_runs, render, shared_gold
from tests.training.tiny import EXAMPLES, tiny_config


@pytest.fixture(scope="module")
def beginner(trained):
    """A run that stopped long before it knew its corpus."""
    return trained({"training.epochs": 3})


@pytest.fixture
def series(learned, beginner, tmp_path):
    """Two runs as if they were two seeds."""
    shutil.copytree(learned.directory, tmp_path / "series" / "seed-1")
    shutil.copytree(beginner.directory, tmp_path / "series" / "seed-12")
    return tmp_path / "series"


def compared(a, b, split="test", samples=200, **options):
    a, b = open_runs(a), open_runs(b)
    return compare(a, b, shared_gold(a, b, split), split, samples=samples, threads=1, **options)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_scores_are_those_that_the_runs_report(beginner, learned, split):
    found = compared(beginner.directory, learned.directory, split)
    assert [found.a, found.b] == [
        (pytest.approx(run.report[split]["strict"]["micro"]["f1"]),) for run in (beginner, learned)
    ]
    assert found.entities == learned.report[split]["strict"]["micro"]["support"]
    assert found.difference == pytest.approx(found.b[0] - found.a[0])
    assert found.difference > 0.2
    assert found.over_sentences.low <= found.difference <= found.over_sentences.high
    assert found.over_seeds is None


def test_the_sides_can_be_swapped(beginner, learned):
    there = compared(beginner.directory, learned.directory, samples=5000)
    back = compared(learned.directory, beginner.directory, samples=5000)
    assert (there.a, there.b) == (back.b, back.a)
    assert there.over_sentences.low == pytest.approx(-back.over_sentences.high, abs=0.05)


def test_of_seeds_the_means_are_compared(series, learned):
    found = compared(series, learned.directory)
    assert len(found.a) == 2
    assert found.difference == pytest.approx(found.b[0] - np.mean(found.a))
    assert found.over_seeds is None, "one value has no spread"
    assert compared(series, series).over_seeds.p == pytest.approx(1.0)


def test_a_comparison_is_laid_out(series, learned):
    found = compared(learned.directory, series)
    lines = render(found, learned.directory, series).splitlines()
    mean, sd = 100 * np.mean(found.b), 100 * np.std(found.b, ddof=1)
    low, high, p = (getattr(found.over_sentences, name) for name in ("low", "high", "p"))
    assert lines == [
        "F1 on test: 10 sentences, 18 entities",
        f"  A      {100 * found.a[0]:6.2f}  {learned.directory}",
        f"  B      {mean:6.2f}  sd {sd:.2f}, 2 seeds  {series}",
        f"  B - A  {mean - 100 * found.a[0]:+6.2f}",
        f"    over sentences  95 % {100 * low:+.2f} to {100 * high:+.2f}  p = {p:.4f}"
        "  paired bootstrap, 200 samples",
        "    over seeds      not tested: it takes two seeds or more on each side, that differ",
    ]
    assert render(compared(series, series), series, series).endswith("p = 1.0000  Welch's t-test")


def test_json_has_the_same_figures(beginner, learned):
    found = compared(beginner.directory, learned.directory)
    value = json.loads(json.dumps(found.as_json()))
    assert value["difference"] == found.difference
    assert value["over_sentences"]["p"] == found.over_sentences.p
    assert value["over_seeds"] is None
    assert (value["a"], value["b"]) == ([found.a[0]], [found.b[0]])


def test_a_checkpoint_is_judged_on_what_the_other_side_names(beginner, learned, tmp_path):
    moved = shutil.copytree(learned.checkpoint, tmp_path / "moved")
    found = compared(beginner.directory, learned.directory)
    assert compared(beginner.directory, moved) == found
    assert compared(moved, beginner.directory).b == found.a
    assert compared(beginner.checkpoint, learned.checkpoint) == found, "the runs they lie in"
    with pytest.raises(ConfigError, match="two checkpoints do not say what to compare on"):
        compared(moved, moved)


def test_any_file_can_be_compared_on(beginner, learned):
    gold = FileLayout().read(EXAMPLES / "train.conll").sentences
    sides = [open_runs(run.checkpoint) for run in (beginner, learned)]
    found = compare(*sides, gold, "train.conll", samples=10, threads=1)
    assert (found.gold, found.sentences, found.entities) == ("train.conll", 40, 64)
    assert found.b[0] > 0.9
    for nothing in ((), (*gold, replace(gold[0], spans=None))):
        with pytest.raises(ConfigError, match=r"train\.conll: nothing to compare on"):
            compare(*sides, nothing, "train.conll", samples=10)


@pytest.fixture
def other(learned, tmp_path):
    """A copy of a run whose data lie in a folder of their own, and that folder."""
    data = tmp_path / "data"
    shutil.copytree(EXAMPLES, data)
    run = shutil.copytree(learned.directory, tmp_path / "other")
    config = tiny_config({"training.epochs": 12, "data.root": str(data)})
    write_json(run / "config.json", config.model_dump(mode="json"))
    return run, data


def append(path):
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\nAda B-PER\n")


def test_the_same_bytes_elsewhere_are_the_same_file(learned, other):
    run, _ = other
    assert compared(learned.directory, run).difference == 0


def test_a_file_that_changed_since_is_refused(learned, other):
    run, data = other
    append(data / "test.conll")
    with pytest.raises(ConfigError, match=r"other: changed since .* began: test file test\.conll"):
        compared(learned.directory, run)
    assert compared(learned.directory, run, "dev").difference == 0


def test_other_test_files_are_refused(learned, other):
    run, data = other
    append(data / "test.conll")
    (run / "files.json").unlink()  # as if it had been trained with that file
    with pytest.raises(ConfigError) as caught:
        compared(learned.directory, run)
    assert str(caught.value).startswith(
        f"the test files differ: {learned.directory} has test.conll (SHA-256 "
    )


@pytest.mark.parametrize("changes", [{"data.labels.PER": ""}, {"data.labels.PER": "LOC"}])
def test_the_same_file_read_in_two_ways_is_refused(learned, other, changes):
    run, data = other
    config = tiny_config({"data.root": str(data), "data.labels": {}, **changes})
    write_json(run / "config.json", config.model_dump(mode="json"))
    with pytest.raises(ConfigError, match="read the same test files differently"):
        compared(learned.directory, run)


def test_a_run_without_the_split_is_refused(learned, other):
    run, data = other
    config = tiny_config({"data.root": str(data), "data.test": []})
    write_json(run / "config.json", config.model_dump(mode="json"))
    with pytest.raises(ConfigError, match="other: its config names no test file"):
        compared(learned.directory, run)


def test_seeds_that_are_not_finished_or_of_other_data_are_refused(series, learned):
    config = read_saved(series / "seed-12")
    other = config.model_copy(update={"data": config.data.model_copy(update={"unit": "character"})})
    write_json(series / "seed-12" / "config.json", other.model_dump(mode="json"))
    with pytest.raises(ConfigError, match=r"seed-12: trained on other data than .*seed-1$"):
        compared(learned.directory, series)
    (series / "seed-12" / "report.json").unlink()
    with pytest.raises(ConfigError, match="seed-12: not finished"):
        compared(learned.directory, series)


def test_what_is_nothing_of_the_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="neither a run, nor a checkpoint, nor a directory"):
        open_runs(tmp_path)
