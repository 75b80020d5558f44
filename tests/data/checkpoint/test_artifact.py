"""Headers, checksums, and directories that are replaced as one."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tagbelt.data.checkpoint.artifact import (
    CARD,
    CONFIG,
    FORMAT_VERSION,
    GAZETTEER,
    INT8_GRAPH,
    NEEDED,
    SUMS,
    VOCABULARY,
    WEIGHTS,
    Header,
    digest_of,
    read_vocabulary,
    replaced,
    restore,
    verify_sums,
    write_json,
    write_sums,
    write_vocabulary,
)
from tagbelt.data.checkpoint.bigrams import build_bigrams
from tagbelt.data.checkpoint.vocabulary import build_vocabulary
from tagbelt.data.lexicon.gazetteer import Gazetteer, Term
from tagbelt.errors import CheckpointError

HEADER = Header(
    name="tiny",
    unit="word",
    scheme="BIOES",
    labels=("PER",),
    tags=("O", "B-PER", "I-PER", "E-PER", "S-PER"),
    model={"encoder": {}},
    description="日本語 too",
)


@pytest.fixture
def checkpoint(tmp_path):
    """A directory with all files, whatever is in them, and right sums."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    for name in (*NEEDED, WEIGHTS, INT8_GRAPH):
        (directory / name).write_text(name, encoding="utf-8")
    write_sums(directory)
    return directory


def with_header(directory, **changes):
    value = {**HEADER.model_dump(mode="json"), **changes}
    write_json(directory / CONFIG, {k: v for k, v in value.items() if v is not None})


def test_a_header_is_read_as_it_was_written(tmp_path):
    with_header(tmp_path)
    assert Header.read(tmp_path) == HEADER
    assert "日本語" in (tmp_path / CONFIG).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, f"format_version is {FORMAT_VERSION + 1}"),
        ({"format_version": str(FORMAT_VERSION)}, "format_version is '1', this Tagbelt reads 1"),
        ({"format_version": None}, "format_version is None"),
        ({"scheme": "BIOSE"}, "scheme: Input should be 'IO', 'IOB1'"),
        ({"unit": None}, "unit: Field required"),
        ({"tags": "O"}, "tags: Input should be a valid tuple"),
        ({"window": 0}, "window: .* greater than or equal to 1"),
        ({"metrics": {"dev_f1": "high"}}, r"metrics\.dev_f1: .* valid number"),
        ({"pickle": "run me"}, "pickle: Extra inputs are not permitted"),
    ],
)
def test_a_header_that_does_not_fit_is_named(tmp_path, changes, message):
    with_header(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=f"{tmp_path / CONFIG}: {message}"):
        Header.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "format_version is None"),
        (b'{"model_type": "bert"}', "format_version is None"),
    ],
)
def test_a_foreign_config_is_named(tmp_path, content, message):
    (tmp_path / CONFIG).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{tmp_path / CONFIG}: {message}"):
        Header.read(tmp_path)


def test_a_place_without_checkpoint_is_named(tmp_path):
    file = tmp_path / "model.onnx"
    file.touch()
    for place in (tmp_path, tmp_path / "nowhere", file):
        with pytest.raises(CheckpointError, match=f"{place}: no checkpoint here"):
            Header.read(place)
    (tmp_path / CONFIG).mkdir()
    with pytest.raises(CheckpointError, match=f"{tmp_path / CONFIG}: can't be read"):
        Header.read(tmp_path)


def test_sums_are_those_of_sha256sum(checkpoint):
    assert digest_of(checkpoint / CONFIG) == hashlib.sha256(CONFIG.encode()).hexdigest()
    assert verify_sums(checkpoint) == digest_of(checkpoint / SUMS)
    tool = shutil.which("sha256sum")
    if tool is not None:
        subprocess.run([tool, "--check", "--strict", SUMS], cwd=checkpoint, check=True)


def test_the_digest_follows_every_byte(checkpoint):
    before = verify_sums(checkpoint)
    (checkpoint / CARD).write_text("a card", encoding="utf-8")
    write_sums(checkpoint)
    with_card = verify_sums(checkpoint)
    (checkpoint / CARD).write_text("a cart", encoding="utf-8")
    write_sums(checkpoint)
    assert len({before, with_card, verify_sums(checkpoint)}) == 3


def test_a_file_that_was_changed_is_named(checkpoint):
    for path in sorted(checkpoint.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:-2] + b"?")
        with pytest.raises(CheckpointError, match=f"{checkpoint}/.*{SUMS}"):
            verify_sums(checkpoint)
        path.write_bytes(content)
    verify_sums(checkpoint)


@pytest.mark.parametrize("name", NEEDED)
def test_a_needed_file_must_be_there(checkpoint, name):
    (checkpoint / name).unlink()
    with pytest.raises(CheckpointError, match=f"{checkpoint}: {name} is missing"):
        verify_sums(checkpoint)
    write_sums(checkpoint)  # sums that do not speak of it are no excuse
    with pytest.raises(CheckpointError, match=f"{checkpoint}: {name} is missing"):
        verify_sums(checkpoint)


@pytest.mark.parametrize("name", [WEIGHTS, INT8_GRAPH])
def test_an_optional_file_may_be_absent_but_not_unknown(checkpoint, name):
    content = (checkpoint / name).read_bytes()
    (checkpoint / name).unlink()
    verify_sums(checkpoint)
    write_sums(checkpoint)
    verify_sums(checkpoint)
    (checkpoint / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{checkpoint / name}: {SUMS} does not know it"):
        verify_sums(checkpoint)


def test_a_gazetteer_must_be_there_if_it_was_and_be_known(checkpoint):
    (checkpoint / GAZETTEER).write_bytes(b"terms")
    with pytest.raises(CheckpointError, match=f"{checkpoint / GAZETTEER}: {SUMS} does not know"):
        verify_sums(checkpoint)
    write_sums(checkpoint)
    verify_sums(checkpoint)
    (checkpoint / GAZETTEER).unlink()
    with pytest.raises(CheckpointError, match=f"{checkpoint}: {GAZETTEER} is missing"):
        verify_sums(checkpoint)


def test_a_vocabulary_is_read_with_its_bigrams_and_gazetteer(tmp_path):
    vocabulary = build_vocabulary([["a", "b"]])
    write_vocabulary(tmp_path, vocabulary)
    assert read_vocabulary(tmp_path) == vocabulary
    assert [path.name for path in tmp_path.iterdir()] == [VOCABULARY]
    gazetteer = Gazetteer([Term("letter", ("b",), 2.0)])
    full = replace(vocabulary, bigrams=build_bigrams([["a", "b"]]), gazetteer=gazetteer)
    write_vocabulary(tmp_path, full)
    again = read_vocabulary(tmp_path)
    assert again == full != vocabulary
    assert list(again.gazetteer.terms()) == list(gazetteer.terms())


def test_a_damaged_gazetteer_or_vocabulary_is_named(tmp_path):
    write_vocabulary(tmp_path, build_vocabulary([["a"]]))
    (tmp_path / GAZETTEER).write_bytes(b"terms")
    with pytest.raises(CheckpointError, match=str(tmp_path / GAZETTEER)):
        read_vocabulary(tmp_path)
    (tmp_path / GAZETTEER).unlink()
    (tmp_path / VOCABULARY).write_text("[", encoding="utf-8")
    with pytest.raises(CheckpointError, match=str(tmp_path / VOCABULARY)):
        read_vocabulary(tmp_path)


@pytest.mark.parametrize("sums", [b"", b"\xff\xfe\x00", b"nonsense\n\n"])
def test_empty_or_foreign_sums_verify_nothing(checkpoint, sums):
    (checkpoint / SUMS).write_bytes(sums)
    with pytest.raises(CheckpointError, match=str(checkpoint)):
        verify_sums(checkpoint)


def test_sums_must_be_there(checkpoint):
    (checkpoint / SUMS).unlink()
    with pytest.raises(CheckpointError, match=f"{checkpoint}: {SUMS} is missing"):
        verify_sums(checkpoint)


def write(directory, text):
    with replaced(directory) as fresh:
        assert list(fresh.iterdir()) == []
        (fresh / "a").write_text(text, encoding="utf-8")


def content(directory):
    return {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}


def test_a_directory_is_replaced_as_one(tmp_path):
    place = tmp_path / "deep" / "place"
    write(place, "first")
    assert content(place) == {"a": "first"}
    (place / "b").touch()
    write(place, "second")
    assert content(place) == {"a": "second"}
    assert list(place.parent.iterdir()) == [place]
    assert place.stat().st_mode & 0o777 == place.parent.stat().st_mode & 0o777


def write_half(directory, stop):
    with replaced(directory) as fresh:
        (fresh / "a").write_text("half", encoding="utf-8")
        raise stop


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [False, True])
def test_a_block_that_fails_changes_nothing(tmp_path, stop, before):
    place = tmp_path / "place"
    if before:
        write(place, "first")
    with pytest.raises(stop):
        write_half(place, stop)
    assert list(tmp_path.iterdir()) == ([place] if before else [])
    if before:
        assert content(place) == {"a": "first"}


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_changes_nothing(tmp_path, monkeypatch, failing):
    place, rename, calls = tmp_path / "place", Path.rename, []
    write(place, "first")

    def interrupted(path, target):
        calls.append(target)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(place, "second")
    assert content(place) == {"a": "first"}
    assert list(tmp_path.iterdir()) == [place]


class Killed(BaseException):
    """Stands for SIGKILL: nothing is tidied up."""


@pytest.fixture
def killed_at(tmp_path, monkeypatch):
    """Write "second" over "first" and be killed at one of the steps."""

    def run(step):
        place, rename, calls = tmp_path / "place", Path.rename, []
        write(place, "first")

        def stopping(path, target):
            calls.append(target)
            if len(calls) == step:
                raise Killed
            rename(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", stopping)
            if step == 3:  # after the second rename
                patched.setattr(
                    "tagbelt.data.checkpoint.artifact.restore", raise_killed_on_the_second_call()
                )
            else:
                patched.setattr("tagbelt.data.checkpoint.artifact.restore", lambda _: None)
            with pytest.raises(Killed):
                write(place, "second")
        return place

    return run


def raise_killed_on_the_second_call():
    calls = []

    def stopping(_):
        calls.append(1)
        if len(calls) == 2:
            raise Killed

    return stopping


@pytest.mark.parametrize(("step", "found"), [(1, "first"), (2, "first"), (3, "second")])
def test_a_killed_writer_leaves_a_whole_directory(killed_at, step, found):
    place = killed_at(step)
    assert len(list(place.parent.iterdir())) == 2  # the place or its old name, and a leftover
    assert place.exists() == (step != 2)
    restore(place)
    assert content(place) == {"a": found}
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_next_writer_tidies_up(killed_at, step):
    place = killed_at(step)
    write(place, "third")
    assert content(place) == {"a": "third"}
    assert list(place.parent.iterdir()) == [place]


def test_there_is_nothing_to_restore(tmp_path):
    restore(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_json_is_for_people_too(tmp_path):
    write_json(tmp_path / "x.json", {"a": ["é", 1]})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": ["é", 1]}
    assert "é" in text
    assert text.endswith("}\n")
