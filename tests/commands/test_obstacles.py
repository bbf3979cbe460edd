"""What a broker reports of a stock before an entry, over TCP: shares to borrow, halts, and orders that it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.gateway import GatewayThread

CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true, entry_order: limit}}
risk: {{capital: 20000, max_position_pct: 0.5, enforce_market_hours: false{risk}}}
broker:
  ib: {{library: {library}, ib_port: {port}, quiet_hours: [], ack_timeout_s: 2, settle_s: 0.2}}
"""
Apex = Callable[..., Any]


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100"})
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def run(here: Path, gateway: GatewayThread, apex_json: Apex, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run once with one signal."""

    def ran(side: str, risk: str = "") -> Any:
        (here / "config.yaml").write_text(CONFIG.format(library=request.param, port=gateway.port, risk=risk))
        stop, target = (98, 106) if side == "BUY" else (102, 94)
        row = {"signal_id": "s1", "symbol": "AAPL", "signal_type": side, "entry_price": 100, "stop_loss": stop}
        (here / "s.json").write_text(json.dumps([{**row, "target_price": target, "confidence": 0.9}]))
        return apex_json("run", "--once", "--signals", "s.json")

    return ran


@pytest.mark.parametrize(
    ("side", "standing", "outcome", "code"),
    [
        ("SHORT", {"shortable": 0}, "refused", "borrowable"),
        ("SHORT", {"shortable": 99}, "refused", "borrowable"),
        ("SHORT", {"shortable": 5000}, "executed", ""),
        ("SHORT", {}, "executed", ""),
        ("BUY", {"shortable": 0}, "executed", ""),
        ("BUY", {"is_halted": True}, "refused", "not_halted"),
    ],
)
def test_what_cannot_be_borrowed_or_does_not_trade_is_not_entered(
    gateway: GatewayThread, run: Callable[..., Any], side: str, *, standing: dict[str, Any], outcome: str, code: str
) -> None:
    gateway.set_standing("AAPL", **standing)
    (signal,) = run(side).data["signals"]
    assert signal["outcome"] == outcome
    assert [reason["code"] for reason in signal["reasons"]] == ([code] if code else [])


@pytest.mark.parametrize(
    ("side", "standing", "risk", "code"),
    [
        ("SHORT", {"shortable": 3}, ", on_no_borrow: warn", "borrowable"),
        ("BUY", {"is_halted": True}, ", on_halt: warn", "not_halted"),
    ],
)
def test_where_configured_it_is_sent_with_a_warning(
    gateway: GatewayThread, run: Callable[..., Any], side: str, *, standing: dict[str, Any], risk: str, code: str
) -> None:
    gateway.set_standing("AAPL", **standing)
    done = run(side, risk)
    assert done.data["signals"][0]["outcome"] == "executed"
    assert code in [warning["code"] for warning in done.envelope["warnings"]]


def test_an_order_that_the_broker_holds_says_for_what_and_no_more_once_it_does_not(
    gateway: GatewayThread, run: Callable[..., Any], apex_json: Apex, apex: Apex
) -> None:
    gateway.set_price("AAPL", "99.50")
    run("SHORT")

    def reasons() -> list[str]:
        apex_json("run", "--once", "--signals", "-")
        return [row["reason"] for row in apex_json("orders").data["orders"] if row["role"] == "ENTRY"]

    gateway.hold("-E")
    assert reasons() == ["held: locate, until the broker has shares to borrow"]
    assert "working, held: locate" in apex("orders").out
    gateway.hold("-E", "")
    assert reasons() == [""]


@pytest.mark.parametrize(("side", "action", "limit"), [("BUY", "SELL", 120), ("SHORT", "BUY", 80)])
def test_a_close_warns_of_an_order_of_another_hand_that_would_open_the_other_side(
    gateway: GatewayThread, run: Callable[..., Any], apex_json: Apex, side: str, *, action: str, limit: int
) -> None:
    run(side)
    quantity = abs(gateway.books().positions["AAPL"])
    gateway.trade_by_hand("AAPL", action, quantity, order_type="LMT", limit_price=limit)
    done = apex_json("close", "AAPL", "--yes")
    found = [warning for warning in done.envelope["warnings"] if warning["code"] == "resting_elsewhere"]
    assert done.status == 0
    assert "placed by TWS" in found[0]["message"]
    assert f"{action} {quantity} AAPL" in found[0]["message"]


def test_a_close_warns_of_nothing_where_only_its_own_exits_rest(
    gateway: GatewayThread, run: Callable[..., Any], apex_json: Apex
) -> None:
    run("BUY")
    gateway.trade_by_hand("AAPL", "BUY", 5, order_type="LMT", limit_price=80)
    assert "resting_elsewhere" not in str(apex_json("close", "AAPL", "--yes").envelope["warnings"])


def test_an_incomplete_answer_says_what_is_missing_and_doctor_looks_for_it(
    gateway: GatewayThread, run: Callable[..., Any], apex_json: Apex, here: Path
) -> None:
    run("BUY")
    config = here / "config.yaml"
    config.write_text(config.read_text().replace("ack_timeout_s: 2", "ack_timeout_s: 2, request_timeout_s: 1"))
    gateway.fault("swallow", "reqCompletedOrders", times=0)
    assert "completed orders" in str(apex_json("reconcile").envelope)
    assert "completed orders" in str(apex_json("doctor").envelope)
