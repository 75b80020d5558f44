"""Synthetic sentences: templates written by hand, filled with names.

A template file has a template a line. Where tokens are words, single spaces separate them; where
they are characters, a template is plain text. `{PER}`, a slot that begins with a capital, is an
entity of that type; `{day}`, one in small letters, is plain text. `{ORG:club}` is an ORG from the
list `club`. `@day = Monday | Tuesday` lists what fills a slot, and what it lists may hold small
slots again; entity slots are also filled with the names that the training corpora themselves mark
(mention replacement, Dai & Adel 2020), `{ORG:club}` is not. Lines that begin with `#` are comments.
"""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagbelt.data.text.words import character_pattern
from tagbelt.data.types import Sentence, Span, Unit
from tagbelt.errors import ConfigError
from tagbelt.training.data_config import SynthesisConfig

Names = Mapping[str, Sequence[tuple[str, ...]]]
"""For each entity type the names to draw from, as tokens."""

_SLOT = re.compile(r"\{(\w+)\}")
_ENTITY = re.compile(r"\{([A-Z][\w-]*)(?::(\w+))?\}")
_PLAIN_NAME = re.compile(r"[\w.'’&·-]+")
LONGEST_NAME: dict[Unit, int] = {"word": 5, "character": 12}


@dataclass(frozen=True)
class Templates:
    """The templates of a file, and what its lists offer for each slot."""

    path: str
    lists: Mapping[str, tuple[str, ...]]
    templates: tuple[str, ...]


def read_templates(path: Path, unit: Unit = "word") -> Templates:
    """Read a template file.

    Raises:
        ConfigError: no such file or no template in it, an empty list, a slot of small letters
            that no list fills, an entity slot that is no token or stands in a list, or lists that
            contain one another; names the line.
    """
    lists: dict[str, tuple[str, ...]] = {}
    templates: list[str] = []
    numbered: list[tuple[int, str]] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ConfigError(f"data.synthesis.templates: no such file: {path}") from error
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        numbered.append((number, line))
        if not line.startswith("@"):
            templates.append(line)
            continue
        name, equals, values = line[1:].partition("=")
        offered = tuple(value for value in map(str.strip, values.split("|")) if value)
        if not equals or not offered:
            raise ConfigError(f"{path}:{number}: a list is written @name = one | another")
        lists[name.strip()] = lists.get(name.strip(), ()) + offered
    _check_slots(path, numbered, lists, unit)
    if not templates:
        raise ConfigError(f"{path}: no template in it")
    return Templates(str(path), lists, tuple(templates))


def _check_slots(
    path: Path, lines: Iterable[tuple[int, str]], lists: Mapping[str, tuple[str, ...]], unit: Unit
) -> None:
    for number, line in lines:
        place, in_list = f"{path}:{number}", line.startswith("@")
        if in_list and (marked := _ENTITY.search(line)):
            raise ConfigError(f"{place}: {marked[0]} in a list would not be marked as an entity")
        for part in line.split(" ") if unit == "word" else ():
            if (marked := _ENTITY.search(part)) and marked[0] != part:
                raise ConfigError(f"{place}: {marked[0]} must stand between spaces, to be a token")
        chosen = (list_ for _, list_ in _ENTITY.findall(line) if list_)
        plain = (slot for slot in _SLOT.findall(line) if not _ENTITY.fullmatch(f"{{{slot}}}"))
        for name in (*chosen, *plain):
            if name not in lists:
                raise ConfigError(f"{place}: no list @{name} fills {{{name}}}")
    for name in lists:
        _check_depth(path, name, lists, ())


def _check_depth(
    path: Path, name: str, lists: Mapping[str, tuple[str, ...]], above: tuple[str, ...]
) -> None:
    if name in above:
        raise ConfigError(f"{path}: lists contain one another: {' > '.join((*above, name))}")
    for slot in {slot for value in lists.get(name, ()) for slot in _SLOT.findall(value)}:
        _check_depth(path, slot, lists, (*above, name))


def names_of(
    sentences: Iterable[Sentence], unit: Unit = "word"
) -> dict[str, list[tuple[str, ...]]]:
    """Collect the distinct names that sentences mark, without brackets and the like, by type.

    Words that begin in lower case name nothing; characters have no case to tell by.
    """
    found: dict[str, dict[tuple[str, ...], None]] = {}
    for sentence in sentences:
        for span in sentence.spans or ():
            name = sentence.tokens[span.start : span.end]
            is_short = len(name) <= LONGEST_NAME[unit]
            is_name = unit == "character" or name[0][:1].isupper()
            if is_short and is_name and all(map(_PLAIN_NAME.fullmatch, name)):
                found.setdefault(span.label, {})[name] = None
    return {label: list(names) for label, names in found.items()}


def synthesise(
    config: SynthesisConfig, names: Names, *, seed: int, unit: Unit = "word"
) -> tuple[Sentence, ...]:
    """Fill templates drawn at random, `config.sentences` of them.

    Raises:
        ConfigError: see `read_templates`; or nothing fills an entity slot.
    """
    templates = read_templates(Path(config.templates), unit)
    generator = random.Random(f"synthesis/{seed}")
    filler = _Filler(templates, names, config.own_names, generator, unit)
    return tuple(filler.sentence() for _ in range(config.sentences))


class _Filler:
    def __init__(
        self,
        templates: Templates,
        names: Names,
        own_names: float,
        generator: random.Random,
        unit: Unit,
    ) -> None:
        self._templates = templates
        self._names = names
        self._own_names = own_names
        self._random = generator
        self._unit = unit

    def sentence(self) -> Sentence:
        """Fill one template."""
        tokens: list[str] = []
        spans: list[Span] = []
        plain, *slots = _ENTITY.split(self._random.choice(self._templates.templates))
        tokens.extend(self._tokens(plain))
        for label, chosen, plain in zip(slots[::3], slots[1::3], slots[2::3], strict=True):
            name = self._name(label, chosen)
            spans.append(Span(len(tokens), len(tokens) + len(name), label))
            tokens.extend(name)
            tokens.extend(self._tokens(plain))
        return Sentence(tuple(tokens), tuple(spans))

    def _name(self, label: str, chosen: str | None) -> Sequence[str]:
        own = self._templates.lists.get(chosen or label)
        found = None if chosen else self._names.get(label)
        if own and (not found or self._random.random() < self._own_names):
            return self._tokens(self._random.choice(own))
        if not found:
            raise ConfigError(f"{self._templates.path}: nothing fills {{{label}}}")
        return self._random.choice(found)

    def _tokens(self, text: str) -> list[str]:
        """Fill the small slots of a text, however deep, and cut it."""
        lists = self._templates.lists
        while _SLOT.search(text):
            text = _SLOT.sub(lambda slot: self._random.choice(lists[slot[1]]), text)
        return text.split() if self._unit == "word" else character_pattern().findall(text)
