"""Characters that look like nothing, or like others."""

import unicodedata
from functools import lru_cache

_ZERO_WIDTH = frozenset("\u00ad\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064")
# U+200C and U+200D join or part letters in these scripts, and emoji: there they are spelling.
_JOINERS = frozenset("\u200c\u200d")
_BIDIRECTIONAL = frozenset(
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


@lru_cache(maxsize=1 << 16)
def odd_characters(token: str) -> tuple[tuple[str, str], ...]:
    """The kinds of finding that a token gives rise to, each with what was found.

    Joiners between two characters beyond Latin-1 are spelling (Persian, Hindi, emoji), not odd.
    """
    if token.isascii() and token.isprintable():
        return ()
    found: dict[str, str] = {}
    for place, character in enumerate(token):
        kind = _kind(character)
        if kind and not (character in _JOINERS and _joins(token, place)):
            found.setdefault(kind, _named(character))
    if not unicodedata.is_normalized("NFC", token):
        composed = unicodedata.normalize("NFC", token)
        found["not-nfc"] = f"would be {' '.join(map(_code, composed))}"
    return tuple(found.items())


def is_punctuation(token: str) -> bool:
    """Tell whether a token is nothing but punctuation."""
    return bool(token) and all(unicodedata.category(c).startswith("P") for c in token)


def quoted(token: str) -> str:
    """A token in quotes, with what cannot be seen as escapes."""
    return ascii(token) if not token.isprintable() else repr(token)


def _kind(character: str) -> str | None:
    if character == "\ufeff":
        return "byte-order-mark"
    if character == "\ufffd":
        return "replacement"
    if character in _ZERO_WIDTH or character in _BIDIRECTIONAL:
        return "zero-width"
    if "\uff01" <= character <= "\uff5e" and not is_punctuation(character):
        return "full-width"
    category = unicodedata.category(character)
    if category == "Cc":
        return "control"
    return "private-use" if category in ("Co", "Cn", "Cs") else None


def _joins(token: str, place: int) -> bool:
    return 0 < place < len(token) - 1 and min(token[place - 1], token[place + 1]) > "\u00ff"


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"{_code(character)} {name}".rstrip()
