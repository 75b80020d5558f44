"""The surface of a word form: its shape, and the characters that a network reads.

Training and serving both call these functions, so a word means the same to both.
"""

from collections.abc import Sequence

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
