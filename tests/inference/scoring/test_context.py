"""Context features in serving: the same scores as torch's, alone and together, and refusals."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tagbelt.data.checkpoint.artifact import (
    EMBEDDINGS,
    GAZETTEER,
    INT8_NETWORK,
    LEXICON,
    VOCABULARY,
    write_json,
    write_sums,
)
from tagbelt.data.lexicon.gazetteer import Gazetteer, Term
from tagbelt.data.lexicon.soft_lexicon import SoftLexicon
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.inference.checkpoint import load_checkpoint
from tagbelt.inference.crf.algorithms import viterbi
from tagbelt.inference.native.quantised import PORTABLE, QuantisedNetwork, best_tier
from tagbelt.inference.scoring.scorer import QuantisedScorer
from tagbelt.model.batch import encode
from tagbelt.model.checkpoint import load_network, save_checkpoint
from tagbelt.model.export.graphs import input_bound, quantised_network
from tests.inference.problems_scored import score
from tests.model.networks import (
    CONTEXT,
    make_header,
    make_network,
    make_sentences,
    make_vocabulary,
    torch_emissions,
)

CONTEXTS = [("bigrams",), ("flags",), ("lexicon",), CONTEXT]
SENTENCES = make_sentences(3, [40, 9, 9, 5, 2, 1, 1])
SENTENCES.insert(4, [".", ",", ".", ",", "."])
FAST = pytest.mark.skipif(best_tier() in (None, PORTABLE), reason="the kernels can't run here")


def save(directory, context, window=256, **options):
    network = make_network(context=context, **options)
    header = make_header(network, window=window)
    save_checkpoint(directory, network, make_vocabulary(context), header)
    return network


@pytest.fixture(scope="module", params=CONTEXTS, ids="-".join)
def saved(request, tmp_path_factory):
    """A network and its checkpoint."""
    directory = tmp_path_factory.mktemp("context") / "tiny"
    return save(directory, request.param), directory


@pytest.fixture(scope="module", params=["float32", pytest.param("int8", marks=FAST)])
def scorer(request, saved):
    return load_checkpoint(saved[1], precision=request.param).scorer


def test_emissions_equal_those_of_the_network(saved):
    network, directory = saved
    found = score(load_checkpoint(directory, precision="float32").scorer, SENTENCES)
    for column, scores in enumerate(torch_emissions(network, SENTENCES)):
        np.testing.assert_allclose(found[: len(scores), column], scores, rtol=1e-5, atol=1e-5)


@FAST
def test_bytes_are_close_to_the_network(saved):
    network, directory = saved
    found = score(load_checkpoint(directory, precision="int8").scorer, SENTENCES)
    for column, scores in enumerate(torch_emissions(network, SENTENCES)):
        assert np.abs(found[: len(scores), column] - scores).max() < 0.15 * scores.std()


def test_rows_are_those_of_the_form_the_pair_and_the_flags(saved):
    network, directory = saved
    prepared = load_checkpoint(directory, precision="float32").scorer
    forms = [form for sentence in SENTENCES for form in sentence]
    tokens = prepared.prepare(forms, np.array(list(map(len, SENTENCES))))._rows
    rows = tokens.gather(np.arange(len(forms)))
    assert rows.shape == (len(forms), network.row_size)
    assert tokens.gather(np.full((3, 2), -1)).shape == (3, 2, network.row_size)
    of_forms = prepared.vector_cache.find(forms).gather(np.arange(len(forms)))
    assert np.array_equal(rows[:, : network.words.size], of_forms["vector"])
    vocabulary = make_vocabulary(CONTEXT)
    width = network.words.size
    if network.context.bigrams is not None:
        pairs = vocabulary.bigrams.ids(forms, list(map(len, SENTENCES)))
        table = network.context.bigrams.weight.detach().numpy()
        assert np.array_equal(rows[:, width : width + 5], table[pairs])
        width += 5
    if network.context.flags:
        flags = vocabulary.gazetteer.flags(SENTENCES)
        assert np.array_equal(rows[:, width : width + 16], flags)
        width += 16
    if network.context.lexicon is not None:
        covers = vocabulary.lexicon.covers(SENTENCES)
        assert np.array_equal(rows[:, width:], covers.sums(network.context.lexicon.numpy()))
        assert rows[:, width:].any()


def test_scores_are_the_same_bits_in_any_company(scorer):
    """float32 adds in another order in batches of another size; bytes add exactly."""
    exact = isinstance(scorer, QuantisedScorer)
    together = score(scorer, SENTENCES)
    for column, sentence in enumerate(SENTENCES):
        alone = score(scorer, [sentence])[:, 0]
        here = together[: len(sentence), column]
        if exact:
            assert np.array_equal(here, alone)
        np.testing.assert_allclose(here, alone, atol=1e-6)


def test_a_tagger_gives_a_sentence_the_same_alone(saved):
    for precision in ("float32", "int8"):
        tagger = Tagger.load(saved[1], threads=2, precision=precision)
        together = tagger.annotate_tokens([*SENTENCES, [], *SENTENCES])
        for sentence, annotation in zip([*SENTENCES, [], *SENTENCES], together, strict=True):
            (alone,) = tagger.annotate_tokens([sentence])
            assert alone.tags == annotation.tags
            scores = [[e.score for e in found.entities] for found in (alone, annotation)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=FAST)])
def test_a_window_sees_pairs_and_terms_that_reach_beyond_it(tmp_path, precision):
    """Windows of 2 tokens, and `in 1999 . Anna` across them: features are of the whole sentence."""
    network = save(tmp_path / "tiny", CONTEXT, window=2)
    sentence = ["to", "Paris", "in", "1999", ".", "Anna", "in", "1999"]
    loaded = load_checkpoint(tmp_path / "tiny", precision=precision)
    prepared = loaded.scorer.prepare(sentence, np.array([len(sentence)]))
    pieces = np.arange(len(sentence)).reshape(-1, 2).T  # [2, 4]
    found = prepared.emissions(pieces, np.full(4, 2))
    whole = make_vocabulary(CONTEXT).gazetteer.flags([sentence])
    cut = make_vocabulary(CONTEXT).gazetteer.flags(np.split(np.array(sentence), 4))
    assert not np.array_equal(whole, cut)
    for column, piece in enumerate(pieces.T):
        right = emissions_of_part(network, sentence, piece)
        tolerance = 1e-5 if precision == "float32" else 0.15 * right.std()
        assert np.abs(found[:, column] - right).max() < tolerance
    # The tagger's windows are the same; it decodes the whole sentence.
    emissions = found.transpose(1, 0, 2).reshape(len(sentence), 1, -1)
    path, _ = viterbi(emissions, np.array([len(sentence)]), loaded.crf)
    tagger = Tagger.load(tmp_path / "tiny", threads=1, precision=precision)
    (tags,) = tagger.tag_tokens([sentence], scheme=loaded.info.scheme)
    assert tags == [loaded.info.tags[tag] for tag in path[:, 0]]


@torch.no_grad()
def emissions_of_part(network, sentence, places):
    """What torch makes of a few rows of a sentence, whose features are those of the whole."""
    batch = encode([sentence], make_vocabulary(CONTEXT)).batch([0])
    rows = network.context(network.words(batch)[batch.row_forms], batch)[torch.from_numpy(places)]
    sizes = torch.ones(len(places), dtype=torch.int64)
    return network.emissions(network.encoder(rows, sizes)).numpy()


def test_the_bound_of_the_bytes_holds_flags_and_pairs():
    plain, vocabulary = make_network(), make_vocabulary()
    with torch.no_grad():
        for weight in plain.words.state_dict().values():
            weight.mul_(0.01)
    assert input_bound(plain, vocabulary) < 0.5
    flagged = make_network(context=["flags"])
    flagged.words.load_state_dict(plain.words.state_dict())
    assert input_bound(flagged, make_vocabulary(["flags"])) == 1.0
    paired = make_network(context=CONTEXT)
    paired.words.load_state_dict(plain.words.state_dict())
    with torch.no_grad():
        paired.context.bigrams.weight.fill_(-3.0)
        paired.context.lexicon.fill_(0.5)
    assert input_bound(paired, make_vocabulary(CONTEXT)) == 3.0
    with torch.no_grad():
        paired.context.lexicon.fill_(-1.0)  # times four, where one word is all there is
    assert input_bound(paired, make_vocabulary(CONTEXT)) == 4.0


@FAST
def test_flags_are_exact_in_bytes():
    network = make_network(context=CONTEXT)
    quantised = QuantisedNetwork(quantised_network(network, bound=1.0))
    assert quantised.row_bytes(np.array([0.0, 1.0], np.float32)).tolist() == [128, 255]
    assert quantised.inputs == network.row_size


@pytest.mark.parametrize("context", CONTEXTS, ids="-".join)
def test_context_features_are_read_as_they_were_saved(tmp_path, context):
    network = save(tmp_path / "tiny", context)
    again, vocabulary, _ = load_network(tmp_path / "tiny")
    assert vocabulary == make_vocabulary(context)
    weights, expected = again.state_dict(), network.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    tables = load_file(tmp_path / "tiny" / EMBEDDINGS)
    assert {table.dtype for table in tables.values()} == {np.dtype(np.float16)}
    for name in ("bigrams", "lexicon"):
        assert (name in tables) == (name in context)
    for name, path in (("flags", GAZETTEER), ("lexicon", LEXICON)):
        assert (tmp_path / "tiny" / path).exists() == (name in context)
    # Written again from what was read, not a byte is another.
    save_checkpoint(tmp_path / "again", again, vocabulary, make_header(network))
    for path in (tmp_path / "tiny").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.fixture
def copy(tmp_path):
    save(tmp_path / "tiny", CONTEXT)
    return tmp_path / "tiny"


def without_gazetteer(copy):
    (copy / GAZETTEER).unlink()


def other_gazetteer(copy):
    Gazetteer([Term("letter", ("a",))]).save(copy / GAZETTEER)


def without_bigrams(copy):
    value = json.loads((copy / VOCABULARY).read_text(encoding="utf-8"))
    del value["bigrams"]
    write_json(copy / VOCABULARY, value)


def one_bigram_less(copy):
    value = json.loads((copy / VOCABULARY).read_text(encoding="utf-8"))
    value["bigrams"].pop()
    write_json(copy / VOCABULARY, value)


def without_table(name, copy):
    tables = load_file(copy / EMBEDDINGS)
    del tables[name]
    save_file(tables, copy / EMBEDDINGS)


def narrow_table(name, width, copy):
    tables = load_file(copy / EMBEDDINGS)
    assert tables[name].shape[1] > width
    save_file({**tables, name: tables[name][:, :width].copy()}, copy / EMBEDDINGS)


def without_lexicon(copy):
    (copy / LEXICON).unlink()


def one_word_less(copy):
    SoftLexicon(["a", "b", "c"], [1, 1, 1]).save(copy / LEXICON)


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=FAST)])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_gazetteer, "13 features and 13 of their context, the network reads 42"),
        (other_gazetteer, "13 features and 17 of their context, the network reads 42"),
        (without_bigrams, r"\d+ embeddings for 0 bigrams"),
        (one_bigram_less, r"\d+ embeddings for \d+ bigrams"),
        (partial(without_table, "bigrams"), r"0 embeddings for \d+ bigrams"),
        (
            partial(narrow_table, "bigrams", 3),
            "13 features and 27 of their context, the network reads 42",
        ),
        (without_lexicon, r"4 embeddings for 0 words of the lexicon"),
        (one_word_less, r"4 embeddings for 3 words of the lexicon"),
        (partial(without_table, "lexicon"), r"0 embeddings for 4 words of the lexicon"),
        (
            partial(narrow_table, "lexicon", 1),
            "13 features and 25 of their context, the network reads 42",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(copy, change, message, precision):
    change(copy)
    write_sums(copy)
    with pytest.raises(CheckpointError, match=f"{copy}.*{message}"):
        load_checkpoint(copy, precision=precision)
    with pytest.raises(CheckpointError, match=f"{copy}.* does not fit"):
        load_network(copy)


@pytest.mark.parametrize("name", [GAZETTEER, LEXICON])
def test_a_list_that_is_something_else_is_named(copy, name):
    (copy / name).write_bytes(b"something else")
    write_sums(copy)
    with pytest.raises(CheckpointError, match=str(copy / name)):
        load_checkpoint(copy, precision="float32")
    with pytest.raises(CheckpointError, match=str(copy / name)):
        load_network(copy)


def test_a_checkpoint_moves_with_all_it_needs(copy, tmp_path):
    moved = Path(shutil.copytree(copy, tmp_path / "elsewhere"))
    (moved / INT8_NETWORK).unlink()
    expected = Tagger.load(copy, threads=1).tag_tokens(SENTENCES)
    shutil.rmtree(copy)
    assert Tagger.load(moved, threads=1).tag_tokens(SENTENCES) == expected
