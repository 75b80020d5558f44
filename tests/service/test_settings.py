import subprocess
import sys

import pytest

from tagbelt.errors import SettingsError
from tagbelt.service.settings import Settings, load_settings, read_toml


def test_the_defaults_are_safe():
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_an_argument_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("TAGBELT_PORT", "9001")
    monkeypatch.setenv("TAGBELT_MAX_ITEMS", "7")
    settings = load_settings(port=9002, host=None)
    assert (settings.host, settings.port, settings.max_items) == ("127.0.0.1", 9002, 7)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", "65536"), ("MAX_ITEMS", "0"), ("LOG_LEVEL", "loud"), ("HOST", "")],
)
def test_a_bad_value_is_named_with_its_variable(monkeypatch, name, value):
    monkeypatch.setenv(f"TAGBELT_{name}", value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(f"{name.lower()} (TAGBELT_{name}): ")
    assert str(error.value).endswith(f", not {value!r}")


def test_an_unknown_argument_is_refused():
    with pytest.raises(SettingsError, match="colour"):
        load_settings(colour="red")


@pytest.mark.parametrize(
    ("given", "remedies"),
    [
        (
            {"max_characters": 2001, "max_tokens": 1},
            ["TAGBELT_MAX_BODY_BYTES to 2001 or more", "TAGBELT_MAX_CHARACTERS to 2000 or less"],
        ),
        (
            {"max_characters": 1, "max_tokens": 501},
            ["TAGBELT_MAX_BODY_BYTES to 2004 or more", "TAGBELT_MAX_TOKENS to 500 or less"],
        ),
    ],
)
def test_limits_that_contradict_each_other_name_both_remedies(given, remedies):
    with pytest.raises(SettingsError) as error:
        load_settings(max_body_bytes=2000, **given)
    assert all(remedy in str(error.value) for remedy in remedies)
    load_settings(max_body_bytes=2000, max_characters=2000, max_tokens=500)


def test_importing_the_app_reads_no_settings():
    code = "import tagbelt.service.app"
    environment = {"TAGBELT_PORT": "not a port", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_the_service_needs_neither_torch_nor_an_onnx_session_to_import():
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import tagbelt.service.app, tagbelt.service.process.server\n"
        "assert not [m for m in sys.modules if m.startswith(('torch.', 'model', 'training'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)


def test_a_byte_order_mark_is_no_part_of_a_file_of_settings(tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbfport = 8123\n")
    assert read_toml(tmp_path / "s.toml") == {"port": 8123}
