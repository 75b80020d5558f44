"""Models are exchanged under requests, and no request notices."""

import asyncio
import gc
import weakref

import pytest

from tagbelt.service.app import create_app
from tagbelt.service.models.loading import checkpoint_loader
from tagbelt.service.models.manager import Manager, open_models
from tagbelt.service.settings import Settings
from tests.service.models.folders import FakeLoad, changes_of, folder, real, write_header

CLIENTS = 6
SWAPS = 20


async def ask_until(client, over, replies):
    """One client: a request after the other, of all kinds of names."""
    number = 0
    async with client.connect() as http:
        while not over.is_set():
            number += 1
            model = (None, "en", "auto")[number % 3]
            reply = await http.post("/v1/tag", json={"text": "Toyota in Nagoya", "model": model})
            replies.append((reply, reply.json()))


async def beside_requests(client, change):
    """The replies to many clients that ask while `change` runs."""
    over, replies = asyncio.Event(), []
    asking = [asyncio.create_task(ask_until(client, over, replies)) for _ in range(CLIENTS)]
    async with client.connect() as http:
        try:
            await change(http, replies)
        finally:
            over.set()
            await asyncio.gather(*asking)
    return replies


def answered_by(replies):
    """The digests of the models that answered, all of them well."""
    for reply, body in replies:
        assert reply.status_code == 200, body
        assert reply.headers["x-model-digest"] == body["model"]["digest"]
        assert len(body["results"]) == 1
    return {body["model"]["digest"] for _, body in replies}


def swapping(digests, renew):
    """Reload again and again, each time something new, while requests are answered."""

    async def change(http, replies):
        for number in range(SWAPS):
            renew(number)
            report = (await http.post("/v1/models/en/reload")).json()
            assert report["ok"], report
            digests.add(report["changes"][0]["digest"])
            seen = len(replies)
            while len(replies) == seen:
                await asyncio.sleep(0.001)

    return change


@pytest.fixture
def client_over(client):
    made = []

    def over(manager):
        app = create_app(Settings(), manager)
        made.append(app)
        return type(client)(app)

    yield over
    for app in made:
        app.state.models.close()
        app.state.engine.close()


def test_no_request_fails_while_models_are_exchanged(tmp_path, client_over):
    path = folder(tmp_path / "en" / "1")
    changes = changes_of(tmp_path)
    digests = {changes.registry.get("en").digest}
    change = swapping(digests, lambda number: write_header(path, description=f"number {number}"))
    replies = asyncio.run(beside_requests(client_over(Manager(changes)), change))
    assert len(digests) == SWAPS + 1
    assert len(replies) > SWAPS
    # One that was exchanged again at once may have answered nobody.
    assert len(answered_by(replies)) > 1
    assert answered_by(replies) <= digests


def test_no_request_fails_while_real_checkpoints_are_exchanged(tmp_path, client_over):
    path = real(tmp_path / "en" / "1", description="first")
    manager = open_models(tmp_path, load=checkpoint_loader(1))
    digests = {manager.registry.get("en").digest}
    tagger = weakref.ref(manager.registry.get("en").tagger)

    async def change(http, replies):
        while not replies:
            await asyncio.sleep(0.001)
        write_header(path, description="second")
        report = (await http.post("/v1/reload")).json()
        digests.add(report["changes"][0]["digest"])
        seen = len(replies)
        while len(replies) < seen + CLIENTS + 1:
            await asyncio.sleep(0.001)

    replies = asyncio.run(beside_requests(client_over(manager), change))
    assert answered_by(replies) == digests
    assert len(digests) == 2
    del replies
    gc.collect()
    assert tagger() is None


def test_requests_are_answered_while_a_model_loads(tmp_path, client_over):
    folder(tmp_path / "en" / "1")
    load = FakeLoad()
    changes = changes_of(tmp_path, load)
    taggers = []

    def slow(place):
        taggers.append(load(place))
        taggers[-1].gate.clear()  # its test sentence waits
        return taggers[-1]

    changes._load = slow
    client = client_over(Manager(changes))

    async def main():
        async with client.connect() as http:
            reloading = asyncio.create_task(http.post("/v1/models/en/reload"))
            while not taggers:
                await asyncio.sleep(0.001)
            replies = [await http.post("/v1/tag", json={"text": "a"}) for _ in range(5)]
            assert not reloading.done()
            taggers[0].gate.set()
            return replies, await reloading

    replies, reloaded = asyncio.run(main())
    assert [reply.status_code for reply in (*replies, reloaded)] == [200] * 6
    assert changes.registry.get("en").tagger is taggers[0]


def test_a_request_finishes_on_the_model_that_it_began_with(tmp_path, client_over):
    path = folder(tmp_path / "en" / "1")
    changes = changes_of(tmp_path)
    client = client_over(Manager(changes))
    old = changes.registry.get("en")

    async def main():
        async with client.connect() as http:
            old.tagger.gate.clear()
            old.tagger.calls.clear()
            waiting = asyncio.create_task(http.post("/v1/tag", json={"text": "Toyota"}))
            while not old.tagger.calls:
                await asyncio.sleep(0.001)
            write_header(path, description="newer")
            report = (await http.post("/v1/models/en/reload")).json()
            old.tagger.gate.set()
            return (
                report["changes"][0],
                await waiting,
                await http.post("/v1/tag", json={"text": "Toyota"}),
            )

    change, first, second = asyncio.run(main())
    assert first.headers["x-model-digest"] == change["previous_digest"] == old.digest
    assert second.headers["x-model-digest"] == change["digest"] != old.digest


def test_one_change_at_a_time(tmp_path, client_over):
    for full in ("en/1", "en/2", "fr/1", "zh/1"):
        folder(tmp_path / full)
    at_once = []
    load = FakeLoad()

    def counted(place):
        at_once.append(at_once[-1] + 1 if at_once else 1)
        tagger = load(place)
        at_once.append(at_once[-1] - 1)
        return tagger

    client = client_over(Manager(changes_of(tmp_path, counted, versions="all")))

    async def main():
        async with client.connect() as http:
            names = ["en", "fr", "zh", "en@1"] * 3
            return await asyncio.gather(*(http.post(f"/v1/models/{name}/reload") for name in names))

    assert {reply.status_code for reply in asyncio.run(main())} == {200}
    assert set(at_once) == {0, 1}
