import json
from pathlib import Path

import pytest

from benchmarks.common import materials
from benchmarks.speed.systems import System, Systems, opened
from benchmarks.speed.taggers import Rounds, compared, take_turns, warmed
from benchmarks.speed.throughput import f1_by_seeds
from tagbelt.inference.tagger import Tagger

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"
SENTENCES = [["Anna", "met", "Ben"], ["Rome"], ["in", "Paris", "today", "."]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(materials, "CACHE", tmp_path)
    return tmp_path


def test_tagbelt_as_a_child_tags_as_it_does_here():
    system = Systems(GOLDEN, None).tagbelt("ours", precision="float32")
    small = Systems(GOLDEN, None).tagbelt("small", precision="float32", budget=4)
    with opened([system, small]) as children:
        ready = {name: warmed(child, "tokens", SENTENCES) for name, child in children.items()}
        rows = compared(ready, take_turns(ready, Rounds(2, 0.0)), "ours")
        found = {name: child.child.call("output", job="tokens") for name, child in children.items()}
    expected = Tagger.load(GOLDEN, precision="float32").tag_tokens(SENTENCES)
    assert found == {"ours": expected, "small": expected}
    assert [row["tokens"] for row in rows] == [8, 8]
    assert all(len(row["rate"]["values"]) == 2 for row in rows)
    assert "ratio" not in rows[0]
    first = rows[0]["rate"]["values"][0] / rows[1]["rate"]["values"][0]
    assert rows[1]["ratio"]["values"][0] == first


def test_texts_are_the_words_joined():
    with opened([Systems(GOLDEN, None).tagbelt("ours", precision="float32")]) as children:
        assert warmed(children["ours"], "texts", SENTENCES).rate(0.0) > 0
        assert len(children["ours"].child.call("latency", job="texts", calls=4, start=0)) == 4
    items = json.loads((materials.CACHE / "items-texts.json").read_text(encoding="utf-8"))
    assert items == [" ".join(words) for words in SENTENCES]


def test_the_tutorial_model_tags_and_trains(tmp_path):
    data = tmp_path / "gold.json"
    tagged = [(words, ["O"] * len(words)) for words in SENTENCES]
    data.write_text(json.dumps({"train": tagged}), encoding="utf-8")
    examples = tmp_path / "examples.json"
    examples.write_text(json.dumps(tagged), encoding="utf-8")
    system = System("it", "tutorial.py", "tagbelt", "", {"data": str(data)})
    with opened([system]) as children:
        child = children["it"].child
        warm = warmed(children["it"], "tokens", [*SENTENCES, ["new", "words"]], batch=2)
        assert warm.tokens == 10
        assert child.call("output", job="tokens") == [["O"] * n for n in (3, 1, 4, 2)]
        assert child.call("read_training", path=str(examples)) == 8
        assert child.call("epoch") > 0


def test_a_cell_is_as_good_as_an_lstm_unless_both_tests_tell_them_apart(tmp_path):
    def row(name, p, f1):
        kinds = zip(("over_seeds", "over_sentences"), p, strict=False)
        test = {kind: {"p": value} for kind, value in kinds}
        return {
            "row": f"cell-conll2003-{name}",
            "f1": {"test": {"default": {"mean": f1}}},
            "against": {"test": test},
        }

    rows = [
        row("lstm", (), 0.8987),
        row("gru", (0.34, 0.04), 0.8978),
        row("rnn", (0.01, 0.04), 0.884),
    ]
    path = tmp_path / "accuracy.json"
    path.write_text(json.dumps({"rows": [*rows, {"row": "conll2003"}]}), encoding="utf-8")
    assert f1_by_seeds(path) == {
        "lstm": {"f1": 89.87, "p": "", "is_equal": True},
        "gru": {"f1": 89.78, "p": "0.34, 0.04", "is_equal": True},
        "rnn": {"f1": 88.4, "p": "0.01, 0.04", "is_equal": False},
    }


def test_a_changed_preset_is_kept_by_its_changes(cache, monkeypatch):
    commands = []
    monkeypatch.setattr(materials.subprocess, "run", lambda command, **_: commands.append(command))
    changes = ("training.epochs=1", "model.encoder.cell=gru")
    whole = materials.checkpoint("conll2003", None, cache, quick=False, changes=changes)
    quick = materials.checkpoint("conll2003", None, cache, quick=True)
    assert whole == cache / "conll2003-1-gru" / "checkpoint"
    assert quick == cache / "conll2003-quick" / "checkpoint"
    assert commands[0][-4:] == ["--set", changes[0], "--set", changes[1]]
    assert commands[1][-2:] == ["--set", "training.epochs=1"]
