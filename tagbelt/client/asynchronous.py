"""The client for asyncio."""

import asyncio
import math
import os
import ssl
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from typing import Self, TypeVar, Unpack

import httpx

from tagbelt.client.batches import CallOptions, FileOptions, RequestLimits, T, TaggingOptions
from tagbelt.client.calls import Calls, Tagged, TaggingPlan, sentences_of, texts_of
from tagbelt.client.exchange import Outcome, Reply, Retry, Send, ServerAddress, Steps, Timeouts
from tagbelt.client.files import FileCounts, FileJob
from tagbelt.client.replies import ItemError, Result
from tagbelt.service.models.schemas import ModelState, ModelStates, Report

V = TypeVar("V")


class AsyncClient:
    """A client of a Tagbelt server that does not block the event loop.

    It has the arguments of `Client`, where `sleep` takes the place of asyncio.sleep, and
    `concurrency`: how many requests one call may have under way.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        uds: str | os.PathLike[str] | None = None,
        timeout: float | None = 60.0,
        retry: Retry | None = None,
        max_items: int = 256,
        max_bytes: int = 1 << 20,
        connections: int = 16,
        concurrency: int = 4,
        verify: bool | ssl.SSLContext = True,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {concurrency}")
        target = ServerAddress.of(base_url, api_key, uds, verify, connections)
        self._calls = Calls(retry or Retry(), RequestLimits(max_items, max_bytes), timeout)
        self._concurrency = concurrency
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            transport=transport or httpx.AsyncHTTPTransport(**target.transport_options()),
            **target.options(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def tag(self, text: str, **options: Unpack[TaggingOptions]) -> Result:
        """Tag one text. Raises a StatusError too when this text cannot be tagged."""
        return await self._run(self._calls.tag(text, options))

    async def tag_many(
        self, texts: Iterable[str], **options: Unpack[TaggingOptions]
    ) -> list[Result | ItemError]:
        """Tag any number of texts; one result each, in order.

        A text that is bad on its own has an ItemError in its place. Raises a TagbeltError when a
        request fails as a whole, and with it the call.
        """
        plan = self._calls.plan(options, whole=True)
        return [outcome async for _, outcome in self._tagged(texts_of(texts), plan)]

    async def tag_tokens(
        self, sentences: Iterable[Sequence[str]], **options: Unpack[TaggingOptions]
    ) -> list[Result | ItemError]:
        """As `tag_many`, for sentences that are tokens already."""
        plan = self._calls.plan(options, whole=True)
        return [outcome async for _, outcome in self._tagged(sentences_of(sentences), plan)]

    def stream(
        self, items: Iterable[T] | AsyncIterable[T], **options: Unpack[TaggingOptions]
    ) -> AsyncIterator[Tagged[T]]:
        """Tag items as they come: pairs of an item and its result, in order.

        Items are as for `Client.stream`, and may come from an asynchronous source. Memory is that
        of `concurrency` requests. `timeout` is for each request.
        """
        return self._tagged(items, self._calls.plan(options, whole=False))

    async def tag_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        **options: Unpack[FileOptions],
    ) -> FileCounts:
        """As `Client.tag_file`. Lines are read and written on the event loop, a request's a time.

        A `.conll` file is read whole before the first request.
        """
        with FileJob(source, target) as job:
            plan = self._calls.plan(job.options(options), whole=False)
            async with aclosing(self._tagged(job.items(), plan)) as tagged:
                async for item, outcome in tagged:
                    job.write(item, outcome)
        return job.counts

    async def models(self, **options: Unpack[CallOptions]) -> ModelStates:
        """List the models that are served."""
        return await self._run(self._calls.models(options))

    async def model(self, name: str, **options: Unpack[CallOptions]) -> ModelState:
        """Describe one model: a name, or name@version."""
        return await self._run(self._calls.model(name, options))

    async def ready(self, **options: Unpack[CallOptions]) -> bool:
        """Ask once if the server can answer now; False when it cannot be reached."""
        return await self._run(self._calls.ready(options))

    async def load(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Load a version from the server's disk, the newest unless given.

        As all admin calls it is sent once. Raises a StatusError when the server refuses it.
        """
        return await self._run(self._calls.change(name, "load", version, options))

    async def reload(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Read a loaded version from the disk again, the one that the name means unless given."""
        return await self._run(self._calls.change(name, "reload", version, options))

    async def unload(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Serve a version no longer, or all of the name unless one is given."""
        return await self._run(self._calls.change(name, "unload", version, options))

    async def set_default(
        self, name: str, version: str | None = None, **options: Unpack[CallOptions]
    ) -> Report:
        """Answer with this model when a request names none.

        With a version: answer with that one when a request names the model without a version.
        """
        return await self._run(self._calls.change(name, "default", version, options))

    async def rescan(self, **options: Unpack[CallOptions]) -> Report:
        """Make what is served fit what is on the server's disk, as SIGHUP does."""
        return await self._run(self._calls.rescan(options))

    async def _tagged(
        self, items: Iterable[T] | AsyncIterable[T], plan: TaggingPlan[T]
    ) -> AsyncGenerator[Tagged[T], None]:
        running = deque[asyncio.Task[list[Tagged[T]]]]()
        try:
            async for steps in plan.batches_async(items):
                running.append(asyncio.create_task(self._run(steps)))
                if len(running) >= self._concurrency:
                    for pair in await running.popleft():
                        yield pair
            while running:
                for pair in await running.popleft():
                    yield pair
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, steps: Steps[V]) -> V:
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as done:
                result: V = done.value
                return result
            if isinstance(step, Send):
                outcome = await self._send(step)
            else:
                await self._sleep(step.seconds)
                outcome = None

    async def _send(self, step: Send) -> Outcome:
        request = self._http.build_request(
            step.request.method,
            step.request.path,
            content=step.request.body,
            headers=step.headers,
            extensions={"timeout": Timeouts(step.deadline)},
        )
        left = step.deadline.left()
        try:
            async with asyncio.timeout(None if left == math.inf else left):
                response = await self._http.send(request)
        except httpx.RequestError as error:
            return error
        except TimeoutError:
            return httpx.ReadTimeout("there was no answer in time")
        return Reply(response.status_code, response.headers, response.content)
