"""`tagbelt keys`, called as the command is; what keys do: tests/service/access."""

import re
import stat

import pytest
import typer
from typer.testing import CliRunner

from tagbelt.commands.keys import app
from tagbelt.service.access.keyfile import parse_inline, parse_toml, read_file
from tagbelt.service.access.keys import KeyRing, digest_of
from tagbelt.service.access.rates import Rate
from tagbelt.service.settings import Settings

KEY = r"tb_[A-Za-z0-9_-]{43}"


@pytest.fixture
def keys():
    front = typer.Typer()
    front.add_typer(app, name="keys")

    def run(*arguments):
        done = CliRunner().invoke(front, ["keys", *map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


def test_a_new_key_with_its_entry(keys):
    done = keys("new", "crawler", "--rate", "2.5", "--expires", "2030-01-31")
    assert done.exit_code == 0
    (entry,) = parse_toml(done.stdout, "standard output")
    assert (entry.name, entry.scopes, entry.rate) == ("crawler", {"tag"}, Rate(2.5, 3))
    assert f"{entry.expires:%Y-%m-%d}" == "2030-01-31"
    key = re.fullmatch(rf"The key, shown this once: ({KEY})\n", done.stderr)[1]
    assert entry.sha256 == digest_of(key.encode())
    assert key not in done.stdout


def test_a_new_key_for_the_environment(keys):
    done = keys("new", "boss", "--scope", "tag", "--scope", "admin")
    inline = re.search("TAGBELT_API_KEYS=(.*)", done.stderr)[1]
    assert parse_inline(inline) == parse_toml(done.stdout, "standard output")
    key = re.search(KEY, done.stderr)[0]
    found = KeyRing(Settings(api_keys=inline)).find(key.encode())
    assert (found.name, found.scopes) == ("boss", {"tag", "admin"})


def test_no_two_keys_are_the_same(keys):
    assert keys("new", "a").stdout != keys("new", "a").stdout


def test_keys_are_added_to_a_file(keys, tmp_path):
    path = tmp_path / "keys.toml"
    made = {name: keys("new", name, "--file", path).stdout.strip() for name in ("a", "b")}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring = KeyRing(Settings(api_keys_file=path))
    for name, key in made.items():
        assert re.fullmatch(KEY, key)
        assert key not in path.read_text(encoding="utf-8")
        assert ring.find(key.encode()).name == name


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_keeps_what_is_in_it(keys, tmp_path, end):
    path = tmp_path / "keys.toml"
    written = f"# Ours\n{keys('new', 'a').stdout}# The end{end}"
    path.write_text(written, encoding="utf-8")
    assert keys("new", "b", "--file", path).exit_code == 0
    assert path.read_text(encoding="utf-8").startswith(written)
    assert [key.name for key in read_file(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (None, "entry 2, name: the same as in entry 1"),
        ("[[key]]\n", "entry 1, name: is missing"),
        ("nonsense\n", "is not TOML"),
    ],
)
def test_a_file_that_would_be_wrong_is_left_alone(keys, tmp_path, before, message):
    path = tmp_path / "keys.toml"
    path.write_text(keys("new", "a").stdout if before is None else before, encoding="utf-8")
    before = path.read_bytes()
    done = keys("new", "a", "--file", path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"tagbelt keys new: {path}")
    assert message in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["two words"], "the name must be 1 to 64 letters"),
        (['a"\nscopes = ["admin"]\n#'], "the name must be 1 to 64 letters"),
        (["tb_abc"], "the name begins with tb_"),
        (["a", "--rate", "0"], "rate_per_second: must be a number above 0"),
        (["a", "--file", "no/such/folder/keys.toml"], "No such file"),
    ],
)
def test_what_cannot_be_is_one_line(keys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = keys("new", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("tagbelt keys new: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_key_that_would_be_refused_at_once_is_not_made(keys, tmp_path):
    done = keys("new", "late", "--file", tmp_path / "keys.toml", "--expires", "2020-01-31")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("tagbelt keys new: --expires 2020-01-31: is past")
    assert not (tmp_path / "keys.toml").exists()


def test_a_list_without_secrets(keys, tmp_path):
    path = tmp_path / "keys.toml"
    keys("new", "crawler", "--file", path, "--rate", "50")
    keys("new", "boss", "--file", path, "--scope", "admin", "--expires", "2090-01-31")
    path.write_text(path.read_text("utf-8").replace("2090", "2020"), "utf-8")
    done = keys("list", path)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["crawler", "tag", "50/s", "-"],
        ["boss", "admin", "-", "2020-01-31", "00:00", "UTC", "expired"],
    ]
    assert keys("list", tmp_path / "nothing").stderr.startswith("tagbelt keys list: ")
