"""Learning curves: what a draw takes, that the same numbers take the same, and what is kept."""

import json
import random
import sys

import pytest

from benchmarks.accuracy import curves, few_tables
from tagbelt.data.types import Sentence, Span


@pytest.mark.parametrize("size", [5, 10, 40])
def test_a_draw_has_other_sentences_to_choose_by_of_the_labels_that_it_trains(size):
    rng = random.Random(size)
    found = [
        Sentence((f"w{rng.randrange(150)}",), (Span(0, 1, rng.choice("ABCDEFGH")),))
        for _ in range(300)
    ]
    train, dev = curves.drawn(found, size, 1)
    assert (train, dev) == curves.drawn(found, size, 1) != curves.drawn(found, size, 2)
    assert len(train) == size
    assert len({s.tokens for s in (*train, *dev)}) == len(train) + len(dev)
    assert len(dev) >= curves.FEWEST_DEV
    assert labels(dev) <= labels(train)
    assert curves.drawn(found, size + 3, 1)[0][:size] == train


def labels(sentences):
    return {span.label for sentence in sentences for span in sentence.spans}


def test_what_stands_in_the_results_is_not_trained_again(monkeypatch, tmp_path):
    command = ["curves", "--sets", "shop", "--sizes", "10", "--draws", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--results", str(tmp_path)])
    tables = curves.tables
    monkeypatch.setattr(
        curves, "tables", lambda name, root: {**tables(name, root), "training": {"epochs": 1}}
    )
    curves.main()
    (row,) = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))["rows"]
    assert (row["set"], row["size"], row["epochs"], row["batch_size"]) == ("shop", 10, 1, 4)
    assert set(row["f1"]) == {"dev", "test"}
    monkeypatch.setattr(curves, "measured", lambda *_: pytest.fail("trained again"))
    curves.main()


def row(name, draw, f1, variant="defaults", **more):
    return {"variant": variant, "set": name, "size": 50, "draw": draw, "f1": {"test": f1}, **more}


def test_tables_of_curves_state_the_draws():
    seen = {"train_sentences": 9, "train_seen": 0, "test_sentences": 8, "test_seen": 1}
    rows = [row("a", 1, 0.2), row("a", 2, 0.4), row("b", 1, 0.5)]
    rows.append(row("a", 2, 0.9, "init-en", seen_by_init=seen))
    assert "| a | 30.0 ± 14.1 (2) |\n| b | 50.0 (1) |" in few_tables.curves({"rows": rows})
    line = "| a | 50 | 40.0 (1) | 90.0 (1) | +50.0 | 0 of 9 | 1 of 8 |"
    assert few_tables.beginnings({"rows": rows}).splitlines()[-1] == line


def test_the_table_of_a_new_label_compares_each_with_its_own_models():
    rows = [
        {"system": "Tagbelt, old model", "old": 0.9, "new": 0.0},
        {"system": "Tagbelt, all of MISC from the beginning", "old": 0.9, "new": 0.8},
        {"system": "Tagbelt, MISC added", "old": 0.89, "new": 0.6},
        {"system": "spaCy, old model", "old": 0.8, "new": 0.0},
        {"system": "spaCy, all of MISC from the beginning", "old": 0.8, "new": 0.5},
        {"system": "spaCy, MISC added", "old": 0.4, "new": 0.2},
    ]
    lines = few_tables.new_label({"rows": rows}).splitlines()
    assert lines[4] == "| Tagbelt, MISC added | 89.00 | -1.00 | 60.00 | 75% |"
    assert lines[7] == "| spaCy, MISC added | 40.00 | -40.00 | 20.00 | 40% |"
