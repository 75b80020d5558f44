"""POST /v1/tag is answered without the framework exactly as the framework would answer it."""

import asyncio
import json
from contextlib import ExitStack

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.service.api.bodies import Direct
from tests.service.fake import FakeTagger, fake_app

SETTINGS = {"max_body_bytes": 400, "max_items": 3, "max_characters": 60, "max_tokens": 5}
TEXT = st.sampled_from(
    [
        "",
        "Ana",
        "Angela Merkel visited Toyota in Nagoya.",
        "李明在上海",
        "\ud800",
        "x" * 61,
        "poison",
    ]
) | st.text(max_size=20)
TOKENS = st.lists(TEXT, max_size=6)
ODD = st.none() | st.integers() | st.floats() | TEXT | st.lists(st.integers(), max_size=2)
FIELDS = {
    "text": TEXT | ODD,
    "texts": st.lists(TEXT | ODD, max_size=4) | ODD,
    "tokens": st.lists(TOKENS | ODD, max_size=4) | ODD,
    "model": st.sampled_from(["fake", "fake@3", "none", "auto", None, 3]),
    "labels": st.lists(st.sampled_from(["PER", "LOC", "X"]), max_size=2) | ODD,
    "min_score": st.sampled_from([0, 0.5, 1, 2, "a", None]),
    "offset_unit": st.sampled_from(["codepoint", "utf16", "utf8", "x"]),
    "include": st.lists(st.sampled_from(["tokens", "tags", "alternatives", "x"]), max_size=3),
    "n_best": st.sampled_from([1, 2, 0, 21, True]),
    "unknown": ODD,
}
BODIES = st.fixed_dictionaries({}, optional=FIELDS).map(lambda body: json.dumps(body).encode())
CUT = st.tuples(BODIES, st.integers(0, 60)).map(lambda pair: pair[0][: pair[1]])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["text/plain", "application/x+json; charset=utf-8", ""]),
        "content-encoding": st.sampled_from(["gzip", "identity"]),
        "x-request-timeout": st.sampled_from(["5", "0", "a", "nan"]),
        "origin": st.sampled_from(["http://localhost", "http://example.org"]),
        "host": st.sampled_from(["localhost", "example.org"]),
    },
)


@pytest.fixture(scope="module")
def both():
    """An app as it is, and one that leaves all to the framework."""
    with ExitStack() as stack:
        apps = [fake_app(FakeTagger(poison="poison"), **SETTINGS) for _ in range(2)]
        for app in apps:
            stack.callback(app.state.engine.close)
        apps[1].user_middleware = [one for one in apps[1].user_middleware if one.cls is not Direct]
        assert len(apps[0].user_middleware) == len(apps[1].user_middleware) + 1
        yield apps


async def replies(apps, method, path, body, headers):
    sent = {"content-type": "application/json", "x-request-id": "same"} | headers
    for app in apps:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            reply = await http.request(method, path, content=body, headers=sent)
        # How long it took differs, that it is told does not.
        kept = [(k, v if k != "server-timing" else "") for k, v in reply.headers.items()]
        yield reply.status_code, kept, reply.content


@settings(max_examples=120, deadline=None)
@given(
    path=st.sampled_from(["/v1/tag", "/v1/tag?model=none"]),
    body=BODIES | CUT | st.binary(max_size=40),
    headers=HEADERS,
)
def test_replies_are_the_same_to_the_byte(both, path, body, headers):
    async def main():
        mine, framework = [one async for one in replies(both, "POST", path, body, headers)]
        assert mine == framework

    asyncio.run(main())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_other_methods_are_the_same(both, method):
    async def main():
        mine, framework = [one async for one in replies(both, method, "/v1/tag", b"{}", {})]
        assert mine == framework

    asyncio.run(main())


def test_requests_are_counted_under_the_same_route(both):
    async def main():
        async for _ in replies(both, "POST", "/v1/tag", b'{"text": "Ana"}', {}):
            pass

    asyncio.run(main())
    for app in both:
        text = app.state.recorder.exposition()[0].decode()
        assert 'tagbelt_requests_total{method="POST",route="/v1/tag",status="200"}' in text
