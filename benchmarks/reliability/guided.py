"""Fuzzing led by coverage: an input that reaches new lines of ours is an example from then on.

Lines are told by `sys.settrace`, in pairs of one and the next. What is drawn follows from the seed,
as elsewhere; but a case builds on those before it, so a failure tells its input as well.
"""

import asyncio
import logging
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.reliability.mutation import mutated
from tagbelt.data.text.tokenize import tokenize
from tagbelt.errors import InputError

OURS = f"{os.sep}tagbelt{os.sep}"
TOLD = 300
HEAD = b"POST /v1/tag HTTP/1.1\r\nHost: a\r\n"

Target = Callable[[bytes, Path], None]
"""Takes an input or refuses it in our words; it may use an empty folder."""


class Guided:
    """A case of a part: an input made of the examples so far, given to the target."""

    def __init__(self, target: Target, seeds: Callable[[Path], Sequence[bytes]]) -> None:
        self.__name__ = f"guided_{target.__name__}"
        self._target, self._seeds = target, seeds
        self._examples: list[bytes] = []
        self._reached: set[tuple[str, int, int]] = set()
        self._line = 0

    def __call__(self, chance: random.Random, folder: Path) -> None:
        """Raises what the target raises, with the input as a note."""
        if not self._examples:
            self._examples += self._seeds(folder.parent)
        content, before = mutated(chance, self._examples), len(self._reached)
        found = sys.gettrace()
        sys.settrace(self._enter)
        try:
            self._target(content, folder)
        except Exception as error:
            error.add_note(f"input: {content!r:.{TOLD}}")
            raise
        finally:
            sys.settrace(found)
            if len(self._reached) > before:
                self._examples.append(content)

    def _enter(self, frame: FrameType, _: str, __: Any) -> Any:
        return self._step if OURS in frame.f_code.co_filename else None

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self._reached.add((frame.f_code.co_filename, self._line, frame.f_lineno))
            self._line = frame.f_lineno
        return self._step


def words(content: bytes, _: Path) -> None:
    """Tokens of any text."""
    text = content.decode("utf-8", "surrogateescape")
    for unit in ("word", "character"):
        for tokens in tokenize(text, unit):
            for word, start in zip(tokens.words, tokens.starts, strict=True):
                if text[start : start + len(word)] != word:
                    raise AssertionError(f"{word!r} is not at {start}")


def cbor(content: bytes, _: Path) -> None:
    """A body of CBOR, whose refusal is a ValueError."""
    from tagbelt.service.adapters.cbor import loads

    try:
        loads(content)
    except ValueError as error:
        raise InputError(str(error)) from None


CBOR = (
    b"\xa2\x64Text\x66Toyota\x6cLanguageCode\x62en",
    b"\xbf\x61a\x9f\x01\x20\xf9\x3c\x00\xfb\x3f\xf0\0\0\0\0\0\0\xf4\xf6\xff\x61b\x7f\x61x\x61y\xff\xff",
    b"\xc1\x1a\x51\x4b\x67\xb0",
    b"\x82\x43\x01\x02\x03\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
)
HTTP = (
    HEAD + b"Content-Length: 15\r\n\r\n" + b'{"text":"Bonn"}',
    HEAD + b'Transfer-Encoding: chunked\r\n\r\nf;a=b\r\n{"text":"Bonn"}\r\n0\r\nX-A: b\r\n\r\n',
    HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
    HEAD + b"Expect: 100-continue\r\nX-Request-Timeout: 0.5\r\nContent-Length: 2\r\n\r\n{}",
    2 * b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
)


class _Wire(asyncio.Transport):
    """Keeps what is written; nobody is at the other end."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.sent, self._is_closed = b"", False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def close(self) -> None:
        """Nothing is written any more."""
        self._is_closed = True

    abort = close

    def pause_reading(self) -> None:
        """It reads nothing."""

    resume_reading = pause_reading


def connection(content: bytes, _: Path) -> None:
    """Bytes of one connection, in two pieces: replies, or none, and no error on the way."""
    logging.getLogger("uvicorn.error").disabled = True
    asyncio.run(_converse(content))


async def _converse(content: bytes) -> None:
    import uvicorn

    from tagbelt.service.process.connection import Connection, Connections

    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    config = uvicorn.Config(_answer, http=Connection, ws="none", log_config=None)
    protocol, wire = Connection(config=config, server_state=Connections(), app_state={}), _Wire()
    protocol.connection_made(wire)
    middle = len(content) // 2
    for piece in (content[:middle], content[middle:]):
        if piece and not wire.is_closing():
            protocol.data_received(piece)
        for _ in range(8):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    for task in list(protocol.server_state.tasks):
        await task
    if errors or (wire.sent and not wire.sent.startswith(b"HTTP/1.1 ")):
        raise AssertionError(f"{errors} and {wire.sent[:100]!r}")


async def _answer(_: Any, receive: Any, send: Any) -> None:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})
