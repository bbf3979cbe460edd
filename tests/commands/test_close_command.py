"""``apex close``: exits shrink first, and never more is sold than is held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("traded")

ZEROED = {"positions": 0, "notional": "0.00", "pnl": "0.00", "unprotected": 0}


def resting(apex_json: Callable[..., Any], symbol: str) -> dict[str, int]:
    """Return quantity by role of the working orders of *symbol*."""
    return {row["role"]: row["quantity"] for row in apex_json("orders", "--symbol", symbol).data["orders"]}


def held(apex_json: Callable[..., Any], symbol: str) -> int:
    rows = apex_json("positions").data["positions"]
    return sum(row["quantity"] for row in rows if row["symbol"] == symbol)


def test_a_whole_close_leaves_no_order_behind(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("close", "AAPL", "--yes", "--reason", "enough")
    (row,) = answer.data["closed"]
    assert (row["status"], row["quantity"], row["remaining"]) == ("closed", 6, 0)
    assert held(apex_json, "AAPL") == 0
    assert resting(apex_json, "AAPL") == {}
    (trip,) = apex_json("history").data["round_trips"]
    assert (trip["symbol"], trip["exit_reason"], trip["quantity"]) == ("AAPL", "enough", 6)


def test_half_a_close_shrinks_both_exits(apex_json: Callable[..., Any]) -> None:
    (row,) = apex_json("close", "aapl", "--fraction", "0.5", "--yes").data["closed"]
    assert (row["status"], row["quantity"], row["remaining"]) == ("reduced", 3, 3)
    assert held(apex_json, "AAPL") == 3
    assert resting(apex_json, "AAPL") == {"STOP": 3, "TARGET": 3}


def test_one_unit_after_the_other_never_oversells(apex_json: Callable[..., Any]) -> None:
    for left in range(5, -1, -1):
        (row,) = apex_json("close", "AAPL", "--quantity", "1", "--yes").data["closed"]
        assert row["remaining"] == left
        assert resting(apex_json, "AAPL") == ({"STOP": left, "TARGET": left} if left else {})
    assert apex_json("close", "AAPL", "--yes").status == 8
    sold = [row for row in apex_json("orders", "--all", "--symbol", "AAPL").data["orders"] if row["role"] == "CLOSE"]
    assert sum(row["filled_quantity"] for row in sold) == 6


def test_a_limit_rests_beside_a_stop(apex_json: Callable[..., Any]) -> None:
    (row,) = apex_json("close", "AAPL", "--limit", "24", "--yes").data["closed"]
    assert (row["status"], row["quantity"], row["remaining"], row["exit_price"]) == ("working", 0, 6, None)
    orders = apex_json("orders", "--symbol", "AAPL").data["orders"]
    assert {order["role"]: order["quantity"] for order in orders} == {"CLOSE": 6, "STOP": 6}
    assert len({order["oca_group"] for order in orders}) == 1
    (position,) = [row for row in apex_json("positions").data["positions"] if row["symbol"] == "AAPL"]
    assert position["protected_quantity"] == 6


def test_a_resting_limit_can_be_followed_by_a_market_close(apex_json: Callable[..., Any]) -> None:
    apex_json("close", "AAPL", "--limit", "24", "--yes")
    (row,) = apex_json("close", "AAPL", "--yes").data["closed"]
    assert (row["status"], row["quantity"]) == ("closed", 6)
    assert resting(apex_json, "AAPL") == {}


def test_a_marketable_limit_fills_at_once(apex_json: Callable[..., Any]) -> None:
    (row,) = apex_json("close", "AAPL", "--limit", "20", "--yes").data["closed"]
    assert (row["status"], row["exit_price"]) == ("closed", "23.04")
    assert resting(apex_json, "AAPL") == {}


def test_a_limit_that_the_day_does_not_reach_leaves_the_stop(apex_json: Callable[..., Any]) -> None:
    apex_json("close", "AAPL", "--limit", "40", "--yes")
    apex_json("run", "--once", "--bars-until", "2004-02-27")
    assert held(apex_json, "AAPL") == 6
    (position,) = [row for row in apex_json("positions").data["positions"] if row["symbol"] == "AAPL"]
    assert position["protected_quantity"] == 6
    assert position["protected_overnight"] is True


def test_all_closes_everything(apex_json: Callable[..., Any]) -> None:
    rows = apex_json("close", "--all", "--yes").data["closed"]
    assert {row["symbol"]: row["status"] for row in rows} == {"AAPL": "closed", "MSFT": "closed"}
    assert apex_json("positions").data["totals"] == ZEROED
    assert apex_json("orders").data["orders"] == []


def test_the_same_symbol_twice_is_closed_once(apex_json: Callable[..., Any]) -> None:
    assert len(apex_json("close", "AAPL", "aapl", "--yes").data["closed"]) == 1


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        (("TSLA", "--yes"), 8, "no_position"),
        (("", "--yes"), 8, "no_position"),
        (("AAPL", "TSLA", "--yes"), 8, "no_position"),
        ((), 2, "close_what"),
        (("AAPL", "--all"), 2, "close_what"),
        (("AAPL", "--quantity", "7", "--yes"), 2, "quantity_invalid"),
        (("AAPL", "--quantity", "0.5", "--yes"), 2, "quantity_invalid"),
        (("AAPL", "--quantity", "2", "--fraction", "0.5"), 2, "close_how_much"),
        (("--all", "--quantity", "2"), 2, "close_one"),
        (("--all", "--limit", "2"), 2, "close_one"),
        (("AAPL", "MSFT", "--limit", "2"), 2, "close_one"),
        (("AAPL", "--fraction", "0"), 2, "usage"),
        (("AAPL", "--fraction", "1.5"), 2, "usage"),
        (("AAPL", "--fraction", "50%"), 2, "usage"),
        (("AAPL", "--limit", "-3"), 2, "usage"),
        (("AAPL", "--quantity", "nan"), 2, "usage"),
        (("AAPL", "--quantity", "1e400"), 2, "usage"),
    ],
)
def test_what_cannot_be_closed_is_reported_and_nothing_moves(
    apex_json: Callable[..., Any], traded: Path, options: tuple[str, ...], status: int, code: str
) -> None:
    book = (traded / "state" / "simulated_broker.json").read_bytes()
    answer = apex_json("close", *options)
    assert answer.status == status
    assert answer.error["code"] == code
    assert answer.error["message"]
    assert (traded / "state" / "simulated_broker.json").read_bytes() == book


class TestTradingState:
    def test_halted_opens_nothing_and_a_person_may_close(
        self, apex_json: Callable[..., Any], signal_for_ibm: bytes
    ) -> None:
        halted = apex_json("halt", "--reason", "news at 14:00")
        assert halted.data["state"] == "HALTED"
        assert halted.data["was"] == "ACTIVE"
        (row,) = apex_json("run", "--once", "-s", "-", stdin=signal_for_ibm).data["signals"]
        assert row["outcome"] == "refused"
        assert "trading_state" in {reason["code"] for reason in row["reasons"]}
        assert "news at 14:00" in row["reasons"][0]["message"]
        assert apex_json("close", "MSFT", "--quantity", "2", "--yes").status == 0
        assert held(apex_json, "MSFT") == 3
        assert resting(apex_json, "MSFT") == {"STOP": 3, "TARGET": 3}
        assert apex_json("close", "--all", "--yes").status == 0
        assert apex_json("positions").data["positions"] == []

    def test_reducing_closes_and_opens_nothing(self, apex_json: Callable[..., Any], signal_for_ibm: bytes) -> None:
        assert apex_json("reduce", "--reason", "flat by the weekend").data["state"] == "REDUCING"
        assert apex_json("run", "--once", "-s", "-", stdin=signal_for_ibm).data["signals"][0]["outcome"] == "refused"
        assert apex_json("close", "MSFT", "--yes").status == 0

    def test_protective_exits_work_while_halted(self, apex_json: Callable[..., Any]) -> None:
        apex_json("halt")
        played = apex_json("run", "--once", "--bars-until", "2004-03-12")
        assert played.data["summary"]["round_trips"] == 2
        assert played.data["summary"]["trading_state"] == "HALTED"

    def test_resume_trades_again(self, apex_json: Callable[..., Any], signal_for_ibm: bytes) -> None:
        apex_json("halt")
        resumed = apex_json("resume")
        assert (resumed.data["state"], resumed.data["was"]) == ("ACTIVE", "HALTED")
        row = apex_json("run", "--once", "--auto", "-s", "-", stdin=signal_for_ibm).data["signals"][0]
        assert row["outcome"] == "executed"

    def test_the_state_is_remembered_and_doctor_reports_it(self, apex_json: Callable[..., Any]) -> None:
        apex_json("halt", "--reason", "holiday")
        findings = apex_json("doctor").data["findings"]
        assert any("holiday" in finding["message"] for finding in findings)

    def test_it_may_be_said_twice(self, apex_json: Callable[..., Any]) -> None:
        apex_json("halt")
        again = apex_json("halt")
        assert again.status == 0
        assert again.data["was"] == "HALTED"


@pytest.fixture
def signal_for_ibm() -> bytes:
    return (
        b'{"symbol": "IBM", "signal_type": "BUY", "entry_price": 96.79, "stop_loss": 95, "target_price": 101,'
        b' "confidence": 0.9, "timestamp": "2004-02-26T15:30:00-05:00"}'
    )
