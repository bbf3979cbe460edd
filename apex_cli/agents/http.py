"""Agents over HTTP: the token of each request identifies the agent, and the SDK serves the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from apex_cli.agents.agent_server import make_server
from apex_cli.agents.agent_session import AgentSession
from apex_cli.core.adapters.signatures import is_one_of
from apex_cli.listen.http_process import Extra
from apex_cli.listen.http_refusals import unauthorized
from apex_cli.listen.request_guard import bearer_of
from apex_cli.listen.web import refusal

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from starlette.types import Receive, Scope, Send

    from apex_cli.agents.tool import Tool
    from apex_cli.settings.sections import Settings

PATH = "/mcp"
MOST_BYTES = 262_144
"""Largest request, in bytes."""

MOST_SESSIONS = 100
AGENT = "apex_agent"
"""Where a request carries the name of its agent, beside what the server put there."""


def agents_over_http(settings: Settings, tokens: Mapping[str, Sequence[str]], tools: Sequence[Tool]) -> Extra:
    """Return what serves the agents that have *tokens*, by name, at ``/mcp``."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    sessions = {agent: AgentSession(settings, agent, tools, kind="http") for agent in tokens}

    def session_of(ctx: ServerRequestContext[Any, Any]) -> AgentSession:
        return sessions[ctx.request.scope[AGENT]]  # type: ignore[union-attr]  # each call came as a request

    manager = StreamableHTTPSessionManager(
        make_server(session_of), json_response=True, max_request_body_size=MOST_BYTES, max_sessions=MOST_SESSIONS
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            async with manager.run():
                yield
        finally:
            for session in sessions.values():
                session.close()

    return Extra(PATH, Known(manager, tokens), ("GET", "POST", "DELETE"), lifespan)


class Known:
    """Lets through who has the token of an agent; a session belongs to the agent that began it."""

    def __init__(self, manager: Any, tokens: Mapping[str, Sequence[str]]) -> None:  # noqa: ANN401 - the SDK's own
        """Serve by *manager*."""
        self._manager = manager
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
        from mcp.server.auth.provider import AccessToken

        agent = self._agent_of(Request(scope))
        if agent is None:
            await refusal(unauthorized("no token of an agent"))(scope, receive, send)
            return
        scope[AGENT] = agent
        scope["user"] = AuthenticatedUser(AccessToken(token=agent, client_id=agent, scopes=[]))
        await self._manager.handle_request(scope, receive, send)

    def _agent_of(self, request: Request) -> str | None:
        """Return whose token it is; takes as long whoever it is."""
        given = bearer_of(request)
        found = [agent for agent, tokens in self._tokens.items() if is_one_of(given, tokens)]
        return found[0] if found else None
