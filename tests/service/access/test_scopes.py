import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.access.guard import ANY, TABLE, need_of
from tagbelt.service.access.keyfile import Need

EXAMPLES = [
    ("GET", "/livez", Need.PROBE),
    ("GET", "/readyz", Need.PROBE),
    ("GET", "/health", Need.PROBE),
    ("GET", "/v2/health/ready", Need.PROBE),
    ("GET", "/", Need.PUBLIC),
    ("GET", "/page/app.js", Need.PUBLIC),
    ("GET", "/docs", Need.PUBLIC),
    ("GET", "/openapi.json", Need.PUBLIC),
    ("GET", "/metrics", Need.PUBLIC),
    ("POST", "/v1/reload", Need.ADMIN),
    ("GET", "/v1/models/en", Need.TAG),
    ("POST", "/v1/models/en/unload", Need.ADMIN),
    ("POST", "/v1/tag", Need.TAG),
]


def test_every_row_has_an_example():
    assert len(EXAMPLES) == len(TABLE)
    for (method, path, need), row in zip(EXAMPLES, TABLE, strict=True):
        assert row.need is need
        assert row.method in (method, ANY)
        assert path == row.path or path.startswith(row.path.removesuffix("*"))


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        *EXAMPLES,
        ("HEAD", "/livez", Need.PROBE),
        ("HEAD", "/v1/models/en", Need.TAG),
        ("POST", "/v1/tag/stream", Need.TAG),
        ("GET", "/v1/models", Need.TAG),
        ("POST", "/v1/models/en@2/load", Need.ADMIN),
        ("POST", "/v1/models/en/reload", Need.ADMIN),
        ("POST", "/v1/models/en/default", Need.ADMIN),
        ("DELETE", "/v1/models/en", Need.ADMIN),
        ("get", "/v1/models/en", Need.ADMIN),
        ("POST", "/v1/models/{name}/load", Need.ADMIN),
        # What is open to read is not open to anything else.
        ("POST", "/", Need.TAG),
        ("POST", "/livez", Need.TAG),
        ("POST", "/page/app.js", Need.TAG),
        # Neighbours of what is open, and ways around it.
        ("GET", "/page", Need.TAG),
        ("GET", "//", Need.TAG),
        ("GET", "/docs/", Need.TAG),
        ("GET", "/healthy", Need.TAG),
        ("GET", "/metrics/x", Need.TAG),
        ("GET", "/v2/models/en/ready", Need.TAG),
        ("POST", "/analyze", Need.TAG),
        ("GET", "/supportedentities", Need.TAG),
        ("POST", "/models/en", Need.TAG),
        ("GET", "/nowhere", Need.TAG),
        ("OPTIONS", "*", Need.TAG),
    ],
)
def test_what_a_request_needs(method, path, need):
    assert need_of(method, path) is need


@given(st.text(), st.text())
def test_only_reading_is_ever_open(method, path):
    if method not in ("GET", "HEAD"):
        assert need_of(method, path) in (Need.TAG, Need.ADMIN)


@given(st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "X"]), st.text())
def test_no_change_below_models_goes_without_admin(method, rest):
    assert need_of(method, f"/v1/models/{rest}") is Need.ADMIN
