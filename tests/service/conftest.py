import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest

from tagbelt.service.settings import Settings
from tests.service.fake import FakeTagger, fake_app


class Client:
    """Synchronous requests to an app over ASGI, each on an event loop of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with self.connect() as http:
                return await http.request(method, path, **options)

        return asyncio.run(send())

    def connect(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def tag(self, **body: Any) -> httpx.Response:
        # Escaped to ASCII, so that a lone surrogate can be sent.
        return self.post_json(json.dumps(body))

    def post_json(self, content: Any) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return self.request("POST", "/v1/tag", content=content, headers=headers)

    def results(self, **body: Any) -> list[dict[str, Any]]:
        reply = self.tag(**body)
        assert reply.status_code == 200, reply.text
        return reply.json()["results"]


MakeClient = Callable[..., AbstractContextManager[Client]]


@contextmanager
def _client(tagger: Any = None, **settings: Any):
    app = fake_app(tagger, **settings)
    yield Client(app)
    app.state.engine.close()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TAGBELT_{name.upper()}", raising=False)


@pytest.fixture
def make_client() -> MakeClient:
    return _client


@pytest.fixture
def client():
    with _client() as made:
        yield made


@pytest.fixture
def two_models():
    chinese = FakeTagger("zh", language="zh", labels=("PER",))
    with _client([FakeTagger("en"), chinese]) as made:
        yield made
