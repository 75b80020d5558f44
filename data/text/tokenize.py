"""From a text to sentences of tokens that know where they stand in it."""

from bisect import bisect_left
from itertools import accumulate, pairwise

from tagbelt.data.text.sentences import sentence_starts
from tagbelt.data.text.words import character_pattern, word_pattern
from tagbelt.data.types import Tokens, Unit


def tokenize(text: str, unit: Unit) -> list[Tokens]:
    """Cut a text into sentences, and these into words or characters.

    The text is never altered: every code point that is not white space (`str.isspace`) is in
    exactly one token, in order, and `text[start:start + len(word)] == word`. There are no empty
    sentences, so blank text gives none. Both units give the same sentences. Takes time linear in
    the length of the text, and any `str`, lone surrogates included.

    Raises `ValueError` if the unit is neither "word" nor "character".
    """
    if unit not in ("word", "character"):
        raise ValueError(f'unit must be "word" or "character", not {unit!r}')
    parts = word_pattern().split(text)
    words, starts = parts[1::2], _starts(parts)
    begins = sentence_starts(words, starts, parts[::2], text)
    if unit == "character":
        cuts = [starts[begin] for begin in begins]
        parts = character_pattern().split(text)
        words, starts = parts[1::2], _starts(parts)
        begins = [bisect_left(starts, cut) for cut in cuts]
    return [
        Tokens(tuple(words[begin:end]), tuple(starts[begin:end]))
        for begin, end in pairwise([*begins, len(words)])
    ]


def _starts(parts: list[str]) -> list[int]:
    """Return the offsets of the tokens of `[gap, token, gap, ..., gap]`."""
    return list(accumulate(map(len, parts)))[:-1:2]
