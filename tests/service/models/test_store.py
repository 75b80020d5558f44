import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.artifact import CONFIG, SUMS, replaced
from tagbelt.service.models.store import Store, being_replaced, version_key, wanted
from tests.service.models.folders import folder


def names(root):
    return [place.full_name for place in Store(root).scan().places]


def refusals(root):
    return [refusal.reason for refusal in Store(root).scan().refusals]


def test_a_checkpoint_alone_is_named_by_its_header(tmp_path):
    path = folder(tmp_path / "x", name="en", version="7")
    assert names(path) == ["en@7"]


def test_both_layouts_may_be_mixed(tmp_path):
    folder(tmp_path / "flat", name="zh", version="4")
    folder(tmp_path / "en" / "1", name="other", version="9")
    folder(tmp_path / "en" / "2")
    (tmp_path / "notes" / "more").mkdir(parents=True)
    (tmp_path / "README.md").write_text("not a folder", encoding="utf-8")
    assert names(tmp_path) == ["en@1", "en@2", "zh@4"]


def test_versions_come_in_the_order_that_people_count_in(tmp_path):
    for version in ("10", "2", "1.9", "1.10", "draft", "v2", "v10"):
        folder(tmp_path / "en" / version)
    order = ["draft", "v2", "v10", "1.9", "1.10", "2", "10"]
    assert names(tmp_path) == [f"en@{version}" for version in order]


@given(st.lists(st.integers(0, 999), min_size=1), st.lists(st.integers(0, 999), min_size=1))
def test_numbers_of_versions_compare_as_numbers(left, right):
    keys = [version_key(".".join(map(str, numbers))) for numbers in (left, right)]
    assert (keys[0] < keys[1]) == (left < right)


@pytest.mark.parametrize(
    "hidden", [".en.new", ".en.old", "..data", "tmp", "tmp-en", "tmpx1_2", "lost+found"]
)
def test_what_is_hidden_or_temporary_is_passed_over(tmp_path, hidden):
    folder(tmp_path / "en" / "1")
    folder(tmp_path / hidden, name="hidden")
    folder(tmp_path / hidden / "2")
    folder(tmp_path / "en" / hidden)
    scan = Store(tmp_path).scan()
    assert [place.full_name for place in scan.places] == ["en@1"]
    assert scan.refusals == ()


def test_what_a_writer_is_writing_is_not_found(tmp_path):
    folder(tmp_path / "en", name="en", version="1")
    with replaced(tmp_path / "en") as fresh:
        folder(fresh, name="en", version="2")
        assert names(tmp_path) == ["en@1"]
        assert not being_replaced(tmp_path / "en")
    assert names(tmp_path) == ["en@2"]
    (tmp_path / "en").rename(tmp_path / ".en.old")
    assert being_replaced(tmp_path / "en")


@pytest.mark.parametrize("bad", ["a b", "a@b", "ü", "-x", "a" * 100, "a%41"])
def test_a_name_or_version_that_no_url_can_hold_is_refused(tmp_path, bad):
    folder(tmp_path / bad / "1")
    folder(tmp_path / "en" / bad)
    folder(tmp_path / "flat", name=bad)
    folder(tmp_path / "good", name="good")
    assert names(tmp_path) == ["good@1"]
    found = refusals(tmp_path)
    assert len(found) == 3
    for path in (tmp_path / bad / "1", tmp_path / "en" / bad, tmp_path / "flat"):
        assert any(f"{path}: the " in reason and repr(bad) in reason for reason in found)


def test_auto_is_not_a_name(tmp_path):
    folder(tmp_path / "auto" / "1")
    (reason,) = refusals(tmp_path)
    assert reason.startswith(f"{tmp_path / 'auto' / '1'}: the name 'auto' is taken")


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_a_header_that_cannot_be_read_is_refused_and_the_others_are_found(tmp_path, text):
    folder(tmp_path / "en", name="en")
    bad = folder(tmp_path / "zh")
    (bad / CONFIG).write_text(text, encoding="utf-8")
    assert names(tmp_path) == ["en@1"]
    assert f"{bad / CONFIG}: not JSON" in refusals(tmp_path)[0]


def test_a_folder_that_cannot_be_read_is_refused_and_the_others_are_found(tmp_path, monkeypatch):
    folder(tmp_path / "en" / "1")
    folder(tmp_path / "zh" / "1")

    def holds(path):
        if path == tmp_path / "zh":
            raise PermissionError(13, "Permission denied")
        return (path / CONFIG).is_file()

    monkeypatch.setattr("tagbelt.service.models.store._holds", holds)
    assert names(tmp_path) == ["en@1"]
    assert refusals(tmp_path) == [
        f"{tmp_path / 'zh'}: cannot be read: [Errno 13] Permission denied"
    ]


def test_two_of_one_name_and_version_are_both_refused(tmp_path):
    folder(tmp_path / "a", name="en", version="1")
    folder(tmp_path / "en" / "1")
    folder(tmp_path / "en" / "2")
    assert names(tmp_path) == ["en@2"]
    found = refusals(tmp_path)
    assert len(found) == 2
    for reason in found:
        assert "two models are named 'en@1'" in reason
        assert str(tmp_path / "a") in reason
        assert str(tmp_path / "en" / "1") in reason


@pytest.mark.parametrize("missing", ["", "nowhere", "README.md"])
def test_nothing_to_serve_is_named(tmp_path, missing):
    (tmp_path / "README.md").write_text("not a folder", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*config\.json"):
        Store(tmp_path / missing).scan()


def test_what_is_wanted(tmp_path):
    for version in ("1", "2", "10"):
        folder(tmp_path / "en" / version)
    folder(tmp_path / "zh" / "1")
    places = Store(tmp_path).scan().places

    def full(versions, also=()):
        return [place.full_name for place in wanted(places, versions, also)]

    assert full("latest") == ["en@10", "zh@1"]
    assert full("latest", {"en@2", "en@3"}) == ["en@2", "en@10", "zh@1"]
    assert full("all") == ["en@1", "en@2", "en@10", "zh@1"]


def test_the_digest_is_that_of_the_sums(tmp_path):
    path = folder(tmp_path / "en")
    (place,) = Store(path).scan().places
    before = place.digest()
    folder(path, description="other")
    assert place.digest() != before
    (path / SUMS).unlink()
    with pytest.raises(Exception, match=r"en: SHA256SUMS is missing"):
        place.digest()


def test_a_training_run_stands_for_its_checkpoint(tmp_path):
    run = tmp_path / "runs" / "mine"
    folder(run / "checkpoint", name="mine", version="1")
    (run / "config.json").write_text('{"name": "mine", "data": {}}', encoding="utf-8")
    for root in (run, tmp_path / "runs"):
        scan = Store(root).scan()
        assert [(p.full_name, p.path) for p in scan.places] == [("mine@1", run / "checkpoint")]
        assert scan.refusals == ()
