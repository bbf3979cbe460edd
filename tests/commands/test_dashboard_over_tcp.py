"""The dashboard against a broker over TCP: looking again, approving, rejecting; nothing mocked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual")

from textual.pilot import Pilot

from apex_cli.app.operator import Operator
from apex_cli.app.watch import Watch
from apex_cli.dashboard.app import DashboardApp
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.load import load_settings
from kit.gateway import GatewayThread


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100", "MSFT": "400", "SPY": "500"})
    made.start()
    yield made
    made.close()


@pytest.fixture
def waiting(here: Path, gateway: GatewayThread, apex_json: Callable[..., Any]) -> Path:
    """Stand in a folder where an entry in AAPL waits for an answer."""
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false}\n"
        "risk: {capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}\n"
        f"broker: {{ib: {{ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    signal = {
        "symbol": "AAPL",
        "signal_type": "BUY",
        "entry_price": 100,
        "stop_loss": 98,
        "target_price": 106,
        "confidence": 0.9,
        "timestamp": datetime.now(UTC).isoformat(),  # noqa: TID251 - these processes live by the machine's clock
    }
    (here / "signals.json").write_text(json.dumps([signal]))
    assert apex_json("run", "--once", "--manual", "--signals", "signals.json").status == 0
    return here


def play(folder: Path, *keys: str, until: str) -> str:
    """Press *keys* on the dashboard over *folder*, wait for a message with *until*, and return all messages."""
    settings = load_settings(None, environ={}, cwd=folder)
    operator = Operator(settings, Output("dashboard", quiet=True), wait_s=20)
    app = DashboardApp(Watch(settings), operator, has_control=True)

    def messages() -> str:
        return " | ".join(str(note.message) for note in app._notifications)

    async def settled(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

    async def played() -> None:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await settled(pilot)
            for key in keys:
                await pilot.press(key)
                await settled(pilot)
            for _ in range(200):
                if until in messages():
                    return
                await pilot.pause(0.05)

    asyncio.run(played())
    return messages()


def test_a_key_approves_after_a_look_at_the_brokers_price(
    waiting: Path, gateway: GatewayThread, apex_json: Callable[..., Any]
) -> None:
    gateway.set_price("AAPL", "100.2")
    said = play(waiting, "2", "a", "enter", until="executed")
    assert "AAPL executed" in said
    assert sorted(row.terms.order_ref.rpartition("-")[2] for row in gateway.books().orders) == ["E", "S1", "T1"]
    (position,) = apex_json("positions").data["positions"]
    assert position["symbol"] == "AAPL"


def test_a_key_rejects_with_a_reason(waiting: Path, gateway: GatewayThread, apex_json: Callable[..., Any]) -> None:
    assert "AAPL rejected: no" in play(waiting, "2", "r", "n", "o", "enter", until="rejected")
    assert gateway.books().orders == ()
    assert apex_json("approve").status == 8


def test_without_the_broker_it_says_so_and_the_approval_waits(waiting: Path, gateway: GatewayThread) -> None:
    config = waiting / "config.yaml"
    config.write_text(config.read_text().replace(str(gateway.port), "9"))
    assert "127.0.0.1:9" in play(waiting, "2", "a", until="127.0.0.1:9")
    assert len(json.loads((waiting / "state" / "state.json").read_text())["approvals"]) == 1


def test_keys_close_half_and_move_the_stop_at_the_broker(
    waiting: Path, gateway: GatewayThread, apex_json: Callable[..., Any]
) -> None:
    assert apex_json("approve", "--all", "--yes").status == 0
    gateway.set_price("AAPL", "102")
    (before,) = apex_json("positions").data["positions"]
    assert "stop at 100.50, was 98.00" in play(waiting, "enter", "s", *"100.5", "enter", until="stop at")
    stops = [row.terms for row in gateway.books().orders if row.terms.order_ref.rpartition("-")[2] == "S1"]
    assert {str(stop.aux_price) for stop in stops} == {"100.5"}
    assert "AAPL reduced" in play(waiting, "enter", "h", "enter", until="AAPL")
    (after,) = apex_json("positions").data["positions"]
    assert (after["quantity"], after["protected_quantity"]) == (before["quantity"] / 2, before["quantity"] / 2)
    assert Decimal(after["stop_price"]) == Decimal("100.5")
