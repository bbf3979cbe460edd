"""``apex reconcile`` against a TWS-compatible paper venue: trades and cancels by hand, a lost state, a dead broker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kit.gateway import GatewayThread


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100", "MSFT": "400", "SPY": "500"})
    made.start()
    yield made
    made.close()


@pytest.fixture
def house(here: Path, gateway: GatewayThread, apex_json: Callable[..., Any]) -> Path:
    """Stand in a folder that holds 100 AAPL at the paper venue, with a stop at 98 and a target at 106."""
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}\n"
        f"broker: {{ib: {{ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    now = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    signal = {"signal_id": "s", "symbol": "AAPL", "signal_type": "BUY", "confidence": 0.9, "timestamp": now}
    (here / "signals.json").write_text(
        json.dumps([{**signal, "entry_price": 100, "stop_loss": 98, "target_price": 106}])
    )
    assert apex_json("run", "--once", "--signals", "signals.json").status == 0
    assert apex_json("reconcile").status == 0
    return here


def codes(answer: Any, status: str) -> list[str]:
    return [each["code"] for each in answer.data["breaks"] if each["status"] == status]


def working(gateway: GatewayThread, leg: str) -> list[Any]:
    return [row for row in gateway.books().open_orders() if row.terms.order_ref.rpartition("-")[2] == leg]


@pytest.mark.usefixtures("house")
def test_a_stop_cancelled_by_hand_is_put_back(apex_json: Callable[..., Any], gateway: GatewayThread) -> None:
    (stop,) = working(gateway, "S1")
    gateway.cancel_by_hand(stop.terms.order_ref)
    shown = apex_json("reconcile")
    assert shown.status == 6
    assert "stop_missing" in codes(shown, "open")
    assert apex_json("reconcile", "--repair").status == 0
    (position,) = apex_json("positions").data["positions"]
    assert (position["stop_price"], position["protected_quantity"]) == ("98.00", 100)
    assert len(working(gateway, "S2")) == 1


@pytest.mark.usefixtures("house")
def test_trades_by_hand_are_locked_adopted_and_ignored(apex_json: Callable[..., Any], gateway: GatewayThread) -> None:
    gateway.trade_by_hand("MSFT", "BUY", 7)
    found = apex_json("reconcile", "--repair")
    assert found.status == 6
    assert codes(found, "open") == ["position_not_ours"]
    assert "foreign_fill" in codes(found, "repaired")
    assert apex_json("reconcile", "--ignore", "MSFT").status == 0
    assert apex_json("reconcile", "--adopt", "MSFT", "--stop", "380").status == 0
    (row,) = [row for row in apex_json("positions").data["positions"] if row["symbol"] == "MSFT"]
    assert (row["quantity"], row["stop_price"], row["protected_overnight"]) == (7, "380.00", True)
    assert apex_json("close", "MSFT", "--yes").status == 0
    assert gateway.books().positions == {"AAPL": 100}
    assert apex_json("reconcile").status == 0


@pytest.mark.usefixtures("house")
def test_what_was_sold_by_hand_is_not_sold_again(apex_json: Callable[..., Any], gateway: GatewayThread) -> None:
    gateway.trade_by_hand("AAPL", "SELL", 100)
    found = apex_json("reconcile", "--repair")
    assert codes(found, "open") == ["position_missing"]
    assert gateway.books().open_orders() == [], "no exit is left that could open a short"
    assert apex_json("close", "AAPL", "--yes").status == 4
    assert gateway.books().positions == {}
    assert apex_json("reconcile", "--adopt", "AAPL").status == 0
    assert apex_json("history").data["round_trips"][0]["exit_reason"] == "outside"


def test_a_lost_state_leaves_position_and_exits_alone(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    shutil.move(house / "state", house / "lost")
    found = apex_json("reconcile", "--repair")
    assert set(codes(found, "open")) == {"orphan_order", "position_not_ours"}
    assert sorted(row.terms.order_ref[-2:] for row in gateway.books().open_orders()) == ["S1", "T1"]
    assert apex_json("reconcile", "--adopt", "AAPL", "--stop", "97").status == 0
    (position,) = apex_json("positions").data["positions"]
    assert position["protected_quantity"] == 100
    assert sorted(row.terms.order_ref[-2:] for row in gateway.books().open_orders()) == ["S1", "T1"], (
        "and no second pair"
    )


def test_an_orphan_of_a_lost_state_is_cancelled(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    """The position was closed by hand meanwhile: nothing needs its exits any more."""
    shutil.move(house / "state", house / "lost")
    gateway.trade_by_hand("AAPL", "SELL", 100)
    answer = apex_json("reconcile", "--repair")
    assert set(codes(answer, "repaired")) >= {"orphan_order"}
    assert gateway.books().open_orders() == []
    assert apex_json("reconcile").status == 0


@pytest.mark.usefixtures("house")
def test_a_broker_that_is_gone_ends_with_5(apex_json: Callable[..., Any], gateway: GatewayThread) -> None:
    gateway.kill()
    assert apex_json("reconcile").status == 5


@pytest.mark.usefixtures("house")
def test_whole_shares_are_protected_and_closed_and_the_fraction_is_named(
    apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    # A reinvested dividend buys fractions; Interactive Brokers takes no fractional order over the API (error 10243).
    gateway.trade_by_hand("MSFT", "BUY", "3.25")
    assert apex_json("reconcile", "--adopt", "MSFT", "--stop", "380").status == 0
    (stop,) = [row for row in gateway.books().open_orders() if row.contract.symbol == "MSFT"]
    assert (stop.terms.order_type, stop.terms.quantity) == ("STP", 3)
    held = {row["symbol"]: row for row in apex_json("positions").data["positions"]}["MSFT"]
    assert (held["quantity"], held["protected_quantity"], held["protected_overnight"]) == (3.25, 3, True)
    closed = apex_json("close", "MSFT", "--yes")
    (result,) = closed.data["closed"]
    assert (closed.status, result["status"], result["quantity"], result["remaining"]) == (0, "reduced", 3, 0.25)
    assert [warning["code"] for warning in closed.envelope["warnings"]][-1] == "fraction_left"
    assert gateway.books().positions["MSFT"] == Decimal("0.25")
    refused = apex_json("close", "MSFT", "--yes")
    assert (refused.status, refused.envelope["errors"][0]["code"]) == (4, "fraction_only")
    assert apex_json("reconcile").status == 0


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(("ratio", "quantity", "named"), [("10", 1000, "10 for 1"), ("0.05", 5, "1 for 20")])
def test_nothing_is_sold_by_orders_from_before_a_split(
    apex_json: Callable[..., Any], gateway: GatewayThread, ratio: str, quantity: int, named: str
) -> None:
    # Interactive Brokers cancels GTC orders when a corporate action splits the shares.
    gateway.split("AAPL", ratio)
    run = apex_json("run", "--once")
    said = " ".join(warning["message"] for warning in run.envelope["warnings"])
    assert f"It looks like a split, {named}" in said
    assert gateway.books().positions == {"AAPL": quantity}
    assert not [row for row in gateway.books().open_orders() if row.terms.quantity > quantity]
    assert apex_json("history").data["round_trips"] == []
    (lock,) = [each for each in apex_json("reconcile").data["breaks"] if each["code"] == "position_differs"]
    assert "--split 'AAPL'" in lock["correction"]["message"]
    assert apex_json("run", "--once", "--signals", "signals.json").data["signals"][0]["outcome"] == "duplicate"


@pytest.mark.parametrize(
    ("ratio", "entry", "levels"), [("10", "10", ("9.8", "10.6")), ("0.05", "2000", ("1960", "2120"))]
)
@pytest.mark.usefixtures("house")
def test_a_split_sells_nothing_and_is_taken_over_as_proposed(
    apex_json: Callable[..., Any], gateway: GatewayThread, ratio: str, entry: str, levels: tuple[str, str]
) -> None:
    gateway.split("AAPL", ratio)
    assert apex_json("run", "--once").status == 6
    assert gateway.books().positions == {"AAPL": 100 * Decimal(ratio)}
    assert [row for row in gateway.books().open_orders() if row.terms.order_type == "STP"] == []
    (each,) = [row for row in apex_json("reconcile").data["breaks"] if row["code"] == "position_differs"]
    assert f"an entry at 100 becomes {entry}" in each["correction"]["message"]
    assert apex_json("reconcile", "--split", "AAPL").status == 0
    (position,) = apex_json("positions").data["positions"]
    assert (position["quantity"], Decimal(position["entry_price"])) == (100 * Decimal(ratio), Decimal(entry))
    assert Decimal(position["stop_price"]) == Decimal(levels[0])
    assert [Decimal(each) for each in position["target_prices"]] == [Decimal(levels[1])]
    gateway.set_price("AAPL", levels[1])
    apex_json("run", "--once")
    (trip,) = apex_json("history").data["round_trips"]
    assert (Decimal(trip["pnl"]), Decimal(trip["r_multiple"])) == (600, 3)
    assert gateway.books().positions == {}


@pytest.mark.usefixtures("house")
def test_a_rename_while_held_changes_nothing(apex_json: Callable[..., Any], gateway: GatewayThread) -> None:
    before = {row.perm_id for row in gateway.books().open_orders()}
    gateway.rename("AAPL", "APPL")
    assert apex_json("run", "--once").status == 8
    assert apex_json("reconcile").status == 0
    assert {row.perm_id for row in gateway.books().open_orders()} == before
    assert apex_json("close", "AAPL", "--yes").status == 0
    (trip,) = apex_json("history").data["round_trips"]
    assert Decimal(trip["pnl"]) == 0
    assert gateway.books().positions == {}
