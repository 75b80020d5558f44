"""A batch that is shared out: its parts together do what it does, chance included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.model.batch import encode
from tests.model.networks import CONTEXT, KNOWN, UNSEEN, make_network, vocabulary_of

SENTENCES = st.lists(
    st.lists(st.sampled_from(KNOWN + UNSEEN), min_size=1, max_size=7), min_size=1, max_size=6
)
COUNTS = st.integers(1, 4)
SEED = 5


def batch_of(network, sentences, *, allowed=False):
    gold = [[i % 2 for i in range(len(words))] for words in sentences]
    encoded = encode(sentences, vocabulary_of(network), gold)
    if allowed:
        tags = network.emissions.out_features
        rows = tuple(torch.ones(len(words), tags, dtype=torch.bool) for words in sentences)
        rows[0][0, 1:] = False
        encoded = type(encoded)(**{**vars(encoded), "allowed": rows})
    return encoded.batch(range(len(sentences)))


def by_sentence(batch, values):
    """What packed rows say of each sentence, by its place in the input."""
    split = torch.nn.utils.rnn.pad_packed_sequence(
        torch.nn.utils.rnn.PackedSequence(values, batch.batch_sizes), batch_first=True
    )
    rows = zip(batch.index.tolist(), *split, strict=True)
    return {index: row[:length] for index, row, length in rows}


@settings(deadline=None)
@given(SENTENCES, COUNTS)
def test_parts_have_each_sentence_once(sentences, count):
    batch = batch_of(make_network(), sentences)
    parts = [batch.part(number, count) for number in range(count)]
    real = [part for part in parts if part.share.weight]
    found = sorted(index for part in real for index in part.index.tolist())
    assert found == list(range(len(sentences)))
    assert sum(part.share.weight for part in parts) == pytest.approx(1.0)
    sizes = [len(part.index) for part in real]
    assert max(sizes) - min(sizes) <= 1


@settings(deadline=None)
@given(SENTENCES, COUNTS)
def test_a_part_reads_of_its_sentences_what_the_batch_reads(sentences, count):
    network = make_network(context=CONTEXT)
    batch = batch_of(network, sentences)
    whole = by_sentence(batch, network.rows(batch))
    for number in range(count):
        part = batch.part(number, count)
        for index, rows in by_sentence(part, network.rows(part)).items():
            torch.testing.assert_close(rows, whole[index])


def losses_and_gradients(network, batches):
    """The sum of the losses of batches that chance treats alike, and the gradients."""
    network.zero_grad()
    total = 0.0
    for batch in batches:
        torch.manual_seed(SEED)
        loss = network.nll(batch)
        loss.backward()
        total += float(loss.detach())
    return total, {n: w.grad.clone() for n, w in network.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("kind", ["cnn", "gru", "none"])
def test_losses_and_gradients_add_up_to_those_of_the_batch(kind, allowed):
    network = make_network(
        kind=kind, context=CONTEXT, scale=0.3, dropout=0.5, layers=2, attention_heads=2
    ).train()
    network.words.dropout.p = 0.5
    unknown = [word for word in UNSEEN if word != "Tokyo"]  # which training has not got
    sentences = [KNOWN[:5], unknown, KNOWN[2:9], ["Anna"], unknown[4:]]
    batch = batch_of(network, sentences, allowed=allowed)
    loss, wanted = losses_and_gradients(network, [batch])
    assert loss != pytest.approx(losses_and_gradients(network.eval(), [batch])[0])
    network.train()
    for count in (1, 2, 3, 7):
        parts = [batch.part(number, count) for number in range(count)]
        total, found = losses_and_gradients(network, parts)
        assert total == pytest.approx(loss, rel=1e-5)
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)
