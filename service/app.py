"""The app factory: from settings and taggers to a FastAPI app."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from service import pages
from service.errors import HANDLERS
from service.health import Health
from service.middleware import BodyLimit, FaultNet, SecurityHeaders
from service.problems import KINDS
from service.routes import router
from service.settings import Settings
from service.taggers import Registry, Tagger
from service.tagging import Tagging
from service.worker import Worker

API_VERSION = "1"


def create_app(settings: Settings, tagger: Tagger | Registry) -> FastAPI:
    """The service over one tagger, or over a registry of several.

    The models are warmed up when the app starts; until then /readyz answers 503.
    """
    registry = tagger if isinstance(tagger, Registry) else Registry([tagger])
    worker = Worker(max_waiting=settings.max_waiting)
    health = Health(registry, worker)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warm_up = asyncio.create_task(health.warm_up())
        yield
        await warm_up
        await asyncio.to_thread(worker.close)

    app = _App(
        title="Tagbelt",
        summary="Named entities in texts, with exact offsets and probabilities",
        version=API_VERSION,
        lifespan=lifespan,
        # The framework's own pages load their scripts from elsewhere; ours works offline.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=list(pages.routes()),
        exception_handlers=HANDLERS,
    )
    app.state.worker = worker
    app.state.registry = registry
    app.state.health = health
    app.state.tagging = Tagging(registry, worker, settings)
    app.include_router(router)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(FaultNet)
    app.add_middleware(SecurityHeaders)
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The framework's document, which it keeps, plus the kinds of problems."""
        document = super().openapi()
        document["x-problems"] = [
            {"id": kind.slug, "status": kind.status, "title": kind.title, "meaning": kind.meaning}
            for kind in KINDS
        ]
        return document
