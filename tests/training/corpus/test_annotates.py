"""Files that speak of some types alone: what training takes from them, and how they are judged."""

import re

import numpy as np
import pytest

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.inference import Tagger
from tagbelt.training.analysis.figures import tag_sentences
from tagbelt.training.corpus.corpus import encode_split, load_run_data
from tagbelt.training.events import Epoch
from tagbelt.training.run.prepare import prepare
from tagbelt.training.scores.calibration import find_entities
from tagbelt.training.scores.evaluate import evaluate, evaluate_sentences, span_score
from tests.training.tiny import EXAMPLES, tiny_config

LABELS = ("LOC", "ORG", "PER")


def only(sentences, types):
    """The sentences as a file of these types alone has them."""
    kept = [tuple(span for span in s.spans if span.label in types) for s in sentences]
    return tuple(
        Sentence(s.tokens, spans, s.line, frozenset(types))
        for s, spans in zip(sentences, kept, strict=True)
    )


def sentences_of(split):
    return read_conll(EXAMPLES / f"{split}.conll").sentences


@pytest.fixture
def part(tmp_path):
    """Write a split of the examples with some types alone; return its entry in a config."""

    def write(split, *types):
        path = tmp_path / f"{split}-{'-'.join(types)}.conll"
        with path.open("w", encoding="utf-8") as stream:
            write_conll(stream, only(sentences_of(split), types))
        return {"path": str(path), "annotates": list(types)}

    return write


def test_outside_its_entities_a_file_leaves_the_other_types_open(part):
    config = tiny_config({"data.train": [part("train", "PER"), "train.conll"]})
    data = load_run_data(config)
    encoded = encode_split(data.train, data.vocabulary, data.tags, config)
    for sentence, gold, allowed in zip(data.train, encoded.tags, encoded.allowed, strict=True):
        for tag, row in zip(gold.tolist(), allowed, strict=True):
            found = {data.tags[k] for k in row.nonzero().flatten().tolist()}
            if sentence.annotates and data.tags[tag] == "O":
                assert found == {t for t in data.tags if not t.endswith("PER")}
            else:
                assert found == {data.tags[tag]}


def test_a_batch_of_whole_sentences_has_the_likelihood_that_it_always_had(part, tmp_path):
    mixed = prepare(tiny_config({"data.train": ["train.conll", part("train", "PER")]}), tmp_path)
    train = mixed.trainer.train
    assert train.batch([0, 39]).allowed is None
    assert train.batch([0, 40]).allowed is not None
    assert prepare(tiny_config(), tmp_path).trainer.train.allowed is None
    every = {"path": "train.conll", "annotates": list(LABELS)}
    assert prepare(tiny_config({"data.train": [every]}), tmp_path).trainer.train.allowed is None


def test_corpora_of_different_types_train_one_model_together(trained, part):
    parts = [part("train", "PER"), part("train", "LOC", "ORG")]
    silent = [{"path": entry["path"]} for entry in parts]
    f1 = {}
    for name, files in {"told": parts, "not told": silent}.items():
        run = trained({"data.train": files, "training.epochs": 12})
        scores = evaluate(run.checkpoint, EXAMPLES / "train.conll", threads=1)
        f1[name] = scores["strict"]["micro"]["f1"]
        assert ("train: 40 sentences speak of LOC, ORG alone" in run.said) == (name == "told")
    assert f1["told"] > 0.9
    assert f1["not told"] < f1["told"] - 0.1


@pytest.mark.parametrize("types", [("PER",), ("LOC", "ORG")])
def test_what_a_file_does_not_speak_of_is_not_judged(learned, types):
    """Each type's score is that on the file with all types; nothing else is in the report."""
    tagger = Tagger.load(learned.checkpoint, threads=1)
    whole = sentences_of("test")
    every, found = (evaluate_sentences(tagger, s) for s in (whole, only(whole, types)))
    for mode in ("strict", "default"):
        expected = {name: row for name, row in every[mode]["types"].items() if name in types}
        assert found[mode]["types"] == expected


def test_calibration_and_report_judge_the_types_of_the_file_alone(learned):
    whole = sentences_of("test")
    tagger = Tagger.load(learned.checkpoint, threads=1)
    parts = [only(whole, [label]) for label in LABELS]
    counts = [
        [len(found.spans) for found in find_entities(learned.checkpoint, sentences, "float32")]
        for sentences in (whole, *parts)
    ]
    assert counts[0] == np.sum(counts[1:], axis=0).tolist()
    for label, sentences in zip(LABELS, parts, strict=True):
        for all_found, found in zip(
            tag_sentences(tagger, whole), tag_sentences(tagger, sentences), strict=True
        ):
            assert found.found == tuple(s for s in all_found.found if s.label == label)
            assert len(found.scores) == len(found.found)


def test_the_best_epoch_is_chosen_by_the_types_of_the_dev_file(part, tmp_path):
    first = prepare(tiny_config({"training.epochs": 6}), tmp_path).trainer
    list(first.run())
    found = [[s for s in row if s.label == "PER"] for row in first.predict(first.dev)]
    second = prepare(
        tiny_config({"training.epochs": 6, "data.dev": [part("dev", "PER")]}), tmp_path
    )
    epochs = [event for event in second.trainer.run() if isinstance(event, Epoch)]
    assert epochs[-1].dev == span_score(
        [s.spans for s in only(sentences_of("dev"), ["PER"])], found
    )
    assert epochs[-1].dev.f1 > 0.0


def test_an_entity_of_a_type_that_the_file_does_not_list_is_refused_with_its_line():
    sentence, span = next(
        (s, span) for s in sentences_of("train") for span in s.spans if span.label != "PER"
    )
    config = tiny_config({"data.train": [{"path": "train.conll", "annotates": ["PER"]}]})
    place = (
        f"{EXAMPLES / 'train.conll'}:{sentence.line + span.start}: an entity of type {span.label}"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(place)}"):
        load_run_data(config)


def test_a_type_that_no_training_file_has_is_refused(part):
    entry = part("train", "PER")
    entry["annotates"] = ["PER", "ROG"]
    with pytest.raises(ConfigError, match="annotates: no training file has a ROG"):
        load_run_data(tiny_config({"data.train": ["train.conll", entry]}))


def test_teachers_are_refused_for_such_files(part):
    changes = {"data.train": [part("train", "PER")], "distillation": {"teachers": ["x"]}}
    with pytest.raises(ConfigError, match="distillation: it takes train files without"):
        tiny_config(changes)
