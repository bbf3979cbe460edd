"""The dashboard in a browser: textual-serve behind a guard.

Each visitor gets a dashboard process of its own, over a WebSocket. A web page of anybody may open a WebSocket to
this computer, and a name that points here may be anybody's, so every request must name the host it was served
under, and come from that page. Where keys act, or others can reach it, a token is asked for as well.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

ELSEWHERE = re.compile(r"<link[^>]*https?://fonts\.[^>]*>")
COOKIE = "apex_token"
TOKEN_PARAMETER = "token"  # noqa: S105 - the name of a parameter, no secret

HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""The token is in no referrer; the page is in nobody's frame."""


class DashboardServer(Server):
    """Serves one command to browsers that name the right host and, where there is one, the token."""

    def __init__(self, command: Sequence[str], *, host: str, port: int, token: str, public_url: str) -> None:
        """Serve *command* on *host* and *port*, under *public_url*; with *token* empty none is asked for."""
        quoted = shlex.join(command) if sys.platform != "win32" else " ".join(command)
        super().__init__(quoted, host=host, port=port, title="apex", public_url=public_url)
        self._token = token
        self._visits: set[asyncio.Task[object] | None] = set()

    def initialize_logging(self) -> None:
        """Log only what went wrong: addresses carry the token."""
        logging.basicConfig(level="ERROR", format="%(message)s")

    async def handle_index(self, request: web.Request) -> web.Response:
        """Give the page, without the font it would fetch from elsewhere: nobody else learns of a visit."""
        response = await super().handle_index(request)
        assert isinstance(response, web.Response)  # noqa: S101 - aiohttp_jinja2 says less than it gives
        response.text = ELSEWHERE.sub("", response.text or "")
        return response

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run one visitor's dashboard."""
        visit = asyncio.current_task()
        self._visits.add(visit)
        try:
            return await super().handle_websocket(request)
        finally:
            self._visits.discard(visit)

    async def on_shutdown(self, app: web.Application) -> None:
        """End the visitors' dashboards before the loop ends."""
        del app
        for visit in [visit for visit in self._visits if visit is not None]:
            visit.cancel()
        await asyncio.gather(*filter(None, self._visits), return_exceptions=True)

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command does."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.router.add_get("/favicon.ico", _no_icon)
        app.middlewares.append(guard(self.public_url, self._token))
        return app


async def _no_icon(request: web.Request) -> web.Response:
    """Answer the question every browser asks."""
    del request
    return web.Response(status=204)


def guard(public_url: str, token: str) -> Middleware:
    """Return what every request must pass: host, origin, token."""
    host = urlsplit(public_url).netloc

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host != host:
            raise web.HTTPForbidden(text=f"The dashboard is served at {public_url} only.")
        is_socket = "upgrade" in request.headers.get("Connection", "").lower()
        if (is_socket or origin) and (origin is None or urlsplit(origin).netloc != request.host):
            raise web.HTTPForbidden(text="The dashboard is only for its own page.")
        if token and not _same(request.cookies.get(COOKIE, ""), token):
            return _welcome(request, token, is_secure=public_url.startswith("https"))
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return guarded


def _welcome(request: web.Request, token: str, *, is_secure: bool) -> web.StreamResponse:
    """Turn the token of the address into a cookie, so that it stands in no address any longer."""
    if request.path != "/" or not _same(request.query.get(TOKEN_PARAMETER, ""), token):
        raise web.HTTPForbidden(text="Open the address that apex dashboard --serve printed: it carries the token.")
    answer = web.HTTPSeeOther("/", headers=HEADERS)
    answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=is_secure)
    return answer


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
