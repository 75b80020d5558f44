import hmac
import logging
from datetime import UTC, datetime

import pytest

from tagbelt.errors import KeysError
from tagbelt.service.access.keys import KeyRing, digest_of
from tagbelt.service.settings import Settings
from tests.service.access.guarded import INLINE, KEYS


def toml(name: str, key: str, more: str = "") -> str:
    digest = digest_of(key.encode()).hex()
    return f'[[key]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = ["tag"]\n{more}\n'


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "keys.toml"
    file.write_text(toml("crawler", "first"), encoding="utf-8")
    file.chmod(0o600)
    return file


def test_keys_are_found_by_what_they_are():
    ring = KeyRing(Settings(api_keys=INLINE))
    for name, key in KEYS.items():
        assert ring.find(key.encode()).name == name
    for wrong in (b"", b"crawler", KEYS["boss"][:-1].encode(), digest_of(KEYS["boss"].encode())):
        assert ring.find(wrong) is None


@pytest.mark.parametrize("presented", [*KEYS.values(), "wrong"])
def test_every_hash_is_compared_whichever_key_it_is(monkeypatch, presented):
    ring = KeyRing(Settings(api_keys=INLINE))
    compared = []

    def compare(one, two):
        compared.append(one)
        return in_constant_time(one, two)

    in_constant_time = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    ring.find(presented.encode())
    assert compared == [key.sha256 for key in ring.keys]


def test_without_keys_none_is_required():
    ring = KeyRing(Settings())
    assert not ring.required
    assert ring.find(b"anything") is None
    assert ring.reload()


def test_the_environment_and_a_file_together(path):
    ring = KeyRing(Settings(api_keys=INLINE.replace("crawler", "spider"), api_keys_file=path))
    assert ring.required
    assert [key.name for key in ring.keys] == ["spider", "boss", "other", "crawler"]
    with pytest.raises(KeysError, match=r"TAGBELT_API_KEYS and .*entry 4, name: .* entry 1"):
        KeyRing(Settings(api_keys=INLINE, api_keys_file=path))


def test_a_key_expires(path):
    path.write_text(toml("crawler", "first", "expires = 2030-01-31"), encoding="utf-8")
    now = datetime(2030, 1, 30, 23, 59, 59, tzinfo=UTC)
    ring = KeyRing(Settings(api_keys_file=path), now=lambda: now)
    assert ring.find(b"first").name == "crawler"
    assert ring.warnings() == []
    now = datetime(2030, 1, 31, tzinfo=UTC)
    assert ring.find(b"first") is None
    assert ring.warnings() == ["the API key crawler has expired"]


def test_a_reload_swaps_the_keys(path):
    ring = KeyRing(Settings(api_keys_file=path))
    path.write_text(toml("crawler", "second"), encoding="utf-8")
    assert ring.find(b"second") is None
    assert ring.reload()
    assert ring.find(b"first") is None
    assert ring.find(b"second").name == "crawler"


@pytest.mark.parametrize("broken", ["", "[[key]]\nname = 'x'\nsha256 = 'tb_secret'", None])
def test_a_broken_file_leaves_the_old_keys_and_says_why(path, caplog, broken):
    ring = KeyRing(Settings(api_keys_file=path))
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken, encoding="utf-8")
    with caplog.at_level(logging.ERROR, "service.access"):
        assert not ring.reload()
    assert ring.required
    assert ring.find(b"first").name == "crawler"
    (record,) = caplog.records
    assert record.getMessage().startswith(f"the API keys stay as they were: {path}")
    assert "tb_secret" not in caplog.text


@pytest.mark.parametrize(
    ("mode", "words"), [(0o600, None), (0o640, None), (0o644, "read"), (0o646, "changed")]
)
def test_a_file_that_others_can_reach_is_told_of(path, caplog, mode, words):
    path.chmod(mode)
    ring = KeyRing(Settings(api_keys_file=path))
    expected = (
        []
        if words is None
        else [f"{path} can be {words} by every user of this machine: chmod 600 {path}"]
    )
    assert ring.warnings() == expected
    with caplog.at_level(logging.WARNING, "service.access"):
        ring.reload()
    assert [record.getMessage() for record in caplog.records] == expected
