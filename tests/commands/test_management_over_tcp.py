"""Management against a TWS-compatible paper venue: stops move, trail and end there, and the state hears of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.order import OrderType
from apex_cli.gateway.rows import OrderRow
from kit.gateway import GatewayThread
from kit.ib import Session, order

GENEROUS_S = 60
CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true, entry_order: {entry}}}
risk: {{capital: 20000, max_position_pct: 0.5, min_reward_risk: 0}}
day_trades: {{regime: "off"}}
broker: {{ib: {{ib_port: {port}, quiet_hours: []}}}}
management:
  strategies:
    even: {{breakeven_at_r: 1}}
    trend: {{trailing: {{activate_at_r: 1, distance_r: 1}}}}
    intraday: {{flat_at_close: 5}}
"""
KILLED = """\
import os, signal, sys
from apex_cli.cli import run
from apex_cli.core.adapters.ib.broker import IbBroker
modify = IbBroker.modify
async def modify_once(broker, order):
    await modify(broker, order)
    await broker.server_time()
    os.kill(os.getpid(), signal.SIGKILL)
IbBroker.modify = modify_once
sys.exit(run(sys.argv[1:]))
"""
"""Runs a command line that is killed after its first change of an order has reached the broker."""

OPEN = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""


class Hands:
    """A clock to be set."""

    def __init__(self) -> None:
        self.time = OPEN

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    made = Hands()
    for name in ("now", "wall"):
        monkeypatch.setattr(SystemClock, name, lambda _: made.time)
    return made


@pytest.fixture
def gateway(hands: Hands) -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100", "SPY": "500"}, now=hands.now)
    made.start()
    yield made
    made.close()


@pytest.fixture
def hold(here: Path, gateway: GatewayThread, apex_json: Callable[..., Any]) -> Callable[..., None]:
    """Return what buys 100 AAPL by a signal of a strategy: stop at 98, target at 120."""

    def held(strategy: str, entry: str = "market") -> None:
        (here / "config.yaml").write_text(CONFIG.format(port=gateway.port, entry=entry))
        row = {
            "signal_id": "one",
            "symbol": "AAPL",
            "signal_type": "BUY",
            "entry_price": 100,
            "stop_loss": 98,
            "target_price": 120,
            "confidence": 0.9,
            "strategy": strategy,
            "timestamp": OPEN.isoformat(),
            "expires_at": (OPEN + timedelta(hours=8)).isoformat(),
        }
        (here / "signals.json").write_text(json.dumps([row]))
        assert apex_json("run", "--once", "--signals", "signals.json").status == 0

    return held


def working(gateway: GatewayThread) -> dict[str, OrderRow]:
    return {row.terms.order_ref.rpartition("-")[2]: row for row in gateway.books().open_orders()}


def stop_of(apex_json: Callable[..., Any]) -> tuple[str, bool]:
    (position,) = apex_json("positions").data["positions"]
    return position["stop_price"], position["protected_overnight"]


def events(here: Path) -> list[str]:
    texts = [path.read_text() for path in sorted((here / "state" / "journal").glob("*.jsonl"))]
    return [json.loads(line)["kind"] for text in texts for line in text.splitlines()]


def test_break_even_moves_the_stop_at_the_venue(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any]
) -> None:
    hold("even")
    gateway.set_price("AAPL", "102.5")
    apex_json("run", "--once")
    assert working(gateway)["S1"].terms.aux_price == 100
    assert Decimal(stop_of(apex_json)[0]) == 100
    gateway.set_price("AAPL", "99.5")
    apex_json("run", "--once")
    assert (gateway.books().positions, working(gateway)) == ({}, {})


def test_a_trailing_stop_takes_over_at_the_venue_and_its_moves_reach_the_state(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any], here: Path
) -> None:
    hold("trend")
    group = working(gateway)["S1"].terms.oca_group
    gateway.set_price("AAPL", "102.5")
    apex_json("run", "--once")
    resting = working(gateway)
    assert sorted(resting) == ["S2", "T1"], "the old stop is cancelled"
    assert (resting["S2"].terms.order_type, resting["S2"].terms.aux_price) == ("TRAIL", 2)
    assert resting["S2"].terms.oca_group == group
    kinds = events(here)
    assert kinds.index("trail_started") < kinds.index("stop_replaced")
    assert stop_of(apex_json) == ("100.50", True)
    gateway.set_price("AAPL", "105")
    apex_json("run", "--once")
    assert stop_of(apex_json) == ("103.00", True)
    gateway.set_price("AAPL", "102.9")
    apex_json("run", "--once")
    (trip,) = apex_json("history").data["round_trips"]
    assert (trip["exit_reason"], Decimal(trip["exit_price"])) == ("trail", Decimal("102.9"))
    assert (gateway.books().positions, working(gateway)) == ({}, {})


def test_a_trailing_stop_that_the_broker_does_not_acknowledge_leaves_the_old_one(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any]
) -> None:
    hold("trend")
    gateway.set_price("AAPL", "102.5")
    gateway.fault("reject", "placeOrder", code=201, text="Order rejected - reason: no trailing here")
    apex_json("run", "--once")
    assert sorted(working(gateway)) == ["S1", "T1"]
    apex_json("run", "--once")
    assert sorted(working(gateway)) == ["S1", "T1"]
    assert working(gateway)["S1"].terms.aux_price == Decimal("100.5"), "it is trailed by hand from now on"


def test_what_is_flat_at_the_close_is_sold_before_it(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any], hands: Hands
) -> None:
    hold("intraday")
    hands.time = datetime(2026, 3, 2, 20, 54, tzinfo=UTC)
    apex_json("run", "--once")
    assert gateway.books().positions == {"AAPL": 100}
    hands.time = datetime(2026, 3, 2, 20, 56, tzinfo=UTC)
    gateway.set_price("AAPL", "101")
    apex_json("run", "--once")
    assert (gateway.books().positions, working(gateway)) == ({}, {})
    (trip,) = apex_json("history").data["round_trips"]
    assert (trip["exit_reason"], Decimal(trip["exit_price"])) == ("end_of_day", Decimal(101))


def test_a_limit_entry_follows_the_price_and_is_there_once(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any], hands: Hands
) -> None:
    gateway.set_price("AAPL", "100.5")
    hold("other", "limit, reprice: {after_s: 60, step_pct: 0.002, max_pct: 0.004}")
    for minutes, limit in ((1, "100.2"), (2, "100.4"), (3, "100.4")):
        hands.time = OPEN + timedelta(minutes=minutes, seconds=1)
        gateway.set_price("AAPL", "100.5")
        apex_json("run", "--once")
        (entry,) = (row for name, row in working(gateway).items() if name.startswith("E"))
        assert entry.terms.limit_price == Decimal(limit)
    gateway.set_price("AAPL", "100.3")
    apex_json("run", "--once")
    held = gateway.books().positions["AAPL"]
    resting = working(gateway)
    assert {name[0] for name in resting} == {"S", "T"}
    assert {row.remaining for row in resting.values()} == {held}
    assert stop_of(apex_json) == ("98.00", True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX has them")
@pytest.mark.parametrize("then", ["stop", "target"])
def test_a_partial_close_killed_between_its_two_changes_leaves_all_of_it_protected(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any], here: Path, then: str
) -> None:
    hold("other")
    config = here / "config.yaml"
    config.write_text(
        config.read_text().replace("min_reward_risk: 0", "min_reward_risk: 0, enforce_market_hours: false")
    )
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "close", "AAPL", "--fraction", "0.5", "--yes"],
        env=dict(os.environ),
        timeout=GENEROUS_S,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert {name: row.terms.quantity for name, row in working(gateway).items()} == {"S1": 100, "T1": 50}
    apex_json("run", "--once")
    (position,) = apex_json("positions").data["positions"]
    assert (position["quantity"], position["protected_quantity"]) == (100, 100)
    gateway.set_price("AAPL", "97" if then == "stop" else "121")
    apex_json("run", "--once")
    left = {"AAPL": 50} if then == "target" else {}
    assert gateway.books().positions == left
    assert {name[0]: row.remaining for name, row in working(gateway).items()} == ({"S": 50} if left else {})


@pytest.mark.parametrize("then", ["stop", "target"])
def test_a_stop_that_became_smaller_than_its_target_grows_back(
    hold: Callable[..., None], gateway: GatewayThread, apex_json: Callable[..., Any], hands: Hands, then: str
) -> None:
    hold("other")
    stop = working(gateway)["S1"]
    other = Session(gateway.port, hands)
    try:
        other.run(other.broker.connect())
        (reported,) = (o for o in other.run(other.broker.snapshot()).working if o.order_type is OrderType.STOP)
        smaller = order("S", "SELL", "STOP", stop_price="98", quantity=50, oca_group=stop.terms.oca_group)
        other.run(other.broker.modify(replace(smaller, client_order_id=reported.client_order_id)))
        other.settled()
    finally:
        other.close()
    assert {name: row.terms.quantity for name, row in working(gateway).items()} == {"S1": 50, "T1": 100}
    apex_json("run", "--once")
    assert {name: row.terms.quantity for name, row in working(gateway).items()} == {"S1": 100, "T1": 100}
    (position,) = apex_json("positions").data["positions"]
    assert (position["quantity"], position["protected_quantity"]) == (100, 100)
    gateway.set_price("AAPL", "97" if then == "stop" else "121")
    apex_json("run", "--once")
    assert (gateway.books().positions, working(gateway)) == ({}, {})
