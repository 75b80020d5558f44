"""Where sentences begin, decided over the words of a text and the white space between them.

Joining two sentences costs a tagger little; cutting one in two can cut an entity. So whatever is
in doubt is left whole. docs/tokenizing.md has the rules in full.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

_INLINE = frozenset(("", " "))
_DOTTED = frozenset(".!?\u2026\u061f\u06d4\u0964\u0965\u037e")
_FULL_WIDTH = frozenset("\u3002\uff01\uff1f\uff61")
_CLOSERS = frozenset(("''", *")]}\"'\u2019\u201d\u00bb\u203a\u300d\u300f\uff09\u3011\u300b\u3009"))
_OPENERS = frozenset("([{\"'`\u2018\u201c\u201e\u201a\u00ab\u2039\u00bf\u00a1@#$\u00a3\u20ac")
_BULLET = re.compile(r"[-+*\u2013\u2022\u25aa\u25cf\u2192]|\d{1,3}[.)]")
# What the next line would have had to squeeze in: one ideograph, or all up to the next space.
_FIRST_CHUNK = re.compile(r"[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|\S")
_PARAGRAPH = frozenset("\f\u2029")
# Narrower than this, lines are titles, verses or lists, not wrapped prose.
_LEAST_WIDTH = 40

# Words that, with a capital, hardly ever continue a sentence: they tell "the U.S. The next day"
# from "the U.S. Army", after an abbreviation or a number.
_STARTERS = frozenset(
    "The This That These Those There Then He She It We They You His Her Its Our Their But And Or In On At"
    " As If When While After Before Since Because Although However Meanwhile Also For From With By To"
    " What Who Why How Where".split()
)


def sentence_starts(
    words: Sequence[str], starts: Sequence[int], gaps: Sequence[str], text: str
) -> list[int]:
    """Return the indices of the words that begin a sentence, the first word's 0 included.

    `gaps[i]` is the white space before word `i`, `gaps[-1]` that after the last; there are no
    words without an entry in `starts`, their code-point offsets into `text`.
    """
    if not words:
        return []
    begins = {0, *_after_enders(words, gaps)}
    broken = [i for i, gap in enumerate(gaps[:-1]) if gap not in _INLINE and i]
    begins.update(_after_newlines(broken, words, starts, gaps, text))
    return sorted(begins)


def _after_enders(words: Sequence[str], gaps: Sequence[str]) -> list[int]:
    """Return the words that follow a full stop, or the like, and what closes after it."""
    begins = []
    last = len(words) - 1
    for i in [i for i, word in enumerate(words) if word[-1] in _DOTTED or word[-1] in _FULL_WIDTH]:
        following = i + 1
        while following <= last and words[following] in _CLOSERS and not gaps[following]:
            following += 1
        if following <= last and _ends_sentence(i, following, words, gaps):
            begins.append(following)
    return begins


def _ends_sentence(i: int, following: int, words: Sequence[str], gaps: Sequence[str]) -> bool:
    """Tell whether word `i` ends a sentence and word `following` begins the next."""
    word, upcoming = words[i], words[following]
    if word[-1] in _FULL_WIDTH:
        return upcoming[0] not in _FULL_WIDTH
    if not gaps[following]:
        return False
    if word[-1] == "." and _is_weak(i, words, gaps):
        return upcoming in _STARTERS
    first = upcoming[0]
    return first in _OPENERS or (first.isalnum() and not first.islower())


def _is_weak(i: int, words: Sequence[str], gaps: Sequence[str]) -> bool:
    """Tell whether the dot of word `i` may be that of an abbreviation or of an ordinal number."""
    word = words[i]
    if len(word) > 1:
        return word[-2] != "."
    return i > 0 and not gaps[i] and len(words[i - 1]) <= 2 and words[i - 1].isdecimal()


def _after_newlines(
    broken: Sequence[int],
    words: Sequence[str],
    starts: Sequence[int],
    gaps: Sequence[str],
    text: str,
) -> list[int]:
    """Return the words that begin a line which begins a sentence.

    A blank line always separates. Single newlines separate too, unless the block of lines
    between blank ones looks like prose wrapped at a width, see `_unwrapped`.
    """
    begins: list[int] = []
    block = [0]
    for i in broken:
        breaks = len((gaps[i] + ".").splitlines()) - 1
        if breaks > 1 or not _PARAGRAPH.isdisjoint(gaps[i]):
            begins += [i, *_unwrapped([*block, i], words, starts, text)]
            block = [i]
        elif breaks:
            block.append(i)
    return begins + _unwrapped([*block, len(words)], words, starts, text)


def _unwrapped(
    lines: Sequence[int], words: Sequence[str], starts: Sequence[int], text: str
) -> list[int]:
    """Return the lines of a block that are not the continuation of the line before.

    `lines` are the first words of the lines, and the end of the block. A program that wraps
    text at a width breaks a line only where the next word would not have fitted. If that holds
    for most lines of the block, with its longest line as the width, then it is wrapped text,
    and only its other breaks, where the word would have fitted, were meant by the writer.
    """
    if len(lines) < 3:
        return []
    spans = [
        (starts[line], starts[end - 1] + len(words[end - 1])) for line, end in pairwise(lines)
    ]
    chunks = [_chunk_length(text, start) for start, _ in spans]
    # A line that is one long URL says nothing of the width.
    widths = [end - start for start, end in spans]
    width = max((w for w, chunk in zip(widths, chunks, strict=True) if w > chunk), default=0)
    wraps = [
        w + 1 + chunk > width and not _BULLET.match(text, start)
        for w, chunk, (start, _) in zip(widths, chunks[1:], spans[1:], strict=False)
    ]
    if width < _LEAST_WIDTH or 2 * sum(wraps) <= len(wraps):
        return list(lines[1:-1])
    return [line for line, wrapped in zip(lines[1:-1], wraps, strict=True) if not wrapped]


def _chunk_length(text: str, start: int) -> int:
    match = _FIRST_CHUNK.match(text, start)
    return match.end() - start if match else 0
