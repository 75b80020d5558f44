"""Which forms a vocabulary knows, and under which row."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.bigrams import build_bigrams
from tagbelt.data.checkpoint.vocabulary import (
    PADDING_CHARACTER,
    UNKNOWN,
    UNKNOWN_CHARACTER,
    Vocabulary,
    build_vocabulary,
)

SENTENCES = [["The", "cat", "saw", "the", "cat", "in", "1995"], ["", "the", "B2B", "b3b"]]
FORMS = st.text(st.sampled_from("aAbß1٣é."), max_size=4)


def words_of(**options):
    vocabulary = build_vocabulary(SENTENCES, **options)
    return vocabulary.words[: vocabulary.trained], vocabulary.words[vocabulary.trained :]


def test_words_come_by_frequency_then_by_code_point():
    assert words_of() == (("", "the", "b0b", "cat", "0000", "in", "saw"), ())
    assert words_of(lowercase=False, zero_digits=False) == (
        ("", "cat", "the", "1995", "B2B", "The", "b3b", "in", "saw"),
        (),
    )


def test_rare_words_are_unknown_unless_they_have_a_vector():
    assert words_of(min_count=2) == (("", "the", "b0b", "cat"), ())
    assert words_of(min_count=2, pretrained=["saw", "dog"]) == (
        ("", "the", "b0b", "cat", "saw"),
        (),
    )


def test_a_number_with_a_vector_keeps_its_digits():
    trained, rest = words_of(pretrained=["1995", "0000", "b2b"], extra=5)
    assert trained == ("", "the", "cat", "1995", "b0b", "b2b", "in", "saw")
    assert rest == ("0000",)


def test_further_pretrained_words_are_appended_in_their_order():
    pretrained = ["the", "dog", "cat", "zebra", "in", "ant", "bee"]
    assert words_of(pretrained=pretrained)[1] == ()
    assert words_of(pretrained=pretrained, extra=2)[1] == ("dog", "zebra")
    assert words_of(pretrained=pretrained, extra=99)[1] == ("dog", "zebra", "ant", "bee")


def test_characters_are_counted_in_tokens_not_in_forms():
    vocabulary = build_vocabulary([["ab", "ab", "b", "c"]], min_character_count=2)
    assert vocabulary.characters == "ba"
    assert vocabulary.character_count == 4
    assert vocabulary.character_ids("abc") == [3, 2, UNKNOWN_CHARACTER]
    assert vocabulary.character_ids("") == [UNKNOWN_CHARACTER]
    assert PADDING_CHARACTER not in vocabulary.character_ids("abc")


def test_how_a_form_is_found():
    vocabulary = build_vocabulary(SENTENCES, pretrained=["1995"])
    row = vocabulary.words.index
    assert vocabulary.word_id("THE") == row("the")
    assert vocabulary.word_id("1995") == row("1995")
    assert vocabulary.word_id("1996") == UNKNOWN  # no other year was seen without a vector
    assert vocabulary.word_id("B9B") == row("b0b")
    assert vocabulary.word_id("dog") == vocabulary.word_id("") == UNKNOWN
    cased = build_vocabulary(SENTENCES, lowercase=False, zero_digits=False)
    assert cased.word_id("THE") == cased.word_id("1996") == UNKNOWN
    assert cased.word_id("The") != cased.word_id("the")


@given(
    st.lists(st.lists(FORMS, max_size=5), max_size=5),
    st.lists(FORMS.map(str.lower).filter(bool), unique=True, max_size=6),
    st.integers(0, 4),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
)
def test_forms_of_the_training_data_have_trained_rows(
    sentences, pretrained, extra, least, lowercase, zero_digits
):
    vocabulary = build_vocabulary(
        sentences,
        pretrained=pretrained,
        extra=extra,
        min_count=least,
        lowercase=lowercase,
        zero_digits=zero_digits,
    )
    forms = {form for sentence in sentences for form in sentence}
    for form in forms:
        row = vocabulary.word_id(form)
        assert row < vocabulary.trained  # training looks at no other rows
        if form and least == 1:
            assert row != UNKNOWN
        assert UNKNOWN_CHARACTER not in vocabulary.character_ids(form) or form == ""
    rest = vocabulary.words[vocabulary.trained :]
    assert len(rest) <= extra
    assert set(rest) <= set(pretrained)
    for row, word in enumerate(vocabulary.words[1:], start=1):
        if word == (word.lower() if lowercase else word):
            assert vocabulary.word_id(word) == row
    again = build_vocabulary(
        [list(reversed(sentence)) for sentence in reversed(sentences)],
        pretrained=pretrained,
        extra=extra,
        min_count=least,
        lowercase=lowercase,
        zero_digits=zero_digits,
    )
    assert again == vocabulary
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_bigrams_are_kept_with_it():
    vocabulary = replace(Vocabulary.from_json(GOOD), bigrams=build_bigrams([["a", "b"]]))
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again.bigrams == vocabulary.bigrams
    assert again == vocabulary != Vocabulary.from_json(GOOD)


GOOD = {"words": ["", "a"], "characters": "a", "trained": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": ["", "a", "a"]}, "same word or character twice"),
        ({"characters": "aa"}, "same word or character twice"),
        ({"trained": 3}, "3 trained words in a vocabulary of 2"),
        ({"trained": 0}, "0 trained words in a vocabulary of 2"),
        ({"words": []}, "2 trained words in a vocabulary of 0"),
        ({"words": None}, "no vocabulary"),
        ({"trained": "2"}, "no vocabulary"),
        ({"stems": []}, "no vocabulary: .*stems"),
        ({"gazetteer": []}, "no vocabulary: .*gazetteer"),
        ({"bigrams": None}, "no bigrams"),
        ({"bigrams": [["a", "a"], ["a", "a"]]}, "the same pair twice"),
    ],
)
def test_what_is_no_vocabulary_is_refused(change, message):
    Vocabulary.from_json(GOOD)
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json({**GOOD, **change})
    with pytest.raises(ValueError, match="no vocabulary: 'words'"):
        Vocabulary.from_json({})


@given(
    st.lists(
        st.sampled_from(["the", "THE", "1995", "1996", "B9B", "dog", ""]) | st.text(max_size=3)
    ),
    st.booleans(),
    st.booleans(),
)
def test_unknown_forms_are_counted_as_they_are_looked_up(forms, lowercase, zero_digits):
    words = ("", "the", "1995", "b0b", "Dog", "0000")
    vocabulary = Vocabulary(words, "", 1, lowercase=lowercase, zero_digits=zero_digits)
    expected = sum(vocabulary.word_id(form) == UNKNOWN for form in forms)
    assert vocabulary.count_unknown(forms) == expected
