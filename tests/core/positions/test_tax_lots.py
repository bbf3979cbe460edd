from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions.tax_lots import tax_lots

BUY, SELL = OrderSide.BUY, OrderSide.SELL
FIRST = datetime(2026, 1, 5, 15, tzinfo=UTC)


def fill(day: int, side: OrderSide, quantity: int, price: str, *, symbol: str = "AAPL", commission: str = "0") -> Fill:
    return Fill(
        exec_id=f"{symbol}-{day}-{side}-{quantity}",
        instrument=make_instrument(symbol),
        side=side,
        quantity=Quantity(Decimal(quantity)),
        price=Price(Decimal(price)),
        commission=Usd(Decimal(commission)),
        filled_at=FIRST + timedelta(days=day),
    )


def test_the_first_bought_is_the_first_sold_and_commissions_are_shared_out() -> None:
    lots = tax_lots([
        fill(0, BUY, 100, "10", commission="1"),
        fill(1, BUY, 100, "12", commission="1"),
        fill(2, SELL, 150, "15", commission="3"),
    ])  # fmt: skip
    assert [(lot.quantity, lot.cost, lot.proceeds, lot.gain) for lot in lots] == [
        (100, 1001, 1498, 497),
        (50, Decimal("600.5"), 749, Decimal("148.5")),
    ]


def test_a_sale_beyond_what_is_held_opens_a_short_lot() -> None:
    lots = tax_lots([fill(0, BUY, 10, "10"), fill(1, SELL, 15, "11"), fill(2, BUY, 5, "9")])
    assert [(lot.side, lot.quantity, lot.gain) for lot in lots] == [(BUY, 10, 10), (SELL, 5, 10)]


@pytest.mark.parametrize(("day", "is_hint"), [(31, True), (32, False)])
def test_a_loss_with_a_purchase_within_30_days_is_a_hint(day: int, is_hint: bool) -> None:
    lots = tax_lots([fill(0, BUY, 10, "10"), fill(1, SELL, 10, "8"), fill(day, BUY, 10, "8")])
    assert [lot.is_wash_hint for lot in lots] == [is_hint]
    gain = tax_lots([fill(0, BUY, 10, "10"), fill(1, SELL, 10, "12"), fill(day, BUY, 10, "8")])
    assert not gain[0].is_wash_hint


def test_only_what_was_held_for_more_than_a_year_is_long_term() -> None:
    for day, is_long in ((365, False), (366, True)):
        (lot,) = tax_lots([fill(0, BUY, 1, "10"), fill(day, SELL, 1, "12")])
        assert lot.is_long_term is is_long


@pytest.mark.parametrize(
    ("bought", "sold", "is_long"),
    [
        ("2023-03-01T10:00", "2024-03-01T09:00", False),  # 366 days, and yet the same day of the next year
        ("2023-03-01T16:00", "2024-03-02T09:31", True),
        ("2024-02-29T12:00", "2025-02-28T12:00", False),
        ("2024-02-29T12:00", "2025-03-01T09:31", True),
        ("2025-01-02T19:59", "2026-01-02T09:31", False),
    ],
)
def test_a_year_is_counted_by_days_of_the_calendar(bought: str, sold: str, is_long: bool) -> None:
    times = (datetime.fromisoformat(text).replace(tzinfo=NEW_YORK) for text in (bought, sold))
    (lot,) = tax_lots(
        [replace(fill(0, side, 1, "10"), filled_at=at) for side, at in zip((BUY, SELL), times, strict=True)]
    )
    assert lot.is_long_term is is_long


def test_the_thirtieth_day_counts_whole_whatever_the_hour() -> None:
    late = replace(fill(31, BUY, 10, "8"), filled_at=FIRST + timedelta(days=31, hours=5))
    early = replace(fill(1, SELL, 10, "8"), filled_at=FIRST + timedelta(days=1))
    assert tax_lots([fill(0, BUY, 10, "10"), early, late])[0].is_wash_hint


def test_what_was_sold_together_replaces_nothing() -> None:
    lots = tax_lots([fill(0, BUY, 10, "10"), fill(3, BUY, 10, "9"), fill(5, SELL, 20, "8")])
    assert [lot.is_wash_hint for lot in lots] == [False, False]


def test_what_was_bought_before_and_is_still_held_replaces_it() -> None:
    lots = tax_lots([fill(0, BUY, 10, "10"), fill(3, BUY, 10, "9"), fill(5, SELL, 10, "8")])
    assert [lot.is_wash_hint for lot in lots] == [True]


def test_the_rest_of_the_same_purchase_replaces_nothing() -> None:
    lots = tax_lots([fill(0, BUY, 20, "10"), fill(5, SELL, 10, "8")])
    assert [lot.is_wash_hint for lot in lots] == [False]


def test_options_count_by_their_multiplier() -> None:
    option = make_instrument("AAPL", MarketType.OPTIONS)
    bought, sold = (fill(day, side, 1, price) for day, side, price in ((0, BUY, "2"), (1, SELL, "3")))
    (lot,) = tax_lots([replace(bought, instrument=option), replace(sold, instrument=option)])
    assert (lot.cost, lot.proceeds) == (200, 300)


@given(st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 9)), max_size=12))
def test_every_unit_is_closed_once(trades: list[tuple[OrderSide, int]]) -> None:
    fills = [fill(day, side, quantity, "10") for day, (side, quantity) in enumerate(trades)]
    closed = sum((lot.quantity for lot in tax_lots(fills)), Decimal(0))
    net = sum((row.quantity * row.side.sign for row in fills), Decimal(0))
    total = sum((row.quantity for row in fills), Decimal(0))
    assert closed * 2 + abs(net) == total
