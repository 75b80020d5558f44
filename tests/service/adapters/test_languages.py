import pytest

from tagbelt.service.adapters.answering import models_of
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served
from tests.service.fake import FakeTagger

LANGUAGES = {"a": "zh", "b": "zh-TW", "c": "", "d": "en", "e": "EN_us"}


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("zh", "abc"),
        ("zh-TW", "bac"),
        ("zh_tw", "bac"),
        ("zh-HK", "abc"),
        ("en", "dec"),
        ("en-US", "edc"),
        ("de", "c"),
        (None, "dabce"),
    ],
)
def test_the_fittest_comes_first_and_of_equals_the_default(language, names):
    taggers = [FakeTagger(name, language=tag) for name, tag in LANGUAGES.items()]
    registry = Registry([Served(tagger) for tagger in taggers], default="d")
    assert "".join(one.name for one in models_of(registry, language)) == names


def test_a_name_stands_for_its_current_version():
    versions = [Served(FakeTagger("a", version=version)) for version in ("1", "2")]
    registry = Registry(versions, default="a@1")
    assert [one.full_name for one in models_of(registry, "en")] == ["a@1"]
