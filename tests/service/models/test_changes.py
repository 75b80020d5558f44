"""Changes of what is served, one at a time, over folders that a fake loader reads."""

import gc
import weakref
from contextlib import contextmanager

import pytest

from tagbelt.errors import CheckpointError, SettingsError
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.models.changes import Changes
from tagbelt.service.models.desired import state_of
from tagbelt.service.models.loading import checkpoint_loader
from tagbelt.service.models.manager import Manager, first_models
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served
from tagbelt.service.models.store import Store
from tests.service.fake import FakeTagger
from tests.service.models.folders import FakeLoad, changes_of, folder, loaded, real
from tests.service.models.test_loading import DAMAGES


@pytest.fixture
def root(tmp_path):
    for full in ("en/1", "en/2", "zh/1"):
        folder(tmp_path / full)
    return tmp_path


@contextmanager
def refused(status, match):
    with pytest.raises(ProblemError, match=match) as caught:
        yield
    assert caught.value.status_code == status


def summary(changes):
    return [(one.action, one.model, one.problem is None) for one in changes]


@pytest.mark.parametrize(
    ("options", "names", "default"),
    [
        ({}, ["en@2", "zh@1"], "en@2"),
        ({"versions": "all"}, ["en@1", "en@2", "zh@1"], "en@2"),
        ({"default": "zh"}, ["en@2", "zh@1"], "zh@1"),
        ({"default": "en@1"}, ["en@1", "en@2", "zh@1"], "en@1"),
    ],
)
def test_the_start(root, options, names, default):
    changes = changes_of(root, **options)
    assert list(loaded(changes)) == names
    assert changes.registry.get(None).full_name == default


def test_a_start_with_a_model_that_is_no_good_is_refused(root):
    folder(root / "zh" / "1", description="bad")
    with pytest.raises(CheckpointError, match="zh/1: no good"):
        changes_of(root)


def test_a_start_names_every_folder_that_is_no_good(root):
    folder(root / "zh" / "a b")
    folder(root / "auto")
    with pytest.raises(CheckpointError, match=r"(?s)the version 'a b'.*'auto' is taken|auto.*a b"):
        first_models(Store(root), FakeLoad(), versions="latest", default=None)


def test_a_default_that_is_not_there_is_refused(root):
    with pytest.raises(SettingsError, match="default_model='fr' is not among: en, zh"):
        changes_of(root, default="fr")


def test_a_version_is_loaded_beside_the_one_that_the_name_means(root):
    changes = changes_of(root)
    folder(root / "en" / "10")
    (change,) = changes.load("en")
    assert (change.action, change.model, change.problem) == ("load", "en@10", None)
    assert change.digest == changes.registry.get("en@10").digest
    assert change.previous_digest is None
    assert changes.registry.get("en").full_name == "en@2"
    assert changes.load("en", "1")[0].model == "en@1"
    assert list(loaded(changes)) == ["en@1", "en@2", "en@10", "zh@1"]


def test_loading_what_is_loaded_does_nothing_unless_it_has_changed(root):
    changes = changes_of(root)
    before = changes.registry.get("en")
    assert changes.load("en") == []
    assert changes.registry.get("en") is before
    folder(root / "en" / "2", description="newer")
    (change,) = changes.load("en")
    assert change.previous_digest == before.digest
    assert change.digest == changes.registry.get("en").digest != before.digest


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        (("fr",), "no model on the disk is named 'fr'; there is: en, zh$"),
        (("en", "3"), "en@3 is not on the disk; there is: en@1, en@2"),
        (("en@2",), "no model on the disk is named 'en@2'"),
    ],
)
def test_what_is_not_on_the_disk_cannot_be_loaded(root, asked, detail):
    with refused(404, detail):
        changes_of(root).load(*asked)


def test_a_folder_that_is_no_good_is_named_when_a_model_is_missing(root):
    changes = changes_of(root)
    (root / "fr").mkdir()
    folder(root / "fr" / "a b")
    with refused(404, "no model on the disk is named 'fr'.*fr/a b: the version 'a b'"):
        changes.load("fr")


def test_a_reload_reads_the_same_version_again(root):
    load = FakeLoad()
    changes = changes_of(root, load)
    old = changes.registry.get("en")
    (change,) = changes.reload("en")
    assert (change.action, change.model) == ("reload", "en@2")
    assert change.digest == change.previous_digest == old.digest
    assert changes.registry.get("en") is not old
    assert load.places.count("en@2") == 2
    stamps = {one.stamp for one in changes.registry.snapshot.models.values()}
    assert len(stamps) == 2


def test_a_reload_takes_what_is_on_the_disk_now(root):
    changes = changes_of(root, versions="all")
    folder(root / "en" / "1", description="newer")
    assert changes.reload("en", "1")[0].digest == changes.registry.get("en@1").digest
    assert changes.registry.get("en@1").info.description == "newer"
    assert changes.registry.get("en").full_name == "en@2"


@pytest.mark.parametrize("action", ["reload", "load"])
def test_a_model_that_is_no_good_leaves_the_old_one(root, action):
    changes = changes_of(root)
    old = changes.registry.snapshot
    folder(root / "en" / "2", description="bad")
    with refused(409, "en/2: no good"):
        getattr(changes, action)("en")
    assert changes.registry.snapshot is old
    assert list(changes.failures) == ["en@2"]
    folder(root / "en" / "2", description="good")
    getattr(changes, action)("en")
    assert changes.failures == {}


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_real_checkpoint_that_is_damaged_leaves_the_old_one(tmp_path, damage, message):
    path = real(tmp_path / "en" / "1")
    changes = changes_of(tmp_path, checkpoint_loader(1))
    old = changes.registry.get("en")
    damage(path)
    with refused(409, message):
        changes.reload("en")
    assert message in changes.failures["en@1"]
    assert [one for one in changes.rescan() if one.problem is None] == []
    assert changes.registry.get("en") is old
    assert len(old.tagger.annotate_items([old.tagger.tokenize("a b")])[0].tags) == 2


def test_a_reload_of_a_version_that_has_gone_says_so(root):
    changes = changes_of(root)
    (root / "en" / "2").rename(root / "en" / "3")
    with refused(404, "en@2 is not on the disk; there is: en@1, en@3"):
        changes.reload("en", "2")
    with refused(404, "'en@3' is not loaded; loaded: en@2, zh@1"):
        changes.reload("en", "3")
    with refused(404, "'fr' is not loaded"):
        changes.reload("fr")


def test_a_folder_whose_header_has_a_new_version_is_reloaded_in_place(tmp_path):
    folder(tmp_path / "x", name="en", version="1")
    folder(tmp_path / "y", name="fr")
    changes = changes_of(tmp_path)
    folder(tmp_path / "x", name="en", version="2")
    (change,) = changes.reload("en")
    assert change.model == "en@2"
    assert list(loaded(changes)) == ["en@2", "fr@1"]
    assert changes.registry.get(None).full_name == "en@2"


def test_a_name_is_unloaded_with_all_its_versions(root):
    folder(root / "zh" / "2")
    changes = changes_of(root, versions="all")
    assert summary(changes.unload("zh")) == [("unload", "zh@1", True), ("unload", "zh@2", True)]
    assert list(loaded(changes)) == ["en@1", "en@2"]
    with refused(404, "'zh' is not loaded; loaded: en@1, en@2"):
        changes.unload("zh")


def test_a_version_is_unloaded_alone(root):
    changes = changes_of(root, versions="all")
    (change,) = changes.unload("en", "1")
    assert (change.model, change.digest) == ("en@1", None)
    assert change.previous_digest
    assert list(loaded(changes)) == ["en@2", "zh@1"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (("en",), "'en' is the default model; first make another the default"),
        (("en", "2"), "en@2 is what 'en' means; first set another version"),
    ],
)
def test_what_requests_need_is_not_unloaded(root, asked, reason):
    changes = changes_of(root, versions="all")
    with refused(409, reason):
        changes.unload(*asked)
    changes.unload("en", "1")
    with refused(409, "'en' is the default model"):
        changes.unload(*asked)
    assert list(loaded(changes)) == ["en@2", "zh@1"]


def test_the_last_model_is_not_unloaded(root):
    changes = changes_of(root)
    changes.unload("zh")
    with refused(409, "the default"):
        changes.unload("en", "2")


def test_the_default_is_set_by_name_and_a_name_s_version_by_version(root):
    changes = changes_of(root, versions="all")
    (change,) = changes.set_default("zh")
    assert (change.action, change.model) == ("default", "zh@1")
    assert changes.registry.get(None).full_name == "zh@1"
    (change,) = changes.set_default("en", "1")
    assert (change.model, change.previous_digest) == ("en@1", changes.registry.get("en@2").digest)
    assert changes.registry.get("en").full_name == "en@1"
    assert changes.registry.get(None).full_name == "zh@1"
    assert changes.set_default("zh") == changes.set_default("en", "1") == []
    with refused(404, "'en@3' is not loaded"):
        changes.set_default("en", "3")


def test_each_change_is_told(root):
    told = []
    changes = changes_of(root, on_change=lambda *change: told.append(change))
    changes.load("en", "1")
    changes.unload("zh")
    changes.set_default("en", "1")
    folder(root / "en" / "2", description="bad")
    for action, kind in (("reload", "2"), ("unload", None)):
        with pytest.raises(ProblemError):
            getattr(changes, action)("en", kind)
    changes.rescan()
    assert told == [
        ("load", "ok"),
        ("unload", "ok"),
        ("default", "ok"),
        ("reload", "failed"),
        ("unload", "refused"),
        ("reload", "failed"),
        ("load", "ok"),
    ]


@pytest.mark.parametrize("change", ["reload", "unload"])
def test_the_memory_of_a_model_is_free_once_its_last_request_is_done(root, change):
    changes = changes_of(root)
    request = changes.registry.get("zh")
    tagger = weakref.ref(request.tagger)
    getattr(changes, change)("zh")
    gc.collect()
    assert tagger() is not None
    del request
    gc.collect()
    assert tagger() is None


@pytest.mark.parametrize("how", ["led", "followed"])
def test_memory_is_given_back_once_the_old_model_has_gone(root, monkeypatch, how):
    changes = changes_of(root)
    tagger = weakref.ref(changes.registry.get("zh").tagger)
    found = []
    for module in ("manager", "changes"):
        monkeypatch.setattr(
            f"tagbelt.service.models.{module}.give_back_memory", lambda: found.append(tagger())
        )
    folder(root / "zh" / "1", description="another one")
    if how == "led":
        manager = Manager(changes)
        assert manager.request_rescan().result(timeout=60).ok
        assert manager.request_rescan().result(timeout=60).changes == []
        manager.close()
    else:
        changes.follow(state_of(changes_of(root).registry.snapshot))
    assert found == [None]


def test_models_in_memory_only_have_no_disk():
    registry = Registry([Served(FakeTagger("en")), Served(FakeTagger("zh"))])
    changes = Changes(registry, None, FakeLoad())
    assert changes.rescan() == []
    with refused(404, "no model on the disk is named 'en'; there is: nothing"):
        changes.reload("en")
    assert summary(changes.unload("zh")) == [("unload", "zh@3", True)]
