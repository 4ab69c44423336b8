"""The console as one ASGI application, built from what is handed over; `pipeline/cli/console.py` serves it.

Place in the flow: `security.Shield` around Starlette, `guard.Guard` in front of every row of `routes.ROUTES`, static
files of the package. Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dashboards.console.guard import Guard
from dashboards.console.live import Broadcast, Snapshots
from dashboards.console.ports import Parts
from dashboards.console.rendering import Renderer
from dashboards.console.routes import ROUTES, Route
from dashboards.console.security import ROUTE, Shield
from dashboards.console.sessions import Sessions
from dashboards.console.visit import Visit

STATIC = Path(__file__).parent / "static"


class _Static(StaticFiles):
    """Files of the package; their address changes with their content, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        scope[ROUTE] = "/static"
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["Cache-Control"] = "public, max-age=86400"
        return response


def console_app(parts: Parts, routes: Sequence[Route] = ROUTES) -> Starlette:
    """The application. `routes`: other ones are for tests."""
    sessions = Sessions(parts.now_us)
    snapshots, renderer = Snapshots(parts), Renderer()
    broadcast = Broadcast(parts, snapshots, sessions, renderer)

    def streamed(topic: str, visit: Visit) -> Response:
        if not broadcast.has_room(visit):
            return Response(status_code=429, headers={"Retry-After": "60"})
        return StreamingResponse(broadcast.events(visit), media_type="text/event-stream")

    guard = Guard(parts, sessions, snapshots, renderer, streamed)
    address = urlsplit(parts.public_address)
    hosts = {*parts.hosts, *([address.hostname] if address.hostname else [])}
    shield = Middleware(
        Shield, hosts=hosts, behind_proxy=bool(parts.public_address), error_page=guard.error_page, now_us=parts.now_us
    )
    pages = [StarletteRoute(row.path, guard.endpoint(row), methods=[row.method]) for row in routes]
    application = Starlette(
        routes=[*pages, Mount("/static", _Static(directory=STATIC), name="static")],
        middleware=[shield],
        exception_handlers={HTTPException: guard.http_error},
    )
    application.state.broadcast = broadcast
    return application
