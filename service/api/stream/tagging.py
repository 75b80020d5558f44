"""Tag the lines of a stream in order, a few chunks ahead of the answer."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic_core import to_json

from tagbelt.service.api import problems
from tagbelt.service.api.bodies import aside, parse_json
from tagbelt.service.api.problems import FieldError, Kind, ProblemError
from tagbelt.service.api.schemas import StreamLine, TagOptions
from tagbelt.service.api.tagging import Answer, ItemFault, Query, Tagging, rendered, script_warning
from tagbelt.service.api.v1 import result
from tagbelt.service.engine.queue import most_tokens
from tagbelt.service.engine.recorder import Work
from tagbelt.service.models.served import AUTO, Served


@dataclass(frozen=True, slots=True)
class BodyLine:
    """A line without its end. `number` counts from 1; `content` is None where it was too long."""

    number: int
    content: bytes | None


async def lines(chunks: AsyncIterator[bytes], *, limit: int) -> AsyncIterator[list[BodyLine]]:
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
                found.append(BodyLine(number, None))
            elif content := (bytes(rest) + end).strip():
                found.append(BodyLine(number, content))
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
        yield [BodyLine(number, None)]
    elif content := bytes(rest).strip():
        yield [BodyLine(number, content)]


PATH = "/v1/tag/stream"
# A chunk is tagged together, a longer line alone; so many wait for their turn to be written.
CHUNK_LINES = 128
CHUNK_BYTES = 65_536
CHUNKS_AHEAD = 3
_BUSY_SECONDS = 0.05

# The last line of a chunk, and the answer to all of it.
_Task = asyncio.Task[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line as it was understood; `error` where it was not."""

    line: int
    id: str | int | None = None
    item: object = None
    is_tokens: bool = False
    error: ProblemError | None = None


class Stream:
    """One stream of lines to tag.

    `served` is the model that it started with, unless the model is auto. `patience` is how many
    seconds may pass without a line.
    """

    def __init__(
        self,
        request: Request,
        options: TagOptions,
        served: Served,
        *,
        patience: float,
        max_line_bytes: int,
    ) -> None:
        self._request = request
        self._tagging: Tagging = request.app.state.tagging
        self._options = options
        self._served = None if options.model == AUTO else served
        self._patience = patience
        self._max_line_bytes = max_line_bytes
        self._next_line = 1
        self._work = Work()
        # What is too much for one reply is told in several chunks; a token has a byte at least.
        most = most_tokens(*_wanted(options))
        self._chunk_bytes = CHUNK_BYTES if most is None else min(CHUNK_BYTES, most)

    async def answer(self) -> AsyncGenerator[bytes]:
        """The lines of the answer. A stream that must end early says so in its last line."""
        tasks: asyncio.Queue[_Task | None] = asyncio.Queue(CHUNKS_AHEAD)
        reader = asyncio.create_task(self._read(tasks))
        try:
            while (task := await tasks.get()) is not None:
                last, content = await task
                self._next_line = last + 1
                yield content
            await reader
        except ProblemError as error:
            yield _failure(self._next_line, None, error)
        finally:
            reader.cancel()
            while not tasks.empty():
                if task := tasks.get_nowait():
                    task.cancel()

    async def _read(self, tasks: "asyncio.Queue[_Task | None]") -> None:
        """Begin the work on each chunk; no further ahead than the queue lets."""
        try:
            async for chunk in self._chunks():
                await tasks.put(asyncio.create_task(self._tag(chunk)))
        finally:
            await tasks.put(None)

    async def _chunks(self) -> AsyncIterator[list[BodyLine]]:
        """Lines in chunks: all that have arrived, up to a bound."""
        chunk: list[BodyLine] = []
        size = 0
        async for found in lines(self._body(), limit=self._max_line_bytes):
            for line in found:
                length = len(line.content or b"")
                if chunk and (len(chunk) >= CHUNK_LINES or size + length > self._chunk_bytes):
                    yield chunk
                    chunk, size = [], 0
                chunk.append(line)
                size += length
            if chunk:
                yield chunk
                chunk, size = [], 0

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    message = await self._request.receive()
            except TimeoutError:
                detail = f"nothing was sent for {self._patience:g} s; go on from this line"
                raise ProblemError(problems.DEADLINE, detail) from None
            if message["type"] == "http.disconnect":
                raise ProblemError(problems.GONE, "the client has left")
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return

    async def _tag(self, chunk: Sequence[BodyLine]) -> tuple[int, bytes]:
        """The last line's number, and one result a line, in order."""
        size = sum(len(line.content or b"") for line in chunk)
        entries = await aside(size, lambda: [self._entry(line) for line in chunk])
        results = {
            entry.line: _failure(entry.line, entry.id, entry.error)
            for entry in entries
            if entry.error is not None
        }
        for is_tokens in (False, True):
            mine = [e for e in entries if e.error is None and e.is_tokens == is_tokens]
            if mine:
                results |= await self._results(mine, is_tokens)
        return entries[-1].line, b"".join(results[entry.line] for entry in entries)

    def _entry(self, line: BodyLine) -> _Entry:
        if line.content is None:
            detail = f"this line is longer than the limit of {self._max_line_bytes} bytes"
            return _Entry(line.number, error=ProblemError(problems.TOO_LONG, detail))
        try:
            read = parse_json(line.content, StreamLine)
        except ProblemError as error:
            return _Entry(line.number, error=error)
        given = read.model_fields_set & {"text", "tokens"}
        if len(given) != 1:
            detail = "a line holds exactly one of text and tokens"
            return _Entry(line.number, read.id, error=ProblemError(problems.INVALID, detail))
        is_tokens = "tokens" in given
        return _Entry(line.number, read.id, read.tokens if is_tokens else read.text, is_tokens)

    async def _results(self, entries: Sequence[_Entry], is_tokens: bool) -> dict[int, bytes]:
        def render() -> dict[int, bytes]:
            return {
                entry.line: self._result(entry, answer, index, is_tokens)
                for index, entry in enumerate(entries)
            }

        try:
            answer = await self._ask([entry.item for entry in entries], is_tokens)
            return await rendered(answer, render)
        except ProblemError as error:
            if error.kind is problems.NOT_READY:  # the end, and the client should know where
                raise
            return {e.line: _failure(e.line, e.id, error) for e in entries}

    async def _ask(self, items: Sequence[object], is_tokens: bool) -> Answer:
        """Waits where others are turned away: the stream was accepted, and reads no further."""
        marginals, paths = _wanted(self._options)
        query = Query(
            items,
            tokens=is_tokens,
            model=self._options.model,
            marginals=marginals,
            paths=paths,
            served=self._served,
            work=self._work,
        )
        while True:
            try:
                return await self._tagging.ask(self._request, query, listen=False)
            except ProblemError as error:
                if error.kind is not problems.OVERLOADED:
                    raise
                self._work.items -= len(items)  # they are asked for again
            await asyncio.sleep(_BUSY_SECONDS)

    def _result(self, entry: _Entry, answer: Answer, index: int, is_tokens: bool) -> bytes:
        outcome = answer.outcomes[index]
        if isinstance(outcome, ItemFault):
            return _failed(entry.line, entry.id, outcome.kind, outcome.detail)
        members = result(entry.item, outcome, self._options, is_tokens=is_tokens)
        if self._options.model == AUTO:
            members["model"] = answer.served[index].full_name
        if warning := script_warning(entry.item, answer.served[index]):
            members["warnings"] = [warning]
        return _written(_head(entry.line, entry.id) | members)


def _wanted(options: TagOptions) -> tuple[bool, int]:
    """Return whether likely tags are wanted, and how many readings."""
    return "alternatives" in options.include, options.n_best or 0


def _written(result: dict[str, Any]) -> bytes:
    return to_json(result) + b"\n"


def _failure(line: int, given: str | int | None, error: ProblemError) -> bytes:
    return _failed(line, given, error.kind, error.detail, error.errors)


def _failed(
    line: int,
    given: str | int | None,
    kind: Kind,
    detail: str,
    errors: Sequence[FieldError] = (),
) -> bytes:
    place = f"{PATH}#line={line}"
    error = problems.problem(kind, detail, place, errors)
    return _written(_head(line, given) | {"error": error})


def _head(line: int, given: str | int | None) -> dict[str, Any]:
    return {"line": line} if given is None else {"line": line, "id": given}
