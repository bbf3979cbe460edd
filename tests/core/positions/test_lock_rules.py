from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.market.durations import end_of, reaches
from apex_cli.core.model.duration import read_duration
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.money import Usd
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.protections import (
    LockRule,
    LockScope,
    LossStreak,
    LossStreaks,
    LowExpectancies,
    LowExpectancy,
    Protections,
    StopGuard,
    StopGuards,
)
from apex_cli.core.positions.lock_rules import is_loss, is_stop, locks_of, standings
from kit import START
from kit.trips import HOUR, a_trip

D = Decimal
EQUITY = MarketType.EQUITY
BACK, LOCKED = "3 sessions", "2 sessions"


def guards(stops: int, *scopes: LockScope) -> Protections:
    rule = StopGuard(stops=stops, within=BACK, lock=LOCKED)
    return Protections(stop_guard=StopGuards(**{scope.value: rule for scope in scopes}))


def streaks(losses: int, *scopes: LockScope) -> Protections:
    rule = LossStreak(losses=losses, within=BACK, lock=LOCKED)
    return Protections(loss_streak=LossStreaks(**{scope.value: rule for scope in scopes}))


def lows(trades: int, *scopes: LockScope, **limits: Any) -> Protections:
    rule = LowExpectancy(trades=trades, within="60 sessions", lock=LOCKED, **limits)
    return Protections(low_expectancy=LowExpectancies(**{scope.value: rule for scope in scopes}))


def history(*results: tuple[int, str], symbol: str = "AAPL", why: str = "stop", strategy: str = "s") -> list[RoundTrip]:
    """Return trades ``(hours after the start, profit)``."""
    return [
        a_trip(f"{symbol}{number}", symbol, pnl, START + hours * HOUR, exit_reason=why, strategy=strategy)
        for number, (hours, pnl) in enumerate(results)
    ]


def subjects(trips: Sequence[RoundTrip], protections: Protections) -> list[tuple[str, str, str]]:
    return [(lock.scope.value, lock.subject, lock.trades[-1]) for lock in locks_of(trips, protections)]


rows = st.lists(
    st.tuples(
        st.sampled_from("AB"),
        st.sampled_from(["x", "y"]),
        st.integers(0, 300),
        st.sampled_from(["stop", "target"]),
        st.integers(-60, 60),
    ),
    max_size=12,
)


def made(found: list[tuple[str, str, int, str, int]]) -> list[RoundTrip]:
    return [
        a_trip(f"t{number:02}", symbol, str(pnl), START + hours * HOUR, exit_reason=why, strategy=strategy)
        for number, (symbol, strategy, hours, why, pnl) in enumerate(found)
    ]


def same(scope: LockScope, one: RoundTrip, other: RoundTrip) -> bool:
    if scope is LockScope.SYMBOL:
        return one.instrument.key == other.instrument.key
    return scope is LockScope.ACCOUNT or one.strategy == other.strategy


@given(rows, st.sampled_from(LockScope), st.integers(1, 4))
def test_a_stop_guard_locks_at_each_stop_that_makes_enough_of_them(
    found: list[tuple[str, str, int, str, int]], scope: LockScope, most: int
) -> None:
    trips = sorted(made(found), key=lambda trip: (trip.exit_time, trip.round_trip_id))
    back = read_duration(BACK)
    expected = []
    for place, last in enumerate(trips):
        stops = [
            trip
            for trip in trips[: place + 1]
            if same(scope, trip, last) and is_stop(trip) and reaches(back, EQUITY, trip.exit_time, last.exit_time)
        ]
        if is_stop(last) and len(stops) >= most:
            expected.append((last.round_trip_id, end_of(read_duration(LOCKED), EQUITY, last.exit_time)))
    assert [(lock.trades[-1], lock.until) for lock in locks_of(trips, guards(most, scope))] == expected


@given(rows, st.sampled_from(LockScope), st.integers(2, 4))
def test_a_streak_locks_at_each_loss_that_makes_enough_in_a_row(
    found: list[tuple[str, str, int, str, int]], scope: LockScope, most: int
) -> None:
    trips = sorted(made(found), key=lambda trip: (trip.exit_time, trip.round_trip_id))
    back = read_duration(BACK)
    expected = []
    for place, last in enumerate(trips):
        length = 0
        for trip in reversed([each for each in trips[: place + 1] if same(scope, each, last)]):
            if not is_loss(trip) or not reaches(back, EQUITY, trip.exit_time, last.exit_time):
                break
            length += 1
        if length >= most:
            expected.append(last.round_trip_id)
    assert [lock.trades[-1] for lock in locks_of(trips, streaks(most, scope))] == expected


@given(rows, st.sampled_from(LockScope), st.integers(2, 4))
def test_low_expectancy_locks_when_the_last_trades_earned_less_than_the_limit(
    found: list[tuple[str, str, int, str, int]], scope: LockScope, count: int
) -> None:
    trips = sorted(made(found), key=lambda trip: (trip.exit_time, trip.round_trip_id))
    expected = []
    for place, last in enumerate(trips):
        counted = [trip.pnl / 30 for trip in trips[: place + 1] if same(scope, trip, last)][-count:]
        if len(counted) == count and sum(counted) / count < 0:
            expected.append(last.round_trip_id)
    assert [lock.trades[-1] for lock in locks_of(trips, lows(count, scope))] == expected


@given(rows, st.integers(0, 400))
def test_only_locks_that_hold_are_worked_out_where_a_moment_is_given(
    found: list[tuple[str, str, int, str, int]], hours: int
) -> None:
    short = StopGuards(symbol=StopGuard(stops=1, lock="1 hour"))
    rule = Protections(stop_guard=short, loss_streak=streaks(2, *LockScope).loss_streak)
    trips, at = made(found), START + hours * HOUR
    assert list(locks_of(trips, rule, at)) == [lock for lock in locks_of(trips, rule) if at < lock.until]


def test_each_scope_counts_its_own() -> None:
    trips = [*history((0, "-30"), (1, "-30")), *history((2, "-30"), symbol="MSFT")]
    assert subjects(trips, guards(3, *LockScope)) == [
        ("strategy", "s", "MSFT0"),
        ("account", "*", "MSFT0"),
    ]
    assert subjects(trips, guards(2, LockScope.SYMBOL)) == [("symbol", "AAPL", "AAPL1")]


def test_a_trade_without_a_strategy_counts_for_those_without() -> None:
    trips = [*history((0, "-30"), strategy=""), *history((1, "-30"), symbol="MSFT")]
    assert subjects(trips, guards(1, LockScope.STRATEGY)) == [("strategy", "none", "AAPL0"), ("strategy", "s", "MSFT0")]


def test_a_win_ends_a_streak_and_a_trailed_stop_with_a_gain_is_a_win() -> None:
    assert subjects(history((0, "-30"), (1, "5"), (2, "-30")), streaks(2, LockScope.ACCOUNT)) == []
    assert subjects(history((0, "5"), (1, "-30"), (2, "-1")), streaks(2, LockScope.ACCOUNT)) == [
        ("account", "*", "AAPL2")
    ]


def test_limits_and_what_was_found_are_said_with_their_numbers() -> None:
    trips = history((0, "-30"), (1, "-15"))
    found = {
        lock.rule: (lock.limit, lock.value)
        for protections in (
            guards(2, LockScope.SYMBOL),
            streaks(2, LockScope.SYMBOL),
            lows(2, LockScope.SYMBOL, min_mean_r=None, min_sum_r=D("-1.4")),
        )
        for lock in locks_of(trips, protections)
    }
    assert found == {
        LockRule.STOP_GUARD: ("fewer than 2 stops within 3 sessions", "2 stops"),
        LockRule.LOSS_STREAK: ("fewer than 2 losses in a row within 3 sessions", "2 in a row"),
        LockRule.LOW_EXPECTANCY: ("a sum of at least -1.40 R over 2 trades within 60 sessions", "a sum of -1.50 R"),
    }


def test_trades_without_a_known_risk_are_no_expectancy() -> None:
    trips = [a_trip(f"t{n}", initial_risk=None, at=START + n * HOUR) for n in range(3)]
    assert subjects(trips, lows(2, LockScope.SYMBOL)) == []


def test_costs_count() -> None:
    trips = [a_trip(f"t{n}", pnl="1", commission=Usd(D(2)), at=START + n * HOUR) for n in range(2)]
    assert len(subjects(trips, lows(2, LockScope.SYMBOL))) == 1
    assert len(subjects(trips, streaks(2, LockScope.SYMBOL))) == 1


def test_standings_say_how_near_each_subject_is() -> None:
    trips = history((0, "-30"), (1, "-30"))
    (symbol,) = standings(trips, guards(3, LockScope.SYMBOL), START + 2 * HOUR)
    assert (symbol.subject, symbol.found, symbol.most, symbol.is_locking) == ("AAPL", 2, 3, False)
    (later,) = standings(trips, guards(3, LockScope.SYMBOL), START + timedelta(days=10))
    assert later.found == 0


@pytest.mark.parametrize("scope", LockScope)
def test_rules_that_are_off_say_nothing(scope: LockScope) -> None:
    off = Protections(stop_guard=StopGuards(**{scope.value: StopGuard(within=BACK)}))
    assert list(locks_of(history((0, "-30")), off)) == []
    assert standings(history((0, "-30")), off, START) == ()
