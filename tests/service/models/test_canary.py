"""A canary: a share of the requests goes to another version, and both are compared."""

import asyncio
from dataclasses import replace

import pytest

from tagbelt.service.api.canary import compared
from tagbelt.service.app import create_app
from tagbelt.service.engine.queue import Failure
from tagbelt.service.models.choices import ChoiceFile
from tagbelt.service.models.desired import followed, recovered, state_of
from tagbelt.service.models.manager import Manager, first_models
from tagbelt.service.models.registry import Canary, Registry
from tagbelt.service.models.served import Served
from tagbelt.service.models.store import Store
from tagbelt.service.settings import Settings
from tests.service.fake import FakeTagger
from tests.service.models.folders import FakeLoad, changes_of, folder
from tests.service.telemetry.test_metrics import values

TEXT = "Angela Merkel of Toyota went to Nagoya"


class Worse(FakeTagger):
    """Finds no places."""

    def _annotation(self, reading):
        found = super()._annotation(reading)
        kept = tuple(replace(one, score=0.5) for one in found.entities if one.label != "LOC")
        return type(found)(found.tokens, found.starts, found.tags, kept)


@pytest.fixture
def app():
    taggers = [FakeTagger("en"), Worse("en", version="4", digest="cd" * 32)]
    manager = Manager.of(Registry([Served(one) for one in taggers]))
    app = create_app(Settings(default_model="en@3"), manager)
    app.state.registry.swap(app.state.registry.snapshot.changed(current={"en": "en@3"}))
    yield app
    manager.close()
    app.state.engine.close()


def ask(app, *bodies):
    """The replies to requests numbered from 0, once all comparisons are made."""

    async def send():
        import httpx

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            replies = [
                await http.post("/v1/tag", json=body, headers={"x-request-id": f"r{number}"})
                for number, body in enumerate(bodies)
            ]
            while app.state.tagging.comparisons._running:
                await asyncio.sleep(0.001)
            return replies

    return asyncio.run(send())


def start(client, share=0.25, name="en@4"):
    return client.request("POST", f"/v1/models/{name}/canary", json={"share": share})


def test_a_worse_model_on_a_share_is_counted_and_compared(app, client):
    admin = type(client)(app)
    report = start(admin).json()
    assert (report["ok"], report["changes"][0]["action"]) == (True, "canary")
    replies = ask(app, *[{"text": TEXT}] * 100)
    versions = [reply.json()["model"]["version"] for reply in replies]
    share = versions.count("4") / len(versions)
    assert 0.1 < share < 0.4
    for reply, version in zip(replies, versions, strict=True):
        digest = {"3": "ab", "4": "cd"}[version] * 32
        assert reply.headers["x-model-digest"] == digest
        assert len(reply.json()["results"][0]["entities"]) == {"3": 3, "4": 2}[version]
    again = [reply.json()["model"]["version"] for reply in ask(app, *[{"text": TEXT}] * 100)]
    assert again == versions  # the request's id alone decides
    named = ask(app, *[{"text": TEXT, "model": "en@3"}] * 20)
    assert {reply.json()["model"]["version"] for reply in named} == {"3"}

    found, count = values(app.state.recorder), 2 * versions.count("4")
    requests = 'tagbelt_canary_requests_total{model="en",version="%s"}'
    assert (found[requests % 3], found[requests % 4]) == (200 - count, count)
    items = 'tagbelt_canary_items_total{canary="4",model="en",result="%s"}'
    assert found[items % "different"] == count
    assert items % "same" not in found
    entities = 'tagbelt_canary_entities_total{canary="4",found_by="%s",model="en"}'
    by = [found[entities % who] for who in ("both", "stable", "canary")]
    assert by == [2 * count, count, 0]
    score = 'tagbelt_canary_score_%s{model="en",version="%s"}'
    means = [found[score % ("sum", v)] / found[score % ("count", v)] for v in "34"]
    assert means == pytest.approx([0.87654321, 0.5])
    assert found['tagbelt_canary_seconds_count{model="en",version="3"}'] == count
    assert found['tagbelt_canary_seconds_count{model="en",version="4"}'] == count

    assert start(admin, 0).json()["changes"][0]["digest"] is None
    after = ask(app, *[{"text": TEXT}] * 20)
    assert {reply.json()["model"]["version"] for reply in after} == {"3"}


def test_what_cannot_be_a_canary_is_refused(app, client):
    admin = type(client)(app)
    for name, share, status in (
        ("en@3", 0.5, 422),  # is what the name means
        ("en", 0.5, 422),  # no version
        ("en@4", 1.0, 422),
        ("en@9", 0.5, 404),
        ("fr@1", 0.5, 404),
    ):
        reply = start(admin, share, name)
        assert reply.status_code == status, (name, reply.text)
        assert reply.json()["detail"]
    assert start(admin).status_code == 200
    assert start(admin).json()["changes"] == []
    cards = admin.get("/v1/models").json()["models"]
    assert [(one["version"], one["canary"]) for one in cards] == [("3", 0.0), ("4", 0.25)]
    reply = admin.request("POST", "/v1/models/en@4/unload")
    assert (reply.status_code, "is a canary" in reply.json()["detail"]) == (409, True)
    admin.request("POST", "/v1/models/en@4/default")
    assert not app.state.registry.snapshot.canaries  # it is what the name means now


def test_an_item_that_one_of_the_two_fails_on_is_a_difference():
    both = [Served(FakeTagger("en")), Served(FakeTagger("en", version="4"))]
    (one,) = compared(*both, [None], [Failure()])
    assert (one.by_canary, one.by_stable) == (None, None)


def test_more_comparisons_than_may_be_under_way_are_skipped(app, monkeypatch, client):
    monkeypatch.setattr("tagbelt.service.api.canary.MOST", 0)
    start(type(client)(app), 0.999)
    (reply,) = ask(app, {"texts": [TEXT, "a"]})
    assert reply.json()["model"]["version"] == "4"
    found = values(app.state.recorder)
    assert found['tagbelt_canary_items_total{canary="4",model="en",result="skipped"}'] == 2


@pytest.fixture
def root(tmp_path):
    for full in ("en/1", "en/2"):
        folder(tmp_path / full)
    return tmp_path


def kept_by(root):
    return ChoiceFile(Store(root), folder=None, setting=None)


def restarted(root):
    store = Store(root)
    return first_models(store, FakeLoad(), versions="latest", default=None, choices=kept_by(root))


def test_a_canary_and_what_it_is_compared_with_survive_restarts_and_rescans(root):
    changes = changes_of(root)
    changes.load("en", "1")
    manager = Manager(changes, choices=kept_by(root))
    asyncio.run(manager.set_default("en", "1"))
    assert asyncio.run(manager.set_canary("en", "2", 0.1)).warning is None
    folder(root / "en" / "3")
    changes.rescan()
    for snapshot in (changes.registry.snapshot, restarted(root)):
        assert snapshot.current == {"en": "en@1"}
        assert snapshot.canaries["en"].full_name == "en@2"
    asyncio.run(manager.set_canary("en", None, 0))
    assert restarted(root).canaries == {}
    asyncio.run(manager.set_canary("en", "2", 0.1))
    asyncio.run(manager.set_default("en", "2"))
    assert restarted(root).canaries == {}
    manager.close()


def test_other_workers_follow_a_canary(root):
    changes = changes_of(root, versions="all")
    changes.set_canary("en", "1", 0.5)
    state = state_of(changes.registry.snapshot)
    state = type(state).model_validate_json(state.model_dump_json())
    before = changes_of(root, versions="all").registry.snapshot
    assert followed(state, before, FakeLoad()).canaries["en"].share == 0.5
    assert recovered(state, FakeLoad())[0].canaries["en"].full_name == "en@1"


def test_a_canary_whose_files_are_gone_is_left_out_with_a_warning(root):
    manager = Manager(changes_of(root, versions="all"), choices=kept_by(root))
    asyncio.run(manager.set_canary("en", "1", 0.5))
    manager.close()
    (root / "en" / "1").rename(root / "gone")
    assert restarted(root).canaries == {}


def test_the_share_of_ids_is_the_share_asked_for():
    registry = Registry([Served(FakeTagger("en", version=v)) for v in "12"])
    registry.swap(registry.snapshot.changed(canaries={"en": Canary("en@1", 0.1)}))
    model = registry.get("en")
    drawn = sum(bool(registry.canaries([model], f"{i:032x}")[model]) for i in range(20_000))
    assert 1_800 < drawn < 2_200
