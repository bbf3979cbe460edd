"""The dashboard in a browser: textual-serve behind a guard.

Each visitor gets a dashboard process of its own, over a WebSocket. A web page of anybody may open a WebSocket to
this computer, and a name that points here may be anybody's, so every request must name the host it was served
under, and come from that page, and a token is asked for as well. What a visitor sends is bounded in size, shape and
pace; the process of each ends with the visit, or with the server.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import shlex
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager
from textual_serve.server import Server

from apex_cli.dashboard.phone_pages import PhonePages

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

ELSEWHERE = re.compile(r"<link[^>]*https?://fonts\.[^>]*>")
MOST_VISITORS = 10
MOST_MESSAGE = 1 << 16
"""Bytes of one message: what is typed or pasted at a time."""

MOST_DIGITS = 6
SHORTEST_PAUSE_S = 0.002
"""Between two messages of a visitor: no faster than the screen can follow."""

HEARTBEAT_S = 15
PATIENCE_S = 2.0
"""How long a visitor's process may take to end when it is asked to."""

LOOKING = frozenset({"GET", "HEAD"})
"""Methods that change nothing; any other must come from the page itself."""

_decode = msgspec.json.Decoder().decode
TOKEN_PARAMETER = "token"  # noqa: S105 - the name of a parameter, no secret

HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""The token is in no referrer; the page is in nobody's frame."""


class Bound(NamedTuple):
    """What a size may be."""

    least: int
    usual: int
    most: int

    def __call__(self, size: int) -> int:
        """Return *size*, or the bound that it crosses."""
        return min(max(size, self.least), self.most)


WIDTH, HEIGHT = Bound(20, 80, 400), Bound(5, 24, 150)
"""Columns and lines of a visitor's screen."""


class Visitor(AppService):
    """The process of one visitor: started without a shell, and ended when the visitor leaves, asked or not."""

    def __init__(self, command: Sequence[str], websocket: web.WebSocketResponse, downloads: DownloadManager) -> None:
        """Run *command* for whoever is at *websocket*."""
        super().__init__(
            shlex.join(command),
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=websocket.close,  # type: ignore[arg-type]  # what it returns is not looked at
            download_manager=downloads,
        )
        self._words = tuple(command)
        self._is_stopped = False

    async def _open_app_process(self, width: int = WIDTH.usual, height: int = HEIGHT.usual) -> Process:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._build_environment(width=width, height=height),
        )
        self._stdin = process.stdin
        return process

    async def stop(self) -> None:
        """Ask the process to end, and kill it when it does not; safe to call twice."""
        process, task = self._process, self._task
        if process is None or self._is_stopped:
            return
        self._is_stopped = True
        try:
            await asyncio.wait_for(self._ask_to_end(task), PATIENCE_S)
        except (TimeoutError, ConnectionError):
            pass  # it is killed
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            if task is not None:
                task.cancel()
            await process.wait()

    async def _ask_to_end(self, task: asyncio.Task[None] | None) -> None:
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        await self.send_meta({"type": "quit"})
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)


class DashboardServer(Server):
    """Serves one command to browsers that name the right host and, where there is one, the token."""

    def __init__(
        self, command: Sequence[str], *, host: str, port: int, token: str, public_url: str, phone: PhonePages
    ) -> None:
        """Serve *command* on *host* and *port*, under *public_url*, and *phone* to small screens beside it.

        With *token* empty none is asked for.
        """
        quoted = shlex.join(command) if sys.platform != "win32" else " ".join(command)
        super().__init__(quoted, host=host, port=port, title="apex", public_url=public_url)
        self._command = tuple(command)
        self._token = token
        self._phone = phone
        self._visits: set[asyncio.Task[object] | None] = set()

    def initialize_logging(self) -> None:
        """Log only what went wrong here: addresses carry the token, and who sends no HTTP was answered already."""
        logging.basicConfig(level="ERROR", format="%(message)s")
        logging.getLogger("aiohttp.server").addFilter(_is_own_failure)

    async def handle_index(self, request: web.Request) -> web.Response:
        """Give the page, without the font it would fetch from elsewhere: nobody else learns of a visit.

        A phone gets a page of its own, unless it asks for the whole screen.
        """
        if "Mobi" in request.headers.get("User-Agent", "") and "screen" not in request.query:
            raise web.HTTPSeeOther(f"{urlsplit(self.public_url).path.rstrip('/')}/phone", headers=HEADERS)
        response = await super().handle_index(request)
        assert isinstance(response, web.Response)  # noqa: S101 - aiohttp_jinja2 says less than it gives
        response.text = ELSEWHERE.sub("", response.text or "")
        return response

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run one visitor's dashboard.

        Raises:
            HTTPServiceUnavailable: there are too many visitors already.
        """
        if len(self._visits) >= MOST_VISITORS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_VISITORS} visitors look already; close another page.")
        visit = asyncio.current_task()
        self._visits.add(visit)
        websocket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MOST_MESSAGE)
        visitor = Visitor(self._command, websocket, self.download_manager)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await websocket.prepare(request)
                await visitor.start(*(_asked(request, name) for name in ("width", "height")))
                await self._process_messages(websocket, visitor)
        finally:
            self._visits.discard(visit)
            await visitor.stop()
            if websocket.prepared:
                with suppress(ConnectionError, RuntimeError):
                    await websocket.close()
        if not websocket.prepared:
            raise web.HTTPBadRequest(text="The visitor left before the answer.")
        return websocket

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        """Pass on what a visitor types and sees; what is none of the page's own messages is dropped."""
        async for message in websocket:
            if message.type is WSMsgType.TEXT:
                with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
                    await _pass_on(_decode(message.data), websocket, app_service)
            await asyncio.sleep(SHORTEST_PAUSE_S)

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
        self._phone.add_to(app)
        app.middlewares.append(guard(self.public_url, self._token))
        return app


def _asked(request: web.Request, name: str) -> int:
    """Return the size that the page asks for when it opens."""
    bound = WIDTH if name == "width" else HEIGHT
    text = request.query.get(name, "")
    return bound(int(text)) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else bound.usual


async def _pass_on(message: object, websocket: web.WebSocketResponse, visitor: AppService) -> None:
    """Do what one message of the page asks for."""
    match message:
        case ["stdin", str(text)]:
            await visitor.send_bytes(text.encode("utf-8", "replace"))
        case ["resize", {"width": int(width), "height": int(height)}]:
            await visitor.set_terminal_size(WIDTH(width), HEIGHT(height))
        case ["ping", str() | int() | float() | None as data]:
            await websocket.send_json(["pong", data])
        case ["blur"]:
            await visitor.blur()
        case ["focus"]:
            await visitor.focus()


def _is_own_failure(record: logging.LogRecord) -> bool:
    """Return False for what aiohttp reports of a message that was no sound HTTP."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _no_icon(request: web.Request) -> web.Response:
    """Answer the question every browser asks."""
    del request
    return web.Response(status=204)


def guard(public_url: str, token: str) -> Middleware:
    """Return what every request must pass: host, origin, token."""
    host = urlsplit(public_url).netloc
    name, value = cookie_of(public_url, token)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host != host:
            raise web.HTTPForbidden(text=f"The dashboard is served at {public_url} only.")
        is_socket = "upgrade" in request.headers.get("Connection", "").lower()
        if (is_socket or origin or request.method not in LOOKING) and (
            origin is None or urlsplit(origin).netloc != request.host
        ):
            raise web.HTTPForbidden(text="The dashboard is only for its own page.")
        if token and not _same(request.cookies.get(name, ""), value):
            return _welcome(request, token, public_url)
        response = await handler(request)
        if not response.prepared:
            for header, text in HEADERS.items():
                response.headers.setdefault(header, text)
        return response

    return guarded


def cookie_of(public_url: str, token: str) -> tuple[str, str]:
    """Return name and value of the cookie that stands for *token* at *public_url*, and nowhere else.

    Browsers send a cookie to every port of a host, so name and value belong to this one alone, and the value does not
    show the token.
    """
    address = urlsplit(public_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    value = hmac.new(token.encode(), public_url.encode(), hashlib.sha256).hexdigest()
    return f"apex_token_{port}", value


def _welcome(request: web.Request, token: str, public_url: str) -> web.StreamResponse:
    """Turn the token of the address into a cookie, so that it stands in no address any longer."""
    if request.path != "/" or not _same(request.query.get(TOKEN_PARAMETER, ""), token):
        raise web.HTTPForbidden(text="Open the address that apex dashboard --serve printed: it carries the token.")
    path = f"{urlsplit(public_url).path.rstrip('/')}/"
    answer = web.HTTPSeeOther(path, headers=HEADERS)
    name, value = cookie_of(public_url, token)
    is_secure = public_url.startswith("https")
    answer.set_cookie(name, value, httponly=True, samesite="Strict", secure=is_secure, path=path)
    return answer


def _same(given: str, wanted: str) -> bool:
    """Compare in constant time; a header may hold bytes that are no text."""
    return hmac.compare_digest(given.encode("utf-8", "backslashreplace"), wanted.encode())
