"""Each kind of problem, brought about through the app: what a client gets when it meets it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tagbelt.errors import CheckpointError
from tagbelt.service.api import problems
from tagbelt.service.api.problems import KINDS, Kind
from tagbelt.service.app import create_app
from tagbelt.service.models.desired import state_of
from tagbelt.service.models.fleet import Desired, Fleet
from tagbelt.service.models.manager import Manager
from tagbelt.service.settings import Settings
from tests.service.access.guarded import INLINE, bearer
from tests.service.adapters.conftest import when_full
from tests.service.conftest import Client
from tests.service.fake import FakeTagger
from tests.service.models.folders import changes_of, folder

SMALL: dict[str, Any] = {"max_body_bytes": 200, "max_characters": 50, "max_tokens": 50}


class World:
    """Makes apps, which end with the test."""

    def __init__(self, make_client: Any, path: Path) -> None:
        self._make_client = make_client
        self.path = path

    @contextmanager
    def client(self, tagger: Any = None, **settings: Any) -> Iterator[Client]:
        with self._make_client(tagger, **settings) as client:
            yield client

    @contextmanager
    def admin(self, fleet: Fleet | None = None) -> Iterator[Client]:
        """An app over the folders below the path."""
        app = create_app(Settings(), Manager(changes_of(self.path), fleet))
        try:
            yield Client(app)
        finally:
            app.state.models.close()
            app.state.engine.close()


@dataclass(frozen=True)
class Case:
    """What brings a problem about; its reply, or with `item` the error of the first result."""

    ask: Callable[[World], httpx.Response]
    words: str
    instance: str = "/v1/tag"
    headers: dict[str, str] = field(default_factory=dict)
    item: bool = False


def request(method: str, path: str, *, headers: Any = None, **settings: Any) -> Any:
    def ask(world: World) -> httpx.Response:
        with world.client(**settings) as client:
            return client.request(method, path, headers=headers)

    return ask


def tag(*, tagger: Any = None, settings: Any = None, **body: Any) -> Any:
    def ask(world: World) -> httpx.Response:
        with world.client(tagger, **(settings or {})) as client:
            return client.tag(**body)

    return ask


def send(content: bytes, content_type: str = "application/json", **settings: Any) -> Any:
    def ask(world: World) -> httpx.Response:
        headers = {"content-type": content_type}
        with world.client(**settings) as client:
            return client.request("POST", "/v1/tag", content=content, headers=headers)

    return ask


def too_often(world: World) -> httpx.Response:
    with world.client(rate_per_second=0.01) as client:
        assert client.tag(text="a").status_code == 200
        return client.tag(text="a")


def full(world: World) -> httpx.Response:
    async def again(http: httpx.AsyncClient) -> httpx.Response:
        return await http.post("/v1/tag", json={"text": "c"})

    tagger = FakeTagger()
    with world.client(tagger, max_waiting=1) as client:
        return asyncio.run(when_full(client, tagger, again))


def late(world: World) -> httpx.Response:
    tagger = FakeTagger()
    with world.client(tagger) as client:
        tagger.gate.clear()
        try:
            headers = {"x-request-timeout": "0.05"}
            return client.request("POST", "/v1/tag", json={"text": "a"}, headers=headers)
        finally:
            tagger.gate.set()


def unusable(world: World) -> httpx.Response:
    folder(world.path / "en" / "1")
    with world.admin() as client:
        folder(world.path / "en" / "2", description="bad")
        return client.request("POST", "/v1/models/en/load")


def left_behind(world: World) -> httpx.Response:
    def follow(_: object) -> None:
        raise CheckpointError("its files have changed")

    folder(world.path / "en" / "1")
    state = state_of(changes_of(world.path).registry.snapshot)
    runtime = world.path.parent / "runtime"
    runtime.mkdir()
    wanted = Desired(generation=1, state=state).model_dump_json()
    (runtime / "desired.json").write_text(wanted, encoding="utf-8")
    fleet = Fleet(runtime)
    fleet.start(follow, 0, None)
    with world.admin(fleet) as client:
        return client.request("POST", "/v1/reload")


CASES: dict[Kind, Case] = {
    problems.MALFORMED: Case(send(b'{"text":'), "not JSON: Expecting value at character 8"),
    problems.UNAUTHORIZED: Case(
        request("GET", "/v1/models", api_keys=INLINE),
        "Authorization: Bearer KEY or as X-API-Key: KEY",
        "/v1/models",
        {"www-authenticate": 'Bearer realm="tagbelt"'},
    ),
    problems.FORBIDDEN: Case(
        request("POST", "/v1/reload", api_keys=INLINE, headers=bearer("crawler")),
        "a key with the scope admin",
        "/v1/reload",
        {
            "www-authenticate": 'Bearer realm="tagbelt", error="insufficient_scope", scope="admin"',
        },
    ),
    problems.NOT_FOUND: Case(request("GET", "/v1"), "/docs lists what is", "/v1"),
    problems.UNKNOWN_MODEL: Case(tag(text="a", model="fr"), "'fr'; served: fake"),
    problems.METHOD: Case(
        request("PUT", "/v1/tag"), "this path answers: POST", headers={"allow": "POST"}
    ),
    problems.MODEL_UNUSABLE: Case(unusable, "no good", "/v1/models/en/load"),
    problems.MODEL_NEEDED: Case(
        request("POST", "/v1/models/fake/unload"),
        "'fake' is the default model; first make another the default",
        "/v1/models/fake/unload",
    ),
    problems.BODY_TOO_LARGE: Case(
        send(b" " * 201, **SMALL), "the limit of 200 bytes; send it in several requests"
    ),
    problems.MEDIA: Case(send(b"a", "text/plain"), "application/json, not 'text/plain'"),
    problems.WRONG_HOST: Case(
        request("GET", "/v1/models", headers={"host": "evil.example"}),
        "TAGBELT_ALLOWED_HOSTS",
        "/v1/models",
    ),
    problems.INVALID: Case(tag(text="a", labels=["X"]), "'X' is not a label of 'fake'"),
    problems.TOO_MANY_ITEMS: Case(
        tag(texts=["a"] * 3, settings={"max_items": 2}), "3 items and the limit is 2 a request"
    ),
    problems.NOT_TEXT: Case(tag(texts=[5]), "must be a string", "/v1/tag#/texts/0", item=True),
    problems.NOT_UNICODE: Case(
        tag(tokens=[["\ud800"]]), "half of a surrogate pair", "/v1/tag#/tokens/0", item=True
    ),
    problems.TOO_LONG: Case(
        tag(text="a" * 51, settings=SMALL), "the limit is 50", "/v1/tag#/text", item=True
    ),
    problems.RATE_LIMITED: Case(
        too_often, "more than 0.01 requests a second; try again in", headers={"retry-after": "100"}
    ),
    problems.OVERLOADED: Case(full, "1 requests wait already", headers={"retry-after": "1"}),
    problems.INTERNAL: Case(tag(text="a", tagger=FakeTagger(poison="a")), "the model failed"),
    problems.WORKER_FAILED: Case(left_behind, "its files have changed", "/v1/reload"),
    problems.NOT_READY: Case(request("GET", "/readyz"), "warming up", "/readyz"),
    problems.DEADLINE: Case(late, "within the time that it, or the server, allows"),
}


def test_every_kind_has_a_case():
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.slug)
def test_a_problem(make_client, tmp_path, kind):
    case = CASES[kind]
    reply = case.ask(World(make_client, tmp_path / "models"))
    if case.item:
        assert reply.status_code == 200
        (result,) = reply.json()["results"]
        found = result["error"]
    else:
        assert reply.status_code == kind.status
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["cache-control"] == "no-store"
        found = reply.json()
    assert (found["type"], found["title"]) == (f"/docs#{kind.slug}", kind.title)
    assert (found["status"], found["instance"]) == (kind.status, case.instance)
    assert case.words in found["detail"]
    assert case.headers.items() <= dict(reply.headers).items()
    assert str(tmp_path) not in found["detail"] or kind is problems.MODEL_UNUSABLE


def test_a_problem_is_ascii(make_client):
    """What was asked for, in any script, comes back in escapes that no header can spoil."""
    with make_client() as client:
        content = client.tag(text="a", model="模型\n").content
    assert content.isascii()
    assert "模型" in json.loads(content)["detail"]
