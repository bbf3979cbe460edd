"""``apex mcp``: serves one agent by the Model Context Protocol over standard input and output."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

from apex_cli.commands.options import Call, command, option
from apex_cli.core.errors import ConfigError, InputError, require_extra
from apex_cli.core.model.agent import NAME_RULE, agent_name

if TYPE_CHECKING:
    from apex_cli.settings.sections import Settings


@command("mcp", "--agent claude")
def mcp(
    call: Call,
    agent: Annotated[str, option("NAME", f"Name of the agent: {NAME_RULE}.")] = "agent",
) -> None:
    """Let an agent look and propose, by the Model Context Protocol over standard input and output.

    A proposal waits for a person, whatever execution.auto_execute says. Section ``agents`` of the configuration says
    what an agent may do and how much.
    """
    try:
        name = agent_name(agent)
    except ValueError:
        raise InputError(
            "agent_name_invalid", f"--agent {agent[:40]!r} is no name of an agent.", hint=f"Allowed: {NAME_RULE}."
        ) from None
    settings = call.settings
    _require_known(settings, name)
    require_extra("mcp", "mcp", who="apex mcp")
    from apex_cli.agents.agent_server import serve_stdio
    from apex_cli.agents.agent_session import AgentSession
    from apex_cli.commands.agent_tools import TOOLS
    from apex_cli.core.adapters import event_loop

    session = AgentSession(settings, name, TOOLS, kind="stdio")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was only counted is written down, too
    try:
        event_loop.run(serve_stdio(session))
    finally:
        session.close()


def _require_known(settings: Settings, name: str) -> None:
    """Refuse a name that ``agents.names`` does not have, where it has any: a slip would get the common budget."""
    known = settings.agents.names
    if known and name not in known:
        raise ConfigError(
            "agent_unknown",
            f"agents.names has no {name}; it has {', '.join(sorted(known))}.",
            hint=f"Add it: agents: {{names: {{{name}: {{}}}}}}",
        )
