"""Bytes made wrong: what fuzzing does to good examples."""

import random
from collections.abc import Sequence

MOST_CHANGES = 4
# What has broken readers before: signs of structure, of encodings, and of the ends of numbers.
TRICKY = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf0\x9f\x91\xa9", b"\r", b"\n\n",
    b"\t", b'"', b"\\u0000", b"\\ud800", b"[", b"{", b"[" * 2000, b"]", b"}", b",", b":", b"-1",
    b"1e999", b"NaN", b"18446744073709551616", b"9" * 5000, b"null", b"true", b"%0A",
    b"\xe2\x80\xa8", b"B-", b"I-X", b"&#0;", b"../", b"\xcc\x81" * 50,
)  # fmt: skip


def mutated(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the examples with up to MOST_CHANGES changes; now and then it stays as it is."""
    value = chance.choice(seeds)
    for _ in range(chance.randint(0, MOST_CHANGES)):
        value = _changed(chance, value, seeds)
    return value


def _changed(chance: random.Random, value: bytes, seeds: Sequence[bytes]) -> bytes:
    at = chance.randint(0, len(value))
    end = min(len(value), at + chance.choice((1, 1, 2, 8, 64)))
    match chance.randrange(6):
        case 0:  # a bit
            if at == len(value):
                return value
            return value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]
        case 1:  # less
            return value[:at] + value[end:]
        case 2:  # more of the same
            return value[:at] + value[at:end] * chance.choice((2, 3, 50)) + value[end:]
        case 3:
            return value[:at] + chance.choice(TRICKY) + value[end:]
        case 4:  # cut off
            return value[:at]
        case _:  # the end of another example
            other = chance.choice(seeds)
            return value[:at] + other[chance.randint(0, len(other)) :]
