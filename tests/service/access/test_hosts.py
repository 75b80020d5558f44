import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.errors import SettingsError
from tagbelt.service.access.hosts import HostRule, check_exposure, check_origins, is_local
from tagbelt.service.access.keys import KeyRing
from tagbelt.service.settings import Settings
from tests.service.access.guarded import INLINE

LOCAL = ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LocalHost", "::ffff:127.0.0.1"]
ELSEWHERE = ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1", "ner.example.org", "127.0.0.1.example"]


def check(**settings):
    made = Settings(**settings)
    check_exposure(made, KeyRing(made))


@pytest.mark.parametrize("host", LOCAL)
def test_on_this_machine_nothing_is_asked_for(host):
    check(host=host)
    assert is_local(Settings(host=host))


@pytest.mark.parametrize("host", ELSEWHERE)
def test_elsewhere_needs_keys_or_permission(host):
    with pytest.raises(SettingsError) as error:
        check(host=host)
    assert repr(host) in str(error.value)
    for remedy in ("TAGBELT_API_KEYS_FILE", "tagbelt keys new", "TAGBELT_ALLOW_ANONYMOUS=true"):
        assert remedy in str(error.value)
    check(host=host, api_keys=INLINE)
    check(host=host, allow_anonymous=True)
    check(host=host, uds="/run/tagbelt.sock")


def test_keys_that_nothing_would_ask_for_are_a_contradiction():
    with pytest.raises(SettingsError) as error:
        check(api_keys=INLINE, allow_anonymous=True)
    for remedy in ("unset TAGBELT_ALLOW_ANONYMOUS", "unset TAGBELT_API_KEYS_FILE"):
        assert remedy in str(error.value)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1:1", "[::1]", "[::1]:8000"]
)
def test_local_names_are_allowed_by_default(host):
    assert HostRule(()).allows(host.encode())


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.7",
        "0.0.0.0",
        "localhost, evil.example",
        "evil.example@localhost",
        "localhost/",
        "localhost:80:80",
        "localhost:x",
        "::1",
        "[::1",
        "[localhost]",
        "\xff",
    ],
)
def test_other_names_are_not(host):
    assert not HostRule(()).allows(host.encode("latin-1"))


@pytest.mark.parametrize(
    ("allowed", "host", "answered"),
    [
        (("ner.example.org",), "ner.example.org", True),
        (("ner.example.org",), "NER.example.org.:443", True),
        (("NER.Example.org",), "ner.example.org", True),
        (("ner.example.org",), "x.ner.example.org", False),
        (("ner.example.org",), "localhost", False),
        (("*.example.org",), "a.b.example.org", True),
        (("*.example.org",), "example.org", False),
        (("*.example.org",), "evil-example.org", False),
        (("a.example", "[::1]"), "[::1]:8000", True),
        (("192.0.2.7",), "192.0.2.7:8000", True),
        (("*",), "anything", True),
        (("*",), "", False),
    ],
)
def test_a_list_takes_the_place_of_the_local_names(allowed, host, answered):
    assert HostRule(allowed).allows(host.encode()) is answered


@given(st.binary())
def test_any_header_is_answered_yes_or_no(host):
    assert HostRule(("a.example", "*.b.example")).allows(host) in (True, False)


@pytest.mark.parametrize(
    "pattern", ["https://a.example", "a.example:80", "a.*.example", "*example", "a example", "::1"]
)
def test_a_pattern_that_can_match_nothing_is_refused(pattern):
    with pytest.raises(SettingsError, match="TAGBELT_ALLOWED_HOSTS"):
        check(allowed_hosts=(pattern,))


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:3000", "*"])
def test_origins(origin):
    check_origins((origin,))


@pytest.mark.parametrize(
    "origin", ["a.example", "https://a.example/", "https://A.example", "https://", "null", "**"]
)
def test_an_origin_that_no_browser_sends_is_refused(origin):
    with pytest.raises(SettingsError, match="TAGBELT_CORS_ORIGINS"):
        check_origins((origin,))
