import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.api.v1 import convert

ENCODINGS = {"codepoint": ("utf-32-le", 4), "utf16": ("utf-16-le", 2), "utf8": ("utf-8", 1)}
# Ordinary text of each width in UTF-8, and what joins and combines.
TEXTS = st.text(st.sampled_from("aZé߿ࠀ中\uffff𐀀👩\U0010ffff\u200d\u0301\r\n")) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@pytest.mark.parametrize("unit", ENCODINGS)
@given(data=st.data())
def test_a_place_is_the_length_of_what_stands_before_it(unit, data):
    text = data.draw(TEXTS)
    positions = data.draw(st.lists(st.integers(0, len(text))))
    encoding, size = ENCODINGS[unit]
    expected = {p: len(text[:p].encode(encoding)) // size for p in positions}
    assert convert(text, positions, unit) == expected


@pytest.mark.parametrize("positions", [[-1], [4], [0, 4], [-1, 2]])
@pytest.mark.parametrize("text", ["abc", "中文字"])
def test_a_place_outside_the_text_is_refused(text, positions):
    with pytest.raises(ValueError, match="leave a text of 3"):
        convert(text, positions, "utf8")


def test_a_lone_surrogate_is_refused():
    with pytest.raises(UnicodeEncodeError):
        convert("a\ud800b", [3], "utf16")
