from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from apex_cli.core.day_trades.deficits import (
    deadlines_of,
    is_forgotten,
    is_outstanding,
    meet,
    note_level,
    standing,
    was_missed,
    with_freeze,
)
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import DeficitRecord

D = Decimal
MONDAY = date(2026, 11, 2)


def deficit(day: str = "2026-11-02", amount: str = "1500", *, small: bool = False, met_on: str = "") -> DeficitRecord:
    return DeficitRecord(session_date=day, amount=Usd(D(amount)), is_de_minimis=small, met_on=met_on)


def test_the_worst_point_of_a_session_counts() -> None:
    first = note_level(None, MONDAY, D(-1500), D(8000))
    assert first == deficit()
    assert note_level(first, MONDAY, D(-900), D(8000)) is first
    assert note_level(first, MONDAY, D(200), D(8000)) is first
    worse = note_level(first, MONDAY, D(-2000), D(8000))
    assert worse is not None
    assert worse.amount == 2000


def test_a_level_of_zero_is_no_deficit() -> None:
    assert note_level(None, MONDAY, D(0), D(8000)) is None


@pytest.mark.parametrize(
    ("level", "equity", "small"), [("-400", "8000", True), ("-401", "8000", False), ("-1", None, False)]
)
def test_a_small_deficit_is_marked(level: str, equity: str | None, small: bool) -> None:
    found = note_level(None, MONDAY, D(level), None if equity is None else D(equity))
    assert found is not None
    assert found.is_de_minimis is small


def test_a_deficit_that_grows_after_it_was_met_is_unmet_again() -> None:
    met = meet(deficit(), D(0), date(2026, 11, 2))
    assert met.met_on == "2026-11-02"
    again = note_level(met, MONDAY, D(-1600), D(8000))
    assert again is not None
    assert not again.met_on


def test_only_a_level_from_zero_on_meets_it_and_only_once() -> None:
    assert meet(deficit(), D("-0.01"), date(2026, 11, 3)) == deficit()
    met = meet(deficit(), D(5), date(2026, 11, 3))
    assert meet(met, D(5), date(2026, 11, 4)) is met


def test_deadlines_are_the_third_fifth_and_fifteenth_trading_day() -> None:
    found = deadlines_of(deficit())
    assert (found.ideally, found.before_freeze, found.lapses) == (
        date(2026, 11, 5),
        date(2026, 11, 9),
        date(2026, 11, 23),
    )


def test_a_deficit_is_outstanding_until_it_is_met_or_lapses() -> None:
    assert is_outstanding(deficit(), date(2026, 11, 23))
    assert not is_outstanding(deficit(), date(2026, 11, 24))
    assert not is_outstanding(deficit(met_on="2026-11-03"), date(2026, 11, 3))


def test_past_the_calendar_a_deficit_never_lapses() -> None:
    last = deficit("2027-12-30")
    assert is_outstanding(last, date(2027, 12, 31))
    assert not was_missed(last, date(2027, 12, 31))


def test_it_is_missed_when_the_fifth_trading_day_goes_by() -> None:
    assert not was_missed(deficit(), date(2026, 11, 9))
    assert was_missed(deficit(), date(2026, 11, 10))
    assert not was_missed(deficit(met_on="2026-11-09"), date(2026, 11, 10))
    assert was_missed(deficit(met_on="2026-11-10"), date(2026, 11, 10))


FOUR = [deficit(day) for day in ("2026-06-08", "2026-07-06", "2026-08-10", "2026-09-14")]


def test_four_missed_deficits_in_a_year_freeze_the_account_for_90_days() -> None:
    found = standing(reversed(FOUR), date(2026, 10, 1))
    # the 5th trading day after 14 September is the 21st; 90 days later is 20 December
    assert (found.unmet, found.frozen_until) == (4, date(2026, 12, 20))
    assert found.outstanding == (FOUR[3],)
    assert standing(FOUR, date(2026, 12, 21)).frozen_until is None


def test_three_missed_small_or_old_ones_freeze_nothing() -> None:
    three = [*FOUR[:3], deficit("2026-09-14", small=True)]
    found = standing(three, date(2026, 10, 1))
    assert (found.unmet, found.frozen_until) == (3, None)
    found = standing([*FOUR[1:], deficit("2025-09-29")], date(2026, 10, 1))
    assert (found.unmet, found.frozen_until) == (3, None)
    assert standing([], MONDAY).frozen_until is None


def test_the_later_freeze_counts() -> None:
    own = standing(FOUR, date(2026, 10, 1))
    assert with_freeze(AccountFacts(), own).frozen_until == date(2026, 12, 20)
    assert with_freeze(AccountFacts(frozen_until=date(2027, 1, 5)), own).frozen_until == date(2027, 1, 5)
    assert with_freeze(AccountFacts(), standing([], MONDAY)) == AccountFacts()


def test_it_is_forgotten_after_more_than_a_year() -> None:
    assert not is_forgotten(deficit("2025-11-02"), date(2026, 11, 2))
    assert is_forgotten(deficit("2025-09-02"), date(2026, 11, 2))
