"""The default model that an admin chose, over restarts: real servers with real checkpoints."""

import json
import os
import shutil
from contextlib import contextmanager

import httpx
import pytest

from tagbelt.service.models.choices import FILE, ChoiceFile, Choices
from tagbelt.service.models.manager import first_models
from tagbelt.service.models.store import Store
from tests.service.models.folders import FakeLoad, folder, real
from tests.service.process.running import running


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    for full in ("en/1", "en/2", "zh/1"):
        (root / full).parent.mkdir(exist_ok=True)
        real(root / full)
    return root


@pytest.fixture
def root(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "models")


@contextmanager
def serving(root, **settings):
    """A server over the models at `root`, for the time of the block; yields it and a client."""
    settings = {"drain_seconds": 0, "versions": "all", **settings}
    with (
        running(root.parent, models=str(root), settings=settings) as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):
        yield server, http
        assert server.end() == 0


def defaults(http):
    """The default model, and what each name means."""
    found = http.get("/v1/models").json()
    current = {one["name"]: one["version"] for one in found["models"] if one["current"]}
    return found["default"], current


def choose(http, name, **body):
    reply = http.post(f"/v1/models/{name}/default", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_chosen_default_and_version_survive_a_restart(root):
    with serving(root) as (_, http):
        assert defaults(http) == ("en", {"en": "2", "zh": "1"})
        assert choose(http, "zh")["warning"] is None
        assert choose(http, "en@1")["warning"] is None
    with serving(root) as (_, http):
        assert defaults(http) == ("zh", {"en": "1", "zh": "1"})
        assert http.post("/v1/tag", json={"text": "x"}).json()["model"]["name"] == "zh"


def test_a_chosen_older_version_is_loaded_although_only_the_latest_are(root):
    with serving(root) as (_, http):
        choose(http, "en@1")
    with serving(root, versions="latest") as (_, http):
        assert defaults(http) == ("en", {"en": "1", "zh": "1"})


def test_two_workers_agree_before_and_after_a_restart(root, tmp_path):
    state = tmp_path / "state" / "deep"
    with serving(root, workers=2, state_dir=str(state)) as (_, http):
        choose(http, "zh")
        choose(http, "en@1")
    assert [path.name for path in state.iterdir()] == [FILE]
    assert not (root / FILE).exists()
    with serving(root, workers=2, state_dir=str(state)) as (server, _):
        # Each connection may come to the other worker.
        found = set()
        for _ in range(20):
            with httpx.Client(base_url=server.url, timeout=60) as http:
                found.add(json.dumps(defaults(http)))
        assert found == {json.dumps(("zh", {"en": "1", "zh": "1"}))}


def test_a_chosen_model_that_is_gone_is_left_out_with_a_warning(root):
    with serving(root) as (_, http):
        choose(http, "zh")
        choose(http, "en@1")
    shutil.rmtree(root / "zh")
    shutil.rmtree(root / "en/1")
    with serving(root) as (server, http):
        assert defaults(http) == ("en", {"en": "2"})
        assert "the chosen model zh is not there; the default is en instead" in server.log
        assert "the chosen model en@1 is not there; en means en@2 instead" in server.log


def test_where_nothing_can_be_written_the_reply_and_the_log_say_so(root, tmp_path):
    # A file stands where the directory should be: nobody can write there, not even root.
    (tmp_path / "state").touch()
    with serving(root, state_dir=str(tmp_path / "state")) as (server, http):
        told = choose(http, "zh")
        assert told["ok"] is True
        assert told["warning"].startswith("the choice will not survive a restart: ")
        assert str(tmp_path / "state") in told["warning"]
        assert defaults(http)[0] == "zh"
        assert "the choice will not survive a restart" in server.log


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_told(root):
    root.chmod(0o555)
    try:
        with serving(root) as (_, http):
            assert "will not survive a restart" in choose(http, "zh")["warning"]
    finally:
        root.chmod(0o755)


@pytest.fixture
def folders(tmp_path):
    for full in ("en/1", "en/2", "zh/1", "zh/2"):
        folder(tmp_path / full)
    return Store(tmp_path)


def begun(store, setting=None, versions="all"):
    """What a server that begins now serves, and the file of its choices."""
    choices = ChoiceFile(store, folder=None, setting=setting)
    found = first_models(store, FakeLoad(), versions=versions, default=setting, choices=choices)
    return found, choices


def meaning(snapshot):
    return snapshot.default, dict(snapshot.current)


def test_the_choice_wins_over_the_setting_that_it_was_made_under(folders):
    found, choices = begun(folders, "en@1")
    assert meaning(found) == ("en", {"en": "en@1", "zh": "zh@2"})
    assert choices.keep("zh", None, found) is None
    assert choices.keep("zh", "1", found) is None
    assert meaning(begun(folders, "en@1")[0]) == ("zh", {"en": "en@1", "zh": "zh@1"})


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("zh", ("zh", {"en": "en@1", "zh": "zh@2"})),
        ("en@2", ("en", {"en": "en@2", "zh": "zh@2"})),
        (None, ("en", {"en": "en@1", "zh": "zh@2"})),
    ],
)
def test_a_setting_that_was_changed_wins_again(folders, setting, expected):
    found, choices = begun(folders, "en")
    choices.keep("zh", None, found)
    choices.keep("en", "1", found)
    assert meaning(begun(folders, setting)[0]) == expected


def test_a_name_that_was_set_to_its_newest_version_goes_on_meaning_the_newest(folders):
    found, choices = begun(folders)
    choices.keep("en", "1", found)
    choices.keep("en", "2", found)
    folder(folders.root / "en/3")
    assert begun(folders)[0].current["en"] == "en@3"


def test_the_default_that_is_chosen_again_stays_when_another_name_comes_first(folders):
    found, choices = begun(folders)
    choices.keep("en", None, found)
    folder(folders.root / "aa/1")
    assert begun(folders)[0].default == "en"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"default": 3}', "\0"])
def test_a_damaged_file_is_passed_over_with_a_warning_and_replaced(folders, content, caplog):
    path = folders.root / FILE
    path.write_text(content, encoding="utf-8")
    found, choices = begun(folders)
    assert found.default == "en"
    assert "it holds no choices of ours" in caplog.text
    choices.keep("zh", None, found)
    assert choices.read() == Choices(default="zh")
    assert [one.name for one in folders.root.iterdir() if one.is_file()] == [FILE]


def test_a_single_checkpoint_is_left_as_it_is(tmp_path):
    store = Store(folder(tmp_path / "en"))
    found, choices = begun(store)
    before = sorted(store.root.iterdir())
    assert choices.keep("en", None, found) is None
    assert sorted(store.root.iterdir()) == before
