"""Files and a name are a config that learns, however little there is; a run says why it ended."""

import json

import pytest

from benchmarks.accuracy.shop import write_shop
from tagbelt.data.types import Sentence, Span
from tagbelt.training import config as settings
from tagbelt.training.config import SIZED, TrainingConfig, parse_config, sized
from tagbelt.training.loop.loop import Progress
from tagbelt.training.run.closing import closing
from tagbelt.training.rundir import read_saved
from tests.training.tiny import ENGLISH


def bare(root, **training):
    """A config of a name and files, and what is given besides."""
    data = {"root": str(root), **{split: f"{split}.conll" for split in ("train", "dev", "test")}}
    return {"name": "bare", "data": data, "training": training}


@pytest.fixture(scope="module")
def shop(trained, tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    write_shop(root)
    return trained(base=bare(root), directory=root / "run")


def test_a_name_and_files_alone_learn_from_forty_sentences(shop):
    for mode in ("strict", "default"):
        assert shop.report["test"][mode]["micro"]["f1"] >= 0.9
        assert set(shop.report["test"][mode]["types"]) == {"ORDER_ID", "PRODUCT"}


def test_what_followed_from_the_size_is_told_and_kept(shop):
    said = "plan: batches of 4, at most 60 epochs, patience of 25, learning rate 0.002, dropout 0.5"
    assert said in shop.said.splitlines()
    kept = read_saved(shop.directory).training
    assert (kept.batch_size, kept.epochs, kept.patience) == (4, 60, 25)


def test_a_run_says_at_its_end_why_and_what_would_help(shop):
    *_, words, nothing, place, example = shop.said.splitlines()
    assert words.startswith("Stopped: ")
    assert "would help most" in words or "would show what is left" in words
    assert (nothing, place) == ("", f"checkpoint: {shop.checkpoint}")
    assert example.startswith("Try:        echo ")


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (1, (4, 100, 100)),
        (40, (4, 60, 25)),
        (100, (4, 30, 10)),
        (999, (4, 30, 10)),
        (1000, (8, 30, 10)),
        (4000, (16, 30, 10)),
        (1_000_000, (16, 30, 10)),
    ],
)
def test_the_size_of_the_data_sets_what_is_left_out(sentences, expected):
    found = sized(parse_config(bare("."), place="bare"), sentences).training
    assert (found.batch_size, found.epochs, found.patience) == expected


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("sentences", [1, 40, 5000])
def test_what_is_given_wins_also_where_it_is_the_default(name, sentences):
    default = getattr(TrainingConfig(), name)
    for value in (default, 3):
        config = parse_config(bare(".", **{name: value}), place="bare")
        assert getattr(sized(config, sentences).training, name) == value


def test_steps_are_counted_in_batches_of_the_size_given():
    config = parse_config(bare(".", batch_size=1), place="bare")
    found = sized(config, 40).training
    assert (found.epochs, found.patience) == (30, 10)


def test_a_run_goes_on_with_what_it_began_with_under_another_rule(trained, tmp_path, monkeypatch):
    base = {**ENGLISH, "training": {"epochs": 2, "threads": 1}}
    trained(base=base, directory=tmp_path)
    before = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(settings, "SMALL_BATCHES", ())
    base["training"]["epochs"] = 3
    resumed = trained(base=base, directory=tmp_path, resume=True)
    after = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (before["training"].pop("epochs"), after["training"].pop("epochs")) == (2, 3)
    assert before == after
    assert f"plan: batches of {before['training']['batch_size']}, at most 3" in resumed.said


def scores(**types):
    rows = {
        name: {"precision": f1, "recall": f1, "f1": f1, "support": support}
        for name, (f1, support) in types.items()
    }
    micro = {"precision": 0.5, "recall": 0.5, "f1": min(f1 for f1, _ in types.values())}
    return {"strict": {"micro": {**micro, "support": 9}, "types": rows}}


@pytest.mark.parametrize(
    ("history", "types", "words"),
    [
        ([0.5, 0.9] + [0.8] * 3, {"A": (0.9, 5), "B": (0.5, 40)}, "More sentences with B"),
        ([0.5, 0.9] + [0.8] * 3, {"A": (0.1, 5), "B": (0.98, 40)}, "More sentences with A"),
        ([0.0] * 20, {"A": (0.0, 5)}, "It found nothing right on dev: a larger optimiser"),
        ([0.1, 0.5, *[0.8] * 17, 0.9], {"A": (0.9, 5)}, "Dev F1 was still rising: more epochs"),
        ([0.1, 1.0, *[0.8] * 3], {"A": (1.0, 5)}, "It makes no mistake on dev"),
    ],
)
def test_the_advice_follows_from_how_the_run_went(history, types, words):
    best = max(history)
    progress = Progress(len(history), history.index(best) + 1, best, history)
    train = (Sentence(("x",), (Span(0, 1, "A"),)),)
    said = closing(progress, TrainingConfig(epochs=20, patience=3), scores(**types), train)
    assert words in said
    assert said.startswith("Stopped: epoch 20 was" if len(history) == 20 else "Stopped: dev F1 has")


def test_what_is_offered_takes_the_place_of_what_is_lacking():
    train = (Sentence(("x",), (Span(0, 1, "A"),)),)
    settled, nothing = Progress(9, 2, 0.5, [0.1, 0.5, *[0.4] * 7]), Progress(9, 1, 0.0, [0.0] * 9)
    rows, config = scores(A=(0.5, 5)), TrainingConfig(epochs=20, patience=7)
    assert "More sentences with A" in closing(settled, config, rows, train)
    assert closing(settled, config, rows, train, "Begin so.").endswith(" Begin so.")
    assert "Begin so." not in closing(nothing, config, rows, train, "Begin so.")
    assert "init_keep = false" in closing(nothing, config, rows, train, "", is_kept=True)
