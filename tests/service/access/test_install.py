import logging

import pytest

from tagbelt.errors import SettingsError
from tests.service.access.guarded import INLINE, GuardedApp, bearer

SITE = "https://app.example.org"


def preflight(door, origin, asked="authorization, content-type, x-request-timeout"):
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
    }
    return door.ask("/v1/tag", "OPTIONS", headers)


def test_other_origins_are_not_let_in_by_default():
    door = GuardedApp(api_keys=INLINE)
    assert preflight(door, SITE).status_code == 401
    reply = door.ask(headers={"origin": SITE, **bearer("crawler")})
    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_listed_origin_may_ask_and_read():
    door = GuardedApp(api_keys=INLINE, cors_origins=(SITE,))
    reply = preflight(door, SITE)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == SITE
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "x-request-timeout" in reply.headers["access-control-allow-headers"]
    reply = door.ask(headers={"origin": SITE, **bearer("crawler")})
    assert reply.status_code == 200
    exposed = reply.headers["access-control-expose-headers"]
    assert {"Retry-After", "X-Model-Digest", "X-Request-ID"} <= set(exposed.split(", "))
    assert "Origin" in reply.headers["vary"]
    assert "access-control-allow-credentials" not in reply.headers


def test_a_listed_origin_can_read_why_it_was_refused():
    reply = GuardedApp(api_keys=INLINE, cors_origins=(SITE,)).ask(headers={"origin": SITE})
    assert reply.status_code == 401
    assert reply.headers["access-control-allow-origin"] == SITE


def test_an_origin_that_is_not_listed_is_not_let_in():
    door = GuardedApp(api_keys=INLINE, cors_origins=(SITE,))
    assert preflight(door, "https://evil.example").status_code == 400
    reply = door.ask(headers={"origin": "https://evil.example", **bearer("crawler")})
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"api_keys": "nonsense"},
        {"api_keys": ""},
        {"api_keys": INLINE, "allow_anonymous": True},
        {"cors_origins": ("app.example.org",)},
        {"allowed_hosts": ("https://app.example.org",)},
    ],
)
def test_what_is_wrong_stops_the_start(settings):
    with pytest.raises(SettingsError):
        GuardedApp(**settings)


def test_warnings_are_logged_at_the_start(tmp_path, caplog):
    path = tmp_path / "keys.toml"
    digest = "1a" * 32
    path.write_text(f'[[key]]\nname="a"\nsha256="{digest}"\nscopes=["tag"]', encoding="utf-8")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING, "service.access"):
        GuardedApp(api_keys_file=path)
    assert "can be read by every user" in caplog.text
