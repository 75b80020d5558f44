"""WordPiece: a word form as pieces of a fixed vocabulary (Schuster & Nakajima 2012, Devlin 2019).

That of the uncased models: lower case without accents, cut at punctuation, and each part into the
longest pieces that the vocabulary has, from the left.
"""

import unicodedata
from collections.abc import Iterator, Sequence

UNKNOWN_PIECE = "[UNK]"
_INSIDE = "##"
_CJK = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
_DROPPED = ("Cc", "Cf", "Co", "Cs")
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
"""Some of which are symbols to Unicode."""


class WordPiece:
    """Cuts word forms into pieces; `names` are those of the vocabulary, by their ids."""

    def __init__(self, names: Sequence[str]) -> None:
        """Raises ValueError for a vocabulary that has a piece twice, or none for the unknown."""
        self.names = tuple(names)
        self._ids = {name: index for index, name in enumerate(self.names)}
        if len(self._ids) < len(self.names):
            raise ValueError("a vocabulary of pieces names one twice")
        self.unknown = self.id_of(UNKNOWN_PIECE)
        self._longest = max(map(len, self.names))

    def id_of(self, name: str) -> int:
        """Return the id of a piece. Raises ValueError where there is none."""
        if name not in self._ids:
            raise ValueError(f"a vocabulary of pieces has no {name}")
        return self._ids[name]

    def __call__(self, form: str) -> list[int]:
        """Return the ids of a form's pieces, at least one."""
        return [i for part in _parts(form) for i in self._pieces(part)] or [self.unknown]

    def _pieces(self, part: str) -> list[int]:
        """Cut a part greedily; one that can't be cut wholly is one unknown piece."""
        found, start, prefix = [], 0, ""
        while start < len(part):
            for end in range(min(len(part), start + self._longest), start, -1):
                piece = self._ids.get(prefix + part[start:end])
                if piece is not None:
                    break
            else:
                return [self.unknown]
            found.append(piece)
            start, prefix = end, _INSIDE
        return found


def _parts(form: str) -> Iterator[str]:
    """Yield what lies between spaces, and each punctuation mark and CJK character alone."""
    part = ""
    for character in unicodedata.normalize("NFD", "".join(_cleaned(form))):
        # One by one, or a final sigma would be another letter.
        character = character.lower()
        if character.isspace() or _stands_alone(character):
            yield from [part] if part else []
            yield from [] if character.isspace() else [character]
            part = ""
        elif unicodedata.category(character[0]) != "Mn":
            part += character
    yield from [part] if part else []


def _cleaned(form: str) -> Iterator[str]:
    for character in form:
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            yield " "
        elif character != "\ufffd" and unicodedata.category(character) not in _DROPPED:
            yield character


def _stands_alone(character: str) -> bool:
    if character in _ASCII_PUNCTUATION or unicodedata.category(character[0]).startswith("P"):
        return True
    return any(first <= ord(character[0]) <= last for first, last in _CJK)
