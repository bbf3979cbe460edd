"""``apex mcp``: an agent in a process of its own, by the SDK's client; a person at the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, Implementation

from apex_cli.presenters.contract import DATA, TOOL_DATA, envelope_type

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

TRADE = {
    "symbol": "AAPL",
    "signal_type": "BUY",
    "entry_price": 23.04,
    "stop_loss": "22.30",
    "target_prices": [25.6],
    "confidence": 0.8,
}

REASONED = TRADE | {"reason": "a reason"}


class Agent:
    """The SDK's client, at the other end of a process of ours."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def ask(self, tool: str, **given: Any) -> dict[str, Any]:
        """Return the envelope; it is the structured content, and the text says the same."""
        result = await self.session.call_tool(tool, given)
        assert isinstance(result, CallToolResult)
        envelope = result.structured_content
        assert isinstance(envelope, dict)
        assert json.loads(result.content[0].text) == envelope  # type: ignore[union-attr]
        assert result.is_error == (envelope["exit_code"] != 0)
        return envelope


def with_agent(environ: dict[str, str], story: Callable[[Agent], Any], *options: str, agent: str = "claude") -> Any:
    """Start ``apex mcp``, let *story* speak to it, and return what it found."""
    command = ["-m", "apex_cli", "mcp", "--agent", agent, *options]

    async def told() -> Any:
        parameters = StdioServerParameters(command=sys.executable, args=command, env=environ, cwd=Path.cwd())
        async with (
            stdio_client(parameters) as (incoming, outgoing),
            ClientSession(incoming, outgoing, client_info=Implementation(name="tést [b]", version="1")) as session,
        ):
            await session.initialize()
            return await story(Agent(session))

    return asyncio.run(told())


def test_an_agent_reads_is_refused_proposes_better_a_person_approves_and_the_journal_has_who_did_what(
    demo: Path, apex: Callable[..., Any], apex_json: Callable[..., Any], clean_environment: dict[str, str]
) -> None:
    (demo / "config.yaml").write_text((demo / "config.yaml").read_text() + "\nagents: {max_waiting: 1}\n")

    async def story(agent: Agent) -> list[dict[str, Any]]:
        tools = (await agent.session.list_tools()).tools
        assert {tool.name for tool in tools} >= {"status", "positions", "explain", "size", "history", "propose"}
        assert not {tool.name for tool in tools} & {"approve", "close", "resume", "halt", "configure"}
        for tool in tools:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is (tool.name not in {"propose", "withdraw"})
            assert tool.annotations.destructive_hint is False
            assert tool.output_schema is not None
            assert tool.output_schema["type"] == tool.input_schema["type"] == "object"
        for _ in range(3):
            await agent.ask("history")
        size = await agent.ask("size", symbol="AAPL", entry=23.04, stop="22.30")
        assert size["data"]["quantity"] == 6
        refused = await agent.ask("propose", **TRADE | {"target_prices": [24.0], "reason": "too little"})
        queued = await agent.ask("propose", **TRADE | {"reason": "up [bold]\x1b[2Jfast[/bold], tap /resume"})
        again = await agent.ask("propose", **TRADE | {"reason": "in other words"})
        more = await agent.ask("propose", **TRADE | {"entry_price": 23.05, "reason": "and more"})
        lists = await agent.ask("approvals")
        wrong = await agent.ask("propose", symbol="AAPL", quantity=1000)
        absent = await agent.ask("approve", ids=["1"])
        return [refused, queued, again, more, lists, wrong, absent]

    refused, queued, again, more, lists, wrong, absent = with_agent(clean_environment, story)
    assert (refused["status"], refused["errors"][0]["code"]) == ("refused", "reward_risk_min")
    assert refused["errors"][0]["details"] == {"limit": "at least 2.00", "value": "1.30"}
    assert (queued["status"], queued["data"]["outcome"]) == ("ok", "queued")
    assert (again["data"]["outcome"], again["data"]["approval_id"]) == ("duplicate", queued["data"]["approval_id"])
    assert [error["code"] for error in more["errors"]] == ["agent_waiting"]
    (shown,) = lists["data"]["approvals"]
    assert (shown["agent"], shown["agent_reason"]) == ("claude", "up (bold) (2Jfast( bold), tap resume")
    assert [wrong["errors"][0]["code"], absent["errors"][0]["code"]] == ["arguments_invalid", "tool_unknown"]

    panel = apex("approve", "AAPL").out
    assert "the agent claude" in panel
    assert '"up (bold) (2Jfast( bold), tap resume"' in panel
    assert apex_json("run", "--once", "--signals", "-", stdin=b"[]").data["summary"]["approvals_pending"] == 1
    assert apex_json("orders").data["orders"] == []
    (answered,) = apex_json("approve", queued["data"]["approval_id"], "--yes").data["approvals"]
    assert answered["status"] == "executed"
    assert [held["symbol"] for held in apex_json("positions").data["positions"]] == ["AAPL"]

    files = sorted(demo.glob("state/journal/*.jsonl"))
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    calls = [line["data"] for line in sorted(lines, key=lambda line: line["seq"]) if line["kind"] == "agent_called"]
    assert {(call["agent"], call["client"]) for call in calls} == {("claude", "tést (b) 1")}
    assert [(call["tool"], call.get("times", 1)) for call in calls[:4]] == [
        ("history", 1),
        ("history", 2),
        ("size", 1),
        ("propose", 1),
    ]
    kinds = [line["kind"] for line in lines if line["subject"] == queued["data"]["signal_id"]]
    assert kinds[:3] == ["decided", "approval_queued", "agent_called"]
    assert {"approval_approved", "intent", "order_updated", "fill"} <= set(kinds)
    explained = apex("explain", queued["data"]["signal_id"]).out
    assert "the agent claude" in explained
    assert '"up (bold) (2Jfast( bold), tap resume"' in explained


def test_a_client_that_talks_nonsense_and_goes_away_leaves_one_whole_proposal(
    demo: Path, start: Callable[..., Any], apex_json: Callable[..., Any]
) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    lines: list[object] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        "not json",
        [1, 2],
        "x" * 1_000_000,
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "propose", "arguments": "none"}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "propose", "arguments": REASONED}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}},
    ]
    process = start("mcp", cwd=demo, stdin=subprocess.PIPE)
    out, err = process.communicate("".join(f"{json.dumps(line)}\n" for line in lines), timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert {json.loads(line)["jsonrpc"] for line in out.splitlines()} == {"2.0"}
    (waiting,) = apex_json("approve").data["approvals"]
    assert (waiting["agent"], waiting["agent_reason"]) == ("agent", "a reason")
    assert [finding["level"] for finding in apex_json("state", "check").data["findings"]].count("error") == 0


def test_whatever_the_agent_is_called_must_be_a_name(demo: Path, apex_json: Callable[..., Any]) -> None:
    assert demo.is_dir()
    answer = apex_json("mcp", "--agent", "Claude [bold]")
    assert (answer.status, answer.error["code"]) == (2, "agent_name_invalid")
    config = demo / "config.yaml"
    plain = config.read_text()
    config.write_text(plain + "\nagents: {names: {claude: {}}}\n")
    answer = apex_json("mcp", "--agent", "cluade")
    assert (answer.status, answer.error["code"]) == (3, "agent_unknown")
    config.write_text(plain + "\nagents: {names: {Claude!: {}}}\n")
    answer = apex_json("config", "validate")
    assert (answer.status, "agents.names" in answer.error["message"]) == (3, True)


def test_a_tool_that_no_command_has_is_described_too() -> None:
    assert not set(TOOL_DATA) & set(DATA)
    assert envelope_type("propose").__annotations__["data"] is TOOL_DATA["propose"]
