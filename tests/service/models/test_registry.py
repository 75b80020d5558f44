import pytest

from tagbelt.service.api.problems import ProblemError
from tagbelt.service.models.registry import LoadedModel, Registry
from tagbelt.service.models.served import Served
from tests.service.fake import FakeTagger


def served(name="en", version="1", **more):
    return Served(FakeTagger(name, version=version, **more))


def registry(*full_names, default=None):
    models = [served(*full.split("@")) for full in full_names]
    return Registry(models, default=default)


def test_names_versions_and_the_default():
    models = registry("en@9", "en@10", "zh@1")
    assert [one.full_name for one in models.served] == ["en@9", "en@10", "zh@1"]
    assert models.get(None).full_name == "en@10"
    assert models.get("en").full_name == "en@10"
    assert models.get("en@9").full_name == "en@9"
    assert models.get("zh").full_name == "zh@1"
    assert models.default == "en"


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("fr", "no model is named 'fr'; served: en, zh"),
        ("en@3", "no model is named 'en@3'; served: en@1, en@2, zh@1"),
        ("", "no model is named ''; served: en, zh"),
        ("@", "no model is named '@'; served: en@1, en@2, zh@1"),
    ],
)
def test_an_unknown_name_is_told_what_there_is(name, detail):
    with pytest.raises(ProblemError) as caught:
        registry("en@1", "en@2", "zh@1").get(name)
    assert (caught.value.status_code, caught.value.detail) == (404, detail)


@pytest.mark.parametrize(
    ("default", "name", "means"),
    [(None, "en", "en@2"), ("zh", "zh", "zh@1"), ("en@1", "en", "en@1")],
)
def test_the_default_is_the_first_name_unless_set(default, name, means):
    models = registry("zh@1", "en@2", "en@1", default=default)
    assert models.default == name
    assert models.get(None).full_name == means
    assert models.get(name).full_name == means


def test_what_cannot_be_served_is_refused():
    with pytest.raises(ValueError, match="two models are named 'en@1'; rename or remove one"):
        registry("en@1", "en@1")
    with pytest.raises(ValueError, match="no model to serve"):
        registry()
    with pytest.raises(ValueError, match="default_model='fr' is not among: en"):
        registry("en@1", default="fr")
    with pytest.raises(ValueError, match="default_model='en@2' is not among: en@1"):
        registry("en@1", default="en@2")


def test_a_request_keeps_the_model_that_it_found():
    models = registry("en@1")
    found = models.get("en")
    new = served("en", "1")
    models.swap(models.snapshot.changed(add=[LoadedModel(new)]))
    assert models.get("en") is new
    assert found is not new
    assert found.full_name == "en@1"


def test_a_snapshot_is_not_changed_by_its_change():
    before = registry("en@1", "en@2", "zh@1").snapshot
    after = before.changed(remove={"en@2"}, default="zh")
    assert after.default_model.full_name == "zh@1"
    assert after.meaning("en").served.full_name == "en@1"
    assert list(before.models) == ["en@1", "en@2", "zh@1"]
    assert before.default_model.full_name == "en@2"


def routed(models, items, model="auto"):
    return [one.full_name for one in models.route(items, model)]


ITEMS = ["李明在上海", "Toyota in Nagoya", "", ["李", "明"], ["Toyota"], 7]


def test_auto_takes_the_model_of_the_script():
    models = Registry([served("de", language="de"), served("zh", language="zh-Hans")])
    assert routed(models, ITEMS) == ["zh@1", "de@1", "de@1", "zh@1", "de@1", "de@1"]
    assert routed(models, ITEMS, "zh") == ["zh@1"] * 6
    assert routed(models, ITEMS, None) == ["de@1"] * 6


def test_auto_prefers_the_default():
    chinese = [served("a-zh", language="zh"), served("b-zh", language="zh")]
    others = [served("c-en", language="en"), served("d-fr", language="fr")]
    assert routed(Registry([*chinese, *others]), ["中", "a"]) == ["a-zh@1", "c-en@1"]
    models = Registry([*chinese, *others], default="d-fr")
    assert routed(models, ["中", "a"]) == ["a-zh@1", "d-fr@1"]
    models = Registry([*chinese, *others], default="b-zh")
    assert routed(models, ["中", "a"]) == ["b-zh@1", "c-en@1"]


def test_auto_without_a_model_for_the_script_takes_the_default():
    english = Registry([served("en", language="en"), served("fr", language="fr")], default="fr")
    assert routed(english, ["中", "a"]) == ["fr@1", "fr@1"]
    chinese = Registry([served("zh", language="zh")])
    assert routed(chinese, ["中", "a"]) == ["zh@1", "zh@1"]
    assert routed(chinese, []) == []


def test_auto_takes_the_version_that_a_name_means():
    models = Registry(
        [served("en"), served("zh", "1", language="zh"), served("zh", "2", language="zh")]
    )
    models.swap(models.snapshot.changed(current={"zh": "zh@1"}))
    assert routed(models, ["中"]) == ["zh@1"]


def test_en_is_the_default_and_zh_the_chinese_model_whatever_else_lies_in_the_folder():
    others = [served("a-first"), served("zh-news", language="zh"), served("aa", language="zh")]
    models = Registry([*others, served("en"), served("zh", language="zh")])
    assert models.default == "en"
    assert routed(models, ["Nagoya", "丰田在名古屋"]) == ["en@1", "zh@1"]


def test_auto_tells_languages_of_one_script_apart_and_takes_the_default_where_nothing_speaks():
    languages = ("de", "es", "fr", "ru")
    models = Registry([served("en"), *(served(one, language=one) for one in languages)])
    texts = {
        "The chancellor of Germany met with Toyota.": "en",
        "Die Kanzlerin hat sich mit Toyota in Nagoya getroffen.": "de",
        "La cancillera se reunió con Toyota en la ciudad de Nagoya.": "es",
        "Le chancelier est dans la ville pour une visite.": "fr",
        "Канцлер встретилась с Тойотой в Нагое.": "ru",
        "Toyota Nagoya": "en",
        "": "en",
        "丰田": "en",
    }
    assert routed(models, list(texts)) == [f"{name}@1" for name in texts.values()]
    assert routed(models, [text.split() for text in texts]) == routed(models, list(texts))
    default = Registry(models.served, default="fr")
    assert routed(default, ["Toyota Nagoya", "the end of it"]) == ["fr@1", "en@1"]
