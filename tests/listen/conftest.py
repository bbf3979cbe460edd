"""Listeners for tests: in this process, and as a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from kit.listener import Listener, Server


@pytest.fixture
def make_listener_in(tmp_path: Path) -> Callable[..., Listener]:
    """Return what makes a listener with a configuration."""
    return lambda listen="": Listener(tmp_path, listen)


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    """Return a listener with a source of each kind."""
    return Listener(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Lend a listener that runs as a process."""
    (tmp_path / "config.yaml").write_text(
        "execution: {auto_execute: true}\nrisk: {enforce_market_hours: false, capital: 100000}\n"
        "listen: {sources: {token: {auth: token}}}\n"
    )
    made = Server(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()
