"""`tagbelt data get`, called as the command is; how it fetches: tests/data/test_download.py."""

import hashlib
import os
from pathlib import Path

import pytest

CONTENT = b"Ada\tB-PER\n"


@pytest.fixture
def get(cli, tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(
        f"""
        [small]
        title = "A small set"
        language = "en"
        columns = ["token", "tag"]
        home = "nowhere"
        licence = "Some Licence 1.0"
        [[small.files]]
        name = "train.conll"
        address = "http://127.0.0.1:1/train.conll"
        sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"
        size = {len(CONTENT)}
        """,
        encoding="utf-8",
    )
    (tmp_path / "offline" / "small").mkdir(parents=True)
    (tmp_path / "offline" / "small" / "train.conll").write_bytes(CONTENT)

    def run(*arguments, **options):
        return cli("data", "get", *arguments, "--catalogue", path, **options)

    return run


def test_the_licence_is_shown_and_asked_about(get, tmp_path):
    target = tmp_path / "out"
    arguments = ["small", "--from", tmp_path / "offline", "--to", target]
    done = get(*arguments, input=b"n\n")
    assert done.code == 1
    assert "fetched" not in done.out
    assert "Some Licence 1.0" in done.err
    assert "Fetch it under this licence?" in done.err
    assert not target.exists()
    done = get(*arguments, input=b"y\n")
    assert done.code == 0
    assert done.out.endswith(f"{target}/train.conll: fetched, 10 bytes, checked\n")
    assert (target / "train.conll").read_bytes() == CONTENT
    done = get(*arguments, "--yes")
    assert "Some Licence 1.0" in done.err
    assert "Fetch it" not in done.err
    assert done.out == f"{target}/train.conll: there already, 10 bytes, checked\n"


def test_without_a_name_the_catalogue_is_listed(get, cli):
    assert get().out == "small  en             0.0 MB  A small set\n"
    lines = cli("data", "get").out.splitlines()
    assert any(line.startswith("conll2003") and "not to be fetched" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "the catalogue has no 'nothing'; it has small"),
        (["small", "--yes", "--from", "no/such/folder"], "neither a folder nor an http address"),
        (["small", "--yes", "--from", "ftp://example.org"], "neither a folder nor an http address"),
    ],
)
def test_what_cannot_be_is_told(get, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = get(*arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif("TAGBELT_DATA" not in os.environ, reason="TAGBELT_DATA is not set")
@pytest.mark.parametrize("name", ["wnut17", "resume"])
def test_sets_of_our_own_catalogue_are_the_files_they_say(cli, tmp_path, name):
    folder = Path(os.environ["TAGBELT_DATA"])
    done = cli("data", "get", name, "--from", folder, "--to", tmp_path, "--yes")
    assert done.code == 0
    assert done.out.count("checked") == 3
