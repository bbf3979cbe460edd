"""A listener in this process: the real application, asked by a real client, over no network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("starlette")

from apex_cli.core.adapters.notifiers.secrets import SOURCE_SECRET, DoorSecrets
from apex_cli.core.adapters.state.intake import Taken, names_in
from apex_cli.listen.serve import Talk, make_listener
from apex_cli.settings.doors import ListenSourceSettings, SourceAuth
from apex_cli.settings.load import load_settings

SECRET = "0123456789abcdef" * 2
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
SOURCES = {
    "token": ListenSourceSettings(auth=SourceAuth.TOKEN),
    "signed": ListenSourceSettings(auth=SourceAuth.SIGNATURE),
    "body": ListenSourceSettings(auth=SourceAuth.BODY),
    "path": ListenSourceSettings(auth=SourceAuth.PATH),
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

    def restarted(self) -> Any:
        """Make the application again, on what it kept."""
        talk = Talk(self.said.append, self.said.append, lambda reason: self.said.append(reason.message))
        secrets = DoorSecrets(sources=dict.fromkeys(self.settings.listen.sources, (SECRET,)))
        self.app = make_listener(self.settings, secrets, talk, host="127.0.0.1", port=8422)
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
        """Return what is in the intake."""
        from apex_cli.core.adapters.state.intake import Intake

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


@pytest.fixture
def make_listener_in(tmp_path: Path) -> Callable[..., Listener]:
    """Return what makes a listener with a configuration."""
    return lambda listen="": Listener(tmp_path, listen)


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    """Return a listener with a source of each kind."""
    return Listener(tmp_path)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the one error of an answer, which is the envelope."""
    envelope = answer.json()
    assert envelope["v"] == 1
    assert envelope["exit_code"] != 0
    (error,) = envelope["errors"]
    found: dict[str, Any] = error
    return found


__all__ = ["ALERT", "SECRET", "SOURCE_SECRET", "Listener", "error_of"]
