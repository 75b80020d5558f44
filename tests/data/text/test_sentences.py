"""Sentences: golden cases, wrapped text, and the law that a line of its own stays one."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.text.tokenize import tokenize


def sentences_of(text: str) -> list[str]:
    return [
        text[s.starts[0] : s.starts[-1] + len(s.words[-1])] for s in tokenize(text, "character")
    ]


# A text with a bar where it is to be cut.
GOLDEN = [
    "It rained. |We left! |Why? |Nobody knew.",
    "It rained.We left. and so on. he said",
    'He said: "We left." |"Why?" |(Nobody knew.) |So be it.',
    "“We left.” |‘Why?’ |«No.» |Then [5] more.",
    "Mr. Hall and J. K. Low of Acme Inc. met Gen. Moss in St. Ives on Jan. 5. |They left.",
    "The U.S. Army left the U.S. |The next day it rained at 5 p.m. |But we stayed.",
    "She came 3. |The rest lost. |No. 5 won in 1998. |Ann was 4. Bob was 2.",
    "Gustav IV. Adolf und Roe v. Wade, 3. Liga, am 3. Oktober. |Dann kam Karl.",
    "Wait... what? |Yes... |But no… |No. |OK",
    "so what. i mean. whatever! 😀 Next",
    "¿Qué pasa? |¡Nada! |«Fin.» |Ya está.",
    "Version 3.14 of ex.org is out. |See http://ex.org/a.b.C for more.",
    "“好！”|他说。|真的？！|是……的；不是。。|好",
    "他在U.S.A.公司。|A股！|3月",
    "क्या हुआ। |बारिश हुई। |هل جاء؟ |نعم",
    "One paragraph\n\n|and another\r\n\r\n|and\u2029|more\f|still",
    "A line that is rather long but has no end to it\nand so on",
    "A line that is rather long but has no end to it\u2029|and so on",
    "A line that is rather long but has no end to it\f|and so on",
    "First title\n|second title\r\n|Third",
    "Things to buy for the long journey to the coast:\n|- milk and eggs\n|- bread",
    "a\tb\u00a0C\u3000D",
    "\n\nOne \n \n|two\n\n",
]


@pytest.mark.parametrize("marked", GOLDEN)
def test_golden_sentences(marked: str) -> None:
    assert sentences_of(marked.replace("|", "")) == [s.strip() for s in marked.split("|")]


PROSE = (
    "The company said on Tuesday that it would move its head office from Port Harbour to the new"
    " East Gate quarter. Its chairman, Sir Anthony Walsingham, told reporters in the U.S. Virgin"
    " Islands that the plan had been agreed with Mayor Lee. He added: “We expect no delays.”"
    " Shares of United Parcel and Freight Corp. rose by 2.5 percent. Analysts had expected less."
    " Mrs. Ada Moss, who founded the firm in 1987 with J. R. Hall, was not available to comment."
)


@pytest.mark.parametrize("width", range(45, 121))
def test_wrapped_prose_has_the_sentences_of_the_paragraph(width: int) -> None:
    wrapped = textwrap.fill(PROSE, width, break_on_hyphens=False)
    assert "\n" in wrapped
    assert [s.replace("\n", " ") for s in sentences_of(wrapped)] == sentences_of(PROSE)


def test_wrapped_paragraphs_without_a_blank_line_between() -> None:
    paragraph = textwrap.fill(PROSE, 72)
    assert sentences_of(f"{paragraph}\n{paragraph}") == sentences_of(paragraph) * 2


def test_a_long_url_does_not_hide_that_text_is_wrapped() -> None:
    wrapped = textwrap.fill(PROSE, 72).replace("\n", "\nhttps://ex.org/" + "x" * 100 + "\n", 1)
    assert len(sentences_of(wrapped)) <= len(sentences_of(PROSE)) + 1


def test_wrapped_chinese() -> None:
    text = "他们昨天在北京大学的图书馆里见到了从上海来的王小明教授" * 10 + "。"
    lines = [text[i : i + 45] for i in range(0, len(text), 45)]
    assert sentences_of("\n".join(lines)) == ["\n".join(lines)]


HEADLINES = (
    "Harbour Bank cuts its outlook for the year after weak third quarter",
    "Storm closes the airport",
    "Moss named head of Acme's European research division in Lower Wetting",
    "Walsingham wins again",
    "Council of Port Harbour to vote on the East Gate bridge this week",
    "No deal yet for rail workers",
)


def test_one_headline_on_each_line() -> None:
    assert sentences_of("\n".join(HEADLINES)) == list(HEADLINES)


LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1)


@given(st.lists(LINES, min_size=1, max_size=5))
def test_a_blank_line_always_separates(blocks: list[str]) -> None:
    parts = [sentences_of(block) for block in blocks]
    assert sentences_of("\n\n".join(blocks)) == [s for part in parts for s in part]


WORDS = 'Ann Bob Mr. IV 3 . ! ? ... the The ) " 中 。 ！ U.S.'


@given(st.lists(st.sampled_from(WORDS.split())))
def test_line_breaks_of_any_kind_are_alike(words: list[str]) -> None:
    unix = "\n".join(words)
    expected = sentences_of(unix)
    for other in ("\r", "\u2028", "\v", "\u0085"):
        assert [s.replace(other, "\n") for s in sentences_of(unix.replace("\n", other))] == expected
