"""``apex listen``: takes in signals over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.options import Call, command, count, flag
from apex_cli.core.errors import require_extra
from apex_cli.core.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apex_cli.listen.http_process import Extra
    from apex_cli.presenters.screen.output import Output
    from apex_cli.settings.sections import Settings

LOOPBACK = "127.0.0.1"
THIS_COMPUTER = (LOOPBACK, "::1", "localhost")


@command("listen", "--port 8422", live=True)
def listen(
    call: Call,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = LOOPBACK,
    port: Annotated[int, count("Port to serve on.", low=1, high=65535)] = 8422,
    control: Annotated[
        bool, flag("Let those who know APEX_LISTEN_CONTROL_TOKEN answer approvals.", "--control")
    ] = False,
) -> None:
    """Take signals over HTTP until Ctrl-C: each is answered once it is safely kept, and decided by the run.

    With APEX_LISTEN_READ_TOKEN set it also shows status, positions, orders, approvals, health and metrics. Agents that
    have a token come in at /mcp.
    """
    out, settings = call.out, call.settings
    require_extra("listen", "starlette", "uvicorn", "prometheus_client", who="apex listen")
    from apex_cli.commands.http_looks import make_doing
    from apex_cli.core.adapters.addresses import require_free
    from apex_cli.listen.http_process import Place, Talk, serve

    require_free(host, port)
    where = f"[{host}]" if ":" in host else host

    agents = _agents(out, settings, can_act=control)

    def begin() -> None:
        out.note(f"Signals are taken at http://{where}:{port}/signals/NAME. Ctrl-C ends.")
        for each in agents:
            out.note(f"Agents come in at http://{where}:{port}{each.path}.")
        if host not in THIS_COMPUTER:
            out.note("It is not encrypted: put it behind a proxy or a tunnel with TLS. See apex help listen")

    talk = Talk(begin, out.note, out.detail, out.warn)
    serve(settings, talk, Place(host, port), make_doing(settings, can_act=control), agents)
    out.result({"ended": True})


def _agents(out: Output, settings: Settings, *, can_act: bool) -> Sequence[Extra]:
    """Return what serves agents that have a token; nothing of it is imported where none has."""
    from apex_cli.core.adapters.notifiers.secrets import AGENT_TOKEN, agent_variable
    from apex_cli.listen.http_process import read_secrets

    wanted = {agent_variable(name) for name in settings.agents.names}
    for variable in sorted(name for name in os.environ if name.startswith(AGENT_TOKEN) and name not in wanted):
        message = f"{variable} is set, and agents.names has no such agent: nobody comes in by it."
        out.warn(Reason(code="agent_unknown", message=message))
    tokens = read_secrets(settings, can_act=can_act).agents
    if not tokens:
        return ()
    require_extra("mcp", "mcp", who="A token of an agent")
    from apex_cli.agents.http import agents_over_http
    from apex_cli.commands.agent_tools import TOOLS

    return (agents_over_http(settings, tokens, TOOLS),)
