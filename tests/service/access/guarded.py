"""A guard, or all that `install` puts in front, before an app that lets everything in."""

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tagbelt.service.access.guard import ANY, TABLE, Guard, ScopeRow
from tagbelt.service.access.install import install
from tagbelt.service.access.keys import KeyRing, digest_of
from tagbelt.service.settings import Settings

KEYS = {name: f"tb_{name}-{'k' * 30}" for name in ("crawler", "boss", "other")}
INLINE = ",".join(
    f"{name}:{'admin' if name == 'boss' else 'tag'}:{digest_of(key.encode()).hex()}"
    for name, key in KEYS.items()
)


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[name]}"}


class GuardedApp:
    """`asked` are the client names of the requests that came through."""

    def __init__(self, *, clock: Any = None, **settings: Any) -> None:
        self.asked: list[str | None] = []
        self.rejected: list[str] = []
        rest = Route("/{path:path}", self._answer, methods=METHODS)
        self.app = Starlette(routes=[*map(self._route, TABLE), rest])
        made = Settings(**settings)
        if clock is None:
            self.ring = install(self.app, made, rejected=self.rejected.append)
            return
        self.ring = KeyRing(made)
        self.app.add_middleware(
            Guard,
            ring=self.ring,
            settings=made,
            routes=self.app.routes,
            rejected=self.rejected.append,
            clock=clock,
        )

    def _route(self, row: ScopeRow) -> Route:
        path = row.path.replace("*", "{rest:path}")
        return Route(path, self._answer, methods=METHODS if row.method == ANY else [row.method])

    async def _answer(self, request: Request) -> PlainTextResponse:
        self.asked.append(request.scope.get("state", {}).get("client_name"))
        return PlainTextResponse("in", headers={"x-model-digest": "abc"})

    def ask(
        self,
        path: str = "/v1/tag",
        method: str = "POST",
        headers: Any = None,
        *,
        host: str = "localhost",
        client: str = "10.0.0.1",
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(client, 1234))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
                return await http.request(method, path, headers=headers)

        return asyncio.run(send())


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
