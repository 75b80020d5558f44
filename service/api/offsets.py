"""Offsets in the unit that the client counts in: code points, UTF-16 units or UTF-8 bytes."""

from collections.abc import Iterable

from tagbelt.data.types import OffsetUnit


def convert(text: str, positions: Iterable[int], unit: OffsetUnit) -> dict[int, int]:
    """Each code-point position of `text` -> the same place counted in `unit`.

    Takes time linear in the text, whatever the number of positions. `text` must be free of lone
    surrogates, and a position must be in [0, len(text)]; otherwise ValueError.
    """
    ordered = sorted(set(positions))
    if ordered and not 0 <= ordered[0] <= ordered[-1] <= len(text):
        raise ValueError(f"positions {ordered[0]}..{ordered[-1]} leave a text of {len(text)}")
    if unit == "codepoint" or text.isascii():
        return {position: position for position in ordered}
    converted: dict[int, int] = {}
    before = units = 0
    for position in ordered:
        units += _units(text[before:position], unit)
        converted[position] = units
        before = position
    return converted


def _units(piece: str, unit: OffsetUnit) -> int:
    if unit == "utf8":
        return len(piece.encode("utf-8"))
    return len(piece.encode("utf-16-le")) // 2
