from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from apex_cli.core.day_trades.margin import (
    creates_debit,
    cushion,
    deadlines,
    frozen_until,
    is_de_minimis,
    is_frozen,
    level_before,
    maintenance_held,
    maintenance_of,
    margin_level,
    reserve_for,
)
from apex_cli.core.model.account import AccountFacts, MarginPreview
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.money import Usd
from apex_cli.core.model.side import OrderSide, PositionSide

D = Decimal
MONDAY = date(2026, 11, 30)
UNSET = D("1.7976931348623157E+308")


def usd(amount: str | int) -> Usd:
    return Usd(D(amount))


def facts(equity: int = 8000, maint: int | None = 0, **reported: Usd) -> AccountFacts:
    return AccountFacts(
        equity_now=usd(equity),
        equity_with_loan=usd(equity),
        maint_margin_req=None if maint is None else usd(maint),
        **reported,
    )


def preview(equity: str | int | None, maint: str | int | None, init: str | int | None = None) -> MarginPreview:
    return MarginPreview(
        equity_with_loan_after=None if equity is None else usd(equity),
        maint_margin_after=None if maint is None else usd(maint),
        init_margin_after=None if init is None else usd(init),
    )


def test_buying_20_000_with_8_000_leaves_a_level_of_3_000() -> None:
    estimate = maintenance_of(SecType.STK, OrderSide.BUY, D(200), D(100), multiplier=D(1))
    assert estimate == 5000
    level = margin_level(facts(), None, estimate, opens=True)
    assert (level.before, level.after, level.deficit, level.is_reducing) == (8000, 3000, 0, True)
    assert level.is_estimate
    reported = margin_level(facts(), preview(8000, 5000), estimate, opens=True)
    assert (reported.after, reported.is_estimate) == (3000, False)


def test_buying_33_000_with_8_000_is_a_small_deficit_all_the_same() -> None:
    level = margin_level(facts(), preview(8000, 8250), None, opens=True)
    assert (level.after, level.deficit, level.is_de_minimis) == (-250, 250, True)


def test_below_zero_any_reducing_transaction_makes_a_deficit_and_a_sale_none() -> None:
    fallen = facts(4400, 5000)
    assert level_before(fallen) == -600
    one_share = maintenance_of(SecType.STK, OrderSide.BUY, D(1), D(100), multiplier=D(1))
    bought = margin_level(fallen, None, one_share, opens=True)
    assert (bought.after, bought.deficit, bought.is_de_minimis) == (-625, 625, False)
    sold = margin_level(fallen, None, None, opens=False)
    assert (sold.before, sold.after, sold.deficit, sold.is_reducing) == (-600, None, 0, False)
    hedged = margin_level(fallen, preview(4400, 4900), None, opens=True)
    assert (hedged.after, hedged.deficit, hedged.is_reducing) == (-500, 0, False)


def test_other_working_openings_are_reserved() -> None:
    reserved = facts(working_open_orders_maint=usd(2000))
    assert margin_level(reserved, preview(8000, 5000), None, opens=True).after == 1000
    assert margin_level(reserved, None, usd(5000), opens=True).after == 1000


def test_what_is_not_reported_stays_unknown() -> None:
    assert level_before(AccountFacts()) is None
    assert level_before(facts(maint=None)) is None
    assert level_before(AccountFacts(equity_now=usd(100), maint_margin_req=usd(10))) == 90
    level = margin_level(AccountFacts(), None, usd(5), opens=True)
    assert (level.before, level.after, level.is_reducing, level.deficit) == (None, None, True, 0)
    assert margin_level(facts(), None, None, opens=True).after is None
    assert not margin_level(AccountFacts(), preview(1, 2), None, opens=True).is_de_minimis


@pytest.mark.parametrize(
    ("reported", "usable"),
    [
        (None, False),
        (preview(8000, None), False),
        (preview(None, 5000), False),
        (preview(8000, 5000), True),
        (preview(8000, 5000, 6000), True),
        (MarginPreview(equity_with_loan_after=Usd(UNSET), maint_margin_after=usd(1)), False),
        (MarginPreview(equity_with_loan_after=usd(1), maint_margin_after=usd(1), init_margin_after=Usd(UNSET)), False),
    ],
)
def test_a_preview_with_a_missing_or_unset_field_is_none(reported: MarginPreview | None, *, usable: bool) -> None:
    level = margin_level(facts(), reported, None, opens=True)
    assert (level.after is not None and not level.is_estimate) is usable


@pytest.mark.parametrize(
    ("order", "multiplier", "leverage", "expected"),
    [
        ("STK BUY 100 50", 1, 1, 1250),
        ("STK BUY 100 50", 1, 3, 3750),
        ("STK BUY 100 50", 1, 5, 5000),
        ("STK SELL 100 50", 1, 1, 1500),
        ("STK SELL 100 50", 1, 3, 4500),
        ("STK SELL 100 10", 1, 1, 500),
        ("STK SELL 100 5", 1, 1, 500),
        ("STK SELL 100 4.99", 1, 1, 499),
        ("STK SELL 100 1", 1, 1, 250),
        ("OPT BUY 2 1.50", 100, 1, 300),
        ("OPT SELL 2 1.50", 100, 1, None),
        ("WAR BUY 10 2", 1, 1, 20),
        ("BOND BUY 10 2", 1, 1, None),
    ],
)
def test_the_rules_own_rates(order: str, multiplier: int, leverage: int, expected: int | None) -> None:
    kind, side, quantity, price = order.split()
    got = maintenance_of(
        SecType(kind), OrderSide(side), D(quantity), D(price), multiplier=D(multiplier), leverage=leverage
    )
    assert got == expected


@pytest.mark.parametrize(
    ("deficit", "equity", "small"),
    [(400, 8000, True), (401, 8000, False), (1000, 50_000, True), (1001, 50_000, False), (1, None, False)],
)
def test_a_deficit_up_to_5_percent_of_equity_and_1_000_is_de_minimis(
    deficit: int, equity: int | None, *, small: bool
) -> None:
    assert is_de_minimis(D(deficit), None if equity is None else D(equity)) is small


def test_the_cushion_is_one_percent_of_the_account() -> None:
    assert cushion(facts(8000)) == 80
    assert cushion(AccountFacts()) == 0


def test_deadlines_are_trading_days_and_skip_thanksgiving() -> None:
    due = deadlines(date(2026, 11, 24))
    assert (due.ideally, due.before_freeze) == (date(2026, 11, 30), date(2026, 12, 2))
    assert due.lapses == date(2026, 12, 16)
    late = deadlines(date(2027, 12, 27))
    assert (late.ideally, late.before_freeze, late.lapses) == (date(2027, 12, 30), date(2028, 1, 3), date(2028, 1, 18))


def test_an_unmet_deficit_freezes_for_90_days() -> None:
    assert frozen_until(date(2026, 11, 24)) == date(2027, 3, 2)
    assert frozen_until(date(2027, 12, 27)) == date(2028, 4, 2)


def test_a_freeze_lasts_to_its_last_day() -> None:
    frozen = AccountFacts(frozen_until=MONDAY)
    assert is_frozen(frozen, MONDAY)
    assert not is_frozen(frozen, date(2026, 12, 1))
    assert not is_frozen(AccountFacts(), MONDAY)


@pytest.mark.parametrize(
    ("cash", "side", "notional", "expected"),
    [
        (1000, "BUY", 1000, False),
        (1000, "BUY", 1001, True),
        (None, "BUY", 1, True),
        (1000, "BUY", None, True),
        (10**6, "SELL", 1, True),
    ],
)
def test_a_debit_is_what_the_cash_does_not_pay(
    cash: int | None, side: str, notional: int | None, *, expected: bool
) -> None:
    reported = AccountFacts(net_cash=None if cash is None else usd(cash))
    assert creates_debit(reported, OrderSide(side), None if notional is None else D(notional)) is expected


def test_working_entries_are_reserved_for_and_positions_carry_margin() -> None:
    def exposure(key: str, side: PositionSide, *, working: bool) -> Exposure:
        return Exposure(key=key, side=side, notional=usd(1000), risk=usd(10), is_working_entry=working)

    rows = [
        exposure("AAPL", PositionSide.LONG, working=True),
        exposure("MSFT", PositionSide.SHORT, working=True),
        exposure("AAPL@options 2026-12-18 C150", PositionSide.LONG, working=True),
        exposure("BTC-USD@crypto", PositionSide.LONG, working=True),
        exposure("IBM", PositionSide.LONG, working=False),
    ]
    assert reserve_for(rows) == 250 + 300 + 1000
    assert maintenance_held(rows) == 250
