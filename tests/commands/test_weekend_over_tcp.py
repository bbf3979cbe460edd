"""A currency pair and a coin at the paper venue over a weekend: what trades, what rests, and what a broker refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.market.calendar import NEW_YORK
from kit.gateway import GatewayThread

Apex = Callable[..., Any]
TODAY = datetime.now(NEW_YORK).date()  # noqa: TID251 - client libraries stamp quotes with the machine's clock
FRIDAY = TODAY + timedelta(days=7 + (4 - TODAY.weekday()) % 7)
LATER = {"Fri": 0, "Sat": 1, "Sun": 2, "Mon": 3}
SIGNALS: dict[str, dict[str, Any]] = {
    "EUR.USD": {"entry_price": 1.1, "stop_loss": 1.09, "target_price": 1.13},
    "BTC-USD": {"entry_price": 60_000, "stop_loss": 57_000, "target_price": 69_000},
}
MARKETS = {"EUR.USD": "forex", "BTC-USD": "crypto"}


class Time:
    """The time of a test, New York: ``Fri 16:00``."""

    def __init__(self) -> None:
        self.set("Fri 15:00")

    def set(self, text: str) -> None:
        name, _, clock = text.partition(" ")
        day = FRIDAY + timedelta(days=LATER[name])
        self.now = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(SystemClock.__init__, "__defaults__", (lambda: made.now,))
    return made


@pytest.fixture
def gateway(time: Time) -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"EUR.USD": "1.1", "BTC-USD": "60000"}, cash="1000000", now=lambda: time.now)
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def house(here: Path, gateway: GatewayThread, request: pytest.FixtureRequest) -> Path:
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 200000, max_position_pct: 0.5}\n"
        "prices: {max_age_minutes: 100000}\n"
        f"broker: {{ib: {{library: {request.param}, ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    return here


def decide(here: Path, apex_json: Apex, time: Time, symbol: str, name: str = "s") -> dict[str, Any]:
    row = {"signal_id": name, "symbol": symbol, "signal_type": "BUY", "confidence": 0.9, **SIGNALS[symbol]}
    (here / "s.json").write_text(json.dumps([{**row, "timestamp": time.now.isoformat()}]))
    (found,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    decided: dict[str, Any] = found
    return decided


def test_a_pair_rests_over_the_weekend_and_trades_from_sunday_evening_on(
    house: Path, apex_json: Apex, time: Time, gateway: GatewayThread
) -> None:
    decided = decide(house, apex_json, time, "EUR.USD")
    assert decided["outcome"] == "executed", decided["reasons"]
    quantity = Decimal(decided["quantity"])
    assert quantity == 90_000  # 50 % of 200,000 at 1.10, in steps of 1,000
    time.set("Sat 12:00")
    (reason,) = decide(house, apex_json, time, "EUR.USD", "late")["reasons"][:1]
    assert reason["code"] in {"duplicate_symbol", "market_hours"}
    assert apex_json("close", "EUR.USD", "--yes").status != 0
    assert len(gateway.books().open_orders()) == 2
    time.set("Sun 17:30")
    gateway.set_price("EUR.USD", "1.13")
    apex_json("run", "--once")
    (trip,) = apex_json("history").data["round_trips"]
    assert Decimal(trip["pnl"]) == Decimal("0.03") * quantity
    assert gateway.books().positions == {}


def test_a_coin_trades_on_saturday(house: Path, apex_json: Apex, time: Time, gateway: GatewayThread) -> None:
    time.set("Sat 12:00")
    decided = decide(house, apex_json, time, "BTC-USD")
    assert decided["outcome"] == "executed", decided["reasons"]
    quantity = Decimal(str(decided["quantity"]))
    assert quantity == Decimal("0.6666")  # 1 % of 200,000 over 3,000 a coin
    time.set("Sun 03:00")
    gateway.set_price("BTC-USD", "57000")
    apex_json("run", "--once")
    (trip,) = apex_json("history").data["round_trips"]
    assert Decimal(trip["pnl"]) == -3000 * quantity
    assert gateway.books().positions == {}


def test_a_coin_is_refused_where_no_stop_rests(
    house: Path, apex_json: Apex, time: Time, gateway: GatewayThread
) -> None:
    gateway.set_policy(coins_rest=False)
    decided = decide(house, apex_json, time, "BTC-USD")
    (reason,) = decided["reasons"]
    assert (decided["outcome"], reason["code"]) == ("refused", "ib_no_stop")
    assert "it lists LMT, MKT" in reason["message"]
    assert gateway.books().orders == ()
