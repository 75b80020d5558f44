"""A server that answers from a script, in a time that only passes when somebody sleeps."""

import asyncio
import json

import httpx

from tagbelt.client import AsyncClient, Client, Result, Retry


class Time:
    """A clock, with what was slept on it."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


class Blocking:
    """An AsyncClient with the methods of a Client."""

    def __init__(self, **options):
        self._runner = asyncio.Runner()
        self._client = AsyncClient(**options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name):
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))

    def stream(self, items, **options):
        async def gather():
            return [pair async for pair in self._client.stream(items, **options)]

        return self._runner.run(gather())


CLIENTS = {"blocking": Client, "asyncio": Blocking}
SOLE = {"blocking": {}, "asyncio": {"concurrency": 1}}
"""Options for one request at a time."""


def scripted(kind, replies, *, random=lambda: 0.5, retries=4, **options):
    """A client of that kind, the requests it sends and its clock.

    Each reply is an exception, or a function from request and clock to a reply or response.
    """
    time, sent, waiting = Time(), [], list(replies)

    def handle(request):
        sent.append(request)
        reply = waiting.pop(0)
        while not isinstance(reply, Exception | httpx.Response):
            reply = reply(request, time)
        if isinstance(reply, Exception):
            raise reply
        return reply

    sleep = time.sleep if kind == "blocking" else time.sleep_async
    retry = Retry(retries=retries, random=random, clock=time)
    transport = httpx.MockTransport(handle)
    made = CLIENTS[kind](transport=transport, sleep=sleep, retry=retry, **options)
    return made, sent, time


def reply(status, **options):
    """A response, new each time, for httpx marks one as read."""
    return lambda _request, _time: httpx.Response(status, **options)


def tagged(count=1, **members):
    """A reply with `count` results without entities."""
    model = {"name": "en", "version": "1", "digest": "5f"}
    results = [{"entities": []} for _ in range(count)]
    body = {"model": model, "offset_unit": "codepoint", "results": results, **members}
    return reply(200, json=body)


def problem(status, slug="a-problem", headers=None, **members):
    body = {
        "type": f"/docs#{slug}",
        "title": "A problem",
        "status": status,
        "detail": "it is so",
        "instance": "/v1/tag",
        **members,
    }
    kind = {"content-type": "application/problem+json"}
    return reply(status, content=json.dumps(body), headers={**kind, **(headers or {})})


def labels(outcome):
    assert isinstance(outcome, Result), outcome
    return [entity.label for entity in outcome.entities]
