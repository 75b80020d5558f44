"""The app factory: from settings and models to a FastAPI app."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from tagbelt.service.access import install as access
from tagbelt.service.access.install import secure
from tagbelt.service.adapters.routers import ROUTERS as ADAPTERS
from tagbelt.service.api import health, inspect, pages, v1
from tagbelt.service.api.bodies import Direct
from tagbelt.service.api.describe import definitions
from tagbelt.service.api.errors import HANDLERS
from tagbelt.service.api.health import Health
from tagbelt.service.api.middleware import BodyLimit, FaultNet, HeadAsGet, SecurityHeaders
from tagbelt.service.api.problems import KINDS
from tagbelt.service.api.stream import routes as stream
from tagbelt.service.api.stream.tagging import PATH as STREAM_PATH
from tagbelt.service.api.tagging import Tagging
from tagbelt.service.engine.engine import Engine
from tagbelt.service.models import routes as models
from tagbelt.service.models.manager import Manager
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.small import SmallModels
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.metrics import Moment
from tagbelt.service.telemetry.observe import Observe, Telemetry

API_VERSION = "1"


def create_app(
    settings: Settings, served: Registry | Manager, *, loop_weight: float = 0.0
) -> FastAPI:
    """The service over the models of a registry, or of a manager that can change them.

    `loop_weight` is how much the event loop may tag at a time; see `Engine`. The models are warmed
    up when the app starts; until then /readyz answers 503.
    """
    manager = served if isinstance(served, Manager) else Manager.of(served)
    registry = manager.registry
    telemetry = Telemetry(settings)
    manager.changes.on_change = telemetry.metrics.model_change
    engine = Engine(
        max_waiting=settings.max_waiting,
        max_waiting_characters=settings.max_waiting_characters,
        max_waiting_seconds=settings.max_waiting_seconds,
        max_batch_tokens=settings.max_batch_tokens,
        recorder=telemetry.metrics,
        loop_weight=loop_weight,
    )
    readiness = Health(registry, engine)
    telemetry.metrics.watch(
        lambda: Moment(
            *engine.waiting,
            ready=readiness.is_ready,
            models=registry.served,
        )
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with telemetry.running():
            warm_up = asyncio.create_task(readiness.warm_up())
            yield
            await warm_up
            await app.state.tagging.comparisons.close()
            await asyncio.to_thread(manager.close)
            await asyncio.to_thread(engine.close)

    app = _App(
        title="Tagbelt",
        summary="Named entities in texts, with exact offsets and probabilities",
        version=API_VERSION,
        lifespan=lifespan,
        # The framework's own pages load their scripts from elsewhere; ours works offline.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # We have our own, which knows of queues and batches.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers=HANDLERS,
    )
    app.state.settings = settings
    app.state.engine = engine
    app.state.registry = registry
    app.state.small_models = SmallModels()
    app.state.models = manager
    app.state.health = readiness
    app.state.recorder = telemetry.metrics
    app.state.streams = frozenset({STREAM_PATH})
    app.state.open_streams = 0
    app.state.tagging = Tagging(registry, engine, settings, telemetry.metrics)
    # The routes that are asked most often come first: they are tried in order.
    for router in (
        v1.router,
        stream.router,
        health.router,
        inspect.plain,
        inspect.router,
        models.router,
        *ADAPTERS,
    ):
        # Their routes themselves: a router within a router costs each request a second search.
        app.routes.extend(router.routes)
    app.routes.extend([telemetry.metrics.route(), *pages.routes()])
    # The last one added is the outermost.
    app.add_middleware(Direct, route=v1.route())
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, streams=app.state.streams)
    app.state.keys = access.install(app, settings, rejected=telemetry.metrics.rejected)
    app.add_middleware(FaultNet)
    app.add_middleware(SecurityHeaders, over_tls=settings.tls_certificate is not None)
    app.add_middleware(Observe, telemetry=telemetry)
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The framework's document, which it keeps, plus the kinds of problems."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        for name, schema in definitions(stream.SCHEMAS).items():
            schemas.setdefault(name, schema)
        if self.state.keys.required:
            secure(document)
        if root := self.state.settings.root_path:
            document["servers"] = [{"url": root}]
        document["x-problems"] = [
            {"id": kind.slug, "status": kind.status, "title": kind.title, "meaning": kind.meaning}
            for kind in KINDS
        ]
        return document
