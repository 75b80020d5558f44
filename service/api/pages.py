"""The pages: a few files, read once when the app is made, served under the same strict policy."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parents[1] / "page"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript",
               ".svg": "image/svg+xml"}  # fmt: skip
PATHS = {"index.html": "/", "docs.html": "/docs"}


def routes() -> list[Route]:
    """One route for each file of the page folder."""
    return [_route(file) for file in sorted(FOLDER.iterdir()) if file.suffix in MEDIA_TYPES]


def _route(file: Path) -> Route:
    content = file.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}

    async def endpoint(request: Request) -> Response:
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=MEDIA_TYPES[file.suffix], headers=headers)

    return Route(PATHS.get(file.name, f"/page/{file.name}"), endpoint, name=file.name)
