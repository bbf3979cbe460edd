from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.execution.lock_keeper import LockKeeper
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import Usd
from apex_cli.core.model.position import MOST_ROUND_TRIPS, RoundTrip
from apex_cli.core.model.protections import NO_PROTECTIONS, CooldownLimits, Protections, StopGuard, StopGuards
from apex_cli.core.positions.lock_rules import locks_of
from apex_cli.core.positions.trade_locks import (
    find_locks,
    is_locked_by,
    keep_locks,
    lift_locks,
    locks_in_force,
    near_locks,
    prune_locks,
)
from apex_cli.core.state.tables import State
from kit import START, FixedClock
from kit.trips import HOUR, a_trip

D = Decimal
COOLDOWN = Protections(cooldown=CooldownLimits(after_stop="2 sessions"))


def a_state(*trips: RoundTrip) -> State:
    state = State()
    for trip in trips:
        state.round_trips[trip.round_trip_id] = trip
    return state


def kinds(state: State) -> list[str]:
    return [row.kind for row in state.outbox.values()]


def test_a_stop_locks_its_security_and_no_other() -> None:
    (lock,) = locks_of([a_trip()], COOLDOWN)
    assert (lock.rule, lock.scope, lock.subject, lock.trades) == ("cooldown", "symbol", "AAPL", ("t1",))
    assert lock.until.isoformat() == "2026-03-04T14:30:00+00:00"  # Monday and Tuesday, till Wednesday's opening
    assert is_locked_by(lock, make_instrument("AAPL"), "any")
    assert not is_locked_by(lock, make_instrument("MSFT"), "breakout")


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_reason": "target"},
        {"exit_reason": "manual"},
        {"pnl": Usd(D(10))},
        {"pnl": Usd(D(0))},
    ],
)
def test_only_a_stop_that_lost_locks(changes: dict[str, Any]) -> None:
    assert list(locks_of([a_trip(**changes)], COOLDOWN)) == []


def test_a_stop_that_costs_turned_into_a_loss_locks() -> None:
    assert len(list(locks_of([a_trip(pnl="1", commission=Usd(D(2)))], COOLDOWN))) == 1


def test_an_option_locks_its_underlying_with_all_its_options() -> None:
    option = make_instrument("AAPL", MarketType.OPTIONS, expiry="2026-04-17", strike=D(50), right=OptionRight.CALL)
    other = replace(option, strike=D(60))
    (lock,) = locks_of([a_trip(instrument=option)], COOLDOWN)
    assert lock.subject == "AAPL"
    assert all(is_locked_by(lock, each, "") for each in (option, other, make_instrument("AAPL")))


def test_nothing_is_locked_while_nothing_is_configured() -> None:
    assert list(locks_of([a_trip()], NO_PROTECTIONS)) == []


stops = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 400), st.sampled_from(["stop", "target"]), st.integers(-40, 20)),
    max_size=8,
)


@given(stops, st.integers(0, 2**16))
def test_the_same_trades_give_the_same_locks_in_any_order_and_any_number_of_times(
    rows: list[tuple[str, int, str, int]], seed: int
) -> None:
    trips = [
        a_trip(f"t{number}", symbol, str(pnl), START + hours * HOUR, exit_reason=why)
        for number, (symbol, hours, why, pnl) in enumerate(rows)
    ]
    now = START + 400 * HOUR
    once, again = a_state(*trips), State()
    keep_locks(once, COOLDOWN, now)
    Random(seed).shuffle(trips)
    for trip in [*trips, *trips]:
        again.round_trips[trip.round_trip_id] = trip
        keep_locks(again, COOLDOWN, now)
    assert dict(again.trade_locks) == dict(once.trade_locks)
    assert kinds(again) == ["trade_locked"] * len(once.trade_locks)


def test_what_is_over_is_not_kept_and_comes_not_back() -> None:
    state = a_state(a_trip())
    (lock,) = keep_locks(state, COOLDOWN, START)
    assert locks_in_force(state, lock.until - timedelta(microseconds=1)) == (lock,)
    assert locks_in_force(state, lock.until) == ()
    prune_locks(state, lock.until + HOUR)
    assert not state.trade_locks
    assert keep_locks(state, COOLDOWN, lock.until) == ()


def test_a_trade_that_another_process_corrected_is_looked_at(tmp_path: Path) -> None:
    ours, theirs = (TinyDbStore(tmp_path, clock=FixedClock()) for _ in range(2))
    with theirs.transaction() as tx:
        tx.round_trips["t1"] = a_trip(pnl="30", exit_reason="target")
    keeper = LockKeeper(ours, COOLDOWN)
    assert not asyncio.run(keeper.tend(START))
    with theirs.transaction() as tx:
        tx.round_trips["t1"] = a_trip()
    assert asyncio.run(keeper.tend(START))
    assert [lock.trades for lock in ours.view().trade_locks.values()] == [("t1",)]
    assert not asyncio.run(keeper.tend(START))


def test_a_lock_stands_when_its_protection_is_switched_off() -> None:
    state = a_state(a_trip())
    keep_locks(state, COOLDOWN, START)
    other = Protections(cooldown=CooldownLimits(after_stop="1 hour"))
    keep_locks(state, other, START + HOUR)
    (lock,) = state.trade_locks.values()
    assert lock.holds(START + 24 * HOUR)


def test_a_lifted_lock_stays_lifted_however_often_its_trade_comes() -> None:
    state = a_state(a_trip())
    (lock,) = keep_locks(state, COOLDOWN, START)
    (lifted,) = lift_locks(state, [lock], by="terminal", why="a bad print", now=START + HOUR)
    assert (lifted.lifted_by, lifted.lifted_why, lifted.lifted_at) == ("terminal", "a bad print", START + HOUR)
    assert keep_locks(state, COOLDOWN, START + HOUR) == ()
    assert locks_in_force(state, START + HOUR) == ()
    assert kinds(state) == ["trade_locked", "trade_lock_lifted"]
    with pytest.raises(NothingToDo):
        lift_locks(state, [lock], by="terminal", why="again", now=START + HOUR)


def test_a_trade_that_turns_out_to_have_won_takes_its_lock_back() -> None:
    state = a_state(a_trip())
    keep_locks(state, COOLDOWN, START)
    state.round_trips["t1"] = a_trip(pnl="5")
    keep_locks(state, COOLDOWN, START)
    assert (dict(state.trade_locks), kinds(state)) == ({}, ["trade_locked", "trade_lock_voided"])


def test_a_trade_that_is_undone_takes_its_lock_back_and_one_that_is_only_old_does_not() -> None:
    state = a_state(a_trip("old", at=START - 24 * HOUR, exit_reason="target", pnl="1"), a_trip())
    keep_locks(state, COOLDOWN, START)
    assert len(state.trade_locks) == 1
    newer = [a_trip(f"n{n}", at=START + HOUR, pnl="3", exit_reason="target") for n in range(MOST_ROUND_TRIPS)]
    only_old = a_state(*newer)
    only_old.trade_locks.update(state.trade_locks)
    keep_locks(only_old, COOLDOWN, START + HOUR)
    assert len(only_old.trade_locks) == 1
    del state.round_trips["t1"]
    keep_locks(state, COOLDOWN, START)
    assert not state.trade_locks


def test_what_counts_towards_a_lock_is_near_until_it_locks() -> None:
    guard = Protections(stop_guard=StopGuards(account=StopGuard(stops=2)))
    state = a_state(a_trip())
    (near,) = near_locks(state, guard, START)
    assert (near.subject, near.found, near.most) == ("*", 1, 2)
    state.round_trips["t2"] = a_trip("t2", "MSFT")
    keep_locks(state, guard, START)
    assert near_locks(state, guard, START) == ()
    assert near_locks(state, guard, START + timedelta(days=30)) == ()


def test_a_lock_is_named_by_its_id_a_beginning_of_it_or_its_subject() -> None:
    state = a_state(a_trip(), a_trip("t2", "MSFT"))
    keep_locks(state, COOLDOWN, START)
    lock = next(row for row in state.trade_locks.values() if row.subject == "AAPL")
    for name in (lock.lock_id, lock.lock_id[:5], "aapl"):
        assert find_locks(state, name, START) == (lock,)
    for name in ("IBM", lock.lock_id[:3], ""):
        with pytest.raises(InputError) as error:
            find_locks(state, name, START)
        assert error.value.code == "lock_unknown"
    with pytest.raises(InputError):
        find_locks(state, "AAPL", lock.until)
