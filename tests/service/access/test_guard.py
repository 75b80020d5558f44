"""The guard over ASGI, in front of an app that answers everything."""

import asyncio
import logging

import pytest

from tagbelt.service.access.guard import ANY, OPEN, TABLE, Guard
from tagbelt.service.access.keyfile import Need
from tagbelt.service.access.keys import KeyRing, digest_of
from tagbelt.service.api import problems
from tagbelt.service.settings import Settings
from tests.service.access.guarded import INLINE, KEYS, GuardedApp, bearer

UNLOAD = "/v1/models/en/unload"


@pytest.fixture
def keyed():
    return GuardedApp(api_keys=INLINE)


def refused(reply, kind):
    assert reply.status_code == kind.status
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert (body["type"], body["status"]) == (kind.type, kind.status)
    return body["detail"]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
def test_each_row_of_the_table(keyed, row):
    path = row.path.replace("*", "some/thing")
    for method in ("POST", "DELETE") if row.method == ANY else (row.method,):
        allowed = {
            None: row.need in OPEN,
            "crawler": row.need is not Need.ADMIN,
            "boss": True,
        }
        for who, comes_in in allowed.items():
            status = keyed.ask(path, method, bearer(who) if who else None).status_code
            assert status == (200 if comes_in else 401 if who is None else 403)


def test_the_name_of_the_key_goes_on_and_the_key_does_not(keyed):
    keyed.ask(headers=bearer("crawler"))
    keyed.ask("/livez", "GET", bearer("crawler"))
    assert keyed.asked == ["crawler", None]


def test_each_way_to_present_a_key(keyed):
    key = KEYS["other"]
    aws = f"AWS4-HMAC-SHA256 Credential={key}/20261122/eu-west-1/comprehend/aws4_request, S=x"
    for headers in ({"x-api-key": key}, {"authorization": f"bearer {key}"}, {"authorization": aws}):
        assert keyed.ask(headers=headers).status_code == 200
    assert keyed.asked == ["other"] * 3
    assert keyed.rejected == []


@pytest.mark.parametrize(
    ("headers", "challenge", "words"),
    [
        ({}, "", "Authorization: Bearer KEY or as X-API-Key: KEY"),
        ({"authorization": "Basic dTpw"}, "", "Authorization: Bearer KEY"),
        ({"authorization": "Bearer nobodys"}, "invalid_token", "not known here, or has expired"),
        ({"x-api-key": "not a key"}, "invalid_request", "malformed"),
        ([("x-api-key", "nobodys"), ("x-api-key", KEYS["boss"])], "invalid_request", "malformed"),
        ({**bearer("boss"), "x-api-key": KEYS["other"]}, "invalid_request", "two different"),
    ],
)
def test_without_a_good_key_it_is_401(keyed, caplog, headers, challenge, words):
    with caplog.at_level(logging.DEBUG):
        reply = keyed.ask(headers=headers)
    assert words in refused(reply, problems.UNAUTHORIZED)
    expected = 'Bearer realm="tagbelt"' + (f', error="{challenge}"' if challenge else "")
    assert reply.headers["www-authenticate"] == expected
    assert (keyed.rejected, keyed.asked) == (["unauthorized"], [])
    assert "a request was refused, unauthorized" in caplog.text
    for key in (*KEYS.values(), "nobodys", "dTpw"):
        assert key not in reply.text
        assert key not in caplog.text


def test_without_the_scope_it_is_403(keyed):
    reply = keyed.ask(UNLOAD, headers=bearer("crawler"))
    assert refused(reply, problems.FORBIDDEN) == "this needs a key with the scope admin"
    assert 'error="insufficient_scope", scope="admin"' in reply.headers["www-authenticate"]
    assert keyed.rejected == ["forbidden"]


def test_a_path_that_does_not_exist_looks_like_any_other(keyed):
    known, unknown = keyed.ask("/v1/tag"), keyed.ask("/v1/secret")
    assert known.status_code == unknown.status_code == 401
    assert known.json()["detail"] == unknown.json()["detail"]
    assert GuardedApp().ask("/v1/secret").status_code == 200


@pytest.mark.parametrize("mark", ["%00", "%09", "%0A", "%0D", "%7F", "%C2%85"])
@pytest.mark.parametrize("path", ["/v1/reload", "/v1/tag", "/livez", "/v1/models/en/unload", "/"])
def test_a_control_character_in_a_path_is_400_for_everybody(keyed, path, mark):
    for who in (None, "crawler", "boss"):
        for method in ("GET", "POST"):
            reply = keyed.ask(path + mark, method, bearer(who) if who else None)
            assert reply.status_code == 400
            assert reply.json()["detail"] == "the path holds a control character"
    assert keyed.asked == []


def test_keys_change_while_it_runs(tmp_path):
    def write(key: str) -> None:
        digest = digest_of(key.encode()).hex()
        entry = f'[[key]]\nname = "crawler"\nsha256 = "{digest}"\nscopes = ["tag"]\n'
        path.write_text(entry, encoding="utf-8")

    path = tmp_path / "keys.toml"
    write("old")
    app = GuardedApp(api_keys_file=path)
    assert app.ask(headers={"x-api-key": "old"}).status_code == 200
    write("new")
    assert app.ring.reload()
    assert app.ask(headers={"x-api-key": "old"}).status_code == 401
    assert app.ask(headers={"x-api-key": "new"}).status_code == 200
    path.write_text("", encoding="utf-8")
    assert not app.ring.reload()
    assert app.ask().status_code == 401
    assert app.ask(headers={"x-api-key": "new"}).status_code == 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_that_asks_too_often_is_told_when_to_go_on(caplog):
    clock = Clock()
    app = GuardedApp(api_keys=INLINE, rate_per_second=0.4, rate_burst=2, clock=clock)
    for _ in range(2):
        assert app.ask(headers=bearer("crawler")).status_code == 200
    reply = app.ask(headers=bearer("crawler"))
    assert refused(reply, problems.RATE_LIMITED).startswith("more than 0.4 requests a second")
    assert reply.headers["retry-after"] == "3"
    assert app.rejected == ["rate"]
    assert app.ask(headers=bearer("other")).status_code == 200
    assert app.ask("/livez", "GET", bearer("crawler")).status_code == 200
    clock.now += 3
    assert app.ask(headers=bearer("crawler")).status_code == 200
    assert KEYS["crawler"] not in caplog.text


def test_a_refused_request_takes_nothing_from_the_rate():
    app = GuardedApp(api_keys=INLINE, rate_per_second=1, rate_burst=1, clock=Clock())
    for _ in range(3):
        assert app.ask(UNLOAD, headers=bearer("crawler")).status_code == 403
    assert app.ask(headers=bearer("crawler")).status_code == 200


def test_a_keys_own_rate_wins(tmp_path):
    path = tmp_path / "keys.toml"
    digest = digest_of(b"k").hex()
    path.write_text(
        f'[[key]]\nname = "a"\nsha256 = "{digest}"\nscopes = ["tag"]\nrate_per_second = 3',
        encoding="utf-8",
    )
    app = GuardedApp(api_keys_file=path, rate_per_second=1, clock=Clock())
    statuses = [app.ask(headers={"x-api-key": "k"}).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    app = GuardedApp(api_keys_file=path, clock=Clock())
    assert [app.ask(headers={"x-api-key": "k"}).status_code for _ in range(4)] == statuses


def test_without_keys_each_address_has_its_rate():
    app = GuardedApp(rate_per_second=0.5, clock=Clock())
    assert app.ask(client="192.0.2.1").status_code == 200
    assert app.ask(client="192.0.2.2").status_code == 200
    reply = app.ask(client="192.0.2.1")
    refused(reply, problems.RATE_LIMITED)
    assert reply.headers["retry-after"] == "2"
    assert app.ask("/", "GET", client="192.0.2.1").status_code == 200


def test_without_a_rate_or_keys_nothing_is_counted():
    app = GuardedApp()
    assert {app.ask(client="192.0.2.1").status_code for _ in range(20)} == {200}
    # Clients that always send a token, or sign, are answered all the same.
    assert app.ask(headers=bearer("crawler")).status_code == 200
    assert set(app.asked) == {None}


@pytest.mark.parametrize("path", ["/v1/tag", "/", "/metrics", "/page/app.js", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_by_another_name_only_probes_are_answered(path, method):
    app = GuardedApp()
    reply = app.ask(path, method, host="evil.example:8000")
    assert "TAGBELT_ALLOWED_HOSTS" in refused(reply, problems.WRONG_HOST)
    assert app.rejected == ["wrong_host"]
    assert app.ask("/readyz", "GET", host="10.1.2.3:8000").status_code == 200


def test_hosts_are_checked_where_nobody_is_asked_for_a_key_or_where_told():
    assert GuardedApp(allow_anonymous=True).ask(host="any.example").status_code == 200
    keyed = GuardedApp(api_keys=INLINE)
    assert keyed.ask(host="any.example", headers=bearer("boss")).status_code == 200
    for settings in ({}, {"allow_anonymous": True}, {"api_keys": INLINE}):
        app = GuardedApp(allowed_hosts=("ner.example.org",), **settings)
        assert app.ask(headers=bearer("boss"), host="ner.example.org").status_code == 200
        assert app.ask(headers=bearer("boss"), host="localhost").status_code == 421


def test_a_request_without_a_host_is_from_nowhere():
    async def ask(headers):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        await Guard(answer, KeyRing(Settings()), Settings(), routes=())(scope, None, send)
        return sent[0]["status"]

    async def answer(_, __, send):
        await send({"type": "http.response.start", "status": 200})

    assert asyncio.run(ask([])) == 421
    assert asyncio.run(ask([(b"host", b"localhost"), (b"host", b"localhost")])) == 421
    assert asyncio.run(ask([(b"host", b"localhost")])) == 200


def test_what_is_not_http_passes():
    passed = []

    async def app(scope, _, __):
        passed.append(scope["type"])

    guard = Guard(app, KeyRing(Settings()), Settings(), routes=())
    asyncio.run(guard({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]


@pytest.mark.parametrize(
    ("settings", "headers", "host", "status"),
    [
        ({}, {}, "localhost:8000", 200),
        ({}, {}, "127.0.0.1:8000", 200),
        ({"uds": "/run/t.sock"}, {}, "localhost", 200),
        # A proxy has let somebody in from elsewhere.
        ({}, {"x-forwarded-for": "192.0.2.1"}, "localhost", 403),
        ({}, {"forwarded": "for=192.0.2.1"}, "localhost", 403),
        ({"allowed_hosts": "ner.example.org"}, {}, "ner.example.org", 403),
        ({"allow_anonymous": True}, {}, "localhost", 403),
        ({"allow_anonymous": True, "host": "0.0.0.0"}, {}, "localhost", 403),
    ],
)
def test_without_keys_models_are_changed_from_this_machine_only(settings, headers, host, status):
    app = GuardedApp(**settings)
    reply = app.ask(UNLOAD, headers=headers, host=host)
    assert reply.status_code == status
    if status == 403:
        assert "TAGBELT_API_KEYS_FILE" in refused(reply, problems.FORBIDDEN)
    assert app.ask(headers=headers, host=host).status_code == 200


EVIL = "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "HTTP://LOCALHOST:8000", "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": EVIL}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[", "sec-fetch-mode": "cors"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": EVIL, "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_post_here_through_a_browser(headers, status):
    for path in ("/v1/tag", UNLOAD, "/v1/reload"):
        assert GuardedApp().ask(path, headers=headers, host="localhost:8000").status_code == status
    assert GuardedApp().ask("/v1/models", "GET", headers, host="localhost:8000").status_code == 200


@pytest.mark.parametrize("origins", [(EVIL,), ("*",)])
def test_a_site_that_is_let_in_may_tag_and_not_change_models(origins):
    app = GuardedApp(cors_origins=origins)
    headers = {"origin": EVIL, "sec-fetch-site": "cross-site"}
    assert app.ask(headers=headers).status_code == 200
    assert app.ask(UNLOAD, headers=headers).status_code == 403


def test_with_a_key_any_site_may_ask(keyed):
    headers = {"origin": EVIL, "sec-fetch-site": "cross-site", **bearer("boss")}
    assert keyed.ask(UNLOAD, headers=headers).status_code == 200
