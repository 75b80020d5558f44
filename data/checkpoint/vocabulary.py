"""The word forms and characters that a model knows, and what it reads of any form.

The vocabulary is frozen once a model is trained: nothing that is served can make it grow.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tagbelt.data.checkpoint.bigrams import Bigrams

if TYPE_CHECKING:
    from tagbelt.data.checkpoint.form_table import FormTable
    from tagbelt.data.lexicon.gazetteer import Gazetteer
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon

UNKNOWN = 0
"""Row of the word table for forms that the model does not know."""

PADDING_CHARACTER = 0
UNKNOWN_CHARACTER = 1
_FIRST_CHARACTER = 2

_DIGITS = re.compile(r"\d")


@dataclass(frozen=True)
class Vocabulary:
    """Words and characters of a model, and where it has them, pairs, term lists, a lexicon, and
    more vectors of its words (`forms`).

    `words[0]` stands for every unknown form. The first `trained` words occur in the training
    data; the rest have a pretrained vector only. Characters are numbered from 2: 0 pads, 1 is
    unknown. A form that is a key of `folded` is read as what it stands for there.
    """

    words: tuple[str, ...]
    characters: str
    trained: int
    lowercase: bool = True
    zero_digits: bool = True
    folded: Mapping[str, str] = field(default_factory=dict)
    bigrams: Bigrams | None = None
    gazetteer: "Gazetteer | None" = field(default=None, compare=False)
    lexicon: "SoftLexicon | None" = field(default=None, compare=False)
    forms: tuple["FormTable", ...] = field(default=(), compare=False)
    _word_ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _character_ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.trained <= len(self.words):
            raise ValueError(f"{self.trained} trained words in a vocabulary of {len(self.words)}")
        word_ids = {word: index for index, word in enumerate(self.words) if index != UNKNOWN}
        character_ids = {c: i for i, c in enumerate(self.characters, start=_FIRST_CHARACTER)}
        if len(word_ids) != len(self.words) - 1 or len(character_ids) != len(self.characters):
            raise ValueError("a vocabulary names the same word or character twice")
        object.__setattr__(self, "_word_ids", word_ids)
        object.__setattr__(self, "_character_ids", character_ids)

    @property
    def character_count(self) -> int:
        """Rows of the character table, padding and unknown included."""
        return len(self.characters) + _FIRST_CHARACTER

    def fold(self, forms: Sequence[str]) -> Sequence[str]:
        """Return the forms as the network is to read them."""
        get = self.folded.get
        return [get(form, form) for form in forms] if self.folded else forms

    def word_id(self, form: str) -> int:
        """Return a form's row: as it is (or in lower case), else with digits as 0, else 0."""
        key = form.lower() if self.lowercase else form
        found = self._word_ids.get(key)
        if found is None and self.zero_digits:
            found = self._word_ids.get(_DIGITS.sub("0", key))
        return UNKNOWN if found is None else found

    def count_unknown(self, forms: Iterable[str]) -> int:
        """Return how many of the forms have row 0; faster than to ask for each."""
        known = self._word_ids
        keys = map(str.lower, forms) if self.lowercase else forms
        missing = [key for key in keys if key not in known]
        if self.zero_digits:
            missing = [key for key in missing if _DIGITS.sub("0", key) not in known]
        return len(missing)

    def character_ids(self, form: str) -> list[int]:
        """Return the ids of the characters that a network reads of a form (1 to 64 of them)."""
        get = self._character_ids.get
        return [get(character, UNKNOWN_CHARACTER) for character in visible_characters(form)]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads: all but what has a file of its own."""
        value: dict[str, Any] = {
            "words": list(self.words),
            "characters": self.characters,
            "trained": self.trained,
            "lowercase": self.lowercase,
            "zero_digits": self.zero_digits,
        }
        if self.folded:
            value["folded"] = dict(self.folded)
        return value if self.bigrams is None else {**value, "bigrams": self.bigrams.to_json()}

    @classmethod
    def from_json(
        cls,
        value: Mapping[str, Any],
        *,
        gazetteer: "Gazetteer | None" = None,
        lexicon: "SoftLexicon | None" = None,
        forms: tuple["FormTable", ...] = (),
    ) -> Self:
        """Rebuild a vocabulary; anything but what `to_json` returns raises `ValueError`."""
        try:
            parts = {**value, "words": tuple(value["words"])}
            if "bigrams" in value:
                parts["bigrams"] = Bigrams.from_json(value["bigrams"])
            return cls(**parts, gazetteer=gazetteer, lexicon=lexicon, forms=forms)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no vocabulary: {error}") from error


def build_vocabulary(
    sentences: Iterable[Sequence[str]],
    *,
    pretrained: Sequence[str] = (),
    extra: int = 0,
    min_count: int = 1,
    min_character_count: int = 1,
    lowercase: bool = True,
    zero_digits: bool = True,
    folded: Mapping[str, str] | None = None,
) -> Vocabulary:
    """Collect the vocabulary of the training sentences.

    `pretrained` are the words that have a vector, most frequent first: a training form that
    has one keeps its digits, and the first `extra` of them that training does not hold are
    appended. The sentences are `folded` already. A form seen fewer than `min_count` times is
    unknown unless it has a vector.
    """
    forms: Counter[str] = Counter()
    for sentence in sentences:
        forms.update(sentence)
    characters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    known = set(pretrained)
    for form, count in forms.items():
        for character in visible_characters(form):
            characters[character] += count
        key = form.lower() if lowercase else form
        words[_DIGITS.sub("0", key) if zero_digits and key not in known else key] += count
    words.pop("", None)  # an empty token is legal in some corpora, and unknown
    trained = [w for w, count in by_frequency(words) if count >= min_count or w in known]
    seen = set(trained)
    rest = [word for word in pretrained[: extra + len(seen)] if word not in seen][:extra]
    kept = (c for c, count in by_frequency(characters) if count >= min_character_count)
    return Vocabulary(
        words=("", *trained, *rest),
        characters="".join(kept),
        trained=len(trained) + 1,
        lowercase=lowercase,
        zero_digits=zero_digits,
        folded=folded or {},
    )


def by_frequency(counts: Counter[str]) -> list[tuple[str, int]]:
    """Order counts from frequent to rare, equal ones by code point, so that no run differs."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


MAX_CHARACTERS = 64
"""A longer word is read as its first and last 32 characters: enough to tell affixes from, and
one 300,000-character "word" cannot make a batch of thousands expensive."""

SHAPES = (
    "padding",
    "lower",
    "title",
    "upper",
    "initial",
    "mixed",
    "number",
    "letters-digits",
    "punctuation",
    "caseless",
)
_SHAPE_IDS = {name: index for index, name in enumerate(SHAPES)}


def word_shape(form: str) -> str:
    """Name the shape of a form: one of `SHAPES`, as in Collobert et al. 2011, with finer cases."""
    if not any(map(str.isalnum, form)):
        return "punctuation"
    if any(map(str.isdigit, form)):
        return "letters-digits" if any(map(str.isalpha, form)) else "number"
    if form.islower():
        return "lower"
    if form.isupper():
        return "initial" if sum(map(str.isalpha, form)) == 1 else "upper"
    if form == form.lower() == form.upper():
        return "caseless"
    return "title" if form[0].isupper() and form[1:].islower() else "mixed"


def shape_id(form: str) -> int:
    """Return the index of a form's shape in `SHAPES`."""
    return _SHAPE_IDS[word_shape(form)]


def visible_characters(form: str) -> str:
    """Return the characters of a form that a network reads; an empty form reads as a space."""
    if len(form) <= MAX_CHARACTERS:
        return form or " "
    half = MAX_CHARACTERS // 2
    return form[:half] + form[-half:]


def pad(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Right-pad rows of ids with 0 to the width of the longest."""
    width = max(map(len, rows), default=0)
    return [[*row, *([0] * (width - len(row)))] for row in rows]
