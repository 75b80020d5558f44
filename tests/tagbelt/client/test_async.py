"""What only the asyncio client has: several requests under way, and sources that are waited for."""

import asyncio
import json
from contextlib import aclosing

import httpx
import pytest

from tagbelt.client import AsyncClient, Retry, ServerError


class Held:
    """A server that holds each request until it is let go, and counts them."""

    def __init__(self):
        self.under_way = []
        self.most = 0
        self.ended = 0

    async def __call__(self, request):
        texts = json.loads(request.content)["texts"]
        gate = asyncio.Event()
        self.under_way.append((texts, gate))
        self.most = max(self.most, len(self.under_way))
        try:
            await gate.wait()
        finally:
            self.under_way.remove((texts, gate))
            self.ended += 1
        if "bad" in texts:
            return httpx.Response(500, text="fault")
        results = [{"entities": [], "model": text} for text in texts]
        return httpx.Response(200, json={"model": None, "results": results})

    async def until(self, count):
        """Wait for so many to be under way."""
        async with asyncio.timeout(30):
            while len(self.under_way) < count:
                await asyncio.sleep(0)

    def let_go(self, index):
        self.under_way[index][1].set()


def connected(held, **options):
    options = {"max_items": 2, "concurrency": 3, "retry": Retry(retries=0), **options}
    return AsyncClient(transport=httpx.MockTransport(held), **options)


def test_requests_overlap_up_to_the_limit_and_results_keep_their_order():
    async def main():
        held = Held()
        texts = [f"t{number}" for number in range(20)]
        async with connected(held) as client:
            asked = asyncio.create_task(client.tag_many(texts))
            await held.until(3)
            while not asked.done():
                if held.under_way:
                    held.let_go(-1)  # the last one first
                await asyncio.sleep(0)
            assert [outcome.model for outcome in await asked] == texts
        assert held.most == 3

    asyncio.run(main())


def test_a_source_is_read_no_further_than_the_requests_under_way():
    read = []

    async def source():
        for number in range(1000):
            read.append(number)
            yield f"{number}"

    async def main():
        held = Held()
        async with connected(held) as client, aclosing(client.stream(source())) as stream:
            first = asyncio.create_task(anext(stream))
            await held.until(3)
            assert len(read) == 7  # three requests of two, and one that did not fit
            held.let_go(0)
            item, outcome = await first
            assert (item, outcome.model) == ("0", "0")
        assert held.under_way == []

    asyncio.run(main())


def test_a_source_that_is_waited_for(url):
    async def source():
        for number in range(10):
            await asyncio.sleep(0)
            yield {"id": number, "text": "Toyota"}

    async def main():
        async with AsyncClient(url, max_items=4) as client:
            return [(item["id"], r.entities[0].label) async for item, r in client.stream(source())]

    assert asyncio.run(main()) == [(number, "ORG") for number in range(10)]


def test_a_stream_that_is_left_ends_its_requests():
    async def main():
        held = Held()
        async with connected(held) as client:
            async with aclosing(client.stream(map(str, range(100)))) as stream:
                first = asyncio.create_task(anext(stream))
                await held.until(3)
                held.let_go(0)
                await first
            assert (held.under_way, held.ended) == ([], 3)

    asyncio.run(main())


def test_a_call_that_is_cancelled_ends_its_requests():
    async def main():
        held = Held()
        async with connected(held) as client:
            asked = asyncio.create_task(client.tag_many(map(str, range(100))))
            await held.until(3)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert (held.under_way, held.ended) == ([], 3)

    asyncio.run(main())


def test_a_request_that_fails_ends_the_others():
    async def main():
        held = Held()
        async with connected(held, max_items=1) as client:
            asked = asyncio.create_task(client.tag_many(["bad", "a", "b", "c"]))
            await held.until(3)
            held.let_go(0)
            with pytest.raises(ServerError, match="500"):
                await asked
            assert held.under_way == []

    asyncio.run(main())


def test_many_calls_share_a_client(url):
    async def main():
        async with AsyncClient(url) as client:
            calls = [client.tag(f"{number} Toyota") for number in range(40)]
            found = await asyncio.gather(*calls)
            return [outcome.entities[0].start for outcome in found]

    assert asyncio.run(main()) == [len(f"{number} ") for number in range(40)]
