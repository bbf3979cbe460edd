"""Alerts over HTTP: kept before they are answered, once each, and decided by the next run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

SECRET = "0123456789abcdef" * 2
ALERT = {"ticker": "AAPL", "action": "buy", "price": 190.5, "stop": 186, "tp": 205, "confidence": 0.9}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """``apex listen`` as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "APEX_LISTEN_SECRET_TRADINGVIEW": SECRET,
        }
        self.process = self.apex("listen", "--port", str(self.port), "-v")
        for _ in range(200):
            try:
                httpx.get(f"{self.url}/", timeout=1)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(self.process.communicate(timeout=5))

    def apex(self, *arguments: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "apex_cli", *arguments]
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run_once(self) -> dict[str, object]:
        out, err = self.apex("run", "--once", "--json").communicate(timeout=60)
        assert out, err
        data: dict[str, object] = json.loads(out)["data"]
        return data


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "config.yaml").write_text(
        "execution: {auto_execute: true}\nrisk: {enforce_market_hours: false, capital: 100000}\n"
        "listen: {sources: {tradingview: {auth: token}}}\n"
    )
    made = Server(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def test_an_alert_is_kept_before_it_is_answered_and_decided_by_the_next_run(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/signals/tradingview", json=ALERT, headers={"Authorization": f"Bearer {SECRET}"}, timeout=5
    )
    server.process.kill()
    assert answer.status_code == 200, answer.text
    (signal,) = answer.json()["data"]["signals"]
    assert signal["status"] == "accepted"
    (decided,) = server.run_once()["signals"]
    assert (decided["signal_id"], decided["where"]) == (signal["signal_id"], "listen:tradingview")
    assert decided["outcome"] != "invalid"
    assert server.run_once()["signals"] == []
