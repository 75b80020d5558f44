"""What a server is told, and by whom."""

import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.commands.configuration import MASK, Configuration
from tagbelt.errors import SettingsError
from tagbelt.service.settings import Settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("TAGBELT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tagbelt.toml"
    path.write_text('host = "::1"\nport = 9000\nworkers = 3\n', encoding="utf-8")
    return path


def test_an_argument_wins_over_the_environment_and_that_over_the_file(file, monkeypatch):
    monkeypatch.setenv("TAGBELT_PORT", "9001")
    monkeypatch.setenv("tagbelt_workers", "4")
    found = Configuration.read({"workers": 5, "threads": None}, file)
    assert (found.settings.host, found.settings.port, found.settings.workers) == ("::1", 9001, 5)
    assert found.sources["host"] == f"file {file}"
    assert found.sources["port"] == "environment TAGBELT_PORT"
    assert found.sources["workers"] == "argument"
    assert found.sources["threads"] == found.sources["max_items"] == "default"
    assert "TAGBELT_CONFIG" not in os.environ


def test_a_variable_names_the_file_and_an_argument_another_one(file, tmp_path, monkeypatch):
    monkeypatch.setenv("TAGBELT_CONFIG", str(file))
    assert Configuration.read({}).settings.port == 9000
    other = tmp_path / "other.toml"
    other.write_text("port = 9009\n", encoding="utf-8")
    assert Configuration.read({}, other).settings.port == 9009
    assert os.environ["TAGBELT_CONFIG"] == str(file)


def test_every_setting_has_its_line_and_secrets_none_of_theirs(monkeypatch):
    monkeypatch.setenv("TAGBELT_API_KEYS", "crawler:tag:0123")
    monkeypatch.setenv("TAGBELT_TLS_KEY_PASSWORD", "open sesame")
    shown = Configuration.read({}).toml()
    assert [line.removeprefix("# ").split()[0] for line in shown.splitlines()] == [
        *Settings.model_fields
    ]
    assert f'# api_keys = "{MASK}"  # environment TAGBELT_API_KEYS\n' in shown
    assert "sesame" not in shown
    assert "0123" not in shown


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip)


@given(
    host=words.filter(bool),
    port=st.integers(0, 65535),
    timeout_seconds=st.floats(0, 1e300, exclude_min=True),
    access_log=st.booleans(),
    allowed_hosts=st.lists(words.filter(bool)),
    default_model=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_what_is_shown_can_be_read_again(tmp_path_factory, **given):
    found = Configuration.read(given)
    shown = found.toml()
    assert tomllib.loads(shown).get("default_model") == given["default_model"]
    path = tmp_path_factory.mktemp("config") / "tagbelt.toml"
    path.write_text(shown, encoding="utf-8", newline="")
    assert Configuration.read({}, path).settings == found.settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TAGBELT_WORKER", "TAGBELT_WORKERS"),
        ("TAGBELT_MAX_ITEM", "TAGBELT_MAX_ITEMS"),
        ("TAGBELT_TLS_CERT", "TAGBELT_TLS_CERTIFICATE"),
        ("TAGBELT_LOGLEVEL", "TAGBELT_LOG_LEVEL"),
    ],
)
def test_a_misspelt_variable_is_told_with_what_was_meant(monkeypatch, name, meant):
    monkeypatch.setenv(name, "1")
    assert Configuration.read({}).warnings == (f"{name} is not a setting; did you mean {meant}?",)


@pytest.mark.parametrize(
    "name",
    [
        "TAGBELT_DATA",
        "TAGBELT_API_KEY",
        "TAGBELT_SERVICE_HOST",
        "TAGBELT_SERVICE_PORT_HTTP",
        "TAGBELT_PORT_8000_TCP_ADDR",
        "TAGBELTS",
    ],
)
def test_variables_of_others_are_left_alone(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert Configuration.read({}).warnings == ()


def test_what_is_like_nothing_is_told_without_a_guess(monkeypatch):
    monkeypatch.setenv("TAGBELT_XYZZY", "1")
    assert Configuration.read({}).warnings == ("TAGBELT_XYZZY is not a setting",)


def test_the_port_that_kubernetes_sets_is_explained(monkeypatch):
    monkeypatch.setenv("TAGBELT_PORT", "tcp://10.0.0.7:8000")
    with pytest.raises(SettingsError, match=r"TAGBELT_PORT.*enableServiceLinks to false"):
        Configuration.read({})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prot = 1\nport = 2\n", "prot is not a setting; did you mean port?"),
        ("[server]\nport = 1\n", "server is not a setting"),
        ("port = \n", "cannot be read"),
        ("port = true\nport = 2\n", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_told(file, content, message):
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        Configuration.read({}, file)
    assert str(file) in str(error.value)
    assert message in str(error.value)


def test_a_file_that_is_missing_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"nothing\.toml: cannot be read"):
        Configuration.read({}, tmp_path / "nothing.toml")
