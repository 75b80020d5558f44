"""Bigrams, term lists and a lexicon from a config to the tags that are served."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tagbelt.data.checkpoint.artifact import CARD, EMBEDDINGS, GAZETTEER, LEXICON, digest_of
from tagbelt.errors import ConfigError, VectorError
from tagbelt.inference import Tagger
from tagbelt.model.checkpoint import load_network
from tagbelt.model.features.vectors import load_vectors, reduced
from tagbelt.training.corpus.corpus import encode_split, load_run_data
from tagbelt.training.loop.loop import predict
from tagbelt.training.run.train import train
from tests.training.tiny import CHINESE, tiny_config


@pytest.fixture
def lists(tmp_path):
    """Two lists of terms that the corpus has, and the settings that name them and bigrams."""
    data = load_run_data(tiny_config({}, CHINESE))
    terms = {"PER": set(), "ORG": set()}
    for sentence in data.train + data.dev:
        for span in sentence.spans:
            terms.get(span.label, set()).add("".join(sentence.tokens[span.start : span.end]))
    sources = []
    for label, found in terms.items():
        assert found
        path = tmp_path / f"{label}.txt"
        path.write_text("\n".join(sorted(found)), encoding="utf-8")
        sources.append({"type": label, "path": str(path)})
    vectors = tmp_path / "words.vec"
    words = [word for source in sources for word in Path(source["path"]).read_text("utf-8").split()]
    chance = random.Random(1)
    lines = [" ".join([word, *(str(chance.gauss(0, 1)) for _ in range(4))]) for word in words]
    vectors.write_text("\n".join(lines), encoding="utf-8")
    return {
        "data.gazetteers": sources,
        "model.bigrams": {"size": 6, "dropout": 0.1},
        "model.lexicon": {"vectors": str(vectors), "size": 3},
    }


def test_what_is_served_is_what_was_trained(trained, lists, tmp_path):
    run = trained({**lists, "training.epochs": 8}, CHINESE)
    assert "pairs of neighbouring tokens" in run.said
    assert "8 flags a token from lists of ORG, PER" in run.said
    card = (run.checkpoint / CARD).read_text(encoding="utf-8")
    assert "| Pairs of tokens | 6, of those seen 2 times or more |" in card
    for source in lists["data.gazetteers"]:
        assert f"{source['type']} ({source['path']})" in card
        (tmp_path / source["path"]).unlink()  # a checkpoint holds all it needs
    words = Path(lists["model.lexicon"]["vectors"])
    assert f"| Lexicon | {words}, 3 numbers a word |" in card
    assert json.loads((run.directory / "files.json").read_text("utf-8"))["lexicon"] == {
        "words.vec": digest_of(words)
    }
    network, vocabulary, header = load_network(run.checkpoint)
    assert network.row_size == 12 + 6 + 8 + 4 * 3
    tables = load_file(run.checkpoint / EMBEDDINGS)
    assert tables["bigrams"].shape == (vocabulary.bigrams.count, 6)
    given = reduced(load_vectors(str(words), lowercase=False).matrix, 3).astype(np.float16)
    assert np.array_equal(tables["lexicon"], given)
    assert vocabulary.lexicon.counts.max() > 1
    words.unlink()
    assert {term.type for term in vocabulary.gazetteer.terms()} == {"PER", "ORG"}
    dev = load_run_data(tiny_config({}, CHINESE)).dev
    encoded = encode_split(dev, vocabulary, header.tags, run.config)
    expected = predict(network, encoded, header.tags, run.config, encoded.sentences[0].device)
    assert any(expected)
    tagger = Tagger.load(run.checkpoint, threads=1, precision="float32")
    texts = ["".join(sentence.tokens) for sentence in dev]
    for text, spans, entities in zip(texts, expected, tagger.tag(texts), strict=True):
        assert [(e.start, e.end, e.label) for e in entities] == [
            (span.start, span.end, span.label) for span in spans
        ], text


def test_term_lists_help_before_training_could_do_without(trained, lists):
    """A few epochs are enough to trust the lists, and too few without them."""
    changes = {"training.epochs": 5}
    plain = trained(changes, CHINESE)
    helped = trained({**changes, "data.gazetteers": lists["data.gazetteers"]}, CHINESE)
    scores = [run.report["dev"]["strict"]["micro"]["f1"] for run in (plain, helped)]
    assert scores[1] > scores[0]


def test_a_run_without_them_has_neither(trained):
    run = trained({"training.epochs": 1}, CHINESE)
    assert not (run.checkpoint / GAZETTEER).exists()
    assert not (run.checkpoint / LEXICON).exists()
    assert set(load_file(run.checkpoint / EMBEDDINGS)) == {"embeddings"}
    card = (run.checkpoint / CARD).read_text(encoding="utf-8")
    assert "Pairs" not in card
    assert "Term lists" not in card
    assert "Lexicon" not in card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.unit": "word"}, "model.lexicon: its words cover characters: data.unit is 'word'"),
        ({"model.lexicon.size": 5}, "vectors of 4 numbers can't be made into 5"),
        ({"model.lexicon.vectors": "gone.vec"}, r"gone\.vec: no vector file to read"),
    ],
)
def test_a_lexicon_that_can_not_be_is_told_in_terms_of_the_config(trained, lists, changes, message):
    with pytest.raises((ConfigError, VectorError), match=message):
        trained({**lists, **changes}, CHINESE)


def test_a_lexicon_of_phrases_alone_is_refused(trained, tmp_path):
    (tmp_path / "phrases.vec").write_text("a\u00a0b 1 2\n\u3000 3 4\n", encoding="utf-8")
    settings = {"vectors": str(tmp_path / "phrases.vec"), "size": 1}
    with pytest.raises(ConfigError, match=r"model\.lexicon: .*phrases\.vec: all its words hold"):
        trained({"model.lexicon": settings}, CHINESE)


def test_another_list_can_not_be_resumed_with(trained, lists, tmp_path):
    out = tmp_path / "run"
    trained({**lists, "training.epochs": 1}, CHINESE, directory=out)
    (tmp_path / "PER.txt").write_text("我\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="change"):
        train(tiny_config({**lists, "training.epochs": 2}, CHINESE), out, resume=True)
