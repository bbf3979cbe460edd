"""The web application: its routes, the checks before all of them, and the envelope of every answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from apex_cli.core.errors import ApexError, ExitStatus, InputError, StateError
from apex_cli.listen.group_commit import INTAKE_FULL
from apex_cli.listen.http_refusals import COMMAND, HTTP_STATUS, RequestRefused, refusal_text, wrong_input
from apex_cli.presenters.envelope import envelope_text

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
MOST_PATH, MOST_HEADERS, MOST_HEAD = 2_048, 100, 16_384
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

Log = Callable[[str], None]


def answer(
    data: Mapping[str, Any],
    *,
    http: int = 200,
    status: ExitStatus = ExitStatus.OK,
    command: str = COMMAND,
    warnings: Sequence[Mapping[str, Any]] = (),
) -> Response:
    """Return *data* in the envelope."""
    text = envelope_text(command, data, status=status, warnings=warnings)
    return Response(text, status_code=http, media_type="application/json", headers=HEADERS)


def refusal(refused: RequestRefused) -> Response:
    """Return the answer to a request that is not served."""
    text = refusal_text(refused)
    headers = {**HEADERS, **refused.headers, "Connection": "close"}
    return Response(text, status_code=refused.http, media_type="application/json", headers=headers)


def make_app(routes: Sequence[BaseRoute], *, hosts: Sequence[str], log: Log, **options: Any) -> ASGIApp:  # noqa: ANN401 - of Starlette
    """Return the application: *routes* behind the guard, every error in the envelope."""

    async def of_request(request: Request, error: RequestRefused) -> Response:
        return _refused(request, error, log)

    async def of_http(request: Request, error: HTTPException) -> Response:
        return _refused(request, _as_refusal(error), log)

    async def of_ours(request: Request, error: ApexError) -> Response:
        return _refused(request, _of_ours(error), log)

    async def of_nobody(request: Request, error: Exception) -> Response:
        ours = ApexError("internal_error", "Something went wrong here. Nothing is known of what became of it.")
        return _refused(request, RequestRefused(500, ours, why=f"{type(error).__name__}: {error}"), log)

    handlers: dict[Any, Any] = {
        RequestRefused: of_request,
        HTTPException: of_http,
        ApexError: of_ours,
        Exception: of_nobody,
    }
    app = Starlette(routes=list(routes), exception_handlers=handlers, **options)
    app.router.redirect_slashes = False
    return Guard(app, hosts=hosts, log=log)


def _refused(request: Request, refused: RequestRefused, log: Log) -> Response:
    log(f"{request.method} {named(request)} from {address_of(request.scope)}: {refused.http}, {refused.why}")
    return refusal(refused)


def named(request: Request) -> str:
    """Return the address of a request as it may be logged: by its route, as a path may hold a secret."""
    route = request.scope.get("route")
    return route.path.partition("/{secret")[0] if isinstance(route, Route) else "an unknown address"


def address_of(scope: Scope) -> str:
    """Return where a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else "an unknown place"


def _as_refusal(error: HTTPException) -> RequestRefused:
    if error.status_code == 405:  # noqa: PLR2004 - a status of HTTP
        refused = wrong_input(405, "method_not_allowed", "This address does not take this method.")
        refused.headers.update(error.headers or {})
        return refused
    if error.status_code == 404:  # noqa: PLR2004 - a status of HTTP
        return wrong_input(404, "not_found", "There is nothing at this address.")
    return wrong_input(error.status_code, "refused", "The request cannot be served.")


def _of_ours(error: ApexError) -> RequestRefused:
    """Return the answer for an error on our side: what it is stays in the log."""
    if isinstance(error, StateError):
        why = "too many signals wait for a run" if error.code == INTAKE_FULL else "the state cannot be used now"
        ours = StateError("not_kept", f"Nothing was kept: {why}. Send it again later.")
        return RequestRefused(503, ours, why=f"{error.code}: {error.message}", headers={"Retry-After": "30"})
    return RequestRefused(HTTP_STATUS.get(error.status, 500), error)


class Guard:
    """Lets through only requests that name this server, come from no foreign page, and are framed in one way."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], log: Log) -> None:
        """Serve *app* under *hosts*."""
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = self._look(scope)
        if refused is None:
            with suppress(Exception):  # it was answered and logged inside, and is passed on for a server that logs
                await self._app(scope, receive, send)
        else:
            self._log(f"A request from {address_of(scope)}: {refused.http}, {refused.why}")
            await refusal(refused)(scope, receive, send)

    def _look(self, scope: Scope) -> RequestRefused | None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_PATH:
            return wrong_input(414, "path_too_long", f"The address is longer than {MOST_PATH} bytes.")
        if len(scope["headers"]) > MOST_HEADERS or sum(len(n) + len(v) for n, v in scope["headers"]) > MOST_HEAD:
            return wrong_input(431, "headers_too_large", f"{MOST_HEADERS} headers and {MOST_HEAD} bytes are the most.")
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        host = [value.decode("latin-1").lower() for value in headers.get(b"host", [])]
        if len(host) != 1 or host[0] not in self._hosts:
            return wrong_input(421, "wrong_host", "This server is not reached by that name.", why=_wrong_host(host))
        if b"transfer-encoding" in headers and b"content-length" in headers:
            return wrong_input(400, "framed_twice", "Content-Length and Transfer-Encoding exclude each other.")
        for origin in headers.get(b"origin", []):
            if urlsplit(origin.decode("latin-1")).netloc.lower() != host[0]:
                return RequestRefused(
                    403, InputError("foreign_page", "This server serves no pages of others."), why="from a foreign page"
                )
        return None


def _wrong_host(host: Sequence[str]) -> str:
    return f"it names the host {host[0]!r}; add it to listen.hosts if it is yours" if len(host) == 1 else "no one host"


def names_of(host: str, port: int, more: Sequence[str]) -> list[str]:
    """Return the values of the header ``Host`` that name a server on *host* and *port*, also behind *more* names."""
    own = f"[{host}]" if _is_v6(host) else host
    names = {*LOOPBACK_NAMES, own} if own in LOOPBACK_NAMES else {own}
    return [*(f"{name}:{port}" for name in names), *(names if port == HTTP_PORT else ()), *more]


HTTP_PORT = 80


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - of the protocol
    except ValueError:
        return False
