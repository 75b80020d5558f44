"""Workloads that are made up or cut to measure: words, sentences of one length, endless corpora."""

import random
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice

_CONSONANTS = "bcdfghjklmnprstvwz"
_SYLLABLES = [c + v for c in _CONSONANTS for v in "aeiou"]
# Coprime to the syllables' number in any power, so that it permutes the words of a length.
_STRIDE = 1_000_003


def word(number: int) -> str:
    """The pseudo-word of a number: as easy to say as `tarobe`, and no two numbers share one."""
    base = len(_SYLLABLES)
    size, first = 3, 0
    while number - first >= base**size:
        first += base**size
        size += 1
    rest = (number - first) * _STRIDE % base**size
    parts = []
    for _ in range(size):
        rest, digit = divmod(rest, base)
        parts.append(_SYLLABLES[digit])
    return "".join(parts)


def new_words(start: int = 0) -> Iterator[str]:
    """Words that never repeat, from the pseudo-word number `start` on."""
    number = start
    while True:
        yield word(number)
        number += 1


def shuffled(sentences: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The sentences in one random order, so that any prefix of them is as mixed as all of them."""
    result = [tuple(sentence) for sentence in sentences]
    random.Random(0).shuffle(result)
    return result


def cut(sentences: Sequence[Sequence[str]], length: int, tokens: int) -> list[tuple[str, ...]]:
    """Sentences of exactly `length` tokens, `tokens` in all (a multiple of it, rounded down)."""
    endless = cycle(chain.from_iterable(sentences))
    return [tuple(islice(endless, length)) for _ in range(tokens // length)]


def of_vocabulary(forms: int, length: int, tokens: int) -> list[tuple[str, ...]]:
    """Sentences of pseudo-words, of which there are `forms`, each as frequent as the others."""
    known = [word(number) for number in range(forms)]
    drawn = list(islice(cycle(known), tokens))
    random.Random(0).shuffle(drawn)
    return [tuple(drawn[i : i + length]) for i in range(0, tokens - length + 1, length)]
