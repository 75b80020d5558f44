"""Packed batches against torch's own packing, and against the sentences they came from."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

from tagbelt.data.checkpoint.vocabulary import MAX_CHARACTERS, UNKNOWN, shape_id
from tagbelt.model.batch import encode
from tagbelt.model.cells.packed import batch_sizes, packed_order
from tests.model.networks import KNOWN, UNSEEN, make_vocabulary

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=8)
SENTENCES = st.lists(
    st.lists(st.sampled_from(KNOWN + UNSEEN), min_size=1, max_size=7), min_size=1, max_size=6
)
VOCABULARY = make_vocabulary()


@given(LENGTHS)
def test_rows_stand_where_torch_packs_them(lengths):
    lengths.sort(reverse=True)
    ends = torch.tensor(lengths).cumsum(0).tolist()
    parts = [torch.arange(end - n, end) for n, end in zip(lengths, ends, strict=True)]
    expected = pack_sequence(parts)
    assert torch.equal(packed_order(torch.tensor(lengths)), expected.data)
    assert torch.equal(batch_sizes(torch.tensor(lengths)), expected.batch_sizes)


def test_a_sentence_without_tokens_is_named():
    with pytest.raises(ValueError, match=r"sentence 2 of the batch .* has no token"):
        packed_order(torch.tensor([3, 1, 0]))
    with pytest.raises(ValueError, match="sentence 1 has 0 tokens"):
        encode([["a"], [], ["b"]], VOCABULARY)


def test_tags_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="sentence 1 has 2 tokens and 1 tags"):
        encode([["a"], ["b", "c"]], VOCABULARY, [[0], [1]])
    with pytest.raises(ValueError, match="2 sentences, but tags of 1"):
        encode([["a"], ["b"]], VOCABULARY, [[0]])


@given(SENTENCES, st.data())
def test_a_batch_holds_every_token_of_its_sentences_once(sentences, data):
    chosen = data.draw(st.permutations(range(len(sentences))))
    chosen = chosen[: data.draw(st.integers(1, len(chosen)))]
    tags = [[len(form) % 5 for form in sentence] for sentence in sentences]
    batch = encode(sentences, VOCABULARY, tags).batch(chosen)
    assert sorted(batch.index.tolist()) == sorted(chosen)
    assert batch.sentence_count == len(chosen)
    assert batch.token_count == sum(len(sentences[i]) for i in chosen)
    rows, lengths = pad_packed_sequence(PackedSequence(batch.row_forms, batch.batch_sizes))
    gold, _ = pad_packed_sequence(PackedSequence(batch.tags, batch.batch_sizes))
    assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
    for column, index in enumerate(batch.index.tolist()):
        forms, length = sentences[index], int(lengths[column])
        assert length == len(forms)
        assert gold[:length, column].tolist() == tags[index]
        for row, form in zip(rows[:length, column].tolist(), forms, strict=True):
            characters = VOCABULARY.character_ids(form)
            assert batch.form_words[row] == VOCABULARY.word_id(form)
            assert batch.form_shapes[row] == shape_id(form)
            assert batch.form_lengths[row] == len(characters)
            padding = batch.form_characters.shape[1] - len(characters)
            assert batch.form_characters[row].tolist() == characters + [0] * padding


@given(SENTENCES)
def test_a_form_is_looked_at_once_and_no_wider_than_it_must(sentences):
    batch = encode(sentences, VOCABULARY).batch(range(len(sentences)))
    forms = {form for sentence in sentences for form in sentence}
    assert len(batch.form_words) == len(forms)
    assert batch.form_characters.shape[1] == batch.form_lengths.max() <= MAX_CHARACTERS
    assert batch.tags is None


def test_sentences_of_one_length_keep_their_order():
    batch = encode([["a"], ["b", "c"], ["d"], ["e", "f"]], VOCABULARY).batch([3, 0, 1, 2])
    assert batch.index.tolist() == [3, 1, 0, 2]


def test_hidden_words_become_unknown_and_keep_their_characters():
    encoded = encode([["Anna", "went"], ["Anna"]], VOCABULARY)
    plain = encoded.batch([0, 1])
    hidden = encoded.batch([0, 1], hide_rates=torch.tensor([1.0, 0.0]))
    assert plain.form_words.tolist() == [VOCABULARY.word_id("Anna"), VOCABULARY.word_id("went")]
    assert hidden.form_words.tolist() == [UNKNOWN, VOCABULARY.word_id("went")]
    assert torch.equal(hidden.form_characters, plain.form_characters)
    assert torch.equal(encoded.batch([0, 1]).form_words, plain.form_words)


def test_words_are_hidden_as_often_as_asked():
    forms = list(dict.fromkeys(KNOWN))
    encoded = encode([forms], VOCABULARY)
    rates = torch.linspace(0.0, 1.0, len(forms))
    torch.manual_seed(0)
    counts = torch.zeros(len(forms))
    for _ in range(500):
        counts += encoded.batch([0], hide_rates=rates).form_words == UNKNOWN
    known = encoded.batch([0]).form_words != UNKNOWN
    assert known.sum() > 5
    torch.testing.assert_close(counts[known] / 500, rates[known], rtol=0.0, atol=0.08)


def test_what_torch_wants_on_the_cpu_stays_there():
    batch = encode([["a", "b"]], VOCABULARY, [[0, 1]]).batch([0])
    moved = batch.to(torch.device("meta"))
    places = {name: value.device.type for name, value in vars(moved).items() if value is not None}
    assert places.pop("batch_sizes") == places.pop("index") == "cpu"
    assert set(places.values()) == {"meta"}
    assert batch.to(torch.device("cpu")) is batch
    assert encode([["a"]], VOCABULARY).batch([0]).to(torch.device("meta")).tags is None
