"""``risk --ask`` at a real account: a year of daily bars of what is held comes over TCP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.market.calendar import previous_sessions, session_bounds, session_date
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from kit.gateway import GatewayThread

COUNT, WORST = 40, 7
D = Decimal


def bars_before(symbol: str, now: datetime) -> tuple[Bar, ...]:
    """Return quiet daily bars up to *now*; seven sessions before the last one the close falls from 100 to 90."""
    days = sorted(previous_sessions(session_date(now), COUNT))
    return tuple(
        _bar(symbol, bounds, "90" if number >= COUNT - WORST else "100")
        for number, day in enumerate(days)
        if (bounds := session_bounds(day)) is not None
    )


def _bar(symbol: str, bounds: tuple[datetime, datetime], close: str) -> Bar:
    price = Price(D(close))
    return Bar(symbol=symbol, start=bounds[0], end=bounds[1], open=price, high=price, low=price, close=price)


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    now = datetime.now(UTC)  # noqa: TID251 - these processes live by the machine's clock
    made = GatewayThread(prices={"AAPL": "90", "MSFT": "50"}, bars={"AAPL": bars_before("AAPL", now)})
    made.start()
    yield made
    made.close()


def test_what_is_held_is_asked_for_and_what_the_broker_has_no_bars_of_is_named(
    here: Path,
    apex: Callable[..., Any],
    apex_json: Callable[..., Any],
    gateway: GatewayThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.5, max_open_risk_pct: 0.5, enforce_market_hours: false}\n"
        f"broker:\n  ib: {{ib_port: {gateway.port}, quiet_hours: []}}\n"
    )
    now = datetime.now(UTC) - timedelta(minutes=1)  # noqa: TID251 - same
    terms = {"signal_type": "BUY", "confidence": 0.9, "timestamp": now.isoformat()}
    rows = [
        {"symbol": "AAPL", "entry_price": 90, "stop_loss": 88, "target_price": 98, **terms},
        {"symbol": "MSFT", "entry_price": 50, "stop_loss": 48, "target_price": 58, **terms},
    ]
    (here / "signals.json").write_text(json.dumps(rows))
    assert apex("run", "--once", "--signals", "signals.json").status == 0
    silent = apex_json("risk").data
    assert silent["worst_day"] is None
    assert silent["left_out"][0]["why"] == "no price history: set prices.bars_dir, or apex risk --ask"
    found = apex_json("risk", "--ask").data
    held = {row["symbol"]: row for row in found["positions"]}
    assert (held["AAPL"]["history_days"], held["MSFT"]["history_days"]) == (COUNT - 1, 0)
    assert D(found["worst_day"]["pnl"]) == -D(held["AAPL"]["notional"]) / 10
    assert found["worst_day"]["without"] == ["MSFT"]
    assert [left["symbol"] for left in found["left_out"]] == ["MSFT"]
    monkeypatch.setenv("APEX_BROKER__IB__IB_PORT", "9")
    assert apex_json("risk", "--ask").status == 5


@pytest.mark.usefixtures("traded")
def test_a_simulated_broker_has_none_of_its_own(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("risk", "--ask")
    assert (answer.status, answer.error["code"]) == (2, "no_bars")
