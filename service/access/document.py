"""What the OpenAPI document says of keys, from the same table as the guard's."""

from typing import Any

from tagbelt.service.access.scopes import OPEN, Need, need_of
from tagbelt.service.api.problems import KINDS, MEDIA_TYPE

SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one; `tagbelt keys new` makes it.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
}
STATUSES = (401, 403, 429)
"""What the guard may answer in front of every operation that needs a key."""

_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options", "trace"})


def secure(document: dict[str, Any]) -> dict[str, Any]:
    """Adds to a document, in place, the schemes, and each operation's need and refusals."""
    document.setdefault("components", {}).setdefault("securitySchemes", {}).update(SCHEMES)
    for path, item in document.get("paths", {}).items():
        for method in item.keys() & _METHODS:
            _secure(item[method], need_of(method.upper(), path))
    return document


def _secure(operation: dict[str, Any], need: Need) -> None:
    if need in OPEN:
        operation["security"] = []
        return
    operation["security"] = [{scheme: [str(need)]} for scheme in SCHEMES]
    responses = operation.setdefault("responses", {})
    for status in STATUSES:
        found = responses.setdefault(str(status), {"description": _titles(status)})
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        found.setdefault("content", {}).setdefault(MEDIA_TYPE, problem)
    operation["responses"] = dict(sorted(responses.items()))


def _titles(status: int) -> str:
    return "; ".join(kind.title for kind in KINDS if kind.status == status)
