"""What the rest of the service has for a client: admin calls, keys, unix sockets, real models."""

import hashlib
import shutil
import socket
from pathlib import Path

import pytest

from tagbelt.client import (
    ConflictError,
    Entity,
    FileCounts,
    ForbiddenError,
    NotFoundError,
    OverloadedError,
    Retry,
    UnauthorizedError,
)
from tagbelt.inference.tagger import Tagger
from tagbelt.service.app import create_app
from tagbelt.service.models.manager import Manager
from tagbelt.service.settings import Settings
from tests.service.fake import fake_app
from tests.service.live import running, serving
from tests.service.models.folders import changes_of, folder
from tests.tagbelt.client.scripted import CLIENTS

ENGLISH = Path(__file__).parents[3] / "checkpoints" / "en"


@pytest.fixture
def admin(kind, tmp_path):
    """A client of a server with the versions 1 and 2 of `en`, of which it has loaded the newer."""
    folder(tmp_path / "en" / "1", name="en")
    folder(tmp_path / "en" / "2", name="en")
    app = create_app(Settings(), Manager(changes_of(tmp_path)))
    with running(app) as url, CLIENTS[kind](base_url=url) as client:
        yield client


def states(client):
    return {card.full_name: (card.state, card.current) for card in client.models().models}


def test_models_are_loaded_chosen_and_unloaded(admin):
    assert states(admin) == {"en@1": ("available", False), "en@2": ("loaded", True)}
    report = admin.load("en", "1")
    assert report.ok
    assert [(c.action, c.model) for c in report.changes] == [("load", "en@1")]
    assert report.changes[0].digest == admin.model("en@1").digest
    admin.set_default("en", "1")
    assert states(admin) == {"en@1": ("loaded", True), "en@2": ("loaded", False)}
    assert admin.tag("Toyota").model == "en@1"
    assert admin.unload("en", "2").changes[0].action == "unload"
    with pytest.raises(NotFoundError):
        admin.load("en", "9")
    with pytest.raises(ConflictError):
        admin.unload("en")


def test_what_is_on_the_disk_is_read_again(admin, tmp_path):
    folder(tmp_path / "en" / "2", name="en", description="changed")
    report = admin.reload("en")
    assert report.changes[0].digest != report.changes[0].previous_digest
    assert admin.model("en").description == "changed"
    folder(tmp_path / "zh" / "1", name="zh", language="zh")
    folder(tmp_path / "bad" / "1", name="bad", description="bad")
    report = admin.rescan()
    assert not report.ok
    assert {c.model: c.problem and c.problem.slug for c in report.changes} == {
        "zh@1": None,
        "bad@1": "model-not-usable",
    }
    assert admin.tag("李明", model="auto").model == "zh@1"
    assert [r.model for r in admin.tag_many(["李明", "Toyota"], model="auto")] == ["zh@1", "en@2"]
    shutil.rmtree(tmp_path / "zh")
    assert admin.rescan().changes[-1].action == "unload"


def keys(**names):
    """Inline keys: a name is its own key."""
    return ",".join(
        f"{name}:{scope}:{hashlib.sha256(name.encode()).hexdigest()}"
        for name, scope in names.items()
    )


def test_keys(kind):
    make = CLIENTS[kind]
    with serving(api_keys=keys(reader="tag", boss="tag+admin")) as url:
        with make(base_url=url) as client, pytest.raises(UnauthorizedError):
            client.tag("Toyota")
        with make(base_url=url, api_key="nobody") as client:
            assert client.ready()
            with pytest.raises(UnauthorizedError) as raised:
                client.models()
            assert raised.value.problem.slug == "unauthorized"
        with make(base_url=url, api_key="reader") as client:
            assert client.tag("Toyota").model == "fake@3"
            with pytest.raises(ForbiddenError):
                client.rescan()
        with make(base_url=url, api_key="boss") as client:
            assert client.rescan().ok


def test_a_rate_that_is_used_up(kind):
    make, retry = CLIENTS[kind], Retry(retries=0)
    with (
        serving(rate_per_second=0.01, rate_burst=1) as url,
        make(base_url=url, retry=retry) as client,
    ):
        client.tag("a")
        with pytest.raises(OverloadedError) as raised:
            client.tag("a")
    assert raised.value.retry_after > 1


def test_a_unix_socket(kind, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "tagbelt.sock"))
    with running(fake_app(), listener), CLIENTS[kind](uds=tmp_path / "tagbelt.sock") as client:
        assert client.tag("Toyota").entities == (Entity("ORG", 0, 6, "Toyota", 0.876543),)


@pytest.fixture(scope="module")
def real():
    with serving(Tagger.load(ENGLISH, threads=1)) as url:
        yield url


TEXTS = "Angela Merkel visited Nagoya.\n\nBarack Obama was born in Hawaii 👩‍🚀 in 1961.\n"


def test_a_file_comes_out_as_the_command_writes_it(kind, real, cli, tmp_path):
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text(TEXTS, encoding="utf-8")
    with CLIENTS[kind](base_url=real) as client:
        counts = client.tag_file(source, target)
    done = cli("tag", "-m", ENGLISH, "--threads", 1, "--to", "jsonl", source)
    written = target.read_text(encoding="utf-8")
    assert written == done.out
    assert counts == FileCounts(items=3, failed=0, entities=done.out.count('"label"'))


def test_so_does_a_conll_file(kind, real, cli, tmp_path):
    source, target = tmp_path / "in.conll", tmp_path / "out.conll"
    source.write_text("Angela\nMerkel\nvisited\nNagoya\n.\n\nOslo\n", encoding="utf-8")
    with CLIENTS[kind](base_url=real) as client:
        client.tag_file(source, target)
    done = cli("tag", "-m", ENGLISH, "--threads", 1, "--to", "conll", source)
    assert target.read_text(encoding="utf-8") == done.out


def test_a_model_answers_as_it_does_in_process(kind, real):
    texts = [line for line in TEXTS.splitlines() if line] * 3
    with CLIENTS[kind](base_url=real, max_items=2) as client:
        found = client.tag_many(texts)
    expected = Tagger.load(ENGLISH, threads=1).tag(texts)
    assert [
        [(e.label, e.start, e.end, e.text, e.score) for e in outcome.entities] for outcome in found
    ] == [
        [(e.label, e.start, e.end, e.text, pytest.approx(e.score, abs=1e-6)) for e in entities]
        for entities in expected
    ]
