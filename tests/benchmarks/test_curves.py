"""Learning curves: what a draw takes, that the same numbers take the same, and what is kept."""

import json
import random
import sys

import pytest

from benchmarks.accuracy import curves
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
