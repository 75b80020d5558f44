"""Cutting a body into lines, however it arrives, without ever holding a line that is too long."""

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. `number` counts from 1; `content` is None where it was too long."""

    number: int
    content: bytes | None


async def lines(chunks: AsyncIterator[bytes], *, limit: int) -> AsyncIterator[list[Line]]:
    """The lines of a body as they become complete, blank ones left out but counted.

    A line of more than `limit` bytes is read past, not kept.
    """
    rest = bytearray()
    number = 1
    skipping = False
    async for chunk in chunks:
        *ends, tail = chunk.split(b"\n")
        found = []
        for end in ends:
            if skipping or len(rest) + len(end) > limit:
                found.append(Line(number, None))
            elif content := (bytes(rest) + end).strip():
                found.append(Line(number, content))
            rest.clear()
            skipping = False
            number += 1
        if not skipping:
            rest += tail
        if len(rest) > limit:
            rest.clear()
            skipping = True
        if found:
            yield found
    if skipping:
        yield [Line(number, None)]
    elif content := bytes(rest).strip():
        yield [Line(number, content)]
