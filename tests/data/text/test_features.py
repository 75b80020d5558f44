"""What a form shows on its surface."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.vocabulary import (
    MAX_CHARACTERS,
    SHAPES,
    pad,
    shape_id,
    visible_characters,
    word_shape,
)

SHOWN = {
    "lower": ["the", "naïve", "o'clock", "don't", "ß", "straße", "x-ray"],
    "title": ["Paris", "Élan", "Über", "O'neil"],
    "upper": ["USA", "U.S.", "ÉCOLE", "МОСКВА"],
    "initial": ["A", "J.", "É"],
    "mixed": ["McDonald", "iPhone", "O'Neil", "'Hello", "eBay", "Jean-Paul"],
    "number": ["7", "1999", "3.14", "1,000", "-5", "٣", "²", "12%"],
    "letters-digits": ["B2B", "4th", "COVID-19", "1990s", "第1"],
    "punctuation": [".", "--", "...", "😀", "\u200b", "", " ", "\u0301", "$"],
    "caseless": ["北京", "שלום", "½", "日本語", "한국"],
}


@pytest.mark.parametrize(
    ("form", "shape"), [(form, shape) for shape, forms in SHOWN.items() for form in forms]
)
def test_shapes(form, shape):
    assert word_shape(form) == shape
    assert SHAPES[shape_id(form)] == shape


def test_every_shape_can_be_shown():
    assert set(SHOWN) == set(SHAPES) - {"padding"}
    assert SHAPES[0] == "padding"  # no form has it, so 0 may pad


@given(st.text())
@example("ǅ")
@example("ⅷ")
@example("İ")
def test_every_form_has_a_shape_and_only_letters_and_digits_matter(form):
    shape = word_shape(form)
    assert shape in SHAPES[1:]
    if form and shape not in ("title", "mixed"):  # these two look at the first place
        assert word_shape(f".{form}.") == shape


@given(st.text(max_size=3 * MAX_CHARACTERS))
@example("")
@example("x" * MAX_CHARACTERS)
@example("x" * MAX_CHARACTERS + "y")
def test_a_network_reads_one_to_64_characters(form):
    seen, half = visible_characters(form), MAX_CHARACTERS // 2
    assert 1 <= len(seen) <= MAX_CHARACTERS
    if len(form) > MAX_CHARACTERS:
        assert seen == form[:half] + form[-half:]
    else:
        assert seen == (form or " ")


def test_a_huge_word_is_cheap():
    assert visible_characters("a" + "b" * 300_000 + "c") == "a" + "b" * 62 + "c"


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), max_size=5))
def test_padding_is_zeros_behind(rows):
    padded = pad(rows)
    assert len({len(row) for row in padded}) <= 1
    assert [[value for value in row if value] for row in padded] == rows
    for row, wide in zip(rows, padded, strict=True):
        assert wide[: len(row)] == row
    assert not padded or len(padded[0]) == max(map(len, rows))
