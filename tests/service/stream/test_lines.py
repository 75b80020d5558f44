import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.api.stream.tagging import BodyLine, lines


def cut(chunks, limit):
    async def body():
        for chunk in chunks:
            yield chunk

    async def main():
        return [line async for found in lines(body(), limit=limit) for line in found]

    return asyncio.run(main())


def oracle(body, limit):
    numbered = enumerate(body.split(b"\n"), 1)
    return [
        BodyLine(number, None if len(line) > limit else line.strip())
        for number, line in numbered
        if len(line) > limit or line.strip()
    ]


@given(
    st.lists(st.sampled_from([b"\n", b"ab", b" ", b"abcdef", b"\r\n", b"\xe4\xb8"]), max_size=30),
    st.integers(1, 8),
)
def test_lines_do_not_depend_on_how_they_arrive(pieces, limit):
    body = b"".join(pieces)
    expected = oracle(body, limit)
    assert cut(pieces, limit) == expected
    assert cut([body], limit) == expected
    assert cut([bytes([byte]) for byte in body], limit) == expected


def test_a_line_that_never_ends_is_not_kept():
    held = []

    async def body():
        for _ in range(1000):
            yield b"x" * 1000
        yield b"\nshort"

    async def main():
        async for found in lines(body(), limit=2000):
            held.extend(found)

    asyncio.run(main())
    assert held == [BodyLine(1, None), BodyLine(2, b"short")]
