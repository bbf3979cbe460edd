"""A listener in this process: the real application, asked by a real client, over no network."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from apex_cli.commands.http_looks import make_doing
from apex_cli.core.adapters.notifiers.secrets import ListenSecrets
from apex_cli.core.adapters.state.intake_files import Taken, names_in
from apex_cli.listen.http_process import Place, Talk, make_listener
from apex_cli.settings.load import load_settings

SECRET = "0123456789abcdef" * 2
READ, CONTROL = "reader-0123456789", "control-0123456789"
URL = "http://127.0.0.1:8422"
ALERT = {
    "ticker": "AAPL",
    "action": "buy",
    "price": 190.5,
    "stop": 186,
    "tp": 205,
    "confidence": 0.9,
    "strategy": "pullback",
}


class Listener:
    """The application, what it says, and what it keeps."""

    def __init__(self, folder: Path, listen: str = "") -> None:
        """Serve the configuration *listen* in *folder*, each source with the one secret."""
        self.folder = folder
        (folder / "config.yaml").write_text(listen or CONFIG)
        self.settings = load_settings(folder / "config.yaml", environ={}, cwd=folder)
        self.said: list[str] = []
        self.app = self.restarted()

    def restarted(self, port: int = 8422, *, can_act: bool = True) -> Any:
        """Make the application again, on what it kept."""
        talk = Talk(lambda: None, self.said.append, self.said.append, lambda reason: self.said.append(reason.message))
        secrets = ListenSecrets(
            sources=dict.fromkeys(self.settings.listen.sources, (SECRET,)), read=(READ,), control=(CONTROL,)
        )
        doing = make_doing(self.settings, can_act=can_act)
        self.app = make_listener(self.settings, secrets, talk, Place("127.0.0.1", port), doing=doing)
        return self.app

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask once."""
        return self.ask_all([(method, path, options)])[0]

    def ask_all(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Ask all at the same time."""

        async def asked() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
                return list(await asyncio.gather(*(client.request(m, p, **o) for m, p, o in requests)))

        return asyncio.run(asked())

    def post(self, body: object, source: str = "token", **options: Any) -> httpx.Response:
        """Send an alert with the token of the source."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {SECRET}", **options.pop("headers", {})}
        return self.ask("POST", f"/signals/{source}", content=content, headers=headers, **options)

    def kept(self) -> list[Taken]:
        """Return the signals in the intake."""
        return [row for row in self.taken() if row.signal is not None]

    def taken(self) -> list[Taken]:
        """Return all that is in the intake."""
        from apex_cli.core.adapters.state.intake_files import Intake

        return list(Intake(self.settings.state.dir, str).waiting())

    def files(self) -> list[str]:
        return names_in(self.settings.state.dir / "intake")


CONFIG = """\
execution: {auto_execute: true}
risk: {enforce_market_hours: false, capital: 100000, min_confidence: 0}
listen:
  sources:
    token: {auth: token}
    signed: {auth: signature}
    body: {auth: body}
    path: {auth: path}
"""


class Server:
    """``apex listen`` as a process."""

    def __init__(self, folder: Path) -> None:
        """Start it in *folder*, and wait until it answers."""
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "APEX_LISTEN_SECRET_TOKEN": SECRET,
        }
        self.process = self.apex("listen", "--port", str(self.port), "-v")
        for _ in range(400):
            try:
                httpx.get(f"{self.url}/", timeout=1)
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(self.process.communicate(timeout=5))

    def apex(self, *arguments: str) -> subprocess.Popen[str]:
        """Start another command in the same folder."""
        words = [sys.executable, "-m", "apex_cli", *arguments]
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def post(self, body: object) -> httpx.Response:
        """Send an alert."""
        headers = {"Authorization": f"Bearer {SECRET}"}
        return httpx.post(f"{self.url}/signals/token", json=body, headers=headers, timeout=5)

    def run_once(self) -> list[dict[str, Any]]:
        """Let a run decide, and return what it says of each signal."""
        out, err = self.apex("run", "--once", "--json").communicate(timeout=60)
        assert out, err
        signals: list[dict[str, Any]] = json.loads(out)["data"]["signals"]
        return signals

    def journal(self) -> list[dict[str, Any]]:
        """Return the events so far."""
        files = sorted((self.folder / "state" / "journal").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the one error of an answer, which is the envelope."""
    envelope = answer.json()
    assert envelope["v"] == 1
    assert envelope["exit_code"] != 0
    (error,) = envelope["errors"]
    found: dict[str, Any] = error
    return found
