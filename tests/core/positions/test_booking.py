from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.model.broker_events import OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.lesson import EntryConditions
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions.booking import Booked, book
from apex_cli.core.state.tables import State
from kit import START, MemoryStore
from kit.day_trades import count_in_state

D = Decimal
AAPL = make_instrument("AAPL")
MINUTE = timedelta(minutes=1)
W, F, C, N = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.NEVER_SENT
SIDES = {"E": OrderSide.BUY, "S": OrderSide.SELL, "T": OrderSide.SELL, "C": OrderSide.SELL}
ROLES = {"E": OrderRole.ENTRY, "S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}


def order(name: str, quantity: str = "10", bracket: str = "b1", **terms: Any) -> Order:
    leg = name.rpartition("-")[2][0]
    return Order(
        client_order_id=name,
        bracket_id=bracket,
        role=ROLES[leg],
        instrument=AAPL,
        side=SIDES[leg],
        order_type=OrderType.MARKET,
        quantity=Quantity(D(quantity)),
        **terms,
    )


LOST = "apex-00000000000000000000000009"


def fill(name: str, quantity: str, price: str, exec_id: str, minute: float = 0, **changes: Any) -> Fill:
    leg = name.rpartition("-")[2][:1]
    base = Fill(
        exec_id=exec_id,
        client_order_id=name,
        instrument=AAPL,
        side=SIDES.get(leg, OrderSide.BUY),
        quantity=Quantity(D(quantity)),
        price=Price(D(price)),
        filled_at=START + minute * MINUTE,
    )
    return replace(base, **changes)


def update(
    name: str, status: OrderStatus, *, minute: float = 0, quantity: str | None = None, **more: Any
) -> OrderUpdate:
    reported = None if quantity is None else Quantity(D(quantity))
    return OrderUpdate(client_order_id=name, status=status, at=START + minute * MINUTE, quantity=reported, **more)


class Books:
    """A store with the orders of one or two brackets in it."""

    def __init__(self, *orders: Order, status: OrderStatus = W) -> None:
        self.store = MemoryStore()
        with self.store.transaction() as tx:
            for each in orders:
                tx.orders[each.client_order_id] = OrderRecord(
                    order=each, status=status, created_at=START - MINUTE, updated_at=START - MINUTE
                )
                tx.brackets[each.bracket_id] = BracketRecord(
                    bracket_id=each.bracket_id,
                    signal_id=f"sig-{each.bracket_id}",
                    instrument=AAPL,
                    side=OrderSide.BUY,
                    quantity=Quantity(D(10)),
                    entry_price=Price(D(50)),
                    stop_price=Price(D(48)),
                    risk_per_unit=Usd(D(2)),
                    created_at=START,
                    conditions=EntryConditions(score=D("0.5")),
                )

    def book(self, *events: Any) -> Booked:
        with self.store.transaction() as tx:
            return book(tx, events, START)

    @property
    def state(self) -> State:
        return self.store.view()

    def record(self, name: str) -> OrderRecord:
        found: OrderRecord = self.state.orders[name]
        return found

    def kinds(self) -> list[str]:
        return [event.kind for event in self.store.events]


ENTRY, STOP, TARGET, CLOSE = (order(f"b1-{leg}") for leg in ("E", "S1", "T1", "C1"))


class TestFills:
    def test_a_fill_opens_a_position_and_counts_on_its_order(self) -> None:
        books = Books(ENTRY)
        booked = books.book(fill("b1-E", "4", "50", "1.01"), fill("b1-E", "6", "51", "2.01", 1))
        assert [f.exec_id for f in booked.fills] == ["1.01", "2.01"]
        record = books.record("b1-E")
        assert (record.status, record.filled_quantity, record.average_price) == (F, 10, D("50.6"))
        position = books.state.positions["AAPL"].position
        assert (position.quantity, position.entry_price, position.bracket_id) == (10, D("50.6"), "b1")
        assert books.state.positions["AAPL"].current_price == 51

    def test_a_repeated_fill_changes_nothing_and_is_not_reported_again(self) -> None:
        books = Books(ENTRY)
        one = fill("b1-E", "4", "50", "1.01")
        books.book(one)
        before = (books.store.generation, len(books.store.events))
        assert books.book(one, one) == Booked()
        assert (books.store.generation, len(books.store.events)) == before

    def test_a_partial_fill_leaves_the_order_working(self) -> None:
        books = Books(ENTRY, status=OrderStatus.UNKNOWN)
        books.book(fill("b1-E", "4", "50", "1.01"))
        assert (books.record("b1-E").status, books.record("b1-E").open_quantity) == (W, 6)

    def test_a_correction_replaces_the_first_report(self) -> None:
        books = Books(ENTRY, TARGET)
        books.book(fill("b1-E", "10", "50", "1.01"), fill("b1-T1", "10", "54", "2.01", 5))
        booked = books.book(fill("b1-E", "10", "50.50", "1.02"))
        (trip,) = books.state.round_trips.values()
        assert (trip.entry_price, trip.pnl, trip.exit_reason) == (D("50.5"), 35, "target")
        assert [t.pnl for t in booked.round_trips] == [35]
        assert books.record("b1-E").average_price == D("50.5")
        assert "fill_corrected" in books.kinds()
        assert books.book(fill("b1-E", "10", "50", "1.01")) == Booked()

    def test_a_corrected_quantity_is_the_orders_quantity(self) -> None:
        books = Books(ENTRY)
        books.book(fill("b1-E", "10", "50", "1.01"), fill("b1-E", "9", "50", "1.02"))
        record = books.record("b1-E")
        assert (record.status, record.filled_quantity, record.order.quantity, record.open_quantity) == (F, 9, 9, 0)
        assert books.state.positions["AAPL"].position.quantity == 9

    def test_a_commission_that_comes_later_is_taken_over(self) -> None:
        books = Books(ENTRY)
        plain = fill("b1-E", "10", "50", "1.01")
        books.book(plain)
        books.book(replace(plain, commission=Usd(D("1.05"))))
        assert books.state.positions["AAPL"].position.commission == D("1.05")
        assert books.record("b1-E").filled_quantity == 10
        assert books.book(plain) == Booked()

    def test_a_late_fill_is_put_where_it_belongs(self) -> None:
        books = Books(ENTRY, STOP)
        books.book(fill("b1-S1", "10", "48", "2.01", 5))
        assert books.state.positions["AAPL"].position.side == "short"
        books.book(fill("b1-E", "10", "50", "1.01"))
        assert not books.state.positions
        (trip,) = books.state.round_trips.values()
        assert (trip.pnl, trip.exit_reason, trip.signal_id) == (-20, "stop", "sig-b1")

    def test_a_trip_that_a_late_fill_undoes_is_voided(self) -> None:
        books = Books(ENTRY, STOP, order("b2-E", bracket="b2"))
        books.book(fill("b1-S1", "10", "48", "2.01", 5), fill("b2-E", "10", "47", "3.01", 9, bracket_id="b2"))
        assert list(books.state.round_trips) == ["2"]
        books.book(fill("b1-E", "10", "50", "1.01"))
        assert list(books.state.round_trips) == ["1"]
        assert "round_trip_voided" in books.kinds()
        assert books.state.positions["AAPL"].position.bracket_id == "b2"

    def test_a_fill_of_a_lost_order_of_ours_makes_a_position_without_a_plan(self) -> None:
        books = Books()
        books.book(fill(f"{LOST}-E", "5", "50", "X.01"))
        position = books.state.positions["AAPL"].position
        assert (position.quantity, position.bracket_id) == (5, "")
        books.book(fill(f"{LOST}-C1", "5", "52", "Y.01", 3, side=OrderSide.SELL))
        (trip,) = books.state.round_trips.values()
        assert (trip.exit_reason, trip.signal_id, trip.initial_risk, trip.r_multiple) == ("outside", "", None, None)

    def test_a_trade_that_apex_did_not_ask_for_is_not_folded(self) -> None:
        books = Books(ENTRY)
        books.book(fill("", "5", "50", "X.01"), fill("my own", "5", "50", "Y.01"))
        assert not books.state.positions
        assert not books.state.fills

    def test_a_fill_whose_order_left_the_hot_tables_is_booked_as_it_was_reported(self) -> None:
        books = Books(ENTRY)
        with books.store.transaction() as tx:
            del tx.orders["b1-E"]
        books.book(fill("b1-E", "5", "50", "1.01", bracket_id="b1", role=OrderRole.ENTRY))
        assert books.state.positions["AAPL"].position.bracket_id == "b1"

    def test_a_fill_says_what_our_own_order_says_of_bracket_and_role(self) -> None:
        books = Books(ENTRY)
        books.book(fill("b1-E", "5", "50", "1.01", bracket_id="", role=None))
        (kept,) = books.state.fills.values()
        assert (kept.bracket_id, kept.role) == ("b1", OrderRole.ENTRY)

    def test_the_reason_a_person_gave_ends_in_the_history(self) -> None:
        books = Books(ENTRY, replace(CLOSE, note="earnings tonight"))
        books.book(fill("b1-E", "10", "50", "1.01"), fill("b1-C1", "10", "51", "2.01", 4))
        (trip,) = books.state.round_trips.values()
        assert (trip.exit_reason, trip.exit_price, trip.pnl, trip.pnl_pct) == ("earnings tonight", 51, 10, 2)

    def test_a_correction_keeps_the_reason_a_person_gave(self) -> None:
        books = Books(ENTRY, replace(CLOSE, note="earnings tonight"))
        books.book(fill("b1-E", "10", "50", "1.01"), fill("b1-C1", "10", "51", "2.01", 4))
        books.book(fill("b1-C1", "10", "51.5", "2.02", 4))
        (trip,) = books.state.round_trips.values()
        assert (trip.exit_reason, trip.pnl) == ("earnings tonight", 15)
        with books.store.transaction() as tx:
            del tx.orders["b1-C1"]
        books.book(fill("b1-C1", "10", "52", "2.03", 4))
        (trip,) = books.state.round_trips.values()
        assert (trip.exit_reason, trip.pnl) == ("earnings tonight", 20)

    def test_a_late_fill_does_not_take_the_newer_price_away(self) -> None:
        books = Books(ENTRY)
        books.book(fill("b1-E", "4", "51", "2.01", 5), fill("b1-E", "4", "50", "1.01", 1))
        row = books.state.positions["AAPL"]
        assert (row.current_price, row.priced_at) == (51, START + 5 * MINUTE)

    def test_fills_of_two_securities_do_not_meet(self) -> None:
        books = Books()
        other = fill(LOST + "-E", "5", "10", "9.01", 3, instrument=make_instrument("MSFT"))
        books.book(fill(LOST + "-E", "5", "50", "8.01", 5), other)
        assert {key: row.position.quantity for key, row in books.state.positions.items()} == {"AAPL": 5, "MSFT": 5}

    def test_a_short_earns_when_the_price_falls(self) -> None:
        books = Books()
        books.book(
            fill(LOST + "-E", "3", "50", "1.01", side=OrderSide.SELL),
            fill(LOST + "-E", "3", "48", "2.01", 2, side=OrderSide.BUY),
        )
        (trip,) = books.state.round_trips.values()
        assert (trip.side, trip.pnl, trip.pnl_pct) == ("short", 6, 4)


class TestUpdates:
    def test_status_quantity_and_trigger_are_taken_over(self) -> None:
        books = Books(STOP)
        books.book(update("b1-S1", W, quantity="7", stop_price=Price(D("49")), broker_order_id="77"))
        record = books.record("b1-S1")
        assert (record.order.quantity, record.order.stop_price, record.broker_order_id) == (7, 49, "77")
        assert record.updated_at == START

    def test_a_limit_is_booked_as_the_broker_rounded_it(self) -> None:
        target = replace(STOP, client_order_id="b1-T1", order_type=OrderType.LIMIT, limit_price=Price(D("8.03")))
        books = Books(target, STOP)
        rounded = Price(D("8.05"))
        books.book(update("b1-T1", W, limit_price=rounded), update("b1-S1", W, limit_price=rounded))
        assert (books.record("b1-T1").order.limit_price, books.record("b1-S1").order.limit_price) == (rounded, None)

    def test_what_says_nothing_new_changes_nothing(self) -> None:
        books = Books(STOP)
        books.book(update("b1-S1", W, quantity="10"))
        generation = books.store.generation
        books.book(update("b1-S1", W, quantity="10", minute=3))
        assert books.store.generation == generation

    @pytest.mark.parametrize("final", [F, C, OrderStatus.REJECTED, OrderStatus.EXPIRED])
    def test_nothing_revives_a_finished_order(self, final: OrderStatus) -> None:
        books = Books(STOP)
        books.book(update("b1-S1", final), update("b1-S1", W, minute=1), update("b1-S1", C, minute=2))
        assert books.record("b1-S1").status is final

    def test_only_never_sent_was_our_own_guess(self) -> None:
        books = Books(STOP, status=N)
        books.book(update("b1-S1", W))
        assert books.record("b1-S1").status is W
        assert books.kinds() == ["order_updated", "alarm"]

    def test_an_older_report_that_comes_late_does_not_undo_a_change(self) -> None:
        books = Books(STOP)
        books.book(update("b1-S1", W, quantity="4", stop_price=Price(D(49)), minute=5))
        books.book(update("b1-S1", W, quantity="10", stop_price=Price(D(48)), minute=1))
        record = books.record("b1-S1")
        assert (record.order.quantity, record.order.stop_price) == (4, 49)

    def test_a_fill_by_a_clock_ahead_does_not_make_the_next_update_old(self) -> None:
        books = Books(ENTRY, STOP)
        books.book(update("b1-S1", W), fill("b1-S1", "4", "48", "2.01", 0.001), update("b1-S1", W, quantity="7"))
        assert books.record("b1-S1").order.quantity == 7
        books.book(fill("b1-S1", "3", "48", "3.01", 9))
        assert (books.record("b1-S1").status, books.record("b1-S1").updated_at) == (F, START + 9 * MINUTE)

    def test_a_late_cancel_is_believed(self) -> None:
        books = Books(STOP)
        books.book(update("b1-S1", W, quantity="4", minute=5))
        books.book(update("b1-S1", C, quantity="4", minute=1))
        assert books.record("b1-S1").status is C

    def test_a_fill_after_a_cancel_is_booked(self) -> None:
        books = Books(ENTRY, STOP)
        books.book(fill("b1-E", "10", "50", "1.01"), update("b1-S1", C, minute=1), fill("b1-S1", "4", "48", "2.01", 2))
        record = books.record("b1-S1")
        assert (record.status, record.filled_quantity, record.open_quantity) == (C, 4, 0)
        assert books.state.positions["AAPL"].position.quantity == 6

    def test_orders_of_others_are_not_booked(self) -> None:
        books = Books(STOP)
        assert books.book(update("somebody-else", W)) == Booked()
        assert list(books.state.orders) == ["b1-S1"]

    def test_executions_that_apex_did_not_ask_for_are_counted_and_not_booked(self) -> None:
        books = Books(ENTRY)
        booked = books.book(fill("by hand", "5", "50", "7.01"), fill("b1-E", "10", "50", "1.01"))
        assert (booked.outside, [f.exec_id for f in booked.fills]) == (1, ["1.01"])
        assert list(books.state.fills) == ["1"]
        assert books.state.positions["AAPL"].position.quantity == 10

    def test_a_filled_status_before_its_fills_is_no_fill(self) -> None:
        books = Books(ENTRY)
        books.book(update("b1-E", F))
        assert (books.record("b1-E").filled_quantity, len(books.state.positions)) == (0, 0)
        books.book(fill("b1-E", "10", "50", "1.01"))
        assert (books.record("b1-E").status, books.record("b1-E").filled_quantity) == (F, 10)

    def test_each_change_is_reported_under_its_signal(self) -> None:
        books = Books(STOP)
        books.book(update("b1-S1", C, reason="cancelled on request"))
        (event,) = books.store.events
        assert (event.kind, event.subject) == ("order_updated", "sig-b1")
        assert msgspec.json.decode(event.data, type=OrderRecord) == books.record("b1-S1")


# Law 4: the same events in any order, any number of times


@st.composite
def streams(draw: st.DrawFn) -> list[Any]:
    """Fills of two brackets that open and close, some corrected, some in the same minute."""
    events: list[Any] = []
    minute = 0
    number = 0
    for bracket in ("b1", "b2"):
        held = 0
        for _ in range(draw(st.integers(1, 5))):
            minute += draw(st.integers(0, 2))
            number += 1
            leg = "E" if held == 0 else draw(st.sampled_from(["E", "S1", "T1", "C1"]))
            size = draw(st.integers(1, 4)) if leg == "E" else draw(st.integers(1, held))
            held += size if leg == "E" else -size
            price = str(draw(st.integers(48, 56)))
            one = fill(f"{bracket}-{leg}", str(size), price, f"{number:03d}.01", minute)
            events.append(one)
            if draw(st.booleans()):
                events.append(replace(one, exec_id=f"{number:03d}.02", price=Price(D(draw(st.integers(48, 56))))))
            if draw(st.booleans()):
                events.append(replace(one, commission=Usd(D("0.35"))))
    return events


def books_of(events: list[Any]) -> Books:
    names = ("E", "S1", "T1", "C1")
    orders = [order(f"{b}-{leg}", "99", b, note="told" if leg == "C1" else "") for b in ("b1", "b2") for leg in names]
    books = Books(*orders)
    for event in events:
        books.book(event)
    return books


def facts(books: Books) -> tuple[Any, ...]:
    state = books.state
    return (
        dict(state.positions),
        dict(state.round_trips),
        dict(state.fills),
        count_in_state(state),
        {
            name: (r.status, r.filled_quantity, round(r.average_price, 20) if r.average_price else None)
            for name, r in state.orders.items()
        },
    )


@settings(max_examples=60, deadline=None)
@given(streams(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_fills_in_any_order_and_any_number_give_the_same_books(
    events: list[Any], rng: random.Random, times: int
) -> None:
    mixed = events * times
    rng.shuffle(mixed)
    assert facts(books_of(mixed)) == facts(books_of(events))


@settings(max_examples=40, deadline=None)
@given(streams(), st.randoms(use_true_random=False))
def test_one_commit_or_many_give_the_same_books(events: list[Any], rng: random.Random) -> None:
    rng.shuffle(events)
    names = ("E", "S1", "T1", "C1")
    at_once = Books(
        *[order(f"{b}-{leg}", "99", b, note="told" if leg == "C1" else "") for b in ("b1", "b2") for leg in names]
    )
    at_once.book(*events)
    assert facts(at_once) == facts(books_of(events))


def test_what_the_broker_says_of_an_order_we_gave_up_on_counts_whenever_it_was_said() -> None:
    books = Books(STOP, status=OrderStatus.UNKNOWN)
    with books.store.transaction() as tx:
        tx.orders["b1-S1"] = replace(tx.orders["b1-S1"], updated_at=START + 9 * MINUTE)
    books.book(update("b1-S1", W, quantity="4", minute=5), update("b1-S1", W, quantity="3", minute=6))
    assert books.record("b1-S1").order.quantity == 3


class TestLessons:
    """Learners hear of a closed trade in the commit that books it, once by its id, whatever comes later."""

    def test_a_closed_trade_is_a_lesson_with_the_number_of_its_event(self) -> None:
        books = Books(ENTRY, STOP)
        books.book(fill("b1-E", "10", "50", "1.01"), fill("b1-S1", "10", "47.9", "2.01", 5, commission=Usd(D(1))))
        (lesson,) = books.state.lessons.values()
        reported = [event for event in books.store.events if event.kind == "round_trip_closed"]
        assert (lesson.round_trip_id, lesson.seq, lesson.r) == ("1", reported[0].seq, D("-1.1"))

    def test_a_corrected_price_corrects_the_lesson_and_does_not_make_it_new(self) -> None:
        books = Books(ENTRY, STOP)
        books.book(fill("b1-E", "10", "50", "1.01"), fill("b1-S1", "10", "48", "2.01", 5))
        before = books.state.lessons["1"]
        books.book(fill("b1-S1", "10", "52", "2.02", 5))
        after = books.state.lessons["1"]
        assert (before.r, after.r, after.seq) == (-1, 1, before.seq)

    def test_a_trade_that_a_late_fill_undoes_is_unlearned(self) -> None:
        books = Books(ENTRY, STOP, order("b2-E", bracket="b2"))
        books.book(fill("b1-E", "10", "50", "2.01", 5), fill("b1-S1", "10", "48", "3.01", 9))
        assert list(books.state.lessons) == ["2"]
        books.book(fill("b2-E", "10", "49", "1.01"))
        assert "round_trip_voided" in books.kinds()
        assert not books.state.lessons

    @given(dice=st.randoms(use_true_random=False))
    def test_the_order_and_number_of_deliveries_do_not_matter(self, dice: Any) -> None:
        events = [
            fill("b1-E", "10", "50", "1.01"),
            fill("b1-S1", "10", "48", "2.01", 5),
            fill("b1-S1", "10", "49", "2.02", 5),
            fill("b2-E", "5", "50", "3.01", 9),
            fill("b2-T1", "5", "55", "4.01", 12),
        ]
        orders = (ENTRY, STOP, order("b2-E", bracket="b2"), order("b2-T1", bracket="b2"))
        straight = Books(*orders)
        straight.book(*events)
        shuffled = events + dice.choices(events, k=4)
        dice.shuffle(shuffled)
        mixed = Books(*orders)
        for event in shuffled:
            mixed.book(event)
        found = {key: replace(row, seq=0) for key, row in mixed.state.lessons.items()}
        assert found == {key: replace(row, seq=0) for key, row in straight.state.lessons.items()}
        assert {key: row.r for key, row in found.items()} == {"1": D("-0.5"), "3": D("2.5")}
