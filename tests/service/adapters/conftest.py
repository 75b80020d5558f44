import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.service.fake import FakeTagger

ZH_DIGEST = "cd" * 32


@pytest.fixture
def models(make_client):
    """A client of an app that serves a model for English, the default, and one for Chinese."""
    chinese = FakeTagger("zh", language="zh", digest=ZH_DIGEST)
    with make_client([FakeTagger("en"), chinese]) as made:
        yield made


@pytest.fixture
def warm(models):
    """The same after its warm-up."""
    asyncio.run(models.app.state.health.warm_up())
    return models


def post(client: Any, path: str, body: Any, **headers: str) -> httpx.Response:
    """What a POST of JSON is answered with. Names of headers are given with underscores."""
    stated = {name.replace("_", "-"): value for name, value in headers.items()}
    # Escaped to ASCII, so that a lone surrogate can be sent.
    content = body if isinstance(body, bytes) else json.dumps(body)
    sent = {"content-type": "application/json", **stated}
    return client.request("POST", path, content=content, headers=sent)


def found(client: Any, path: str, body: Any, **headers: str) -> Any:
    """The JSON of a reply that is not an error."""
    reply = post(client, path, body, **headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def when_full(client: Any, tagger: FakeTagger, ask: Callable[[Any], Any]) -> httpx.Response:
    """What `ask` is answered with while the queue, made for one, is full."""
    tagger.gate.clear()
    async with client.connect() as http:
        try:
            waiting = [asyncio.create_task(http.post("/v1/tag", json={"text": "a"}))]
            while not tagger.calls:
                await asyncio.sleep(0.01)
            waiting.append(asyncio.create_task(http.post("/v1/tag", json={"text": "b"})))
            while len(client.app.state.engine.queue) < 1:
                await asyncio.sleep(0.01)
            refused: httpx.Response = await ask(http)
        finally:
            tagger.gate.set()
        await asyncio.gather(*waiting)
    return refused
