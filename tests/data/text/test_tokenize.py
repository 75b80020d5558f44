"""Tokens: golden cases, laws over awkward Unicode, agreement with annotated corpora."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Separator, Unit

UNITS: tuple[Unit, ...] = ("word", "character")

# A text, and its tokens with a space between each two.
ENGLISH = [
    ("She said: wait, please!", "She said : wait , please !"),
    ("I don't; we can't, won't.", "I do n't ; we ca n't , wo n't ."),
    ("DON'T I’m he’ll it’d", "DO N'T I ’m he ’ll it ’d"),
    ("Ann's boss' cars", "Ann 's boss ' cars"),
    ("O'Neil at six o'clock, d’Arc", "O'Neil at six o'clock , d’Arc"),
    ("'tis the '90s, bring 'em", "'tis the '90s , bring 'em"),
    ("a well-known ten-year-old Jean-Luc", "a well-known ten-year-old Jean-Luc"),
    ("pre- and post-war, stop- now", "pre- and post-war , stop - now"),
    ("Mr. Hall met Dr. J. K. Low.", "Mr. Hall met Dr. J. K. Low ."),
    ("G.W. Hunt, J.-P. Roux, A.Berg", "G.W. Hunt , J.-P. Roux , A. Berg"),
    ("U.S.-led talks in the U.K. today", "U.S.-led talks in the U.K. today"),
    ("Acme Inc. bought Bolt Corp.", "Acme Inc. bought Bolt Corp ."),
    ("made in the U.S.", "made in the U.S ."),
    ("a Ph.D., e.g. hers, etc. etc.", "a Ph.D. , e.g. hers , etc. etc ."),
    ("(made in the U.S.)", "( made in the U.S. )"),
    ("at 10:30 a.m. on 1996-08-22", "at 10:30 a.m. on 1996-08-22"),
    ("1,234.56 and 1.234,56 and .5", "1,234.56 and 1.234,56 and .5"),
    ("-5 or +3, but 7-5 and 2010–12", "-5 or +3 , but 7-5 and 2010–12"),
    ("$5, US$1,000, 5€, £2.50, 30%", "$ 5 , US$ 1,000 , 5 € , £ 2.50 , 30 %"),
    ("1/2 of 24/7, km/h, US/UK", "1/2 of 24/7 , km/h , US / UK"),
    ("AT&T, R&D, 18+, C++", "AT&T , R&D , 18+ , C++"),
    ("the 1st, the 22nd, 1980s, 6pm", "the 1st , the 22nd , 1980s , 6pm"),
    ("1. Jim Bell\n2. Ada Moss", "1. Jim Bell 2. Ada Moss"),
    ("No. 5 said no. Then", "No. 5 said no . Then"),
    ("wait... what?! --yes----no", "wait ... what ?! -- yes ---- no"),
    ("“Yes,” he ‘said’ \"so\" ``it'' «is»", "“ Yes , ” he ‘ said ’ \" so \" `` it '' « is »"),
    ("a(b)[c]{d}<e>", "a ( b ) [ c ] { d } < e >"),
    ("one—two – three–four", "one — two – three – four"),
    ("the end.Then more", "the end . Then more"),
    ("_Moby Dick_ by snake_case", "_ Moby Dick _ by snake_case"),
]
WEB = [
    ("see https://ex.org/a_(b)?q=1&r=2.", "see https://ex.org/a_(b)?q=1&r=2 ."),
    ("(www.ex.org/x), ex.org, t.co/aB1!", "( www.ex.org/x ) , ex.org , t.co/aB1 !"),
    ("http://ex.org。好", "http://ex.org 。 好"),
    ("mail A.Low@mail.ex-1.org, ok", "mail A.Low@mail.ex-1.org , ok"),
    ("@ann_b: #MeToo, #1 a@b @ #", "@ann_b : #MeToo , #1 a @b @ #"),
    ("ok :) :-( ;D <3 =)", "ok :) :-( ;D <3 =)"),
    ("note: (a) b:c", "note : ( a ) b : c"),
    ("R &amp; B &#39; &x;", "R &amp; B &#39; & x ;"),
    (
        "Barack Obama&nbsp;visited&#160;us&#xA0;all",
        "Barack Obama &nbsp; visited &#160; us &#xA0; all",
    ),
    ("M&uuml;nchen, &Uuml;ber K&#246;ln&#xDF;", "M&uuml;nchen , &Uuml;ber K&#246;ln&#xDF;"),
    (
        "Caf&eacute; &Eacute;&eacute; 2&times;3&#215;4",
        "Caf&eacute; &Eacute;&eacute; 2 &times; 3 &#215; 4",
    ),
    ("Procter&amp;Gamble, Procter&Gamble; AT&T;", "Procter&amp;Gamble , Procter&Gamble ; AT&T ;"),
    (
        "&quot;Acme&quot;&mdash;1996&ndash;97&hellip;",
        "&quot; Acme &quot; &mdash; 1996 &ndash; 97 &hellip;",
    ),
    ("I 👍🏽❤️🇫🇷🇩🇪 👩‍👩‍👧x", "I 👍🏽 ❤️ 🇫🇷 🇩🇪 👩‍👩‍👧 x"),
]
OTHER_LANGUAGES = [
    ("¿Qué? ¡Sí, señor! EE.UU. y tú", "¿ Qué ? ¡ Sí , señor ! EE.UU. y tú"),
    ("El Sr. López y la Sra. Gil", "El Sr. López y la Sra. Gil"),
    ("Süd- und Ostküste, z.B. am 3. Mai", "Süd- und Ostküste , z.B. am 3. Mai"),
    ("am 3. Oktober im 2. Jahrhundert", "am 3. Oktober im 2. Jahrhundert"),
    ("„Ja“, sagte Bär–Löw", "„ Ja “ , sagte Bär – Löw"),
    ("col·legi L'Hospitalet", "col·legi L'Hospitalet"),
    ("Он сказал: «Привет!»", "Он сказал : « Привет ! »"),
    ("हिन्दी में, क्‍ष", "हिन्दी में , क्‍ष"),
    ("서울에서 만나요.", "서울에서 만나요 ."),
    ("مرحبا، كيف؟", "مرحبا ، كيف ؟"),
    ("我在2024年去了IBM公司。", "我 在 2024 年 去 了 IBM 公 司 。"),
    ("“好！”他说……真的？！", "“ 好 ！ ” 他 说 …… 真 的 ？！"),
    ("トヨタの車はらーめん", "トヨタ の 車 はらーめん"),
    ("邮箱a@ex.org或b我c@ex.org", "邮 箱 a@ex.org 或 b 我 c@ex.org"),
    ("#话题#你好 @王", "# 话 题 # 你 好 @ 王"),
    ("葛\U000e0100城", "葛\U000e0100 城"),
]
INVISIBLE = [
    ("cafe\u0301s n\u0303", "cafe\u0301s n\u0303"),
    ("co\u00adop\u200eted", "co\u00adop\u200eted"),
    ("\ufeffHi \u200fyou\u200f.", "\ufeff Hi \u200f you \u200f ."),
    ("a\u200bb \u0301c", "a \u200b b \u0301 c"),
    ("①\u200d❤ ❤\u200d①", "①\u200d ❤ ❤\u200d ①"),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("a\x00b\ud800c", "a \x00 b \ud800 c"),
]


def words_of(text: str, unit: Unit = "word") -> list[str]:
    return [word for sentence in tokenize(text, unit) for word in sentence.words]


@pytest.mark.parametrize(("text", "tokens"), ENGLISH + WEB + OTHER_LANGUAGES + INVISIBLE)
def test_golden_words(text: str, tokens: str) -> None:
    assert words_of(text) == tokens.split(" ")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我在IBM 2024。", "我 在 I B M 2 0 2 4 。"),
        ("a.b--!!…", "a . b - - ! ! …"),
        ("e\u0301 葛\U000e0100 क्‍ष", "e\u0301 葛\U000e0100 क्‍ ष"),
        ("👩‍👩‍👧👍🏽❤️🇫🇷🇩🇪🇫", "👩‍👩‍👧 👍🏽 ❤️ 🇫🇷 🇩🇪 🇫"),
        ("①\u200d❤ ❤\u200d①", "①\u200d ❤ ❤\u200d ①"),
        ("\u200b\ufeff\u0301\x00\ud800", "\u200b \ufeff\u0301 \x00 \ud800"),
    ],
)
def test_golden_characters(text: str, tokens: str) -> None:
    assert words_of(text, "character") == tokens.split(" ")


def test_starts_are_code_points_of_the_whole_text() -> None:
    first, second = tokenize(" 👍🏽 So?\r\n\r\n\tYes.", "word")
    assert (first.words, first.starts) == (("👍🏽", "So", "?"), (1, 4, 6))
    assert (second.words, second.starts) == (("Yes", "."), (12, 15))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("text", ["", " ", "\n\n \t\r\n", "\u3000\u00a0\u2003\x1c\x85"])
def test_blank_text_has_no_sentences(text: str, unit: Unit) -> None:
    assert tokenize(text, unit) == []


def test_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="'letter'"):
        tokenize("a", "letter")  # type: ignore[arg-type]


# Laws

PIECES = (
    "word|Zoë|e\u0301|दिल्ली|क्\u200dष|中文|葛\U000e0100|カナ|はー|한국|привет|مرحبا|שלום|👩\u200d👧|🇫|🇷"
    "|👍🏽|❤️|①|\u200d|\u200b|\ufeff|\u00ad|\u200f|\u202e|\u0301|\U00011001|\U0001e8d0|\x00|\x1c|\x85"
    "|\u2028|\u3000|\u00a0| |  |\n|\r\n|\t|\ud800|\"|''|``|“|’|'|’s|n't|can't|...|…|--|—|–|-|!|?!"
    "|(|)|]|<b>|&amp;|@x|#y|$|US$|%|_|/|+|,|.|:|;|:)|½|3|12|1.|2024|http://x.y/|www.|x.org/|a@b.c"
    "|Mr.|Inc.|U.S.|J.|e.g.|No. 5|IV|and|Mai|The|。|！|”|·|\U00010400|A|b"
)
TEXTS = st.lists(
    st.sampled_from(PIECES.split("|")) | st.characters(exclude_categories=()), max_size=30
).map("".join)


@pytest.mark.parametrize("unit", UNITS)
@given(text=TEXTS)
def test_tokens_cover_the_text_exactly(unit: Unit, text: str) -> None:
    end = 0
    for sentence in tokenize(text, unit):
        assert sentence.words
        for word, start in zip(sentence.words, sentence.starts, strict=True):
            assert word
            assert text[start : start + len(word)] == word
            assert not text[end:start].strip()
            assert start >= end
            assert not any(map(str.isspace, word))
            end = start + len(word)
    assert not text[end:].strip()


@given(TEXTS)
def test_both_units_give_the_same_sentences(text: str) -> None:
    words, characters = tokenize(text, "word"), tokenize(text, "character")
    assert [s.starts[0] for s in words] == [s.starts[0] for s in characters]
    assert ["".join(s.words) for s in words] == ["".join(s.words) for s in characters]


@given(TEXTS)
def test_no_word_begins_within_a_character(text: str) -> None:
    starts = {start for sentence in tokenize(text, "character") for start in sentence.starts}
    assert starts.issuperset(s for sentence in tokenize(text, "word") for s in sentence.starts)


@given(TEXTS)
def test_the_kind_of_space_makes_no_difference(text: str) -> None:
    # Words before a plain space take a short cut through the expression; others do not.
    assert [s.starts for s in tokenize(text, "word")] == [
        (s.starts) for s in tokenize(text.replace(" ", "\u00a0"), "word")
    ]


@given(TEXTS)
def test_a_space_at_the_end_makes_no_difference(text: str) -> None:
    assert tokenize(text, "word") == tokenize(text + " ", "word")


@given(st.from_regex(r"[A-Za-zÀ-ÖØ-öø-ÿа-я]+|\d+", fullmatch=True))
def test_an_ordinary_word_is_one_token(word: str) -> None:
    assert words_of(word) == [word]


@given(
    st.text(st.characters(exclude_categories=("M", "Cf", "Z", "Cc", "Sk", "So", "Cs")), max_size=50)
)
def test_without_marks_every_code_point_is_a_character(text: str) -> None:
    assert words_of(text, "character") == [c for c in text if not c.isspace()]


MANY = 300_000


RUNS = (
    "a .|a.|A.|aa.|.|'|\"|@|a@|a@b-|@a|-|a-|_|a_|/|a/|!|(|:(|:D|1|1,|1.|&|&amp;|http://|http://."
    "|www.!|a.bc/)|n't|don't|n'|Mr.|Inc. |No. |J. |1. |中|。|。”|.)|…|\u0301|\u200d"
    "|a\u200d|\u00ad|a\u00ad|👩\u200d|🇫|\ud800|a\n|a\n\n| |\n|\x00|a|- |a- "
)


@pytest.mark.parametrize("piece", RUNS.split("|"))
def test_long_runs_do_not_hang(piece: str) -> None:
    # Linear time makes this a moment each; a quadratic expression would run for an hour.
    run = piece * (MANY // len(piece))
    for text in (run, f"x{run}x."):
        # Characters are found within the sentences that the words tell, so this does both.
        assert "".join(words_of(text, "character")) == "".join(text.split())


@pytest.mark.parametrize("piece", ["a", "ab-", "a.", "1,2", "é", "ह\u093f", "a\u00ad", "'a"])
def test_a_word_is_never_cut_for_its_length(piece: str) -> None:
    word = "x" + piece * (MANY // len(piece)) + "y"
    assert words_of(word) == [word]


# Annotated corpora. Two measures: on tokens joined by spaces, the share that stays whole; and on
# text as people write it, punctuation next to words, F1 of the tokens.

CORPORA: list[tuple[str, int, Separator, float, float]] = [
    ("conll2003/test.txt", 0, " ", 99.8, 99.7),
    ("wnut17/test.conll", 0, "\t", 98.5, 98.5),
    ("gum/test.conll", 0, "\t", 99.8, 99.8),
    ("wikiann/en/test.conllu", 1, "\t", 98.5, 98.0),
    ("wikiann/de/test.conllu", 1, "\t", 98.5, 98.0),
    ("conll2002_esp/test.txt", 0, " ", 99.5, 99.2),
]


def natural(tokens: Sequence[str]) -> tuple[str, list[int]]:
    text, starts, open_quote, glued = "", [], False, True
    for token in tokens:
        closing = token == '"' and open_quote
        left = re.fullmatch(r"[,.;:!?%)\]}…]|\.{3}|n['’]t|['’](?:s|m|d|re|ve|ll)", token, re.I)
        text += "" if glued or left or closing else " "
        starts.append(len(text))
        text += token
        if token == '"':
            open_quote = not open_quote
        glued = token in set("([{$£") or (token == '"' and open_quote)
    return text, starts


def joined(tokens: Sequence[str]) -> tuple[str, list[int]]:
    return " ".join(tokens), [len(" ".join([*tokens[:i], ""])) for i in range(len(tokens))]


@pytest.mark.parametrize(("path", "column", "separator", "whole", "f1"), CORPORA)
def test_agreement_with_corpora(
    path: str, column: int, separator: Separator, whole: float, f1: float
) -> None:
    if "TAGBELT_DATA" not in os.environ:
        pytest.skip("TAGBELT_DATA names no directory of data sets")
    corpus = read_conll(
        Path(os.environ["TAGBELT_DATA"]) / path,
        columns={"token": column, "tag": -1},
        separator=separator,
        on_invalid="repair",
    )
    counts = {joined: [0, 0, 0], natural: [0, 0, 0]}
    for sentence in corpus.sentences:
        tokens = [t for t in sentence.tokens if re.fullmatch(r"\S+", t)]
        for write, count in counts.items():
            text, starts = write(tokens)
            gold = set(zip(starts, tokens, strict=True))
            found = {
                (a, w)
                for s in tokenize(text, "word")
                for a, w in zip(s.starts, s.words, strict=True)
            }
            for i, number in enumerate((len(gold & found), len(gold), len(found))):
                count[i] += number
    right, gold_count, _ = counts[joined]
    assert 100 * right / gold_count >= whole
    right, gold_count, found_count = counts[natural]
    assert 200 * right / (gold_count + found_count) >= f1


@pytest.mark.parametrize(
    ("path", "separator"),
    [("resume/test.bmes", " "), ("msra/test.txt", "\t"), ("cluener/dev.txt", "\t")],
)
def test_characters_are_those_of_the_chinese_corpora(path: str, separator: Separator) -> None:
    if "TAGBELT_DATA" not in os.environ:
        pytest.skip("TAGBELT_DATA names no directory of data sets")
    corpus = read_conll(Path(os.environ["TAGBELT_DATA"]) / path, separator=separator)
    for sentence in corpus.sentences:
        assert words_of("".join(sentence.tokens), "character") == list(sentence.tokens)
