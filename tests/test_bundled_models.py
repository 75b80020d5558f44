"""The bundled models: what people try first must be there, small, whole and good on plain text."""

from pathlib import Path

import pytest

from tagbelt.data.checkpoint.artifact import CARD, Header, verify_sums
from tagbelt.inference.tagger import Tagger

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
LARGEST = 15_000_000

# Written for this test. The names of the last three sentences are invented: no list holds them.
SENTENCES = [
    (
        "Angela Merkel visited Toyota in Nagoya on Monday.",
        "PER Angela Merkel|ORG Toyota|LOC Nagoya",
    ),
    (
        "The company hopes to open a factory in Vietnam next year, Tim Cook told reporters.",
        "LOC Vietnam|PER Tim Cook",
    ),
    (
        "On Tuesday the European Commission fined Google for the third time.",
        "ORG European Commission|ORG Google",
    ),
    ("My sister lives in Berlin and works for Siemens.", "LOC Berlin|ORG Siemens"),
    ("We will meet again next Thursday in April.", ""),
    ("The German and French teams played well.", "MISC German|MISC French"),
    (
        "Zyphra Kelvington joined Brindlemoor Industries last spring.",
        "PER Zyphra Kelvington|ORG Brindlemoor Industries",
    ),
    ("A storm hit the coast near Oaxtelmar on Sunday.", "LOC Oaxtelmar"),
    ('"We are proud," said Tovin Maresk, who leads the team.', "PER Tovin Maresk"),
]


# Both scripts alike, companies of today, Latin letters. The person and the firm are invented.
CHINESE = [
    ("马云在杭州创办了阿里巴巴。", "PER 马云|LOC 杭州|ORG 阿里巴巴"),
    ("馬雲在杭州創辦了阿里巴巴。", "PER 馬雲|LOC 杭州|ORG 阿里巴巴"),
    ("华为昨天在德国发布了新款手机。", "ORG 华为|LOC 德国"),
    ("華為昨天在德國發佈了新款手機。", "ORG 華為|LOC 德國"),
    ("顾青禾明天去上海出差。", "PER 顾青禾|LOC 上海"),
    ("今天天气很好，我们去吃饭吧。", ""),
]


@pytest.mark.parametrize("name", ["en", "zh"])
def test_bundled_models_carry_no_text_of_others(name: str) -> None:
    assert Header.read(CHECKPOINTS / name).examples == ()


@pytest.fixture(scope="module")
def english() -> Tagger:
    return Tagger.load(CHECKPOINTS / "en")


def test_the_english_model_is_small_and_whole() -> None:
    directory = CHECKPOINTS / "en"
    verify_sums(directory)
    assert sum(path.stat().st_size for path in directory.iterdir()) < LARGEST
    assert set(Header.read(directory).labels) >= {"PER", "LOC", "ORG"}


def test_the_card_states_data_licence_and_scores() -> None:
    card = (CHECKPOINTS / "en" / CARD).read_text(encoding="utf-8")
    for words in ("CC BY-SA 4.0", "wikiann", "gmb", "btc", "wnut", "ewt", "wikigold", "strict"):
        assert words in card


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_plain_sentences_are_tagged_right(english: Tagger, text: str, expected: str) -> None:
    found = "|".join(f"{entity.label} {entity.text}" for entity in english.tag([text])[0])
    assert found == expected


def test_plain_chinese_sentences_are_tagged_right_in_both_scripts() -> None:
    found = Tagger.load(CHECKPOINTS / "zh").tag([text for text, _ in CHINESE])
    for (text, expected), entities in zip(CHINESE, found, strict=True):
        assert "|".join(f"{e.label} {e.text}" for e in entities) == expected, text


def test_what_it_finds_does_not_depend_on_company(english: Tagger) -> None:
    texts = [text for text, _ in SENTENCES]
    together = english.tag([*texts, "x " * 2000])
    for text, found in zip(texts, together, strict=False):
        alone = english.tag([text])[0]
        assert [(e.label, e.start, e.end) for e in alone] == [
            (e.label, e.start, e.end) for e in found
        ]
        assert [e.score for e in alone] == pytest.approx([e.score for e in found], abs=1e-9)
