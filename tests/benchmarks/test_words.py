"""Made-up workloads: words that never repeat, sentences of one length."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed.words import cut, new_words, of_vocabulary, shuffled, word

# Where a word of three syllables becomes one of four, and four become five.
EDGES = st.sampled_from([0, 90**3, 90**3 + 90**4])


@given(EDGES, st.integers(0, 5000))
def test_words_never_repeat(edge, before):
    start = max(0, edge - before)
    assert len(set(islice(new_words(start), 10_000))) == 10_000


def test_a_word_is_always_the_same_and_one_token():
    assert word(12) == word(12)
    assert all(w.isalpha() and w.islower() for w in islice(new_words(), 1000))


@given(st.integers(1, 50), st.integers(1, 500))
def test_cut_sentences_have_one_length_and_the_words_in_order(length, tokens):
    corpus = [("a", "b", "c"), ("d",)]
    pool = cut(corpus, length, tokens)
    assert [len(sentence) for sentence in pool] == [length] * (tokens // length)
    flat = [w for sentence in pool for w in sentence]
    assert flat == ["abcd"[i % 4] for i in range(len(flat))]


@given(st.integers(1, 40))
def test_every_form_is_as_frequent_as_the_others(forms):
    pool = of_vocabulary(forms, 5, 20 * forms)
    counts = Counter(w for sentence in pool for w in sentence)
    assert counts == {word(number): 20 for number in range(forms)}
    assert {len(sentence) for sentence in pool} == {5}


def test_shuffled_keeps_every_sentence_and_its_order_from_run_to_run():
    corpus = [(str(number),) for number in range(100)]
    assert sorted(shuffled(corpus)) == sorted(corpus)
    assert shuffled(corpus) == shuffled(corpus) != corpus
