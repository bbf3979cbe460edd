"""``positions``, ``orders``, ``history``, ``explain`` and ``pdt-status``: what is held, what rests, what was."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli import api
from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.side import PositionSide
from apex_cli.core.state.events.position_events import RoundTripClosed

pytestmark = pytest.mark.usefixtures("traded")


class TestPositions:
    def test_each_line_has_price_stop_target_and_protection(self, apex_json: Callable[..., Any]) -> None:
        aapl = apex_json("positions").data["positions"][0]
        assert aapl["symbol"] == "AAPL"
        assert (aapl["side"], aapl["quantity"], aapl["entry_price"]) == ("long", 6, "23.04")
        assert (aapl["stop_price"], aapl["target_prices"]) == ("22.30", ["25.60"]) or (
            aapl["stop_price"],
            aapl["target_prices"],
        ) == ("22.3", ["25.6"])
        assert aapl["protected_quantity"] == 6
        assert aapl["protected_overnight"] is True

    def test_prices_follow_the_market(self, apex_json: Callable[..., Any]) -> None:
        apex_json("run", "--once", "--bars-until", "2004-03-01")
        rows = apex_json("positions").data["positions"]
        assert all(row["current_price"] != row["entry_price"] for row in rows)
        assert {row["priced_at"] for row in rows} == {"2004-03-01T20:59:59+00:00"}

    def test_people_see_a_table_with_the_sums(self, apex: Callable[..., Any]) -> None:
        out = apex("positions").out
        assert out.splitlines()[0] == "SIM"
        assert out.splitlines()[1].split()[:7] == ["#", "Symbol", "Side", "Qty", "Entry", "Last", "P&L"]
        assert out.splitlines()[-2] == "2 open, worth 270.74 USD, P&L +0.00 USD"

    def test_nothing_held_is_said_in_words(self, apex: Callable[..., Any]) -> None:
        apex("close", "--all", "--yes")
        assert apex("positions") == (0, "SIM\nNo open positions.\n", "")


class TestOrders:
    def test_only_working_ones_unless_all_are_asked_for(self, apex_json: Callable[..., Any]) -> None:
        working = apex_json("orders").data["orders"]
        assert {order["status"] for order in working} == {"WORKING"}
        assert {order["role"] for order in working} == {"STOP", "TARGET"}
        everything = apex_json("orders", "--all").data["orders"]
        assert len(everything) == len(working) + 2

    def test_a_symbol_may_be_small_or_unknown(self, apex_json: Callable[..., Any]) -> None:
        assert len(apex_json("orders", "--symbol", "msft").data["orders"]) == 2
        assert apex_json("orders", "--symbol", "TSLA").data["orders"] == []

    def test_stop_and_target_cancel_each_other(self, apex_json: Callable[..., Any]) -> None:
        pair = apex_json("orders", "--symbol", "AAPL").data["orders"]
        assert len({order["oca_group"] for order in pair}) == 1
        assert {order["time_in_force"] for order in pair} == {"GTC"}


class TestHistory:
    @pytest.fixture(autouse=True)
    def played(self, apex_json: Callable[..., Any], traded: Path) -> None:
        assert traded.exists()
        apex_json("run", "--once", "--bars-until", "2004-03-12")

    def test_the_sums_agree_with_the_rows(self, apex_json: Callable[..., Any]) -> None:
        data = apex_json("history").data
        trips, sums = data["round_trips"], data["statistics"]
        assert (sums["round_trips"], sums["wins"], sums["losses"], sums["win_rate"]) == (2, 1, 1, "0.50")
        assert sum(float(trip["pnl"]) for trip in trips) == pytest.approx(float(sums["pnl"]))
        assert float(sums["pnl"]) - float(sums["commission"]) == pytest.approx(float(sums["net_pnl"]))

    @pytest.mark.parametrize(
        ("filters", "symbols"),
        [
            (("--symbol", "aapl"), ["AAPL"]),
            (("--symbol", "TSLA"), []),
            (("--strategy", "pullback"), ["MSFT"]),
            (("--since", "2004-03-06"), ["MSFT"]),
            (("--since", "2030-01-01"), []),
            (("--last", "1"), ["MSFT"]),
        ],
    )
    def test_filters(self, apex_json: Callable[..., Any], filters: tuple[str, ...], symbols: list[str]) -> None:
        assert [trip["symbol"] for trip in apex_json("history", *filters).data["round_trips"]] == symbols

    def test_a_choice_without_a_trade_does_not_say_that_there_are_none(self, apex: Callable[..., Any]) -> None:
        assert "No closed trade is of that choice." in apex("history", "--symbol", "APPL").out

    @pytest.mark.parametrize(("since", "count"), [("2004-03-04", 1), ("2004-03-05", 0)])
    def test_a_trade_closed_in_the_evening_is_of_new_york_s_day(
        self, traded: Path, apex_json: Callable[..., Any], since: str, count: int
    ) -> None:
        opened = datetime(2004, 3, 4, 21, tzinfo=UTC)
        trip = RoundTrip(
            round_trip_id="T1",
            bracket_id="b",
            instrument=Instrument(symbol="AAPL"),
            side=PositionSide.LONG,
            quantity=Quantity(Decimal(1)),
            entry_price=Price(Decimal(25)),
            exit_price=Price(Decimal(26)),
            entry_time=opened,
            exit_time=opened + timedelta(hours=3, minutes=30),  # 19:30 in New York, the next day by UTC
            pnl=Usd(Decimal(1)),
            commission=Usd(Decimal(0)),
            pnl_pct=Decimal("0.04"),
            strategy="evening",
        )
        store = TinyDbStore(traded / "state", clock=SystemClock())
        with store.transaction() as tx:
            tx.emit(RoundTripClosed(at=trip.exit_time, subject="T1", data=trip))
        assert len(apex_json("history", "--strategy", "evening", "--since", since).data["round_trips"]) == count
        trades = api.Apex(traded / "config.yaml").trades(date.fromisoformat(since))
        assert sum(trade.strategy == "evening" for trade in trades) == count

    @pytest.mark.parametrize(
        "wrong", [("--since", "yesterday"), ("--last", "0"), ("--last", "99999999999999999999"), ("--last", "x")]
    )
    def test_a_wrong_filter_is_usage(self, apex_json: Callable[..., Any], wrong: tuple[str, ...]) -> None:
        assert apex_json("history", *wrong).status == 2


class TestExplain:
    def test_a_signal_reports_checks_size_orders_and_result(self, apex: Callable[..., Any]) -> None:
        apex("run", "--once", "--bars-until", "2004-03-12")
        out = apex("explain", "demo-1-aapl-long").out
        for words in ("LONG AAPL at 23.04", "✓  reward risk min", "limited by the capital cap", "Result: +15.36 USD"):
            assert words in out

    def test_a_refused_one_reports_every_reason(self, apex_json: Callable[..., Any]) -> None:
        (story,) = apex_json("explain", "demo-4-aapl-chase").data["stories"]
        failed = [check["code"] for check in story["decisions"][0]["checks"] if not check["passed"]]
        assert failed == ["reward_risk_min", "duplicate_symbol"]

    def test_an_expired_one_reports_when(self, apex: Callable[..., Any]) -> None:
        assert "Ended: expired. The signal expired at 2004-02-26 10:00 ET" in apex("explain", "demo-6-ibm-late").out

    def test_orders_and_approvals_lead_to_their_signal(self, apex_json: Callable[..., Any]) -> None:
        order = apex_json("orders", "--symbol", "AAPL").data["orders"][0]
        approval = apex_json("approve").data["approvals"][0]
        for identity, signal in [
            (order["client_order_id"], "demo-1-aapl-long"),
            (order["bracket_id"], "demo-1-aapl-long"),
            (approval["approval_id"], "demo-3-ibm-short"),
        ]:
            (story,) = apex_json("explain", identity).data["stories"]
            assert story["signal_id"] == signal

    def test_a_symbol_reports_its_signals_and_no_others(self, apex_json: Callable[..., Any]) -> None:
        stories = apex_json("explain", "aapl").data["stories"]
        assert {story["signal_id"] for story in stories} == {"demo-1-aapl-long", "demo-4-aapl-chase"}

    @pytest.mark.parametrize("identity", ["", "nobody", "*", '"', "\\", "\n", "demo-"])
    def test_an_id_nobody_knows_is_usage(self, apex_json: Callable[..., Any], identity: str) -> None:
        assert apex_json("explain", identity).error["code"] == "unknown_id"


class TestPdtStatus:
    def test_nothing_is_used_before_a_round_trip_in_one_session(self, apex_json: Callable[..., Any]) -> None:
        data = apex_json("pdt-status").data
        assert data["session_date"] == "2004-02-26"
        assert (data["window_count"], data["remaining"]) == (0, 3)
        assert list(data["day_trades_by_session"]) == data["window"]
        assert len(data["window"]) == 5

    def test_in_and_out_on_one_day_is_counted(self, apex_json: Callable[..., Any]) -> None:
        apex_json("close", "MSFT", "--yes")
        data = apex_json("pdt-status").data
        assert (data["window_count"], data["remaining"]) == (1, 2)
        assert data["day_trades_by_session"]["2004-02-26"] == 1

    def test_overnight_is_not(self, apex_json: Callable[..., Any]) -> None:
        apex_json("run", "--once", "--bars-until", "2004-02-27")
        apex_json("close", "MSFT", "--yes")
        assert apex_json("pdt-status").data["window_count"] == 0

    def test_it_leaves_the_window_after_five_sessions(self, apex_json: Callable[..., Any]) -> None:
        apex_json("close", "MSFT", "--yes")
        apex_json("run", "--once", "--bars-until", "2004-03-03")
        assert apex_json("pdt-status").data["window_count"] == 1
        apex_json("run", "--once", "--bars-until", "2004-03-04")
        assert apex_json("pdt-status").data["window_count"] == 0

    def test_people_see_a_small_calendar(self, apex: Callable[..., Any]) -> None:
        apex("close", "MSFT", "--yes")
        out = apex("pdt-status").out
        assert "2 of 3" in out
        assert "2004-02-26  ●" in out


def test_a_look_changes_nothing(traded: Path, apex: Callable[..., Any]) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in traded.rglob("*") if path.is_file()}

    before = everything()
    for line in ("positions", "orders", "history", "explain AAPL", "pdt-status", "approve", "doctor", "state check"):
        assert apex(*line.split()).status == 0
    assert everything() == before


def test_a_journal_line_that_is_none_is_reported_with_file_and_line(
    traded: Path, apex_json: Callable[..., Any]
) -> None:
    (journal,) = (traded / "state" / "journal").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"garbage\n", *lines[1:]]))
    answer = apex_json("explain", "demo-1-aapl-long")
    assert answer.status == 9
    check = apex_json("state", "check")
    assert check.status == 9
    reported = json.dumps(check.envelope)
    assert str(journal) in reported
    assert "line 2" in reported
