"""Where sentences begin, decided over the words of a text and the white space between them.

Joining two sentences costs a tagger little; cutting one in two can cut an entity. So whatever is
in doubt is left whole. docs/tokenizing.md has the rules in full.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

_FULL_WIDTH = frozenset("\u3002\uff01\uff1f\uff61")
_ENDERS = frozenset(".!?\u2026\u061f\u06d4\u0964\u0965") | _FULL_WIDTH
_CLOSERS = frozenset(("''", *")]}\"'\u2019\u201d\u00bb\u203a\u300d\u300f\uff09\u3011\u300b\u3009"))
_OPENERS = frozenset("([{\"'`\u2018\u201c\u201e\u201a\u00ab\u2039\u00bf\u00a1@#$\u00a3\u20ac")
_BULLET = re.compile(r"[-+*\u2013\u2022\u25aa\u25cf\u2192]\s|\d{1,3}[.)]\s")
# "3. Liga", "Gustav IV. Adolf", "Roe v. Wade": the dot need not end anything.
_ORDINAL = re.compile(r"\d{1,2}|[IVXLC]+|[^\W\d_]")
# What the line before would have had to take up: one ideograph, or all up to the next space.
_CHUNK = re.compile(r"[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|\S")
# Narrower than this, lines are titles, verses or lists, not wrapped prose.
_LEAST_WIDTH = 40

# Words that, with a capital, hardly ever continue a sentence: after an abbreviation they tell
# "the U.S. The next day" from "the U.S. Army".
_STARTERS = (
    "The This That These Those There Then He She It We They You His Her Its Our Their But And Or"
    " In On At As If When While After Before Since Because Although However Meanwhile Also For From"
    " With By To What Who Why How Where"
    " Der Das Er Sie Es Wir Ein Eine Und Aber Im En Y Pero Se Su Sus Un Una"
)
_STARTER_SET = frozenset(_STARTERS.split())


def sentence_starts(
    words: Sequence[str], starts: Sequence[int], gaps: Sequence[str], text: str
) -> list[int]:
    """Return, in order, the indices of the words that begin a sentence.

    `starts[i]` is the code-point offset of word `i` in `text` and `gaps[i]` the white space
    before it; one more gap follows the last word. The first word begins a sentence, so the
    result is empty only if there are no words.
    """
    if not words:
        return []
    begins = {0, *_after_enders(words, gaps)}
    for lines in _blocks(gaps):
        begins.add(lines[0])
        begins.update(_unwrapped(lines, words, starts, text))
    return sorted(begins)


def _after_enders(words: Sequence[str], gaps: Sequence[str]) -> Iterator[int]:
    """Yield the words that follow a full stop, or the like, and what closes after it."""
    for i in [i for i, word in enumerate(words) if word[-1] in _ENDERS]:
        following = i + 1
        while following < len(words) and words[following] in _CLOSERS and not gaps[following]:
            following += 1
        if following < len(words) and _ends_sentence(i, following, words, gaps):
            yield following


def _ends_sentence(i: int, following: int, words: Sequence[str], gaps: Sequence[str]) -> bool:
    """Tell whether word `i` ends a sentence and word `following` begins the next."""
    word, upcoming = words[i], words[following]
    if word[-1] in _FULL_WIDTH:
        return upcoming[0] not in _FULL_WIDTH
    if not gaps[following]:
        return False
    if word[-1] == "." and _is_doubtful(i, words, gaps):
        return upcoming in _STARTER_SET
    first = upcoming[0]
    return first in _OPENERS or (first.isalnum() and not first.islower())


def _is_doubtful(i: int, words: Sequence[str], gaps: Sequence[str]) -> bool:
    """Tell whether the dot of word `i` may be that of an abbreviation or of an ordinal."""
    if len(words[i]) > 1:
        return words[i][-2] != "."
    return i > 0 and not gaps[i] and _ORDINAL.fullmatch(words[i - 1]) is not None


def _blocks(gaps: Sequence[str]) -> Iterator[list[int]]:
    """Yield the blocks of lines that blank lines separate.

    A block is the index of the first word of each of its lines, and of the word after it.
    """
    block = [0]
    for i, gap in enumerate(gaps):
        if gap == " " or not gap or i in (0, len(gaps) - 1):
            continue
        lines = (gap + ".").splitlines()
        if len(lines) > 2 or "\f" in gap or "\u2029" in gap:
            yield [*block, i]
            block = [i]
        elif len(lines) == 2:
            block.append(i)
    yield [*block, len(gaps) - 1]


def _unwrapped(
    lines: Sequence[int], words: Sequence[str], starts: Sequence[int], text: str
) -> list[int]:
    """Return the lines of a block, but the first, that do not continue the line before.

    A program that wraps text breaks a line only where the next word would not have fitted. If
    that holds for most lines of the block, with its longest line as the width, then it is
    wrapped text, and only its other breaks, where the word would have fitted, were meant.
    """
    if len(lines) == 2:
        return []
    spans = [(starts[a], starts[b - 1] + len(words[b - 1])) for a, b in pairwise(lines)]
    lengths = [end - start for start, end in spans]
    chunks = [_chunk_length(text, start) for start, _ in spans]
    # A line that is one long URL says nothing of the width.
    width = max((n for n, chunk in zip(lengths, chunks, strict=True) if n > chunk), default=0)
    wrapped = [
        length + 1 + chunk > width and not _BULLET.match(text, start)
        for length, chunk, (start, _) in zip(lengths, chunks[1:], spans[1:], strict=False)
    ]
    if width < _LEAST_WIDTH or 2 * sum(wrapped) <= len(wrapped):
        return list(lines[1:-1])
    return [line for line, is_wrapped in zip(lines[1:-1], wrapped, strict=True) if not is_wrapped]


def _chunk_length(text: str, start: int) -> int:
    match = _CHUNK.match(text, start)
    return match.end() - start if match else 0
