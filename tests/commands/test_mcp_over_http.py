"""Agents over HTTP, beside the signals of ``apex listen``: the SDK's client, and who is not let in."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from apex_cli.core.adapters.notifiers.secrets import read_listen_secrets
from apex_cli.core.errors import ConfigError
from kit.listener import free_port

CLAUDE, OTHER = "claude-0123456789", "other-0123456789ab"
TOKENS = {"APEX_AGENT_TOKEN_CLAUDE": CLAUDE, "APEX_AGENT_TOKEN_OTHER_2": OTHER, "APEX_AGENT_TOKEN_NOBODY": "n" * 20}
TRADE = {
    "symbol": "AAPL",
    "signal_type": "BUY",
    "entry_price": 23.04,
    "stop_loss": "22.30",
    "target_prices": [25.6],
    "confidence": 0.8,
    "reason": "a reason",
}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"},
    },
}


class Served:
    """``apex listen`` for two agents."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}/mcp"

    def post(self, body: object, token: str = CLAUDE, **headers: str) -> httpx.Response:
        told = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream", **headers}
        return httpx.post(self.url, json=body, headers=told, timeout=20)


@pytest.fixture
def served(demo: Path, start: Callable[..., Any]) -> Iterator[Served]:
    config = demo / "config.yaml"
    config.write_text(config.read_text() + "\nagents: {max_waiting: 9, names: {claude: {}, other-2: {}, silent: {}}}\n")
    port = free_port()
    process = start("listen", "--port", str(port), cwd=demo, env=TOKENS)
    served = Served(process, port)
    for _ in range(300):
        try:
            httpx.get(f"http://{served.host}/", timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            break
    yield served
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_agents_over_http_are_who_their_token_says(served: Served, demo: Path, apex_json: Callable[..., Any]) -> None:
    async def story() -> tuple[dict[str, Any], dict[str, Any]]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {CLAUDE}"}) as http,
            streamable_http_client(served.url, http_client=http) as streams,
            ClientSession(*streams[:2]) as session,
        ):
            await session.initialize()
            looked = await session.call_tool("positions", {})
            proposed = await session.call_tool("propose", TRADE)
        return looked.structured_content, proposed.structured_content  # type: ignore[return-value]

    looked, proposed = asyncio.run(story())
    assert looked["data"]["positions"] == []
    assert proposed["data"]["outcome"] == "queued"
    assert apex_json("run", "--once", "--signals", "-", stdin=b"[]").data["summary"]["approvals_pending"] == 1
    (waiting,) = apex_json("approve").data["approvals"]
    assert waiting["agent"] == "claude"

    for wrong in ("-", "nope", CLAUDE[:-1], OTHER + "x"):
        refused = served.post(HELLO, wrong)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (401, "unauthorized")
        assert CLAUDE[:8] not in refused.text
    begun = served.post(HELLO, OTHER)
    assert begun.status_code == 200
    session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-06-18"}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "positions", "arguments": {}}}
    served.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, OTHER, **session)
    assert served.post(call, CLAUDE, **session).status_code == 404
    assert served.post(call, OTHER, **session).json()["result"]["structuredContent"]["status"] == "ok"
    assert served.post(call, OTHER, **session, Host="evil.example").status_code == 421
    assert served.post(call, OTHER, **session, Origin="http://evil.example").status_code == 403
    assert served.post({"x": "y" * 400_000}, OTHER).status_code == 413
    assert httpx.put(served.url, headers={"Authorization": f"Bearer {CLAUDE}"}, timeout=5).status_code == 405
    assert served.post([call] * 3, OTHER, **session).status_code == 400

    assert served.post(call, "n" * 20).status_code == 401
    served.process.send_signal(signal.SIGTERM)
    _, said = served.process.communicate(timeout=30)
    assert f"Agents come in at {served.url}." in said
    assert "APEX_AGENT_TOKEN_NOBODY is set, and agents.names has no such agent" in said
    lines = [json.loads(line) for path in demo.glob("state/journal/*.jsonl") for line in path.read_text().splitlines()]
    calls = [line["data"] for line in lines if line["kind"] == "agent_called"]
    assert {(call["agent"], call["door"]) for call in calls} == {("claude", "http"), ("other-2", "http")}
    assert {call["client"] for call in calls if call["agent"] == "other-2"} == {"by hand 1"}


def test_two_agents_with_one_token_are_refused() -> None:
    same = {"APEX_AGENT_TOKEN_A": CLAUDE, "APEX_AGENT_TOKEN_B": CLAUDE}
    with pytest.raises(ConfigError, match="is also the token of a"):
        read_listen_secrets(None, same, (), ("a", "b"))
    with pytest.raises(ConfigError, match="or its name"):
        read_listen_secrets(None, {"APEX_AGENT_TOKEN_A_B": CLAUDE}, (), ("a-b", "a_b"))
    assert read_listen_secrets(None, same | {"APEX_AGENT_TOKEN_B": OTHER}, (), ("a", "c")).agents == {"a": (CLAUDE,)}
