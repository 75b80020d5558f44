"""Tensors of the Open Inference Protocol: as JSON, and as bytes after it.

The binary form is little-endian and row-major; a string is its length in four bytes, then itself.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

BYTES, INT32, FP32 = "BYTES", "INT32", "FP32"
_FORMATS = {INT32: "i", FP32: "f"}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A vector of strings, whole numbers or floats, by its datatype."""

    name: str
    datatype: str
    data: Sequence[Any]

    def described(self) -> dict[str, Any]:
        """Its name, shape and datatype."""
        return {"name": self.name, "shape": [len(self.data)], "datatype": self.datatype}


def pack(tensor: Tensor) -> bytes:
    """The binary form."""
    if tensor.datatype == BYTES:
        return pack_strings([text.encode("utf-8") for text in tensor.data])
    return struct.pack(f"<{len(tensor.data)}{_FORMATS[tensor.datatype]}", *tensor.data)


def pack_strings(strings: Sequence[bytes]) -> bytes:
    """The binary form of a BYTES tensor."""
    return b"".join(_LENGTH.pack(len(one)) + one for one in strings)


def unpack_strings(blob: bytes, most: int) -> list[bytes]:
    """The elements of a BYTES tensor.

    Raises ValueError when its lengths do not fit, and when there are more than `most`.
    """
    strings = list(islice(_strings(blob), most + 1))
    if len(strings) > most:
        raise ValueError(f"it has more than {most} elements")
    return strings


def _strings(blob: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(blob):
        if place + _LENGTH.size > len(blob):
            raise ValueError(f"its last {len(blob) - place} bytes are no length")
        (length,) = _LENGTH.unpack_from(blob, place)
        place += _LENGTH.size
        if place + length > len(blob):
            raise ValueError(
                f"an element of {length} bytes begins {len(blob) - place} before its end"
            )
        yield blob[place : place + length]
        place += length


def flat(data: Sequence[Any]) -> list[Any]:
    """A vector given as [N], or as [N, 1] in its natural form."""
    return [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
