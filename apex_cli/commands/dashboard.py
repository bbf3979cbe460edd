"""``apex dashboard``: the day on one screen, at a terminal or in a browser."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from apex_cli.commands.options import Call, HandOverOption, command, count, flag
from apex_cli.core.errors import InputError, require_extra
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.app.operator import Operator
    from apex_cli.app.watch import Watch

LOOPBACK = "127.0.0.1"
THIS_COMPUTER = (LOOPBACK, "::1", "localhost")
TOKEN_VARIABLE = "APEX_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable, no secret
TOKEN_HINT = f"export {TOKEN_VARIABLE}=$(openssl rand -hex 24)"
SHORTEST_TOKEN = 16
SERVED_VARIABLE = "APEX_DASHBOARD_SERVED"
"""Number of the server's process, set for the dashboards that it starts.

They draw for a browser, end when the server ends, and get control only at the start.
"""

MOST_MEMORY = 512 << 20
"""Bytes of its own that a visitor's dashboard may hold; a usual one holds a tenth."""


class Address(NamedTuple):
    """Where to serve, and what visitors type."""

    host: str
    port: int
    public_url: str


class Theme(StrEnum):
    """Ground of the screen."""

    DARK = "dark"
    LIGHT = "light"


@command("dashboard", "--control")
def dashboard(
    call: Call,
    control: Annotated[
        bool, flag("Let keys approve, reject, halt, reduce and resume; each asks first.", "--control")
    ] = False,
    theme: Annotated[Theme, typer.Option(help="Ground of the screen; key t changes it.")] = Theme.DARK,
    serve: Annotated[bool, flag("Serve it to a browser on this computer.", "--serve")] = False,
    host: Annotated[
        str,
        typer.Option(help=f"Address to serve on; another than this computer's needs a token in ${TOKEN_VARIABLE}."),
    ] = LOOPBACK,
    port: Annotated[int, count("Port to serve on.", low=1, high=65535)] = 8421,
    public_url: Annotated[
        str, typer.Option(help="Address visitors type, where it is another: behind a proxy, or with --host 0.0.0.0.")
    ] = "",
    wait: HandOverOption = 30,
) -> None:
    """Watch the day live: P&L, risk, positions, approvals, orders, decisions. Read-only unless you take control."""
    out, settings = call.out, call.settings
    require_extra("dashboard", "textual", "textual_plotext", "textual_serve", who="The dashboard")
    if serve:
        _serve(out, settings, Address(host, port, public_url), control=control, theme=theme.value, wait_s=wait)
        return
    is_served = SERVED_VARIABLE in os.environ
    if is_served:
        _be_a_visitor(os.environ[SERVED_VARIABLE])
    if out.as_json or not (is_served or out.can_prompt):
        raise InputError(
            "dashboard_needs_terminal",
            "The dashboard draws on a terminal.",
            hint="For scripts: apex positions --json, apex report --json. In a browser: apex dashboard --serve.",
        )
    _show(settings, control=control, may_take_control=not is_served, theme=theme.value, wait_s=wait)


def _be_a_visitor(server: str) -> None:
    """Bind this process to the one that serves it."""
    from apex_cli.core.adapters.own_process import bound_memory, end_with_parent

    if server.isdigit():
        end_with_parent(int(server))
    bound_memory(MOST_MEMORY)


def _serve(out: Output, settings: Settings, address: Address, *, control: bool, theme: str, wait_s: float) -> None:
    """Serve until Ctrl-C. The command that each visitor runs is this one, without ``--serve``."""
    token = _token(address.host, control=control, reading=settings.dashboard.token_for_reading)
    url = _url(address)
    from apex_cli.core.adapters.addresses import require_free

    require_free(address.host, address.port)
    from apex_cli.core.adapters.own_process import own_program
    from apex_cli.dashboard.phone_pages import PhonePages
    from apex_cli.dashboard.web_server import DashboardServer

    command = [*own_program(), "dashboard", "--theme", theme, "--wait", f"{wait_s:g}"]
    command += ["--config", str(settings.source)] if settings.source else []
    command += ["--profile", settings.profile] if settings.profile else []
    command += ["--control"] if control else []
    os.environ[SERVED_VARIABLE] = str(os.getpid())
    out.note(f"The dashboard is at {url}/{f'?token={token}' if token else ''} ({_may(control=control)}). Ctrl-C ends.")
    if address.host not in THIS_COMPUTER:
        out.note("It is not encrypted: put it behind an SSH tunnel or a proxy with TLS, or use it in your own network.")
    phone = PhonePages(lambda: _parts(settings, wait_s), can_act=control)
    host, port, _ = address
    DashboardServer(command, host=host, port=port, token=token, public_url=url, phone=phone).serve()


def _parts(settings: Settings, wait_s: float) -> tuple[Watch, Operator]:
    """Return what is shown, and who acts."""
    from apex_cli.app.operator import Operator
    from apex_cli.app.watch import Watch

    return Watch(settings), Operator(settings, Output("dashboard", quiet=True), wait_s=wait_s)


def _url(address: Address) -> str:
    """Return what visitors type."""
    host, port, reported = address
    if reported and not _is_address(reported):
        raise InputError("url_invalid", f"--public-url {reported!r} is no address.", hint="Write http://nas:8421.")
    if host in {"0.0.0.0", "::"} and not reported:  # noqa: S104 - compared, not served on
        raise InputError(
            "public_url_needed",
            f"{host} is every address of this computer; visitors type one of them.",
            hint=f"Name it: --public-url http://{socket_name()}:{port}",
        )
    return reported.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _is_address(text: str) -> bool:
    from urllib.parse import urlsplit

    try:
        return text.startswith(("http://", "https://")) and bool(urlsplit(text).hostname) and urlsplit(text).port != 0
    except ValueError:  # a port that is none
        return False


def socket_name() -> str:
    """Return this computer's name in its network."""
    import socket

    return socket.gethostname()


def _may(*, control: bool) -> str:
    return "keys act, each asks first" if control else "read-only"


def _token(host: str, *, control: bool, reading: bool) -> str:
    """Return the token a visitor must know; empty when this computer only looks, and *reading* needs none."""
    reported = os.environ.pop(TOKEN_VARIABLE, "")
    if reported and len(reported) < SHORTEST_TOKEN:
        raise InputError(
            "token_short",
            f"${TOKEN_VARIABLE} has {len(reported)} characters; {SHORTEST_TOKEN} are the least.",
            hint=TOKEN_HINT,
        )
    if host not in THIS_COMPUTER and not reported:
        raise InputError(
            "token_needed", f"Others can reach {host}, so ${TOKEN_VARIABLE} must hold a token.", hint=TOKEN_HINT
        )
    if reported or not (control or reading):
        return reported
    from secrets import token_urlsafe

    return token_urlsafe(24)


def _show(settings: Settings, *, control: bool, may_take_control: bool, theme: str, wait_s: float) -> None:
    from apex_cli.dashboard.app import DashboardApp

    watch, operator = _parts(settings, wait_s)
    watch.look()
    DashboardApp(watch, operator, has_control=control, may_take_control=may_take_control, theme=theme).run()
