from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.day_trades.cash_account import (
    is_settlement_day,
    proceeds_settle_on,
    review_purchase,
    review_sale,
    settlement_date,
)
from apex_cli.core.market.calendar import is_session
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.side import OrderSide

D = Decimal


@pytest.mark.parametrize(
    ("traded", "settles"),
    [
        ("2026-11-24", "2026-11-25"),
        ("2026-11-25", "2026-11-27"),
        ("2026-11-27", "2026-11-30"),
        ("2026-10-09", "2026-10-13"),  # the Friday before Columbus Day
        ("2026-10-12", "2026-10-13"),  # Columbus Day: the exchanges trade, nothing settles
        ("2026-11-10", "2026-11-12"),  # Veterans Day in between
        ("2026-11-11", "2026-11-12"),
        ("2023-11-09", "2023-11-13"),  # two days then; Veterans Day was a Saturday, no day off is moved for it
        ("2017-11-10", "2017-11-14"),
        ("2018-11-09", "2018-11-14"),  # Veterans Day was a Sunday, banks closed on Monday
        ("2017-09-01", "2017-09-07"),  # three days then
        ("2024-05-24", "2024-05-29"),
        ("2024-05-28", "2024-05-29"),
    ],
)
def test_trades_settle_on_settlement_days(traded: str, settles: str) -> None:
    assert settlement_date(date.fromisoformat(traded)) == date.fromisoformat(settles)


def test_options_always_settled_the_next_day() -> None:
    assert settlement_date(date(2023, 3, 1), SecType.OPT) == date(2023, 3, 2)


@given(st.dates(date(2024, 5, 28), date(2027, 12, 20)))
def test_settlement_comes_after_the_trade_on_a_day_banks_and_exchanges_work(day: date) -> None:
    settles = settlement_date(day)
    assert settles > day
    assert is_settlement_day(settles)
    assert is_session(settles)
    assert not any(is_settlement_day(day + timedelta(days=n)) for n in range(1, (settles - day).days))


def execution(word: str, day: str, hour: int = 15, security: str = "AAPL") -> Execution:
    at = datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)
    return Execution(
        exec_id=f"{security}{day}{hour}{word}",
        security=security,
        side=OrderSide.BUY if word[0] == "B" else OrderSide.SELL,
        quantity=Quantity(D(word[1:])),
        filled_at=at,
    )


def test_what_was_bought_with_unsettled_proceeds_is_kept_until_they_settle() -> None:
    rows = [execution("S10", "2026-11-24", 15, "MSFT"), execution("B10", "2026-11-24", 16)]
    assert proceeds_settle_on(rows, "AAPL", date(2026, 11, 24)) == date(2026, 11, 25)
    assert proceeds_settle_on(rows, "AAPL", date(2026, 11, 25)) is None
    assert proceeds_settle_on(rows, "MSFT", date(2026, 11, 24)) is None


def test_what_was_bought_before_a_sale_or_after_its_settlement_is_free() -> None:
    before = [execution("B10", "2026-11-24", 15), execution("S10", "2026-11-24", 16, "MSFT")]
    assert proceeds_settle_on(before, "AAPL", date(2026, 11, 24)) is None
    after = [execution("S10", "2026-11-24", 15, "MSFT"), execution("B10", "2026-11-25", 16)]
    assert proceeds_settle_on(after, "AAPL", date(2026, 11, 25)) is None
    twice = [
        execution("S10", "2026-11-24", 14, "MSFT"),
        execution("B10", "2026-11-24", 15),
        execution("S5", "2026-11-25", 14, "IBM"),
        execution("B10", "2026-11-25", 16),
    ]
    assert proceeds_settle_on(twice, "AAPL", date(2026, 11, 25)) == date(2026, 11, 27)


def test_own_fills_are_read_alike_and_coins_left_out() -> None:
    def fill(side: OrderSide, market: MarketType, hour: int, **more: Any) -> Fill:
        return Fill(
            exec_id=f"{side}{market}{hour}",
            instrument=make_instrument("AAPL", market, **more),
            side=side,
            quantity=Quantity(D(1)),
            price=Price(D(10)),
            filled_at=datetime(2026, 11, 24, hour, tzinfo=UTC),
        )

    rows = [
        fill(OrderSide.SELL, MarketType.CRYPTO, 13),
        fill(OrderSide.SELL, MarketType.OPTIONS, 14, expiry="2026-12-18"),
        fill(OrderSide.BUY, MarketType.EQUITY, 15),
    ]
    assert proceeds_settle_on(rows, "AAPL", date(2026, 11, 24)) == date(2026, 11, 25)
    assert proceeds_settle_on(rows[:1] + rows[2:], "AAPL", date(2026, 11, 24)) is None


def cash(settled: int | None, net: int | None = None) -> AccountFacts:
    return AccountFacts(
        settled_cash=None if settled is None else Usd(D(settled)), net_cash=None if net is None else Usd(D(net))
    )


@pytest.mark.parametrize(
    ("settled", "net", "notional", "code", "blocks"),
    [
        (1000, 1000, 1000, None, False),
        (1000, 5000, 1001, "unsettled_funds", False),
        (1000, 5000, 5001, "free_riding", True),
        (1000, None, 1001, "free_riding", True),
        (1000, 500, 900, None, False),
        (None, 5000, 100, "settled_cash_unknown", True),
        (1000, 1000, None, "settled_cash_unknown", True),
    ],
)
def test_a_purchase_is_paid_with_settled_cash(
    settled: int | None, net: int | None, notional: int | None, code: str | None, *, blocks: bool
) -> None:
    reason, blocked = review_purchase(cash(settled, net), None if notional is None else D(notional), date(2026, 11, 25))
    assert (reason.code if reason else None, blocked) == (code, blocks)
    if code == "unsettled_funds":
        assert reason is not None
        assert "2026-11-27" in reason.message


def test_a_sale_is_warned_of_and_no_more() -> None:
    assert review_sale(cash(0, 0), None) == ()
    codes = [reason.code for reason in review_sale(cash(0, -1), date(2026, 11, 25))]
    assert codes == ["good_faith", "free_riding"]
    assert review_sale(cash(0), None) == ()
