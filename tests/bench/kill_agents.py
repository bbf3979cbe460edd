"""Kills ``apex mcp`` at random moments of a proposal: ``PYTHONPATH=tests python tests/bench/kill_agents.py [ROUNDS]``.

Each round proposes the same trade and one of its own, in a process that is killed. At the end the state must be sound,
the shared trade must wait exactly once, and no trade more than once; what was answered must be there.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

APEX = [sys.executable, "-m", "apex_cli"]
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "killer", "version": "1"}},
}
TRADE = {
    "symbol": "AAPL",
    "signal_type": "BUY",
    "entry_price": 23.04,
    "target_prices": [25.6],
    "confidence": 0.8,
    "reason": "a reason",
}


def call(number: int, stop: str) -> dict[str, Any]:
    arguments = {**TRADE, "stop_loss": stop}
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": "propose", "arguments": arguments},
    }


def killed(folder: Path, own: str, delay: float) -> list[dict[str, Any]]:
    """Propose twice, kill after *delay* seconds, and return what was answered."""
    process = subprocess.Popen(
        [*APEX, "mcp", "--agent", "claude"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = [HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    process.stdin.write("".join(json.dumps(line) + "\n" for line in lines).encode())
    process.stdin.flush()
    process.stdout.readline()
    process.stdin.write("".join(json.dumps(line) + "\n" for line in (call(2, "22.30"), call(3, own))).encode())
    process.stdin.flush()
    time.sleep(delay)
    process.kill()
    rest = process.communicate()[0]
    whole = [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    return [json.loads(line)["result"]["structuredContent"] for line in whole]


def data(folder: Path, *words: str) -> Any:
    done = subprocess.run([*APEX, *words, "--json"], cwd=folder, capture_output=True, check=False)
    return json.loads(done.stdout)["data"]


def main(rounds: int) -> None:
    dice = random.Random(7)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "demo"
        subprocess.run([*APEX, "init", str(folder), "--demo", "-q"], check=True, capture_output=True)
        with (folder / "config.yaml").open("a") as config:
            config.write("\nagents: {proposals_per_day: 1000, max_waiting: 100, max_open_risk_pct: 1}\n")
        answered: list[dict[str, Any]] = []
        for number in range(rounds):
            answered += killed(folder, f"22.{31 + number % 30}", dice.uniform(0, 0.7))
        findings = data(folder, "state", "check")["findings"]
        assert not [each for each in findings if each["level"] == "error"], findings
        lines = [line for path in folder.glob("state/journal/*.jsonl") for line in path.read_text().splitlines()]
        queued = Counter(json.loads(line)["subject"] for line in lines if json.loads(line)["kind"] == "approval_queued")
        assert set(queued.values()) <= {1}, queued
        told = {each["data"]["signal_id"] for each in answered if each["data"].get("outcome") == "queued"}
        assert told <= set(queued), told - set(queued)
        print(f"{rounds} kills: {len(answered)} answers, {len(queued)} queued once each, none twice, none lost")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
