"""Features of tokens in their sentences: what a batch carries of them, what the network reads."""

import numpy as np
import pytest
import torch

from tagbelt.data.checkpoint.bigrams import UNKNOWN_PAIR
from tagbelt.model.batch import encode
from tagbelt.model.config import BigramConfig, LexiconConfig
from tagbelt.model.features.tokens import ContextFeatures
from tests.model.networks import (
    CONTEXT,
    KNOWN,
    make_network,
    make_sentences,
    make_vocabulary,
    torch_emissions,
)

CONTEXTS = [(), ("bigrams",), ("flags",), ("lexicon",), CONTEXT]
SENTENCES = [
    *make_sentences(7, [4, 9, 1, 9, 6]),
    ["went", "to", "Paris", "in", "1999"],
    [".", ",", ".", "Anna", ",", "."],
]


def expected_features(network, vocabulary, sentence, place):
    """What stands behind the vector of a form, looked up for one token alone."""
    parts = []
    if vocabulary.bigrams is not None:
        pair = (sentence[place], sentence[place + 1] if place + 1 < len(sentence) else "")
        pairs = vocabulary.bigrams.pairs
        parts.append(network.context.bigrams.weight[pairs.index(pair) + 1 if pair in pairs else 0])
    if vocabulary.gazetteer is not None:
        parts.append(torch.from_numpy(vocabulary.gazetteer.flags([sentence])[place]).float())
    if vocabulary.lexicon is not None:
        token = vocabulary.lexicon.covers([sentence]).at(np.array([place]))
        parts.append(torch.from_numpy(token.sums(network.context.lexicon.numpy())[0]))
    return torch.cat(parts)


@pytest.mark.parametrize("context", CONTEXTS[1:], ids="-".join)
def test_each_row_has_the_features_of_its_token(context):
    network, vocabulary = make_network(context=context), make_vocabulary(context)
    assert network.row_size == network.words.size + network.context.size
    sizes = {"bigrams": 5, "flags": 16, "lexicon": 4 * 2}
    assert network.context.size == sum(sizes[name] for name in context)
    chosen = [5, 1, 6, 3, 0]
    batch = encode(SENTENCES, vocabulary).batch(chosen)
    rows = torch.randn(batch.token_count, 3)
    with torch.no_grad():
        found = network.context(rows, batch)
    assert torch.equal(found[:, :3], rows)
    row, seen = 0, set()
    for step, alive in enumerate(batch.batch_sizes.tolist()):
        for index in batch.index[:alive].tolist():
            expected = expected_features(network, vocabulary, SENTENCES[index], step)
            torch.testing.assert_close(found[row, 3:], expected)
            seen.add(tuple(expected.tolist()))
            row += 1
    assert row == len(found)
    assert len(seen) > 3


def test_a_network_without_them_reads_the_forms_alone():
    network = make_network()
    batch = encode(SENTENCES, make_vocabulary()).batch([0, 1])
    assert batch.row_bigrams is batch.row_flags is None
    rows = torch.randn(batch.token_count, 3)
    assert network.context(rows, batch) is rows
    assert not any("context" in name for name in network.state_dict())


@pytest.mark.parametrize("context", CONTEXTS, ids="-".join)
def test_a_sentence_scores_the_same_alone(context):
    network = make_network(context=context)
    together = torch_emissions(network, SENTENCES)
    for sentence, scores in zip(SENTENCES, together, strict=True):
        (alone,) = torch_emissions(network, [sentence])
        torch.testing.assert_close(torch.from_numpy(alone), torch.from_numpy(scores))


@pytest.mark.parametrize("name", ["bigrams", "flags"])
def test_neighbours_matter(name):
    """Of `in 1999`, the first is part of a term, and a known pair; of `in Paris` it is neither."""
    plain, wise = (
        make_network(bidirectional=False),
        make_network(bidirectional=False, context=(name,)),
    )
    one, other = ["in", "1999"], ["in", "Paris"]
    before = [scores[0].tolist() for scores in torch_emissions(plain, [one, other])]
    assert before[0] == pytest.approx(before[1], abs=1e-6)
    after = [scores[0].tolist() for scores in torch_emissions(wise, [one, other])]
    assert after[0] != pytest.approx(after[1], abs=1e-3)


def test_pairs_are_hidden_at_their_rates():
    torch.manual_seed(0)
    vocabulary = make_vocabulary(["bigrams"])
    encoded = encode([KNOWN[-4:]], vocabulary)
    plain = encoded.batch([0]).row_bigrams
    assert UNKNOWN_PAIR not in plain
    rates = torch.zeros(vocabulary.bigrams.count)
    rates[plain] = torch.tensor([0.0, 0.25, 0.75, 1.0])
    hidden = torch.zeros(4)
    for _ in range(400):
        rows = encoded.batch([0], bigram_rates=rates).row_bigrams
        hidden += rows == UNKNOWN_PAIR
        assert ((rows == plain) | (rows == UNKNOWN_PAIR)).all()
    torch.testing.assert_close(hidden / 400, rates[plain], rtol=0.0, atol=0.08)


@pytest.mark.parametrize(
    ("size", "vectors", "context", "message"),
    [
        (3, None, (), "bigrams.size is 3, the vocabulary has no bigrams"),
        (0, None, CONTEXT, "size is 0, .* has 1"),
        (0, "some", (), "lexicon.vectors is 'some', the vocabulary has no lexicon"),
        (0, None, ("lexicon",), "vectors is None, the vocabulary has a lexicon of 4 words"),
    ],
)
def test_config_and_vocabulary_must_fit(size, vectors, context, message):
    with pytest.raises(ValueError, match=message):
        ContextFeatures(
            BigramConfig(size=size), LexiconConfig(vectors=vectors), make_vocabulary(context)
        )


def test_words_of_the_lexicon_weigh_what_they_are_frequent():
    vocabulary = make_vocabulary(["lexicon"])
    features = ContextFeatures(BigramConfig(), LexiconConfig(vectors="some", size=2), vocabulary)
    features.load_lexicon(np.arange(8, dtype=np.float32).reshape(4, 2))
    found = features(torch.zeros(2, 0), encode([[",", "."]], vocabulary).batch([0]))
    # Both are a word alone (weights 4 and 3), and begin and end `,.` (weight 2).
    expected = torch.tensor([[4, 5, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 4, 5, 2, 3]])
    weights = torch.tensor([[2 / 6] * 6 + [4 / 6] * 2, [2 / 5] * 6 + [3 / 5] * 2])
    torch.testing.assert_close(found, 4 * expected * weights)
    assert not list(features.parameters())  # training leaves the vectors alone
