"""Put the guard and CORS in front of an app, and the keys into its OpenAPI document."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from tagbelt.service.access.guard import OPEN, Guard, need_of
from tagbelt.service.access.hosts import check_exposure
from tagbelt.service.access.keyfile import Need
from tagbelt.service.access.keys import KeyRing, logger
from tagbelt.service.api.problems import KINDS, MEDIA_TYPE
from tagbelt.service.api.schemas import DIGEST_HEADER, WARNING_HEADER
from tagbelt.service.settings import Settings

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
"""The statuses that the guard may answer with, for every operation that needs a key."""

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


EXPOSED = (
    "Retry-After",
    "Server-Timing",
    DIGEST_HEADER.title(),
    "X-Request-ID",
    WARNING_HEADER.title(),
)
"""Reply headers that scripts of other origins may read."""


def install(
    app: Starlette, settings: Settings, *, rejected: Callable[[str], None] = lambda _: None
) -> KeyRing:
    """Guards the app; middleware added before is behind the guard, later ones in front of it.

    Raises SettingsError for keys that are wrong and for a server open by accident. The ring is
    returned for `reload`.
    """
    ring = KeyRing(settings)
    check_exposure(settings, ring)
    for warning in ring.warnings():
        logger.warning("%s", warning)
    app.add_middleware(Guard, ring=ring, settings=settings, routes=app.routes, rejected=rejected)
    if settings.cors_origins:
        # In front of the guard: a preflight brings no key, and refusals must be readable too.
        # Without credentials, since keys are sent by hand; then any request header may be sent.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED,
        )
    return ring
