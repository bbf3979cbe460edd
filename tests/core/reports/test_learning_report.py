from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.side import PositionSide
from apex_cli.core.reports.learning_report import LearningComparison, compare_learning

D = Decimal
BEGIN = datetime(2025, 11, 3, 15, tzinfo=UTC)


def trip(day: int, r: str, symbol: str = "F") -> RoundTrip:
    """Return a trade of 1 USD of risk that brought *r*."""
    opened = BEGIN + timedelta(days=day)
    return RoundTrip(
        round_trip_id=f"{symbol}{day}",
        bracket_id="b",
        instrument=Instrument(symbol=symbol),
        side=PositionSide.LONG,
        quantity=Quantity(D(1)),
        entry_price=Price(D(50)),
        exit_price=Price(D(50) + D(r)),
        entry_time=opened,
        exit_time=opened + timedelta(hours=2),
        pnl=Usd(D(r)),
        commission=Usd(D(0)),
        pnl_pct=D(0),
        initial_risk=Usd(D(1)),
        strategy="breakout",
    )


def compared(learned: list[RoundTrip], plain: list[RoundTrip]) -> LearningComparison:
    return compare_learning(
        learned, plain, first=date(2025, 11, 3), last=date(2026, 2, 27), versions=3, suspended=False, seed=1
    )


def test_the_same_trades_differ_by_nothing() -> None:
    trades = [trip(day, "1" if day % 2 else "-1") for day in range(40)]
    found = compared(trades, trades).whole
    assert (found.difference, found.low, found.high, found.changed) == (0, 0, 0, 0)
    assert not found.is_beyond_noise


def test_better_trades_are_beyond_noise() -> None:
    plain = [trip(day, "1" if day % 2 else "-1") for day in range(60)]
    better = [trip(day, "2" if day % 2 else "-0.5", "GM") for day in range(60)]
    found = compared(better, plain).whole
    assert found.difference == D("0.75")
    assert found.low is not None
    assert 0 < found.low < found.difference
    assert (found.changed, found.is_beyond_noise) == (60, True)


def test_years_stand_alone() -> None:
    plain = [trip(day, "1") for day in range(0, 90, 3)]
    learned = [trip(day, "1" if day < 59 else "2") for day in range(0, 90, 3)]
    years = compared(learned, plain).years
    assert [(year.first, year.last) for year in years] == [
        (date(2025, 11, 3), date(2025, 12, 31)),
        (date(2026, 1, 1), date(2026, 2, 27)),
    ]
    assert [year.difference for year in years] == [0, 1]


def test_few_trades_have_no_interval_and_none_no_difference() -> None:
    found = compared([trip(1, "1")], [trip(1, "2")]).whole
    assert (found.difference, found.low) == (-1, None)
    assert compared([], []).whole.difference is None
