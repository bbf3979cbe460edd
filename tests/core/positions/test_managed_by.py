from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from apex_cli.core.model.currency import Rate
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.management import ManagementPlan, MaxHolding, TrailingStop
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.positions.managed_by import ManagedBy, gain_of, managed_by

D = Decimal
NOON = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("America/New_York"))
AAPL = make_instrument("AAPL")
TEN = Quantity(D(10))
HELD = Position(
    instrument=AAPL,
    side=PositionSide.LONG,
    quantity=TEN,
    entry_price=Price(D(50)),
    entry_time=NOON - timedelta(hours=1),
    bracket_id="b",
    opened_quantity=TEN,
    opened_value=D(500),
)
BRACKET = BracketRecord(
    bracket_id="b",
    signal_id="sig",
    instrument=AAPL,
    side=OrderSide.BUY,
    quantity=TEN,
    entry_price=Price(D(50)),
    stop_price=Price(D(48)),
    risk_per_unit=Usd(D(2)),
    created_at=NOON,
)
PLAN = ManagementPlan(
    trailing=TrailingStop(activate_at_r=D(1), distance_r=D("0.5")),
    breakeven_at_r=D("0.5"),
    max_holding=MaxHolding(sessions=2),
    flat_at_close=5,
)


def stop(trigger: str, amount: str | None = None) -> OrderRecord:
    order = Order(
        client_order_id="apex-b-S1",
        bracket_id="b",
        role=OrderRole.STOP,
        instrument=AAPL,
        side=OrderSide.SELL,
        order_type=OrderType.STOP if amount is None else OrderType.TRAIL,
        quantity=TEN,
        stop_price=Price(D(trigger)),
        trail_amount=None if amount is None else Price(D(amount)),
    )
    return OrderRecord(order=order, status=OrderStatus.WORKING, created_at=NOON, updated_at=NOON)


def words(*orders: OrderRecord, plan: ManagementPlan = PLAN, now: datetime = NOON) -> tuple[str, ...]:
    return managed_by(HELD, BRACKET, orders, plan, now).words


def test_what_is_still_to_come() -> None:
    # 1 R is 2.00; Wednesday the 25th is the second session after Monday's
    assert words(stop("48")) == ("trail from 52.00", "break-even from 51.00", "until Wed 11-25 09:30", "flat 15:55")


def test_what_stands_already() -> None:
    assert words(stop("50")) == ("trail from 52.00", "stop at entry", "until Wed 11-25 09:30", "flat 15:55")
    assert words(stop("51", "1.20"), plan=ManagementPlan()) == ("trail 1.20", "stop at entry")
    assert words(stop("49", "1.20"), plan=replace(PLAN, max_holding=MaxHolding(), flat_at_close=None)) == (
        "trail 1.20",
        "break-even from 51.00",
    )


def test_before_a_half_day_the_next_close_counts() -> None:
    night = datetime(2026, 11, 26, 12, tzinfo=ZoneInfo("America/New_York"))
    assert words(plan=ManagementPlan(flat_at_close=10), now=night) == ("flat 12:50",)


def test_a_coin_is_never_flat_for_the_day() -> None:
    coin = replace(HELD, instrument=make_instrument("BTC-USD", MarketType.CRYPTO))
    assert managed_by(coin, BRACKET, (), ManagementPlan(flat_at_close=10), NOON).words == ()


def test_without_a_decision_only_its_stops_are_known() -> None:
    assert managed_by(HELD, None, [stop("51", "1.20")], PLAN, NOON).words == ("trail 1.20", "stop at entry")
    assert managed_by(HELD, None, [], PLAN, NOON).words == ()


def test_a_profit_in_r_needs_no_rate() -> None:
    euro = Rate(currency="EUR", value=D("1.25"), source="broker")
    abroad = replace(BRACKET, risk_per_unit=Usd(D("2.50")), rate=euro)
    gain = gain_of(HELD, abroad, Price(D(53)))
    assert (gain.unit, gain.r_multiple) == (2, D("1.5"))
    own = Rate(currency="JPY", value=D(1) / 50, source="USD.JPY itself", is_own=True)
    yen = replace(BRACKET, risk_per_unit=Usd(D(2) / 48), rate=own)
    assert round(gain_of(HELD, yen, Price(D(53))).unit, 20) == 2


def test_prices_of_pairs_and_coins_are_named_in_full() -> None:
    managed = ManagedBy(trail_amount=Price(Decimal("0.00135")), breakeven_from=Price(Decimal("0.00002168")))
    assert managed.words == ("trail 0.00135", "break-even from 0.00002168")
