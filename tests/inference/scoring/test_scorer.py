"""The two graphs in ONNX Runtime, against the torch network."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tagbelt.inference.checkpoint import load_checkpoint
from tagbelt.inference.scoring import scorer as scoring
from tagbelt.model.batch import encode
from tagbelt.model.checkpoint import save_checkpoint
from tests.inference.problems_scored import score
from tests.model.networks import (
    KNOWN,
    PRETRAINED,
    UNSEEN,
    make_header,
    make_network,
    make_sentences,
    make_vocabulary,
    torch_emissions,
)

FORMS = KNOWN + UNSEEN + PRETRAINED


@pytest.fixture(scope="module", params=["cnn", "gru", "none"])
def both(request, tmp_path_factory):
    """A torch network and the scorer of its checkpoint."""
    network = make_network(kind=request.param, shape_size=2, attention_heads=2)
    directory = tmp_path_factory.mktemp("session") / "tiny"
    save_checkpoint(directory, network, make_vocabulary(), make_header(network))
    return network, load_checkpoint(directory, precision="float32").scorer


@pytest.mark.parametrize("lengths", [[1], [9], [4, 4], [9, 5, 5, 2, 1], [60, 1], [3] * 17])
def test_emissions_equal_those_of_the_network(both, lengths):
    network, scorer = both
    sentences = make_sentences(3, lengths)
    found = score(scorer, sentences)
    assert found.shape == (lengths[0], len(lengths), 5)
    assert found.dtype == np.float32
    for column, scores in enumerate(torch_emissions(network, sentences)):
        np.testing.assert_allclose(found[: len(scores), column], scores, rtol=1e-5, atol=1e-5)


def test_a_sentence_scores_the_same_in_any_place(both):
    _, scorer = both
    sentences = make_sentences(4, [6, 6, 6, 2])
    found = score(scorer, sentences)
    order = [2, 0, 1, 3]
    moved = score(scorer, [sentences[i] for i in order])
    np.testing.assert_allclose(moved[:, :3], found[:, order[:3]], atol=1e-6)
    np.testing.assert_allclose(moved[:2, 3], found[:2, 3], atol=1e-6)


def test_word_vectors_equal_those_of_the_network(both, monkeypatch):
    network, scorer = both
    batch = encode([FORMS], make_vocabulary()).batch([0])
    with torch.no_grad():
        expected = network.words(batch)[batch.row_forms].numpy()
    whole = scorer.vectors(FORMS)
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(scoring, "WORD_BATCH", 4)
    np.testing.assert_allclose(scorer.vectors(FORMS), whole, atol=1e-6)


def test_words_are_read_in_parts_of_bounded_size(both, monkeypatch):
    _, scorer = both
    sizes = []

    def counted(forms):
        sizes.append(len(forms))
        return np.zeros((len(forms), 1), np.float32)

    monkeypatch.setattr(scoring, "WORD_BATCH", 4)
    monkeypatch.setattr(scorer.vectors, "_vectors_of", counted)
    assert len(scorer.vectors(["w"] * 10)) == 10
    assert sizes == [4, 4, 2]


def test_the_cache_keeps_what_the_words_graph_says(both):
    _, scorer = both
    score(scorer, [FORMS])
    again = scorer.vector_cache.find(FORMS).gather(np.arange(len(FORMS)))
    np.testing.assert_allclose(again, scorer.vectors(FORMS), atol=1e-6)
    assert len(scorer.vector_cache) >= len(set(FORMS))


def test_lookups_are_counted(both):
    _, scorer = both
    hits, misses = scorer.vector_cache_use()
    score(scorer, [["never", "met", "before", "never"]])
    assert scorer.vector_cache_use() == (hits + 1, misses + 3)


def test_many_threads_get_what_one_gets(both):
    _, scorer = both
    jobs = [make_sentences(seed, [7, 5, 1 + seed % 4]) for seed in range(40)]
    expected = [score(scorer, job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: score(scorer, job), jobs))
        for job, scores, alone in zip(jobs, found, expected, strict=True):
            for column, sentence in enumerate(job):
                here = np.s_[: len(sentence), column]
                np.testing.assert_allclose(scores[here], alone[here], atol=1e-6)
