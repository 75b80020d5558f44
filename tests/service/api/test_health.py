import asyncio

import pytest

from tagbelt.service.api import health
from tests.service.fake import FakeTagger


def ready(client):
    reply = client.get("/readyz")
    return reply.status_code, reply.json().get("detail", "")


def warm_up(client):
    asyncio.run(client.app.state.health.warm_up())


def test_alive_and_not_ready_before_the_warm_up(client):
    assert client.get("/livez").json() == {"status": "ok"}
    assert ready(client) == (503, "the models are warming up")
    warm_up(client)
    assert client.get("/readyz").json() == {"status": "ok"}


def test_the_app_warms_every_model_up_when_it_starts(two_models):
    app = two_models.app

    async def start():
        async with app.router.lifespan_context(app), two_models.connect() as http:
            for _ in range(500):
                if (await http.get("/readyz")).status_code == 200:
                    return True
                await asyncio.sleep(0.01)
        return False

    assert asyncio.run(start())
    assert all(served.tagger.calls for served in app.state.registry.served)


def test_a_model_that_cannot_tag_is_not_ready_until_it_can(make_client, caplog):
    tagger = FakeTagger(poison="")
    with make_client(tagger) as client:
        warm_up(client)
        assert ready(client) == (503, "a model fails on a test sentence")
        tagger.poison = None
        assert ready(client) == (200, "")
    assert "the warm-up failed: RuntimeError" in caplog.text


def test_readiness_asks_the_models(make_client, monkeypatch):
    monkeypatch.setattr(health, "RECENT_SECONDS", 0.0)
    tagger = FakeTagger()
    with make_client(tagger) as client:
        warm_up(client)
        calls = len(tagger.calls)
        assert ready(client) == (200, "")
        assert len(tagger.calls) == calls + 1
        tagger.poison = ""
        assert ready(client) == (503, "a model fails on a test sentence")
        tagger.poison = None
        assert ready(client) == (200, "")


def test_recent_work_answers_for_the_models(make_client, monkeypatch):
    monkeypatch.setattr(health, "RECENT_SECONDS", float("inf"))
    tagger = FakeTagger()
    with make_client(tagger) as client:
        warm_up(client)
        calls = len(tagger.calls)
        assert ready(client) == (200, "")
        assert len(tagger.calls) == calls


@pytest.mark.parametrize("max_waiting", [1, 2])
def test_a_worker_that_hangs_is_not_ready(make_client, monkeypatch, max_waiting):
    monkeypatch.setattr(health, "RECENT_SECONDS", 0.0)
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)
    tagger = FakeTagger()

    async def main(client):
        await client.app.state.health.warm_up()
        tagger.gate.clear()
        async with client.connect() as http:
            hanging = asyncio.create_task(http.post("/v1/tag", json={"text": "a"}))
            while len(tagger.calls) < 2:
                await asyncio.sleep(0.01)
            statuses = [(await http.get("/readyz")).status_code for _ in range(3)]
            tagger.gate.set()
            await hanging
            return statuses, (await http.get("/readyz")).status_code

    with make_client(tagger, max_waiting=max_waiting) as client:
        monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)
        statuses, after = asyncio.run(main(client))
    assert statuses == [503] * 3
    assert after == 200
