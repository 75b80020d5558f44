import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.models.routing import LOOKED_AT, is_chinese, speaks_chinese

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
