"""Tags in other forms than B-PER, which are read where that is stated and else told."""

import io

import pytest

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.styles import TagStyle
from tagbelt.data.types import Open, Span
from tagbelt.errors import ConllError

STYLES = {
    "underscore": ("B_PER I_PER O B_LOC_X", "PER", "LOC_X"),
    "lower": ("b-PER i-PER o b-LOC", "PER", "LOC"),
    "bare": ("B I O b", "ENTITY", "ENTITY"),
}


def read(tags, **options):
    rows = "".join(f"w{n} {tag}\n" for n, tag in enumerate(tags.split()))
    return read_conll(io.BytesIO(rows.encode()), **options)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_that_is_stated_is_read(style):
    tags, first, second = STYLES[style]
    (sentence,) = read(tags, tag_style=style).sentences
    assert sentence.spans == (Span(0, 2, first), Span(3, 4, second))


@pytest.mark.parametrize("style", STYLES)
def test_a_style_that_is_not_stated_is_told(style):
    with pytest.raises(ConllError, match=rf":1: .*; --tag-style {style} \(`tag_style`\) reads it"):
        read(STYLES[style][0])


def test_partial_tags_are_those_of_all_styles():
    (sentence,) = read("B_PER O ? !PER", tag_style=TagStyle.UNDERSCORE).sentences
    assert sentence.open == (Open(2, 3), Open(3, 4, ("PER",)))


@pytest.mark.parametrize("style", TagStyle)
def test_what_is_no_tag_stays_one_that_is_told(style):
    with pytest.raises(ConllError, match=r":2: 'person' is not a tag.*scheme it is read with"):
        read("O person", tag_style=style)


def test_a_style_that_there_is_not():
    with pytest.raises(ValueError, match="curly"):
        read("O", tag_style="curly")
