"""Putting the guard, and where it is asked for CORS, in front of an app."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from tagbelt.service.access.guard import Guard
from tagbelt.service.access.hosts import check_exposure
from tagbelt.service.access.keys import KeyRing, logger
from tagbelt.service.settings import Settings

EXPOSED = ("Retry-After", "Server-Timing", "X-Model-Digest", "X-Request-ID")
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
    app.add_middleware(Guard, ring=ring, settings=settings, rejected=rejected)
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
