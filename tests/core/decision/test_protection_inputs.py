from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.decision.inputs import session_counters
from apex_cli.core.decision.protection_inputs import ProtectionReader, loss_marks
from apex_cli.core.market.calendar import (
    is_session,
    next_month_opening,
    next_session,
    next_week_opening,
    session_date,
    session_start,
    week_of,
)
from apex_cli.core.model.account import AccountSnapshot, CashFlow
from apex_cli.core.model.decision import NO_INPUTS
from apex_cli.core.model.money import Usd
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.model.records import Counters
from apex_cli.core.positions.cash_flows import with_flow, with_marks
from apex_cli.core.state.tables import State

D = Decimal
FIRST = date(2026, 11, 16)


def account(equity: str, at: datetime) -> AccountSnapshot:
    return AccountSnapshot(equity=Usd(D(equity)), cash=Usd(D(equity)), buying_power=Usd(D(equity)), taken_at=at)


@given(st.lists(st.integers(80, 120), min_size=1, max_size=40))
def test_week_and_month_are_measured_from_the_first_session_of_theirs(values: list[int]) -> None:
    counters, day = Counters(), FIRST
    opened: dict[object, int] = {}
    for value in values:
        opened.setdefault(week_of(day), value)
        opened.setdefault((day.year, day.month), value)
        counters = session_counters(counters, account(str(value), session_start(day)), day)
        assert counters.week_start_equity == opened[week_of(day)]
        assert counters.month_start_equity == opened[day.year, day.month]
        day = next_session(day)


@given(st.integers(-900, 5000), st.integers(1, 30))
def test_what_is_paid_in_or_out_is_never_a_gain_or_a_loss_of_the_week(amount: int, lost: int) -> None:
    start = Usd(D(100_000))
    counters = session_counters(Counters(), account("100000", session_start(FIRST)), FIRST)
    before = start * (100 - lost) / 100
    flow = CashFlow(amount=Usd(D(amount)), equity_before=Usd(before), equity_after=Usd(before + D(amount)))
    after = with_flow(counters, flow)
    for mark in (after.week_start_equity, after.month_start_equity):
        assert abs((mark - flow.equity_after) / mark - D(lost) / 100) < D("0.0001")


def test_marks_that_a_person_resets_are_those_of_week_and_month_too() -> None:
    counters = session_counters(Counters(), account("100000", session_start(FIRST)), FIRST)
    after = with_marks(counters, Usd(D(70_000)))
    assert (after.week_start_equity, after.month_start_equity) == (70_000, 70_000)
    assert with_marks(Counters(), Usd(D(1))).week_start_equity == 0


def test_a_state_from_before_counts_from_the_running_session() -> None:
    state, now = State(), session_start(FIRST) + timedelta(hours=18)
    state.counters = Counters(session_date=FIRST.isoformat(), session_start_equity=Usd(D(3000)))
    week, month = loss_marks(state, account("2900", now), now)
    assert week == month
    assert week is not None
    assert (week.since, week.equity) == ("2026-11-16", 3000)
    assert loss_marks(State(), account("0", now), now) == (None, None)


def test_only_what_is_configured_is_gathered() -> None:
    state, now = State(), session_start(FIRST) + timedelta(hours=18)
    money = account("3000", now)
    assert ProtectionReader(NO_PROTECTIONS)(state, money, now) is NO_INPUTS
    found = ProtectionReader(Protections(max_weekly_loss_pct=D("0.05")))(state, money, now)
    assert found.week is not None
    assert found.month is None


@given(st.integers(0, 900).map(lambda days: date(2025, 1, 1) + timedelta(days=days)))
def test_the_next_week_and_month_open_with_their_first_session(day: date) -> None:
    for opening, key in (
        (next_week_opening(day), week_of),
        (next_month_opening(day), lambda each: (each.year, each.month)),
    ):
        found = session_date(opening)
        assert is_session(found)
        assert key(found) > key(day)
        between = [day + timedelta(days=passed) for passed in range(1, (found - day).days)]
        assert not any(is_session(each) and key(each) != key(day) for each in between)
