import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from tagbelt.service.access.guard import ANY, TABLE, need_of, need_of_request
from tagbelt.service.access.keyfile import Need
from tests.service.fake import fake_app

APP = fake_app()


def asking(method, path):
    headers = [(b"x-amz-target", b"any")] if path == "/" else []
    return {"type": "http", "method": method, "path": path, "headers": headers}


def route_of(scope):
    """The route that answers a request."""
    found = (route for route in APP.routes if route.matches(scope)[0] is Match.FULL)
    return next(found, None)


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
    ("GET", "/v1/models", Need.TAG),
    ("POST", "/v1/tag", Need.TAG),
    ("POST", "/v1/tag/stream", Need.TAG),
    ("GET", "/v1/inspect", Need.TAG),
    ("POST", "/v1/inspect", Need.TAG),
    ("GET", "/v2", Need.TAG),
    ("POST", "/v2/models/en/infer", Need.TAG),
    ("POST", "/analyze", Need.TAG),
    ("GET", "/supportedentities", Need.TAG),
    ("GET", "/recognizers", Need.TAG),
    ("POST", "/aws", Need.TAG),
    ("POST", "/aws/", Need.TAG),
    ("POST", "/service/Comprehend_20171127/operation/DetectEntities", Need.TAG),
    ("POST", "/", Need.TAG),
    ("POST", "/models/en", Need.TAG),
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
        ("POST", "/v1/models/en@2/load", Need.ADMIN),
        ("POST", "/v1/models/en/reload", Need.ADMIN),
        ("POST", "/v1/models/en/default", Need.ADMIN),
        ("DELETE", "/v1/models/en", Need.ADMIN),
        ("get", "/v1/models/en", Need.ADMIN),
        ("POST", "/v1/reload\n", Need.ADMIN),
        ("POST", "/v1/models/en/load\n", Need.ADMIN),
        # What is open to read is not open to anything else.
        ("POST", "/livez", Need.TAG),
        ("POST", "/page/app.js", Need.TAG),
        # Neighbours of what is open, and ways around it.
        ("GET", "/page", Need.TAG),
        ("GET", "//", Need.TAG),
        ("GET", "/docs/", Need.TAG),
        ("GET", "/healthy", Need.TAG),
        ("GET", "/metrics/x", Need.TAG),
        ("GET", "/v2/models/en/ready", Need.TAG),
        ("GET", "/analyze", Need.TAG),
        ("GET", "/nowhere", Need.TAG),
        ("OPTIONS", "*", Need.TAG),
    ],
)
def test_what_a_request_needs(method, path, need):
    assert need_of_request(asking(method, path), APP.routes) is need


def test_every_route_is_listed_and_one_that_is_not_needs_an_admin():
    """What is meant for admins alone is in one table only, or it would be let out by the other."""
    admins = {
        (method, route.path)
        for route in APP.routes
        for method in route.methods
        if need_of(method, route.path) is Need.ADMIN
    }
    named = ("load", "reload", "unload", "default", "canary")
    changes = ("/v1/models/{name}/" + change for change in named)
    assert admins == {("POST", path) for path in ("/v1/reload", *changes)}
    forgotten = [*APP.routes, Route("/v1/new", lambda _: None, methods=["POST"])]
    assert need_of_request(asking("POST", "/v1/new"), forgotten) is Need.ADMIN


PATHS = st.sampled_from([route.path for route in APP.routes]).flatmap(
    lambda path: st.sampled_from(["", "\n", "\r\n", "\0", "/", "%0A", "//", "?", ";x"]).map(
        lambda end: path.replace("{name}", "en") + end
    )
)


@given(st.text() | st.sampled_from(["GET", "HEAD", "POST"]), st.text() | PATHS)
def test_only_reading_is_ever_open(method, path):
    if method not in ("GET", "HEAD"):
        need = need_of_request(asking(method, path), APP.routes)
        assert need in (Need.TAG, Need.ADMIN)


@given(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "X"]), st.text() | PATHS)
def test_the_route_that_answers_decides_whatever_the_path_looks_like(method, path):
    scope = asking(method, path)
    route = route_of(scope)
    if route is not None:
        assert need_of_request(scope, APP.routes) is need_of(method, route.path)


@given(st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "X"]), st.text(alphabet=st.characters()))
def test_no_change_of_a_model_goes_without_admin(method, rest):
    scope = asking(method, f"/v1/models/{rest}")
    if any(route.matches(scope)[0] is not Match.NONE for route in APP.routes):
        assert need_of_request(scope, APP.routes) is Need.ADMIN
