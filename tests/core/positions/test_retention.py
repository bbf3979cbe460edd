from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.brackets import build_bracket
from apex_cli.core.decision.plan import decide
from apex_cli.core.market.calendar import next_session, previous_sessions, session_bounds
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import EntryOrder, OrderRecord, OrderStatus
from apex_cli.core.model.records import (
    ApprovalRecord,
    ApprovalStatus,
    DeficitRecord,
    PositionRecord,
    RejectedFile,
    SignalOutcome,
    SignalRecord,
)
from apex_cli.core.model.request import CloseRequest, RequestRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions import retention
from apex_cli.core.positions.ledger import fold
from apex_cli.core.positions.retention import prune
from apex_cli.core.state.tables import State

D = Decimal
TODAY = date(2026, 11, 24)


def sessions_ago(count: int, minutes: int = 0) -> datetime:
    day = previous_sessions(TODAY, count)[0] if count else TODAY
    bounds = session_bounds(day)
    assert bounds is not None
    return bounds[0] + timedelta(minutes=minutes)


def with_fills(*rows: tuple[str, int, int], symbol: str = "AAPL", state: State | None = None) -> State:
    """Return a state in which ``(id, signed quantity, sessions ago)`` was executed."""
    state = state or State()
    for exec_id, signed, ago in rows:
        fill = Fill(
            exec_id=exec_id,
            instrument=make_instrument(symbol),
            side=OrderSide.BUY if signed > 0 else OrderSide.SELL,
            quantity=Quantity(D(abs(signed))),
            price=Price(D(10)),
            filled_at=sessions_ago(ago, len(state.fills)),
        )
        state.fills[fill.key] = fill
    folded = fold(None, [f for f in state.fills.values() if f.instrument.symbol == symbol])
    if folded.position:
        state.positions[symbol] = PositionRecord(
            position=folded.position,
            current_price=Price(D(10)),
            priced_at=sessions_ago(0),
        )
    for trip in folded.round_trips:
        state.round_trips[trip.round_trip_id] = trip
    return state


def test_fills_of_the_last_ten_sessions_stay() -> None:
    state = with_fills(("a", 1, 10), ("b", -1, 10), ("c", 1, 9), ("d", -1, 0))
    prune(state, TODAY)
    assert list(state.fills) == ["c", "d"]


def test_day_after_day_with_as_many_fills_each_loses_what_is_old() -> None:
    state = State()
    for ago in range(20, -1, -1):
        with_fills((f"in {ago}", 1, ago), (f"out {ago}", -1, ago), state=state)
        prune(state, previous_sessions(TODAY, ago)[0] if ago else TODAY)
        assert len(state.fills) == 2 * min(10, 21 - ago), ago


def test_nothing_old_changes_nothing() -> None:
    state = with_fills(("a", 1, 3), ("b", -1, 2))
    state.settle()
    prune(state, TODAY)
    assert not any(table.changed for table in state.tables())


def test_a_holding_that_was_open_in_those_sessions_stays_whole() -> None:
    state = with_fills(("a", 5, 20), ("b", -5, 19), ("c", 5, 15), ("d", -2, 12), ("e", -3, 3))
    prune(state, TODAY)
    assert list(state.fills) == ["c", "d", "e"]
    assert fold(None, state.fills.values()).position is None


def test_an_open_position_keeps_the_fills_that_made_it() -> None:
    state = with_fills(("a", 5, 30), ("b", -5, 29), ("c", 5, 28), ("d", 1, 1))
    before = state.positions["AAPL"].position
    prune(state, TODAY)
    assert list(state.fills) == ["c", "d"]
    row = state.positions["AAPL"]
    assert row.carried is None
    assert fold(row.carried, state.fills.values()).position == row.position == before


def test_a_very_long_holding_is_carried(monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "MOST_OLD_FILLS", 2)
    state = with_fills(("a", 5, 30), ("b", -1, 29), ("c", 2, 28), ("d", 1, 1))
    before = state.positions["AAPL"].position
    prune(state, TODAY)
    assert list(state.fills) == ["d"]
    row = state.positions["AAPL"]
    assert row.carried is not None
    assert row.carried.quantity == 6
    assert fold(row.carried, state.fills.values()).position == before
    prune(state, TODAY)
    assert state.positions["AAPL"] == row


def test_a_carried_position_is_forgotten_once_it_was_flat() -> None:
    state = with_fills(("b", -5, 20), ("c", 2, 15), ("d", 1, 1))
    carried = fold(None, with_fills(("a", 5, 40)).fills.values()).position
    assert carried is not None
    whole = fold(carried, state.fills.values()).position
    assert whole is not None
    state.positions["AAPL"] = replace(state.positions["AAPL"], position=whole, carried=carried)
    prune(state, TODAY)
    assert list(state.fills) == ["c", "d"]
    assert state.positions["AAPL"].carried is None
    assert fold(None, state.fills.values()).position == whole


def test_securities_are_pruned_each_by_itself() -> None:
    state = with_fills(("a", 5, 20))
    with_fills(("x", 1, 20), ("y", -1, 19), symbol="MSFT", state=state)
    prune(state, TODAY)
    assert list(state.fills) == ["a"]


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["AAPL", "MSFT"]), st.sampled_from([-2, -1, 1, 2]), st.booleans()),
        min_size=10,
        max_size=60,
    )
)
def test_a_process_that_prunes_every_session_keeps_what_a_fresh_one_keeps(steps: Any) -> None:
    """Whatever is traded on the way, and whatever of it is undone by a failing transaction."""
    state, day = State(), TODAY
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "MOST_OLD_FILLS", 3)
        for number, (sessions, symbol, signed, fails) in enumerate(steps):
            for _ in range(sessions):
                day = next_session(day)
            bounds = session_bounds(day)
            assert bounds is not None
            fill = Fill(
                exec_id=f"e{number}",
                instrument=make_instrument(symbol),
                side=OrderSide.BUY if signed > 0 else OrderSide.SELL,
                quantity=Quantity(D(abs(signed))),
                price=Price(D(10)),
                filled_at=bounds[0] + timedelta(minutes=number),
            )
            state.fills[fill.key] = fill
            row = state.positions.get(symbol)
            held = fold(
                row.carried if row else None, [f for f in state.fills.values() if f.instrument == fill.instrument]
            )
            if held.position is None:
                state.positions.pop(symbol, None)
            else:
                state.positions[symbol] = PositionRecord(
                    position=held.position,
                    current_price=Price(D(10)),
                    priced_at=bounds[0],
                    carried=row.carried if row else None,
                )
            state.settle()
            fresh = state.committed()
            prune(fresh, day)
            prune(state, day)
            if fails:
                state.rollback()
                prune(state, day)
            assert (dict(state.fills), dict(state.positions)) == (dict(fresh.fills), dict(fresh.positions))


def test_a_strategy_that_trades_rarely_keeps_its_own_round_trips() -> None:
    state = with_fills(("a", 1, 3), ("b", -1, 2))
    (trip,) = state.round_trips.values()
    for number in range(700):
        name, strategy = f"{number:03}", "rare" if number % 7 == 0 else f"s{number % 3}"
        at = trip.exit_time + timedelta(minutes=number)
        state.round_trips[name] = replace(trip, round_trip_id=name, exit_time=at, strategy=strategy)
    prune(state, TODAY)
    kept = Counter(row.strategy for row in state.round_trips.values())
    assert kept == {"rare": 50, "s0": 50, "s1": 50, "s2": 50}
    assert all(f"{number:03}" in state.round_trips for number in range(600, 700))
    for number in range(100):
        state.round_trips[f"x{number}"] = replace(trip, round_trip_id=f"x{number}", strategy=f"x{number // 10}")
    for number in range(600):
        state.round_trips[f"y{number}"] = replace(trip, round_trip_id=f"y{number}", strategy=f"y{number // 10}")
    prune(state, TODAY)
    assert len(state.round_trips) == 500


def test_the_last_hundred_round_trips_stay() -> None:
    state = with_fills(("a", 1, 1), ("b", -1, 1))
    (trip,) = state.round_trips.values()
    for number in reversed(range(120)):
        exit_time = trip.exit_time + timedelta(minutes=number)
        state.round_trips[f"{number:03}"] = replace(trip, round_trip_id=f"{number:03}", exit_time=exit_time)
    del state.round_trips["a"]
    prune(state, TODAY)
    assert sorted(state.round_trips) == [f"{number:03}" for number in range(20, 120)]


def signal(name: str, seen: int, *, expires: datetime) -> SignalRecord:
    return SignalRecord(
        signal_id=name, symbol="AAPL", outcome=SignalOutcome.REFUSED, seen_at=sessions_ago(seen), expires_at=expires
    )


def test_a_signal_stays_until_it_is_expired_and_old() -> None:
    state = State()
    far = datetime.max.replace(tzinfo=sessions_ago(0).tzinfo)
    for row in (
        signal("old", 10, expires=sessions_ago(9)),
        signal("recent", 9, expires=sessions_ago(8)),
        signal("valid", 20, expires=far),
    ):
        state.signals[row.signal_id] = row
    prune(state, TODAY)
    assert list(state.signals) == ["recent", "valid"]


def test_too_many_signals_lose_the_oldest_expired_ones_only(monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "MOST_SIGNALS", 2)
    state = State()
    for name, seen, expires in (("a", 5, 4), ("b", 4, 3), ("c", 3, 0), ("d", 2, 0)):
        state.signals[name] = signal(name, seen, expires=sessions_ago(expires))
    prune(state, TODAY)
    assert list(state.signals) == ["c", "d"]


def test_too_many_signals_lose_no_more_expired_ones_than_are_too_many(monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "MOST_SIGNALS", 2)
    state = State()
    for name, seen, expires in (("a", 5, 4), ("b", 4, 3), ("c", 3, 0)):
        state.signals[name] = signal(name, seen, expires=sessions_ago(expires))
    prune(state, TODAY)
    assert list(state.signals) == ["b", "c"]


def read_files(state: State, **sessions: int) -> list[str]:
    """Return which files with rejected rows stay of those that were read so many sessions ago."""
    for name, ago in sessions.items():
        state.rejected_files[name] = RejectedFile(file_version=name, recorded_at=sessions_ago(ago))
    prune(state, TODAY)
    return list(state.rejected_files)


def test_a_file_with_rejected_rows_stays_for_ten_sessions() -> None:
    assert read_files(State(), old=10, recent=9, new=0) == ["recent", "new"]


def test_too_many_files_with_rejected_rows_lose_the_oldest(monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "MOST_SIGNALS", 2)
    assert read_files(State(), a=3, c=1, b=2, old=12) == ["c", "b"]


def placed(build: Any, state: State, name: str, status: OrderStatus, ago: int) -> None:
    opportunity = build.opportunity()
    decision = decide(opportunity, build.snapshot(), Limits())
    bracket, orders = build_bracket(
        decision, opportunity, bracket_id=name, entry_order=EntryOrder.MARKET, now=sessions_ago(ago)
    )
    state.brackets[name] = bracket
    for order in orders:
        at = sessions_ago(ago)
        state.orders[order.client_order_id] = OrderRecord(order=order, status=status, created_at=at, updated_at=at)


def test_finished_orders_and_their_brackets_leave_after_two_sessions(build: Any) -> None:
    state = State()
    placed(build, state, "OLD", OrderStatus.FILLED, 2)
    placed(build, state, "YESTERDAY", OrderStatus.CANCELLED, 1)
    placed(build, state, "WORKING", OrderStatus.WORKING, 30)
    placed(build, state, "UNKNOWN", OrderStatus.UNKNOWN, 30)
    prune(state, TODAY)
    assert list(state.brackets) == ["YESTERDAY", "WORKING", "UNKNOWN"]
    assert len(state.orders) == 9


def test_the_orders_of_an_open_position_stay(build: Any) -> None:
    state = with_fills(("a", 5, 30))
    row = state.positions["AAPL"]
    state.positions["AAPL"] = replace(row, position=replace(row.position, bracket_id="HELD"))
    placed(build, state, "HELD", OrderStatus.FILLED, 30)
    prune(state, TODAY)
    assert (list(state.brackets), len(state.orders)) == (["HELD"], 3)


def test_a_bracket_stays_while_a_fill_names_it(build: Any) -> None:
    state = with_fills(("a", 5, 5), ("b", -5, 5))
    state.fills["a"] = replace(state.fills["a"], bracket_id="B")
    placed(build, state, "B", OrderStatus.FILLED, 5)
    prune(state, TODAY)
    assert (list(state.brackets), len(state.orders)) == (["B"], 0)


def test_finished_approvals_leave_and_unanswered_ones_stay(build: Any) -> None:
    state = State()
    opportunity = build.opportunity()
    rows = (
        ("old", ApprovalStatus.REJECTED, 2, None),
        ("recent", ApprovalStatus.REJECTED, 1, None),
        ("lapsed", ApprovalStatus.EXPIRED, None, None),
        ("pending", ApprovalStatus.PENDING, None, None),
        ("approved", ApprovalStatus.APPROVED, 5, "B"),
    )
    for name, status, decided, bracket_id in rows:
        state.approvals[name] = ApprovalRecord(
            approval_id=name,
            opportunity=opportunity,
            decision=decide(opportunity, build.snapshot(), Limits()),
            quoted_price=Price(D(50)),
            status=status,
            created_at=sessions_ago(6),
            expires_at=sessions_ago(5),
            decided_at=None if decided is None else sessions_ago(decided),
            bracket_id=bracket_id,
        )
    placed(build, state, "B", OrderStatus.FILLED, 5)
    prune(state, TODAY)
    assert list(state.approvals) == ["recent", "pending", "approved"]
    assert list(state.brackets) == ["B"]


def test_answers_that_nobody_collected_leave_and_open_requests_stay() -> None:
    state = State()
    for name, ago in (("old", 2), ("new", 1), ("open", None)):
        state.requests[name] = RequestRecord(
            request_id=name,
            work=CloseRequest(symbol="AAPL"),
            asked_by="apex close",
            created_at=sessions_ago(5),
            valid_until=sessions_ago(5),
            finished_at=None if ago is None else sessions_ago(ago),
        )
    prune(state, TODAY)
    assert list(state.requests) == ["new", "open"]


def with_history(*rows: tuple[str, int, int], security: str = "AAPL") -> State:
    """Return a state with imported executions ``(id, signed quantity, sessions ago)``."""
    state = State()
    for exec_id, signed, ago in rows:
        state.history_fills[exec_id] = Execution(
            exec_id=exec_id,
            security=security,
            side=OrderSide.BUY if signed > 0 else OrderSide.SELL,
            quantity=Quantity(D(abs(signed))),
            filled_at=sessions_ago(ago, len(state.history_fills)),
        )
    return state


def test_old_imported_executions_leave_what_was_held_to_the_oldest_one_that_stays() -> None:
    state = with_history(("a", 30, 14), ("b", -10, 12), ("c", -20, 1))
    prune(state, TODAY)
    assert list(state.history_fills) == ["c"]
    assert state.history_fills["c"].held_before == 20


def test_imported_executions_leave_altogether_when_all_are_old_and_stay_when_none_is() -> None:
    gone = with_history(("a", 30, 14), ("b", -30, 12))
    prune(gone, TODAY)
    assert not gone.history_fills
    fresh = with_history(("a", 30, 1))
    prune(fresh, TODAY)
    assert fresh.history_fills["a"].held_before is None


def test_imported_executions_of_a_security_that_has_no_old_ones_stay_as_they_are() -> None:
    state, fresh = with_history(("a", 30, 14), ("b", -10, 1)), with_history(("c", 5, 1), security="MSFT")
    state.history_fills["c"] = fresh.history_fills["c"]
    prune(state, TODAY)
    assert {name: row.held_before for name, row in state.history_fills.items()} == {"b": 30, "c": None}


def test_margin_deficits_stay_for_more_than_a_year() -> None:
    state = State()
    for day in ("2025-10-01", "2025-11-24", "2026-11-23"):
        state.deficits[day] = DeficitRecord(session_date=day, amount=Usd(D(1)), is_de_minimis=True)
    prune(state, TODAY)
    assert list(state.deficits) == ["2025-11-24", "2026-11-23"]
