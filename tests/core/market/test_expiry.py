"""An option lives until the close of its last session."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from apex_cli.core.market.expiry import (
    days_left,
    has_expired,
    intrinsic_value,
    is_adjusted,
    is_settled_at_opening,
    last_trade_at,
    settled_at,
    settlement_of,
    settlement_session,
)
from apex_cli.core.model.fill import Settlement
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.spelling import canonical

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("expiry", "now", "is_over"),
    [
        ("2026-12-18", "2026-12-18T15:59:59", False),
        ("2026-12-18", "2026-12-18T16:00:00", True),
        ("2026-12-18", "2026-12-19T00:00:00", True),
        ("2026-11-27", "2026-11-27T12:59:59", False),
        ("2026-11-27", "2026-11-27T13:00:00", True),
        ("2030-01-18", "2026-12-18T16:00:00", False),
        ("1999-01-15", "2026-12-18T16:00:00", True),
        ("2026-12-19", "2026-12-19T00:00:00", True),
    ],
)
def test_it_ends_at_the_close(expiry: str, now: str, is_over: bool) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)
    assert has_expired(canonical(f"AAPL {expiry} 200 C"), at) is is_over
    assert not has_expired(canonical("AAPL"), at)


@pytest.mark.parametrize(
    ("name", "last", "decided"),
    [
        ("AAPL 2026-12-18 200 C", "12-18 16:00", "12-18 16:00"),
        ("AAPL 2026-11-27 200 C", "11-27 13:00", "11-27 13:00"),  # a half day
        ("AAPL 2026-04-03 200 C", "04-02 16:00", "04-02 16:00"),  # Good Friday
        ("AAPL 2026-12-19 200 C", "12-18 16:00", "12-18 16:00"),  # a Saturday
        ("SPX 2026-12-18 6000 C", "12-17 16:00", "12-18 09:30"),  # the third Friday
        ("SPX 2026-06-18 6000 C", "06-17 16:00", "06-18 09:30"),  # its Friday is Juneteenth
        ("SPX 2026-12-11 6000 C", "12-11 16:00", "12-11 16:00"),  # a weekly
        ("SPX 2026-12-17 6000 C", "12-17 16:00", "12-17 16:00"),  # the day before the third Friday
    ],
)
def test_it_trades_and_is_settled_on_its_last_session(name: str, last: str, decided: str) -> None:
    option = canonical(name)
    for found, wanted in ((last_trade_at(option), last), (settled_at(option), decided)):
        assert found == datetime.strptime(f"2026-{wanted}", "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK)


def test_a_weekly_class_of_an_index_is_settled_at_the_close() -> None:
    monthly = canonical("SPX 2026-12-18 6000 C")
    assert is_settled_at_opening(monthly)
    assert not is_settled_at_opening(replace(monthly, trading_class="SPXW"))
    assert not is_settled_at_opening(canonical("AAPL 2026-12-18 200 C"))


def test_what_does_not_expire_has_no_days() -> None:
    stock, now = make_instrument("AAPL"), datetime(2026, 12, 14, 12, tzinfo=NEW_YORK)
    assert (days_left(stock, now), last_trade_at(stock), settled_at(stock), settlement_session(stock)) == (None,) * 4


@pytest.mark.parametrize(
    ("now", "days"),
    [("12-14 12:00", 4), ("12-18 09:00", 0), ("12-18 16:00", -1), ("12-19 09:00", -1), ("12-28 09:00", -10)],
)
def test_days_are_counted_to_the_last_session(now: str, days: int) -> None:
    at = datetime.strptime(f"2026-{now}", "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK)
    assert days_left(canonical("AAPL 2026-12-18 200 C"), at) == days


@pytest.mark.parametrize(
    ("right", "underlying", "value"), [("C", "203.5", "3.5"), ("C", "200", "0"), ("P", "196", "4"), ("P", "201", "0")]
)
def test_it_is_worth_what_its_exercise_brings(right: str, underlying: str, value: str) -> None:
    assert intrinsic_value(canonical(f"AAPL 2026-12-18 200 {right}"), Price(Decimal(underlying))) == Decimal(value)


def test_its_holder_exercises_and_its_seller_is_assigned() -> None:
    cent, nothing = Price(Decimal("0.01")), Price(Decimal(0))
    assert settlement_of(cent, is_long=True) is Settlement.EXERCISED
    assert settlement_of(cent, is_long=False) is Settlement.ASSIGNED
    assert settlement_of(nothing, is_long=True) is settlement_of(nothing, is_long=False) is Settlement.EXPIRED


def test_an_adjusted_contract_is_known_by_its_class() -> None:
    option = canonical("AAPL 2026-12-18 200 C")
    assert not is_adjusted(option)
    assert is_adjusted(replace(option, trading_class="AAPL1"))
    assert not is_adjusted(replace(option, trading_class="AAPL"))
    assert not is_adjusted(replace(option, trading_class="AAPLW"))
