from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.market.calendar import market_status
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.management import ManagementPlan, MaxHolding
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.position import Position
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.positions.holding import TimeClose, close_due, flat_from, holding_deadline, open_minutes_after
from kit import START

NEW_YORK = ZoneInfo("America/New_York")
TEN = Quantity(Decimal(10))
FLAT = ManagementPlan(flat_at_close=5)


def ny(text: str) -> datetime:
    """Return a New York time of November and December 2026 as UTC: ``11-27 12:30``."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK).astimezone(UTC)


def held(entered: str, market: MarketType = MarketType.EQUITY) -> Position:
    return Position(
        instrument=make_instrument("AAPL", market),
        side=PositionSide.LONG,
        quantity=TEN,
        entry_price=Price(Decimal(50)),
        entry_time=ny(entered),
        opened_quantity=TEN,
        opened_value=Decimal(500),
    )


def close_record(**changes: Any) -> OrderRecord:
    order = Order(
        client_order_id="apex-b-C1",
        bracket_id="b",
        role=OrderRole.CLOSE,
        instrument=make_instrument("AAPL"),
        side=OrderSide.SELL,
        order_type=OrderType.MARKET,
        quantity=TEN,
    )
    order = replace(order, **{key: value for key, value in changes.items() if key != "status"})
    status = changes.get("status", OrderStatus.WORKING)
    return OrderRecord(order=order, status=status, created_at=START, updated_at=START)


def due(
    plan: ManagementPlan, entered: str, now: str, *orders: OrderRecord, mode: TradingMode = TradingMode.ACTIVE
) -> TimeClose | None:
    position = held(entered)
    return close_due(position, orders, plan, market_status(MarketType.EQUITY, ny(now)), mode, ny(now))


class TestSessions:
    """Thanksgiving is Thursday, 26 November 2026; Friday the 27th closes at 13:00."""

    @pytest.mark.parametrize(
        ("entered", "sessions", "until"),
        [
            ("11-23 10:00", 1, "11-24 09:30"),
            ("11-25 15:59", 1, "11-27 09:30"),  # over the holiday
            ("11-25 15:59", 2, "11-30 09:30"),  # over the half day and the weekend
            ("11-27 12:59", 1, "11-30 09:30"),
            ("11-24 20:30", 1, "11-27 09:30"),  # at night it belongs to Wednesday
        ],
    )
    def test_the_opening_of_the_nth_session_after_the_entry(self, entered: str, sessions: int, until: str) -> None:
        assert holding_deadline(held(entered), MaxHolding(sessions=sessions)) == ny(until)

    def test_a_coin_is_held_until_its_next_day_begins(self) -> None:
        assert holding_deadline(held("11-23 10:00", MarketType.CRYPTO), MaxHolding(sessions=1)) == ny("11-23 20:00")

    def test_past_the_calendar_the_deadline_follows_the_rule_of_holidays(self) -> None:
        assert holding_deadline(held("11-23 10:00"), MaxHolding(sessions=1000)) == datetime(
            2030, 11, 15, 14, 30, tzinfo=UTC
        )
        late = holding_deadline(held("11-23 10:00"), MaxHolding(minutes=525_600))
        assert late is not None
        assert late.year == 2032


class TestMinutes:
    @pytest.mark.parametrize(
        ("entered", "minutes", "until"),
        [
            ("11-23 10:00", 45, "11-23 10:45"),
            ("11-23 15:30", 30, "11-23 16:00"),
            ("11-23 15:30", 31, "11-24 09:31"),
            ("11-27 12:30", 60, "11-30 10:00"),  # 30 until 13:00, 30 on Monday
            ("11-25 15:50", 10 + 210 + 5, "11-30 09:35"),  # over Thanksgiving, all of the half day, the weekend
            ("11-22 12:00", 15, "11-23 09:45"),  # bought while it was closed
        ],
    )
    def test_only_minutes_with_the_market_open_count(self, entered: str, minutes: int, until: str) -> None:
        assert holding_deadline(held(entered), MaxHolding(minutes=minutes)) == ny(until)

    def test_a_coin_never_rests_and_forex_rests_at_the_weekend(self) -> None:
        friday = ny("11-27 16:30")
        assert open_minutes_after(MarketType.CRYPTO, friday, 90) == ny("11-27 18:00")
        assert open_minutes_after(MarketType.FOREX, friday, 90) == ny("11-29 18:00")

    def test_the_earlier_of_both(self) -> None:
        assert holding_deadline(held("11-23 10:00"), MaxHolding(sessions=1, minutes=60)) == ny("11-23 11:00")
        assert holding_deadline(held("11-23 15:50"), MaxHolding(sessions=1, minutes=600)) == ny("11-24 09:30")
        assert holding_deadline(held("11-23 10:00"), MaxHolding()) is None

    @given(minutes=st.integers(1, 5000), offset=st.integers(0, 20_000))
    def test_more_minutes_never_end_earlier(self, minutes: int, offset: int) -> None:
        start = datetime.fromtimestamp(START.timestamp() + offset * 60, UTC)
        first, second = (open_minutes_after(MarketType.EQUITY, start, n) for n in (minutes, minutes + 1))
        assert start < first < second


class TestTheClose:
    def test_before_the_deadline_nothing_is_due(self) -> None:
        plan = ManagementPlan(max_holding=MaxHolding(minutes=60))
        assert due(plan, "11-23 10:00", "11-23 10:59") is None
        assert due(plan, "11-23 10:00", "11-23 11:00") == TimeClose(reason="time_exit", due=ny("11-23 11:00"))

    def test_it_waits_for_the_market(self) -> None:
        plan = ManagementPlan(max_holding=MaxHolding(sessions=1))
        assert due(plan, "11-27 12:00", "11-29 12:00") is None
        assert due(plan, "11-27 12:00", "11-30 09:29") is None
        assert due(plan, "11-27 12:00", "11-30 09:30") == TimeClose(reason="time_exit", due=ny("11-30 09:30"))

    @pytest.mark.parametrize(
        ("now", "is_due"),
        [("11-23 15:54", False), ("11-23 15:55", True), ("11-27 12:54", False), ("11-27 12:55", True)],
    )
    def test_flat_before_the_close_on_half_days_too(self, now: str, is_due: bool) -> None:
        found = due(FLAT, "11-23 10:00", now)
        assert (found is not None) == is_due
        assert found is None or found.reason == "end_of_day"

    def test_what_came_due_first_is_the_reason(self) -> None:
        plan = replace(FLAT, max_holding=MaxHolding(minutes=60))
        for entered, reason in (("11-23 10:00", "time_exit"), ("11-23 14:56", "end_of_day")):
            found = due(plan, entered, "11-23 15:59")
            assert found is not None
            assert found.reason == reason

    def test_a_market_without_an_end_is_never_closed_for_the_day(self) -> None:
        status = market_status(MarketType.CRYPTO, ny("11-23 15:58"))
        assert flat_from(status, FLAT) is None
        assert close_due(held("11-23 10:00"), (), FLAT, status, TradingMode.ACTIVE, ny("11-23 15:58")) is None

    @pytest.mark.parametrize(("mode", "is_due"), [(TradingMode.REDUCING, True), (TradingMode.HALTED, False)])
    def test_reducing_allows_it_and_halted_lets_it_wait(self, mode: TradingMode, is_due: bool) -> None:
        assert (due(FLAT, "11-23 10:00", "11-23 15:55", mode=mode) is not None) == is_due

    @pytest.mark.parametrize(
        ("record", "is_due"),
        [
            (close_record(), False),
            (close_record(status=OrderStatus.UNKNOWN), False),
            (close_record(status=OrderStatus.REJECTED), True),
            (close_record(order_type=OrderType.LIMIT, limit_price=Price(Decimal(60))), True),
        ],
    )
    def test_it_is_asked_for_once(self, record: OrderRecord, is_due: bool) -> None:
        assert (due(FLAT, "11-23 10:00", "11-23 15:55", record) is not None) == is_due

    def test_off_by_default(self) -> None:
        assert due(ManagementPlan(), "11-23 10:00", "11-30 15:59") is None
