"""Tell Chinese from other languages by the script of a text, to choose between two models."""

import re
from collections.abc import Iterable, Sequence

LOOKED_AT = 2000
"""Characters at the start of an item that decide."""

_CHINESE = frozenset({"zh", "cmn", "yue"})

_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# Japanese and Korean are written with Han too, but never long without these.
_KANA_OR_HANGUL = re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d\u1100-\u11ff\uac00-\ud7af]")
_NOT_A_LETTER = re.compile(r"[\W\d_]")


def is_chinese(item: object) -> bool:
    """Whether most letters of a text, or of a token list, are Han, and none kana or hangul.

    Only the first 2,000 characters are looked at. False for what is neither.
    """
    start = _start(item)
    if _KANA_OR_HANGUL.search(start):
        return False
    han = len(_HAN.findall(start))
    return han > 0 and 2 * han > len(_NOT_A_LETTER.sub("", start))


def speaks_chinese(language: str) -> bool:
    """Whether a model's language tag, such as zh or zh-Hans, says Chinese."""
    return re.split("[-_]", language.lower(), maxsplit=1)[0] in _CHINESE


def _start(item: object) -> str:
    if isinstance(item, str):
        return item[:LOOKED_AT]
    return "".join(_first(item)) if isinstance(item, Sequence) else ""


def _first(tokens: Iterable[object]) -> list[str]:
    """The tokens, or starts of tokens, that hold the first characters of a list."""
    room, first = LOOKED_AT, []
    for token in tokens:
        if isinstance(token, str):
            first.append(token[:room])
            room -= len(first[-1])
        if room <= 0:
            break
    return first
