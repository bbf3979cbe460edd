"""Imported executions: counted with our own, never folded, each once, for ten sessions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.day_trades.counter import DayTradeCounter, closing_warnings, is_partial, known_since
from apex_cli.core.day_trades.imports import Report, import_executions
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import DayTradeLimits
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions.booking import book
from apex_cli.core.positions.retention import prune
from apex_cli.core.state.events.book_events import Imported
from apex_cli.core.state.tables import State
from kit import MemoryStore
from kit.day_trades import count_in_state

D = Decimal
LIMITS = DayTradeLimits()


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


NOW = new_york("2026-11-30T12:00")


def row(word: str, at: str, *, name: str = "", **more: Any) -> Execution:
    return Execution(
        **{
            "exec_id": f"{name or at + word}.01",
            "security": "AAPL",
            "side": OrderSide.BUY if word[0] == "B" else OrderSide.SELL,
            "quantity": Quantity(D(word[1:])),
            "filled_at": new_york(at),
            **more,
        }
    )


def own(word: str, at: str, *, name: str = "", symbol: str = "AAPL") -> Fill:
    return Fill(
        exec_id=f"{name or at + word}.01",
        client_order_id="apex-00000000000000000000000009-E",
        instrument=make_instrument(symbol),
        side=OrderSide.BUY if word[0] == "B" else OrderSide.SELL,
        quantity=Quantity(D(word[1:])),
        price=Price(D(10)),
        filled_at=new_york(at),
    )


DAY_TRADE = (row("B10", "2026-11-24T10:00"), row("S10", "2026-11-24T11:00"))


def imported(store: MemoryStore, *rows: Execution, now: datetime = NOW, **reported: Any) -> Imported:
    with store.transaction() as tx:
        return import_executions(tx, Report(executions=rows, **reported), now)


def booked(store: MemoryStore, *fills: Fill) -> None:
    with store.transaction() as tx:
        book(tx, fills, NOW)


def account(equity: int = 3000) -> AccountSnapshot:
    return AccountSnapshot(
        equity=Usd(D(equity)), cash=Usd(D(equity)), buying_power=Usd(D(equity)), taken_at=NOW, is_simulated=True
    )


def test_imported_executions_are_counted_and_change_no_position() -> None:
    store = MemoryStore()
    booked(store, own("B5", "2026-11-23T10:00", symbol="AAPL"))
    before = dict(store.view().positions)
    got = imported(store, *DAY_TRADE)
    assert (got.added, got.known) == (2, 0)
    assert count_in_state(store.view()).by_session == {"2026-11-24": 1}
    assert dict(store.view().positions) == before
    assert len(store.view().fills) == 1


def test_twice_is_as_good_as_once() -> None:
    store = MemoryStore()
    imported(store, *DAY_TRADE)
    rows = dict(store.view().history_fills)
    again = imported(store, *DAY_TRADE)
    assert (again.added, again.known) == (0, 2)
    assert dict(store.view().history_fills) == rows
    assert [event.kind for event in store.events].count("history_imported") == 1


def test_what_apex_booked_itself_is_not_counted_again() -> None:
    store = MemoryStore()
    booked(store, own("B10", "2026-11-24T10:00", name="x"), own("S10", "2026-11-24T11:00", name="y"))
    got = imported(store, row("B10", "2026-11-24T10:00", name="x"), row("S10", "2026-11-24T11:00", name="y"))
    assert (got.added, got.known) == (0, 2)
    assert count_in_state(store.view()).by_session == {"2026-11-24": 1}


def test_a_list_without_ids_does_not_count_an_own_fill_or_order_again() -> None:
    store = MemoryStore()
    first, second = own("B30", "2026-11-30T10:00:00.400"), own("B70", "2026-11-30T10:00:05")
    booked(store, first, second)
    whole = row("B100", "2026-11-30T10:00:00", exec_id="row-1")
    part = row("B70", "2026-11-30T10:00:05", exec_id="row-2")
    other = row("B70", "2026-11-30T10:00:09", exec_id="row-3")
    sold = row("S70", "2026-11-30T10:00:05", exec_id="row-4")
    found = imported(store, whole, part, other, sold)
    assert (found.added, found.known) == (2, 2)
    assert set(store.view().history_fills) == {"row-3", "row-4"}


def test_what_is_booked_after_its_import_counts_once() -> None:
    store = MemoryStore()
    imported(store, row("B10", "2026-11-24T10:00", name="x"), row("S10", "2026-11-24T11:00", name="y"))
    booked(store, own("B10", "2026-11-24T10:00", name="x"), own("S10", "2026-11-24T11:00", name="y"))
    assert count_in_state(store.view()).by_session == {"2026-11-24": 1}


def test_a_correction_replaces_and_an_older_word_does_not() -> None:
    store = MemoryStore()
    first = row("B10", "2026-11-24T10:00", name="x", held_before=D(5))
    corrected = replace(first, exec_id="x.02", quantity=Quantity(D(12)), held_before=None)
    assert imported(store, first).added == 1
    assert imported(store, corrected).added == 1
    assert imported(store, first).added == 0
    (kept,) = store.view().history_fills.values()
    assert (kept.quantity, kept.held_before) == (12, 5)


def test_what_was_held_before_the_report_is_not_taken_for_a_short() -> None:
    store = MemoryStore()
    imported(store, row("S10", "2026-11-24T10:00", held_before=D(10)), row("B10", "2026-11-24T11:00", name="later"))
    assert count_in_state(store.view()).by_session == {}
    flat = MemoryStore()
    imported(flat, row("S10", "2026-11-24T10:00"), row("B10", "2026-11-24T11:00", name="later"))
    assert count_in_state(flat.view()).by_session == {"2026-11-24": 1}


def test_old_and_uncounted_rows_are_left_out_and_reported() -> None:
    got = imported(
        MemoryStore(),
        row("B1", "2026-11-13T10:00"),
        row("B1", "2026-11-16T10:00"),
        row("B1", "2026-11-24T10:00", sec_type=SecType.FUT),
        dropped=3,
    )
    assert (got.added, got.too_old, got.not_counted) == (1, 1, 4)


class TestCoverage:
    def test_nothing_is_known_before_the_first_session(self) -> None:
        state = State()
        assert known_since(state) is None
        assert is_partial(state, date(2026, 11, 30), LIMITS)

    def test_a_report_that_reaches_the_known_sessions_completes_the_window(self) -> None:
        store = MemoryStore()
        booked(store, own("B1", "2026-11-27T10:00"))
        assert is_partial(store.view(), date(2026, 11, 30), LIMITS)
        got = imported(store, *DAY_TRADE, since=date(2026, 11, 21), until=date(2026, 11, 25))
        assert got.covered_since == "2026-11-23"
        assert not is_partial(store.view(), date(2026, 11, 30), LIMITS)

    def test_a_report_with_a_gap_before_the_known_sessions_completes_nothing(self) -> None:
        store = MemoryStore()
        booked(store, own("B1", "2026-11-27T10:00"))
        got = imported(store, *DAY_TRADE, since=date(2026, 11, 20), until=date(2026, 11, 24))
        assert got.covered_since == ""
        assert is_partial(store.view(), date(2026, 11, 30), LIMITS)

    def test_a_list_reaches_from_its_oldest_row_to_now(self) -> None:
        store = MemoryStore()
        assert imported(store, row("B1", "2026-11-20T10:00")).covered_since == "2026-11-20"
        assert imported(store, row("B1", "2026-11-24T10:00")).covered_since == "2026-11-20"
        assert imported(store).covered_since == "2026-11-20"

    def test_a_report_reports_whether_it_covers_a_window(self) -> None:
        assert Report(executions=(), since=date(2026, 11, 23)).covers(NOW, 5)
        assert not Report(executions=DAY_TRADE).covers(NOW, 5)
        assert Report(executions=DAY_TRADE).covers(NOW, 4)
        assert not Report(executions=()).covers(NOW, 1)


def test_the_gate_counts_an_import_at_once() -> None:
    store, counter = MemoryStore(), DayTradeCounter(LIMITS)
    assert counter(store.view(), account(), NOW).used == 0
    imported(store, *DAY_TRADE, row("B7", "2026-11-30T10:00", security="IBM"))
    got = counter(store.view(), account(), NOW)
    assert (got.used, got.remaining, got.opened_today) == (1, 2, ("IBM",))
    assert counter(store.view(), account(2900), NOW) is got
    assert counter(store.view(), account(26_000), NOW).remaining == -1
    booked(store, own("S7", "2026-11-30T11:00", symbol="IBM"))
    assert counter(store.view(), account(), NOW).used == 2


def test_old_history_leaves_and_what_it_bought_is_remembered() -> None:
    store = MemoryStore()
    imported(store, row("B10", "2026-11-24T10:00"), row("B10", "2026-11-24T10:00", name="b", security="IBM"))
    imported(store, row("S10", "2026-12-09T10:00"), now=new_york("2026-12-09T11:00"))
    with store.transaction() as tx:
        prune(tx, date(2026, 12, 9))
    (kept,) = store.view().history_fills.values()
    assert (kept.side, kept.held_before) == (OrderSide.SELL, 10)
    imported(store, row("B10", "2026-12-09T10:30"), now=new_york("2026-12-09T11:00"))
    assert count_in_state(store.view()).by_session == {}
    with store.transaction() as tx:
        prune(tx, date(2026, 12, 10))
    assert len(store.view().history_fills) == 2


class TestClosing:
    def warned(self, store: MemoryStore, *keys: str, equity: int = 3000) -> list[str]:
        status = DayTradeCounter(LIMITS)(store.view(), account(equity), NOW)
        return [reason.code for reason in closing_warnings(store.view(), keys, status, account(equity))]

    def test_the_fourth_day_trade_is_warned_of_before_a_close(self) -> None:
        store = MemoryStore()
        for number in range(3):
            imported(store, *(replace(r, exec_id=f"{number}-{r.exec_id}", security=f"S{number}") for r in DAY_TRADE))
        booked(store, own("B5", "2026-11-30T10:00"), own("B5", "2026-11-27T10:00", symbol="IBM"))
        assert self.warned(store, "AAPL", "IBM", "GONE") == ["fourth_day_trade"]
        assert self.warned(store, "AAPL", equity=30_000) == []

    def test_several_closes_take_a_day_trade_each(self) -> None:
        store = MemoryStore()
        for number in range(2):
            imported(store, *(replace(r, exec_id=f"{number}-{r.exec_id}", security=f"S{number}") for r in DAY_TRADE))
        booked(store, own("S5", "2026-11-30T10:00"), own("B5", "2026-11-30T10:00", symbol="IBM"))
        assert self.warned(store, "AAPL", "IBM") == ["fourth_day_trade"]
        assert self.warned(store, "AAPL") == []


moves = st.lists(
    st.tuples(st.sampled_from("BS"), st.integers(1, 5), st.booleans()).map(lambda m: (f"{m[0]}{m[1]}", m[2])),
    min_size=1,
    max_size=12,
)


@given(moves, st.randoms(use_true_random=False))
def test_own_and_imported_executions_count_alike_in_any_order_of_import(
    sequence: list[tuple[str, bool]], shuffler: Any
) -> None:
    times = [f"2026-11-24T10:{number:02}" for number in range(len(sequence))]
    alone, mixed = MemoryStore(), MemoryStore()
    booked(alone, *(own(word, at) for (word, _), at in zip(sequence, times, strict=True)))
    rows = [row(word, at) for (word, is_own), at in zip(sequence, times, strict=True) if not is_own]
    shuffler.shuffle(rows)
    booked(mixed, *(own(word, at) for (word, is_own), at in zip(sequence, times, strict=True) if is_own))
    for each in rows:
        imported(mixed, each)
    assert count_in_state(mixed.view()) == count_in_state(alone.view())


@pytest.mark.parametrize("word", ["B10", "S10"])
def test_an_import_never_opens_or_reopens_a_position(word: str) -> None:
    store = MemoryStore()
    booked(store, own("B10", "2026-11-23T10:00"), own("S10", "2026-11-23T11:00"))
    trips = dict(store.view().round_trips)
    imported(store, row(word, "2026-11-24T10:00"))
    assert not store.view().positions
    assert dict(store.view().round_trips) == trips


def test_the_broker_s_number_decides_which_security_a_row_is() -> None:
    store = MemoryStore()
    bought = own("B10", "2026-11-30T10:00", name="x", symbol="FB")
    booked(store, replace(bought, instrument=replace(bought.instrument, con_id=107113386)))
    sold = row("S10", "2026-11-30T11:00", name="y", security="META", con_id=107113386)
    other = row("S10", "2026-11-30T11:30", name="z", security="META", con_id=999)
    imported(store, sold, other)
    assert {each.exec_id: each.security for each in store.view().history_fills.values()} == {
        "y.01": "FB",
        "z.01": "META",
    }
    assert count_in_state(store.view()).by_session == {"2026-11-30": 1}
