"""Serves the Model Context Protocol through the official SDK: tools, their schemas, and one thread for each call."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from apex_cli import __version__

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

    from apex_cli.agents.agent_session import AgentSession
    from apex_cli.agents.tool import Tool

INSTRUCTIONS = """apex decides, sizes and protects trades of a person's own account.
You may look, and you may propose. A proposal is sized and checked at once: a refusal names each check with its limit
and what was found; anything else waits for a person, who decides at the terminal, the dashboard or the phone. Nothing
you send is executed without that person. Amounts, prices and ratios are decimals as text; times have an offset."""

SessionOf = Callable[["ServerRequestContext[Any, Any]"], "AgentSession"]
"""Returns the session that a request came through."""


def make_server(session_of: SessionOf) -> Server[Any]:
    """Return the protocol's server, for any way of transport."""
    from mcp.server.lowlevel import Server
    from mcp_types import ListToolsResult

    async def list_tools(ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        del params
        return ListToolsResult(tools=[_described(tool) for tool in session_of(ctx).tools])

    async def call_tool(ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        return await _answered(session_of(ctx), ctx, params)

    return Server(
        "apex",
        version=__version__,
        title="apex",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(session: AgentSession) -> None:
    """Serve one client over standard input and output until it goes away; an act that has begun is finished."""
    from mcp.server.stdio import stdio_server

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    server = make_server(lambda _: session)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _answered(
    session: AgentSession, ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams
) -> CallToolResult:
    """Return what a tool answers; the thread of one that only looks is left alone when nobody waits any more."""
    from anyio import to_thread
    from mcp_types import CallToolResult, TextContent

    is_read = all(tool.is_read for tool in session.tools if tool.name == params.name)
    gone = Event()
    ask = partial(session.ask, params.name, params.arguments, _client_of(ctx), gone)
    try:
        envelope = await to_thread.run_sync(ask, abandon_on_cancel=is_read)
    finally:
        gone.set()
    return CallToolResult(
        content=[TextContent(type="text", text=json.dumps(envelope, ensure_ascii=False))],
        structured_content=envelope,
        is_error=envelope["exit_code"] != 0,
    )


def _described(tool: Tool) -> Any:  # noqa: ANN401 - the SDK is imported where it is used
    from mcp_types import Tool as Described
    from mcp_types import ToolAnnotations

    return Described(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema(),
        output_schema=tool.output_schema(),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_read or tool.is_repeatable,
            open_world_hint=False,
        ),
    )


def _client_of(ctx: ServerRequestContext[Any, Any]) -> str:
    """Return what the client calls itself; nobody has proved it."""
    params = ctx.session.client_params
    if params is None:
        return ""
    return f"{params.client_info.name} {params.client_info.version}".strip()
