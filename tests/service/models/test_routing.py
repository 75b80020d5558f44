import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.models.routing import (
    LOOKED_AT,
    foreign_script,
    is_chinese,
    speaks_chinese,
)

CHINESE = [
    "李明在上海工作。",
    "华为公司 2019 年发布了 Mate 30 手机，销量超过一千万台。",
    "漢字",
    "𠮷野家",
    "々〇々",
    "。。。中 123",
]
OTHER = [
    "",
    "12:30 -- 5,000!",
    "Angela Merkel visited Toyota.",
    "The word 中文 means Chinese.",
    "東京タワーへ行きました。",
    "大韓民國의 서울",
    "李 Li",
    "محمد",
    "ｶﾀｶﾅ漢字漢字",
]


@pytest.mark.parametrize("text", CHINESE)
def test_chinese(text):
    assert is_chinese(text)
    assert is_chinese(text.split())
    assert is_chinese(list(text))


@pytest.mark.parametrize("text", OTHER)
def test_not_chinese(text):
    assert not is_chinese(text)
    assert not is_chinese(list(text))


@pytest.mark.parametrize("item", [None, 3, {"a": 1}, [], [None, 3], ["", ""]])
def test_what_is_no_text_is_not_chinese(item):
    assert not is_chinese(item)


@given(st.text(alphabet="ab 1。中文李あ한", max_size=40))
def test_a_token_list_is_judged_as_its_text(text):
    assert is_chinese(list(text)) == is_chinese(text)
    assert is_chinese(text.split()) == is_chinese(text)


def test_only_the_start_is_looked_at():
    assert is_chinese("中" * LOOKED_AT + "a" * 10_000)
    assert is_chinese(["中" * (LOOKED_AT - 1), "文" + "a" * 10_000, *["a"] * 10_000])
    assert not is_chinese("a" * LOOKED_AT + "中" * 10_000)


def test_tokens_beyond_the_start_are_not_touched():
    def tokens():
        yield "中" * LOOKED_AT
        raise AssertionError("too far")

    class Lazy(list):
        def __iter__(self):
            return tokens()

    assert is_chinese(Lazy())


@pytest.mark.parametrize("tag", ["zh", "ZH", "zh-Hans", "zh_CN", "cmn", "yue-HK"])
def test_languages_that_are_chinese(tag):
    assert speaks_chinese(tag)


@pytest.mark.parametrize("tag", ["", "en", "ja", "zhuang", "en-zh"])
def test_languages_that_are_not(tag):
    assert not speaks_chinese(tag)


TEXTS = {
    "Latin": "Straße in Łódź",
    "Greek": "Αθήνα",
    "Cyrillic": "Анна в Москве",
    "Hebrew": "ירושלים",
    "Arabic": "القاهرة",
    "Thai": "กรุงเทพ",
    "Kana": "トヨタの",
    "Hangul": "서울에서",
    "Han": "李明在上海",
}
OWN = {
    "en": ["Latin"],
    "de-AT": ["Latin"],
    "zh-TW": ["Han"],
    "ja": ["Kana", "Han"],
    "RU": ["Cyrillic"],
}


@pytest.mark.parametrize("language", OWN)
@pytest.mark.parametrize("script", TEXTS)
def test_a_text_in_a_script_that_a_language_is_not_written_in(script, language):
    expected = None if script in OWN[language] else script
    text = TEXTS[script]
    assert foreign_script(text, language) == expected
    assert foreign_script(list(text), language) == expected
    assert foreign_script(f"1984 ... {text}!", language) == expected


def test_half_of_the_letters_in_its_own_script_are_enough():
    assert foreign_script("abc где", "en") is None
    assert foreign_script("ab где", "en") == "Cyrillic"
    assert foreign_script("\u1200\u1201", "en") == "another script"


@given(st.text() | st.lists(st.text()) | st.none())
def test_of_an_unknown_language_nothing_is_said(item):
    assert foreign_script(item, "") is None
    assert foreign_script(item, "tlh") is None


@pytest.mark.parametrize("language", ["en", "zh", "ru"])
@pytest.mark.parametrize("item", ["", " 12 .,", [], ["", "7"], None, 5])
def test_without_letters_nothing_is_said(item, language):
    assert foreign_script(item, language) is None
