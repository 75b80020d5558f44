"""A run that begins with another's weights: what it takes over, what joins, what does not fit."""

import re

import numpy as np
import pytest
import torch

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.errors import ConfigError
from tagbelt.inference import Tagger
from tagbelt.model.checkpoint import load_network
from tagbelt.training.initial import bundled_offer, fitted, initial_checkpoint, keeps_old_types
from tagbelt.training.run.prepare import prepare
from tests.training.tiny import ENGLISH, EXAMPLES, tiny_config


def begun(checkpoint, changes=None):
    """The examples' config with nothing of the model given: `init_from` decides."""
    bare = {"name": "begun", "training": {"epochs": 2, "batch_size": 8, "threads": 1}}
    files = {split: f"{split}.conll" for split in ("train", "dev", "test")}
    bare["data"] = {"root": str(EXAMPLES), **files}
    return tiny_config({"init_from": str(checkpoint), **(changes or {})}, bare)


def ready(checkpoint, tmp_path, changes=None):
    return prepare(fitted(begun(checkpoint, changes)), tmp_path)


@pytest.fixture
def files(tmp_path):
    """Write sentences of rows; return the path."""

    def write(*sentences, name="more.conll"):
        path = tmp_path / name
        blocks = ("".join(f"{token}\t{tag}\n" for token, tag in rows) for rows in sentences)
        path.write_text("\n".join(blocks), encoding="utf-8")
        return str(path)

    return write


MORE = [("Zoë", "B-PER"), ("Xqz", "I-PER"), ("flew", "O"), ("Concorde", "B-PLANE"), (".", "O")]


def test_with_the_same_labels_it_begins_as_the_model_that_it_was(learned, tmp_path):
    run = ready(learned.checkpoint, tmp_path)
    tagger = Tagger.load(learned.checkpoint, precision="float32", threads=1)
    rows = tagger.tag_tokens([s.tokens for s in run.data.dev])
    assert run.trainer.predict(run.trainer.dev) == [tags_to_spans(r, Scheme.IOB2) for r in rows]
    assert run.trainer.config.data.tags is Scheme.BIOES
    assert run.trainer.config.model.words.size == 12


def test_words_characters_and_labels_join_and_the_old_ones_stay(learned, files, tmp_path):
    changes = {"data.train": ["train.conll", files(MORE)]}
    run = ready(learned.checkpoint, tmp_path, changes)
    old, known, header = load_network(learned.checkpoint)
    ours, theirs = run.trainer.network.state_dict(), old.state_dict()
    words = run.data.vocabulary
    table, before = run.trainer.network.words.embedding.table(), old.words.embedding.table()
    assert set(known.words) < set(words.words)
    for row, word in enumerate(words.words):
        assert torch.equal(table[row], before[known.word_id(word) if word in known.words else 0])
    assert words.characters.startswith(known.characters)
    assert "X" in words.characters
    assert torch.equal(
        ours["words.characters.weight"][: known.character_count], theirs["words.characters.weight"]
    )
    for name, value in theirs.items():
        if name.startswith("encoder"):
            assert torch.equal(ours[name], value)
    assert run.data.labels == ("LOC", "ORG", "PER", "PLANE")
    places = [run.data.tags.index(tag) for tag in header.tags]
    assert torch.equal(ours["emissions.weight"][places], theirs["emissions.weight"])
    step = "crf.parameters_of.transitions"
    assert torch.equal(ours[step][np.ix_(places, places)], theirs[step])


def test_a_run_says_what_it_took_over_and_goes_on_where_it_stopped(trained, learned, files):
    changes = {"init_from": str(learned.checkpoint)}
    sentences = [[(t, tag.replace("ORG", "FIRM")) for t, tag in MORE], [("Ibo", "B-FIRM")]]
    changes |= {"data.train": files(*sentences), "data.dev": files(*sentences, name="dev.conll")}
    base = {"name": "begun", "data": {"root": str(EXAMPLES)}, "training": {"threads": 1}}
    one = trained({**changes, "training.epochs": 2, "optimiser.schedule": "constant"}, base)
    assert "begins as tiny 1 (" in one.said
    assert re.search(r"; [56] words and \d+ characters are new", one.said)
    line = "types that it had: PER; new types: FIRM, PLANE; its types that are gone: LOC, ORG"
    assert line in one.said.splitlines()
    changes |= {"training.epochs": 3, "optimiser.schedule": "constant"}
    again = trained(changes, base, directory=one.directory, resume=True)
    straight = trained(changes, base)
    for run in (again, straight):
        assert (run.directory / "files.json").read_text(encoding="utf-8").count("initial") == 1
    first, second = (load_network(run.checkpoint)[0].state_dict() for run in (again, straight))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.unit": "character"}, "data.unit is 'character', its own 'word'"),
        ({"model.encoder.cell": "gru"}, "model.encoder.cell is 'gru', its own 'lstm'"),
        ({"model.encoder.hidden": 7}, "model.encoder.hidden is 7, its own 12"),
        ({"model.words.size": 7}, "model.words.size is 7, its own 12"),
        ({"model.characters.kind": "none"}, "model.characters.kind is 'none', its own 'cnn'"),
        ({"data.tags": "IOB2"}, "data.tags is 'IOB2', its own 'BIOES'"),
    ],
)
def test_what_does_not_fit_is_named(learned, changes, said):
    more = {"model.encoder.layers": 3, **changes}
    with pytest.raises(ConfigError, match=r"^init_from: ") as caught:
        fitted(begun(learned.checkpoint, more))
    assert said in str(caught.value)
    assert "model.encoder.layers is 3, its own 1" in str(caught.value)


def test_other_settings_stay_those_of_the_config(learned):
    config = fitted(begun(learned.checkpoint, {"model.encoder.dropout": 0.2}))
    assert config.model.encoder.dropout == 0.2
    assert config.model.encoder.hidden == 12
    assert fitted(config) == config


def test_a_name_is_a_bundled_model_or_a_path(learned):
    assert initial_checkpoint("en").name == "en"
    assert initial_checkpoint(str(learned.directory)) == learned.checkpoint
    with pytest.raises(ConfigError, match="init_from: eng: no such directory, and no model"):
        initial_checkpoint("eng")


@pytest.fixture
def planes(files, learned):
    """Settings of a run that learns PLANE from a file that speaks of nothing else."""
    rows = [
        [(token, "O") for token in s.tokens] for s in read_conll(EXAMPLES / "dev.conll").sentences
    ]
    rows += [[("The", "O"), ("Concorde", "B-PLANE"), ("left", "O"), ("Rome", "O"), (".", "O")]] * 4
    entry = [{"path": files(*rows), "annotates": ["PLANE"]}]
    return {"init_from": str(learned.checkpoint), "data.train": entry, "data.dev": entry}


def test_a_new_label_leaves_the_old_ones_as_they_are(trained, planes, learned):
    base = {"name": "begun", "data": {"root": str(EXAMPLES), "test": "test.conll"}}
    base["training"] = {"threads": 1}
    run = trained({**planes, "training.epochs": 3}, base)
    assert "only what is new of types is trained; LOC, ORG, PER stay" in run.said
    before, after = (load_network(r.checkpoint) for r in (learned, run))
    for name, value in before[0].state_dict().items():
        if name.startswith(("encoder", "words.reader")):
            assert torch.equal(value, after[0].state_dict()[name])
    place = [after[2].tags.index(tag) for tag in before[2].tags]
    cool = after[2].temperature  # calibration divides all scores
    old, new = (n.state_dict()["emissions.weight"] for n in (before[0], after[0]))
    assert torch.allclose(new[place] * cool, old, atol=1e-6)
    bias = after[0].state_dict()["emissions.bias"]
    assert all(bias[k] != 0.0 for k, tag in enumerate(after[2].tags) if tag.endswith("PLANE"))


def test_the_old_types_move_where_a_file_speaks_of_them_or_it_is_asked_for(learned, planes):
    assert keeps_old_types(begun(learned.checkpoint, planes))
    assert not keeps_old_types(begun(learned.checkpoint, {**planes, "init_keep": False}))
    two = {**planes, "data.train": [*planes["data.train"], "train.conll"]}
    assert not keeps_old_types(begun(learned.checkpoint, two))
    assert not keeps_old_types(begun(learned.checkpoint))
    assert fitted(begun(learned.checkpoint, two)).optimiser.learning_rate == 0.002
    assert fitted(begun(learned.checkpoint, planes)).optimiser.learning_rate == 0.01
    given = {**planes, "optimiser.learning_rate": 0.1}
    assert fitted(begun(learned.checkpoint, given)).optimiser.learning_rate == 0.1
    with pytest.raises(ConfigError, match="weight_decay would move the types that are kept"):
        fitted(begun(learned.checkpoint, {**planes, "optimiser.weight_decay": 0.1}))


@pytest.mark.parametrize(
    ("changes", "labels", "sentences", "is_offered"),
    [
        ({}, ("per", "PRODUCT"), 40, True),
        ({}, ("PRODUCT",), 40, False),
        ({}, ("PER",), 1000, False),
        ({"language": "es"}, ("PER",), 40, False),
        ({"data.unit": "character"}, ("PER",), 40, True),
    ],
)
def test_a_bundled_model_is_offered_where_it_may_help(changes, labels, sentences, is_offered):
    config = tiny_config(changes, {"name": "x", "data": {"train": "a", "dev": "b"}})
    said = bundled_offer(config, labels, sentences)
    assert bool(said) == is_offered
    if said:
        name = "zh" if changes else "en"
        assert f"--set init_from={name}" in said
        assert not bundled_offer(tiny_config({"init_from": name}, ENGLISH), labels, sentences)
