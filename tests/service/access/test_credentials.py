import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.access.guard import (
    API_KEY,
    AUTHORIZATION,
    CredentialError,
    pick,
    presented,
)

KEY = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=100)
SCOPE = "20261122/us-east-1/comprehend/aws4_request"


def aws(key: str) -> str:
    return (
        f"AWS4-HMAC-SHA256 Credential={key}/{SCOPE}, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    )


def read(authorization: str | None = None, api_key: str | None = None) -> bytes | None:
    given = {AUTHORIZATION: authorization, API_KEY: api_key}
    return presented({name: v.encode("latin-1") for name, v in given.items() if v is not None})


@given(KEY, st.sampled_from(["Bearer", "bearer", "BEARER"]), st.integers(1, 3))
def test_every_way_presents_the_same_key(key, scheme, spaces):
    same = key.encode()
    authorization = f"{scheme}{' ' * spaces}{key}"
    assert read(authorization) == same
    assert read(api_key=f" {key} ") == same
    assert read(aws(key)) == same
    assert read(authorization, key) == same
    assert read(aws(key), key) == same


@pytest.mark.parametrize("key", ["abc.def~ghi+jkl/mno==", "x", "x" * 512])
def test_a_bearer_token_is_what_the_standard_allows(key):
    assert read(f"Bearer {key}") == key.encode()


@pytest.mark.parametrize("authorization", [None, "", "Basic dXNlcjpwYXNz", "Digest x", "tb_abc"])
def test_what_is_no_key_of_ours_counts_for_nothing(authorization):
    assert read(authorization) is None
    assert read(authorization, "abc") == b"abc"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a, Bearer b",
        "Bearer a\x00b",
        "Bearer größe",
        "Bearer =",
        f"Bearer {'x' * 513}",
        "AWS4-HMAC-SHA256 SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=",
        "AWS4-HMAC-SHA256 XCredential=abc/",
        f"AWS4-HMAC-SHA256 Credential=/{SCOPE}",
    ],
)
def test_a_malformed_key_is_refused(authorization):
    with pytest.raises(CredentialError, match="malformed"):
        read(authorization)


@given(KEY, KEY)
def test_two_keys_that_differ_are_refused(one, two):
    for authorization in (f"Bearer {one}", aws(one)):
        if one == two:
            assert read(authorization, two) == one.encode()
        else:
            with pytest.raises(CredentialError, match="two different"):
                read(authorization, two)


@given(st.binary(), st.none() | st.binary())
def test_any_header_is_a_key_or_none_or_an_error_that_does_not_quote_it(authorization, api_key):
    headers = {AUTHORIZATION: authorization}
    if api_key is not None:
        headers[API_KEY] = api_key
    try:
        key = presented(headers)
    except CredentialError as error:
        message = str(error)
    else:
        message = ""
        assert key is None or (key in authorization or key in (api_key or b""))
        assert key is None or 0 < len(key.rstrip(b"=")) <= 512
    assert message in (
        "",
        "the request presents two different API keys: send one",
        "the API key is malformed: keys are letters, digits and -._~+/=",
    )


def test_a_header_that_is_repeated_is_one_list():
    headers = [(b"x-api-key", b"a"), (b"host", b"h"), (b"x-api-key", b"b"), (b"accept", b"*/*")]
    picked = pick(headers, frozenset({API_KEY, b"host"}))
    assert picked == {API_KEY: b"a, b", b"host": b"h"}
    with pytest.raises(CredentialError):
        presented(picked)
