"""What SIGHUP and POST /v1/reload do: the models served become those on the disk."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.service.api.problems import ProblemError
from tagbelt.service.models.store import Store, version_key, wanted
from tests.service.models.folders import changes_of, folder, loaded


@pytest.fixture
def root(tmp_path):
    for full in ("en/1", "en/2", "zh/1"):
        folder(tmp_path / full)
    return tmp_path


def rescan(changes):
    return [(one.action, one.model, one.problem and one.problem.detail) for one in changes.rescan()]


def test_nothing_new_is_nothing_to_do(root):
    changes = changes_of(root)
    before = loaded(changes)
    assert rescan(changes) == []
    assert rescan(changes) == []
    assert loaded(changes) == before


def test_a_newer_version_takes_the_place_of_the_latest(root):
    changes = changes_of(root)
    folder(root / "en" / "10")
    assert rescan(changes) == [("load", "en@10", None), ("unload", "en@2", None)]
    assert list(loaded(changes)) == ["en@10", "zh@1"]
    assert changes.registry.get(None).full_name == "en@10"


def test_of_all_versions_the_newest_is_meant_and_the_others_stay(root):
    changes = changes_of(root, versions="all")
    folder(root / "en" / "10")
    folder(root / "fr" / "1")
    folder(root / "fr" / "2")
    assert [model for _, model, _ in rescan(changes)] == ["en@10", "fr@1", "fr@2"]
    assert list(loaded(changes)) == ["en@1", "en@2", "en@10", "fr@1", "fr@2", "zh@1"]
    assert changes.registry.get("en").full_name == "en@10"
    assert changes.registry.get("fr").full_name == "fr@2"


def test_a_name_that_was_set_to_an_older_version_keeps_it(root):
    changes = changes_of(root)
    changes.load("en", "1")
    changes.set_default("en", "1")
    folder(root / "en" / "3")
    assert rescan(changes) == [("load", "en@3", None)]
    assert list(loaded(changes)) == ["en@1", "en@2", "en@3", "zh@1"]
    assert changes.registry.get("en").full_name == "en@1"


def test_a_version_loaded_beforehand_is_not_made_the_current_one(root):
    changes = changes_of(root)
    folder(root / "en" / "3")
    changes.load("en", "3")
    assert rescan(changes) == []
    assert changes.registry.get("en").full_name == "en@2"


def test_changed_files_are_read_again_and_others_are_not(root):
    changes = changes_of(root)
    old = {name: changes.registry.get(name) for name in ("en", "zh")}
    folder(root / "zh" / "1", description="newer")
    (change,) = changes.rescan()
    assert (change.action, change.model) == ("reload", "zh@1")
    assert change.previous_digest == old["zh"].digest != change.digest
    assert changes.registry.get("zh").info.description == "newer"
    assert changes.registry.get("en") is old["en"]


def test_what_has_vanished_is_unloaded(root):
    changes = changes_of(root, versions="all")
    shutil.rmtree(root / "zh")
    shutil.rmtree(root / "en" / "2")
    assert rescan(changes) == [("unload", "en@2", None), ("unload", "zh@1", None)]
    assert changes.registry.get(None).full_name == "en@1"


def test_a_version_that_was_taken_back_gives_way_to_the_one_before(root):
    changes = changes_of(root)
    shutil.rmtree(root / "en" / "2")
    assert rescan(changes) == [("load", "en@1", None), ("unload", "en@2", None)]
    assert changes.registry.get(None).full_name == "en@1"


def test_the_default_goes_on_serving_without_its_files(root):
    changes = changes_of(root)
    shutil.rmtree(root / "en")
    ((action, model, reason),) = rescan(changes)
    assert (action, model) == ("unload", "en@2")
    assert "its files are gone; it is the default model" in reason
    assert list(loaded(changes)) == ["en@2", "zh@1"]
    changes.set_default("zh")
    assert rescan(changes) == [("unload", "en@2", None)]


def test_a_disk_that_has_gone_changes_nothing(root):
    changes = changes_of(root)
    before = loaded(changes)
    shutil.rmtree(root)
    with pytest.raises(ProblemError, match="no checkpoint at") as caught:
        changes.rescan()
    assert caught.value.status_code == 409
    assert loaded(changes) == before


def test_failures_are_reported_one_by_one_and_the_rest_is_done(root):
    changes = changes_of(root)
    old = loaded(changes)
    folder(root / "en" / "3", description="bad")
    folder(root / "zh" / "1", description="bad")
    folder(root / "fr" / "1")
    folder(root / "a b" / "1")
    found = rescan(changes)
    assert [(action, model) for action, model, _ in found] == [
        ("load", str(root / "a b" / "1")),
        ("load", "en@3"),
        ("load", "fr@1"),
        ("reload", "zh@1"),
    ]
    reasons = [reason for *_, reason in found]
    assert "the name 'a b' cannot stand in a URL" in reasons[0]
    assert reasons[1:] == [f"{root}/en/3: no good", None, f"{root}/zh/1: no good"]
    assert loaded(changes) == {**old, "fr@1": changes.registry.get("fr").digest}
    assert set(changes.failures) == {str(root / "a b" / "1"), "en@3", "zh@1"}
    for path in (root / "en" / "3", root / "a b", root / "zh" / "1"):
        shutil.rmtree(path)
    folder(root / "zh" / "1")
    assert rescan(changes) == []
    assert changes.failures == {}


def test_a_failure_says_what_serves_on(root):
    changes = changes_of(root)
    folder(root / "zh" / "1", description="bad")
    (change,) = changes.rescan()
    digest = changes.registry.get("zh").digest
    assert (change.digest, change.previous_digest) == (digest, digest)


def test_a_model_whose_header_cannot_be_read_now_has_not_vanished(tmp_path):
    folder(tmp_path / "en")
    path = folder(tmp_path / "zh")
    changes = changes_of(tmp_path)
    before = loaded(changes)
    (path / "config.json").write_text("{", encoding="utf-8")
    ((_, model, reason),) = rescan(changes)
    assert model == str(path)
    assert "not JSON" in reason
    assert loaded(changes) == before


def test_a_model_whose_folder_cannot_be_read_now_has_not_vanished(root, monkeypatch):
    changes = changes_of(root)
    before = loaded(changes)

    def holds(path):
        if path == root / "zh":
            raise PermissionError(13, "Permission denied")
        return (path / "config.json").is_file()

    monkeypatch.setattr("tagbelt.service.models.store._holds", holds)
    ((_, model, reason),) = rescan(changes)
    assert model == str(root / "zh")
    assert "cannot be read" in reason
    assert loaded(changes) == before


def test_a_model_that_is_being_replaced_has_not_vanished(tmp_path):
    folder(tmp_path / "en")
    path = folder(tmp_path / "zh")
    changes = changes_of(tmp_path)
    before = loaded(changes)
    path.rename(tmp_path / ".zh.old")
    assert rescan(changes) == [
        ("unload", "zh@1", f"{path}: is being replaced just now; scan again")
    ]
    assert loaded(changes) == before
    folder(path, version="2")
    shutil.rmtree(tmp_path / ".zh.old")
    assert rescan(changes) == [("load", "zh@2", None), ("unload", "zh@1", None)]


def test_a_checkpoint_that_was_moved_is_not_read_again(tmp_path):
    folder(tmp_path / "x", name="en")
    changes = changes_of(tmp_path)
    served = changes.registry.get("en")
    (tmp_path / "x").rename(tmp_path / "y")
    assert rescan(changes) == []
    assert changes.registry.get("en") is served
    assert changes.registry.snapshot.meaning("en").path == tmp_path / "y"


VERSIONS = st.sets(st.sampled_from(["1", "2", "9", "10"]))
DISKS = st.fixed_dictionaries({"en": VERSIONS, "zh": VERSIONS}).filter(lambda d: any(d.values()))


@settings(max_examples=12)
@given(st.lists(DISKS, min_size=2, max_size=4), st.sampled_from(["latest", "all"]))
def test_after_any_rescans_the_models_are_those_of_a_fresh_start(tmp_path_factory, disks, versions):
    """But for a default whose files have gone: it stays."""
    root = tmp_path_factory.mktemp("models")
    changes = None
    for disk in disks:
        shutil.rmtree(root)
        for name, numbers in disk.items():
            for version in numbers:
                folder(root / name / version)
        changes = changes or changes_of(root, versions=versions)
        changes.rescan()
        fresh = {p.full_name for p in wanted(Store(root).scan().places, versions, ())}
        default = changes.registry.default
        kept = set() if disk[default] else {changes.registry.get(default).full_name}
        assert set(loaded(changes)) == fresh | kept
        for name, numbers in disk.items():
            if numbers:
                newest = max(numbers, key=version_key)
                assert changes.registry.get(name).version == newest
