import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.bigrams import UNKNOWN_PAIR, Bigrams, build_bigrams

FORMS = ["a", "b", "ab", "A", "1", " ", "\t", "北", "京", "😀"]
SENTENCES = st.lists(st.lists(st.sampled_from(FORMS), max_size=5), max_size=6)


def pairs_of(sentence):
    """Each token with the next one, the last with nothing."""
    following = [*sentence[1:], ""]
    return [(form, following[place]) for place, form in enumerate(sentence)]


@given(SENTENCES, st.integers(1, 3))
def test_pairs_that_occur_often_enough_are_known(sentences, min_count):
    counts = Counter(pair for sentence in sentences for pair in pairs_of(sentence))
    found = build_bigrams(sentences, min_count=min_count).pairs
    assert set(found) == {pair for pair, count in counts.items() if count >= min_count}
    assert list(found) == sorted(found, key=lambda pair: (-counts[pair], pair))


@given(SENTENCES, SENTENCES)
def test_each_token_has_the_row_of_its_pair(known, sentences):
    bigrams = build_bigrams(known)
    rows = bigrams.ids([f for s in sentences for f in s], [len(s) for s in sentences])
    assert rows.tolist() == [
        bigrams.pairs.index(pair) + 1 if pair in bigrams.pairs else UNKNOWN_PAIR
        for sentence in sentences
        for pair in pairs_of(sentence)
    ]
    assert all(row < bigrams.count for row in rows)


def test_pairs_are_looked_up_as_they_stand():
    bigrams = build_bigrams([["Ab", "1"]])
    assert bigrams.ids(["Ab", "1", "ab", "1", "Ab", "2"], [2, 2, 2]).tolist() == [2, 1, 0, 1, 0, 0]


def test_an_empty_token_is_as_good_as_none():
    bigrams = build_bigrams([["a"]])
    assert bigrams.pairs == (("a", ""),)
    assert bigrams.ids(["a", "", "a"], [2, 1]).tolist() == [1, 0, 1]


@given(SENTENCES)
def test_json_gives_the_same_pairs_back(sentences):
    bigrams = build_bigrams(sentences)
    assert Bigrams.from_json(json.loads(json.dumps(bigrams.to_json()))) == bigrams


@pytest.mark.parametrize("value", [None, 3, "ab", [["a"]], [["a", "b", "c"]], [["a", 1]], [None]])
def test_what_is_no_list_of_pairs_is_refused(value):
    with pytest.raises(ValueError, match="no bigrams"):
        Bigrams.from_json(value)


def test_a_pair_named_twice_is_refused():
    with pytest.raises(ValueError, match="the same pair twice"):
        Bigrams.from_json([["a", "b"], ["a", "b"]])
