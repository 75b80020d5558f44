"""What each request needs: one table, for the guard and for the OpenAPI document."""

from enum import StrEnum
from typing import NamedTuple


class Need(StrEnum):
    """What a request must bring to be answered."""

    PROBE = "probe"
    """Nothing, not even a known host name: orchestrators ask by address."""
    PUBLIC = "public"
    """Nothing."""
    TAG = "tag"
    """A key with the scope tag, or with admin."""
    ADMIN = "admin"
    """A key with the scope admin."""


OPEN = frozenset({Need.PROBE, Need.PUBLIC})
"""Needs that ask for no key."""
KEY_SCOPES = (Need.TAG, Need.ADMIN)
"""What a key can be given."""
ANY = "*"


class Row(NamedTuple):
    """A method, or ANY, and a path; one that ends in /* stands for all below it."""

    method: str
    path: str
    need: Need


TABLE = (
    Row("GET", "/livez", Need.PROBE),
    Row("GET", "/readyz", Need.PROBE),
    Row("GET", "/health", Need.PROBE),
    Row("GET", "/v2/health/*", Need.PROBE),
    Row("GET", "/", Need.PUBLIC),
    Row("GET", "/page/*", Need.PUBLIC),
    Row("GET", "/docs", Need.PUBLIC),
    Row("GET", "/openapi.json", Need.PUBLIC),
    Row("GET", "/metrics", Need.PUBLIC),
    Row(ANY, "/v1/reload", Need.ADMIN),
    Row("GET", "/v1/models/*", Need.TAG),
    Row(ANY, "/v1/models/*", Need.ADMIN),
    Row(ANY, "/*", Need.TAG),
)
"""A whole path wins over /*, and of those the first. HEAD needs what GET does.

The last row takes in paths that nothing is served at, so that they tell strangers nothing.
"""

_WHOLE = {(row.method, row.path): row.need for row in TABLE if not row.path.endswith("/*")}
_BELOW = tuple(
    (row.method, row.path.removesuffix("*"), row.need) for row in TABLE if row.path.endswith("/*")
)


def need_of(method: str, path: str) -> Need:
    """What a request needs; `path` is decoded, or a template of the document."""
    if method == "HEAD":
        method = "GET"
    found = _WHOLE.get((method, path)) or _WHOLE.get((ANY, path))
    if found is not None:
        return found
    for row_method, prefix, need in _BELOW:
        if row_method in (method, ANY) and path.startswith(prefix):
            return need
    return Need.TAG  # a path without a slash: OPTIONS *
