"""The gazetteer that a config asks for."""

from collections.abc import Iterator
from itertools import chain

from tagbelt.data.lexicon.gazetteer import Gazetteer
from tagbelt.data.lexicon.packages import jieba_terms, name_terms, place_terms
from tagbelt.data.lexicon.term_lists import read_term_list
from tagbelt.data.lexicon.terms import Term
from tagbelt.data.types import Unit
from tagbelt.errors import ConfigError, DataError
from tagbelt.training.config import GazetteerSource, RunConfig

COMMON_NAMES = 100_000
"""How many first and how many last names are read unless the config says."""

LARGE_CITY = 15_000
"""How many people a city has at least, unless the config says."""


def build_gazetteer(config: RunConfig) -> Gazetteer | None:
    """Read all lists and packages of a config; None if it names none.

    Raises:
        ConfigError: a list that is not there or has a fault, or a package that is not installed.
    """
    data = config.data
    if not data.gazetteers:
        return None
    packages = (source for source in data.gazetteers if source.package)
    try:
        lists = [
            list(read_term_list(path, source.type, data.unit, source.max_terms))
            for path, source in data.term_lists()
        ]
        found = (_package_terms(source, data.unit) for source in packages)
        terms = chain(chain.from_iterable(lists), chain.from_iterable(found))
        return Gazetteer(terms, lowercase=data.lowercase_terms)
    except FileNotFoundError as error:
        raise ConfigError(f"data.gazetteers: no such file: {error.filename}") from error
    except (DataError, OSError, ValueError) as error:
        raise ConfigError(f"data.gazetteers: {error}") from error


def _package_terms(source: GazetteerSource, unit: Unit) -> Iterator[Term]:
    least = source.min_population
    match source.package:
        case "jieba":
            return jieba_terms(source.max_terms)
        case "names-dataset":
            return name_terms(unit, source.max_terms or COMMON_NAMES)
        case _:
            return place_terms(
                unit,
                source.max_terms,
                min_population=LARGE_CITY if least is None else least,
                alternate_names=source.alternate_names,
            )
