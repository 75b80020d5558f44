import asyncio
import shutil

import pytest

from tagbelt.service.app import create_app
from tagbelt.service.models.changes import Changes
from tagbelt.service.models.manager import Manager
from tagbelt.service.settings import Settings
from tests.service.models.folders import changes_of, folder

CARD = {
    "name": "fake",
    "version": "3",
    "digest": "ab" * 32,
    "labels": ["PER", "ORG", "LOC"],
    "scheme": "IOB2",
    "unit": "word",
    "language": "en",
    "description": "A tagger for tests.",
    "licence": "",
    "metrics": {"f1": 0.5},
    "examples": [],
    "state": "loaded",
    "default": True,
    "current": True,
    "canary": 0.0,
    "reason": None,
}
PROBLEM = "application/problem+json"


def without_time(card):
    assert card["loaded_at"][:2] == "20"
    assert card["loaded_at"][-1] == "Z"
    return {key: value for key, value in card.items() if key != "loaded_at"}


@pytest.fixture
def root(tmp_path):
    for full in ("en/1", "en/2", "zh/1"):
        folder(tmp_path / full)
    return tmp_path


@pytest.fixture
def admin(root, client):
    """A client of an app over the folders at `root`."""
    app = create_app(Settings(), Manager(changes_of(root)))
    yield type(client)(app)
    app.state.models.close()
    app.state.engine.close()


def test_the_list_and_the_card(client):
    found = client.get("/v1/models").json()
    assert found["default"] == "fake"
    assert [without_time(card) for card in found["models"]] == [CARD]
    for name in ("fake", "fake@3"):
        reply = client.get(f"/v1/models/{name}")
        assert without_time(reply.json()) == CARD
        assert reply.headers["x-model-digest"] == CARD["digest"]


def test_an_unknown_card_names_what_is_served(two_models):
    for name, served in (("fr", "en, zh"), ("en@4", "en@3, zh@3")):
        reply = two_models.get(f"/v1/models/{name}")
        assert reply.status_code == 404
        assert reply.headers["content-type"] == PROBLEM
        assert reply.json()["detail"] == f"no model is named {name!r}; served: {served}"


@pytest.mark.parametrize(("asked", "answered"), [({}, "en"), ({"model": "zh"}, "zh")])
def test_a_request_chooses_its_model(two_models, asked, answered):
    assert two_models.tag(text="a", **asked).json()["model"]["name"] == answered


def test_labels_are_those_of_the_model_chosen(two_models):
    assert two_models.tag(text="a", labels=["ORG"]).status_code == 200
    assert two_models.tag(text="a", labels=["ORG"], model="zh").status_code == 422


def states(client):
    cards = client.get("/v1/models").json()["models"]
    return {f"{card['name']}@{card['version']}": card["state"] for card in cards}


def test_the_list_tells_what_could_be_loaded_and_what_could_not(admin, root):
    folder(root / "en" / "3", description="bad", version="3")
    folder(root / "a b" / "1")
    folder(root / "zh" / "1", description="bad")
    assert admin.request("POST", "/v1/reload").json()["ok"] is False
    found = {f"{c['name']}@{c['version']}": c for c in admin.get("/v1/models").json()["models"]}
    assert {name: card["state"] for name, card in found.items()} == {
        "a b/1@": "failed",
        "en@1": "available",
        "en@2": "loaded",
        "en@3": "failed",
        "zh@1": "loaded",
    }
    assert found["en@3"]["reason"] == f"{root}/en/3: no good"
    assert found["zh@1"]["reason"] == f"{root}/zh/1: no good"
    assert found["a b/1@"]["reason"].startswith(f"{root}/a b/1: the name 'a b'")
    assert found["en@1"]["labels"] == ["PER", "LOC-X"]
    assert len(found["en@1"]["digest"]) == 64
    assert [name for name, card in found.items() if card["default"]] == ["en@2"]
    assert [name for name, card in found.items() if card["current"]] == ["en@2", "zh@1"]


def test_a_card_of_what_is_not_loaded(admin, root):
    assert admin.get("/v1/models/en").json()["version"] == "2"
    assert admin.get("/v1/models/en@1").json()["state"] == "available"
    folder(root / "fr" / "1")
    folder(root / "fr" / "2")
    card = admin.get("/v1/models/fr").json()
    assert (card["version"], card["state"]) == ("2", "available")


def change(client, name, action, body=None):
    return client.request("POST", f"/v1/models/{name}/{action}", json=body)


def test_the_changes(admin, root):
    reply = change(admin, "en", "load", {"version": "1"})
    report = reply.json()
    assert reply.status_code == 200
    assert report["ok"] is True
    assert report["default"] == "en@2"
    assert report["workers"] == []
    (done,) = report["changes"]
    assert (done["action"], done["model"], done["problem"]) == ("load", "en@1", None)
    assert reply.headers["x-model-digest"] == done["digest"]
    assert admin.tag(text="a", model="en@1").json()["model"]["digest"] == done["digest"]

    assert change(admin, "en@1", "default").json()["default"] == "en@1"
    assert admin.tag(text="a").json()["model"]["version"] == "1"
    assert change(admin, "zh", "default", {}).json()["default"] == "zh@1"
    assert admin.tag(text="a").json()["model"]["name"] == "zh"

    assert change(admin, "en", "reload").json()["changes"][0]["model"] == "en@1"
    reply = change(admin, "en", "unload")
    assert [one["model"] for one in reply.json()["changes"]] == ["en@1", "en@2"]
    assert "x-model-digest" not in reply.headers
    assert admin.tag(text="a", model="en").status_code == 404
    assert states(admin) == {"en@1": "available", "en@2": "available", "zh@1": "loaded"}

    folder(root / "fr" / "1")
    report = admin.request("POST", "/v1/reload").json()
    assert [one["model"] for one in report["changes"]] == ["en@2", "fr@1"]


@pytest.mark.parametrize(
    ("name", "action", "body", "status", "slug"),
    [
        ("fr", "load", None, 404, "unknown-model"),
        ("en@7", "load", None, 404, "unknown-model"),
        ("en", "reload", {"version": "1"}, 404, "unknown-model"),
        ("en", "unload", None, 409, "admin-conflict"),
        ("zh", "load", {"version": "2"}, 409, "model-not-usable"),
        ("en@2", "load", {"version": "1"}, 422, "invalid-request"),
        ("en", "load", {"version": 1}, 422, "invalid-request"),
        ("en", "load", {"version": ""}, 422, "invalid-request"),
        ("en", "load", {"versions": "1"}, 422, "invalid-request"),
        ("en", "load", [], 422, "invalid-request"),
    ],
)
def test_a_change_that_cannot_be_made_is_a_problem(admin, root, name, action, body, status, slug):
    folder(root / "zh" / "2", description="bad")
    before = states(admin)
    reply = change(admin, name, action, body)
    assert reply.status_code == status
    assert reply.headers["content-type"] == PROBLEM
    assert reply.json()["type"] == f"/docs#{slug}"
    assert admin.get("/v1/models/en").json()["version"] == "2"
    after = states(admin)
    assert after == before or after == {**before, "zh@2": "failed"}


def test_a_body_that_is_not_json_is_refused(admin):
    for content, content_type, status in (
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
    ):
        headers = {"content-type": content_type}
        reply = admin.request("POST", "/v1/models/en/load", content=content, headers=headers)
        assert reply.status_code == status


def test_the_routes_are_described(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("load", "reload", "unload", "default"):
        described = paths[f"/v1/models/{{name}}/{path}"]["post"]
        body = described["requestBody"]
        assert body["required"] is False
        assert body["content"]["application/json"]["schema"]["additionalProperties"] is False
        assert {"200", "400", "404", "409", "422", "default"} <= set(described["responses"])
        assert [p["name"] for p in described["parameters"]] == ["name"]
    assert "requestBody" not in paths["/v1/reload"]["post"]


def test_a_disk_that_has_gone_is_a_problem_and_the_list_goes_on(admin, root):
    shutil.rmtree(root)
    reply = admin.request("POST", "/v1/reload")
    assert (reply.status_code, reply.json()["type"]) == (409, "/docs#model-not-usable")
    assert states(admin) == {"en@2": "loaded", "zh@1": "loaded"}


def test_a_requested_rescan_is_done_and_its_failure_logged(root, caplog):
    manager = Manager(changes_of(root))
    folder(root / "fr" / "1")
    assert manager.request_rescan().result(timeout=30).changes[0].model == "fr@1"
    shutil.rmtree(root)
    with pytest.raises(Exception, match="no checkpoint at"):
        manager.request_rescan().result(timeout=30)
    manager.close()
    assert "the models were not scanned: no checkpoint at" in caplog.text


def test_an_app_that_ends_ends_its_manager(root):
    manager = Manager(changes_of(root))
    app = create_app(Settings(), manager)

    async def live():
        async with app.router.lifespan_context(app):
            return await manager.carry_out(Changes.rescan)

    assert asyncio.run(live()).ok
    with pytest.raises(RuntimeError, match="shutdown"):
        manager.request_rescan()
