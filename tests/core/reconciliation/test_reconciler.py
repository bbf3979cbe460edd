"""The simulated broker's books are changed behind apex's back: what is found, corrected, locked and reported."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.errors import InputError, NothingToDo, RefusedError
from apex_cli.core.model.broker_events import BrokerSnapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.limits import ReconcileLimits
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.reconciliation import Break, BreakCode, BreakStatus, Reconciliation
from apex_cli.core.model.records import OutboxRow, SignalOutcome
from apex_cli.core.model.request import ReconcileRequest
from apex_cli.core.model.side import OrderSide
from apex_cli.core.reconciliation.adoption import Adoption
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from kit.faults import Fate, UnreliableBroker
from kit.rig import Rig, make_signal

D = Decimal
BRACKET = "00000000000000000000000009"
TARGET: dict[str, Any] = {
    "side": OrderSide.SELL,
    "order_type": OrderType.LIMIT,
    "quantity": Quantity(D(9)),
    "limit_price": Price(D(60)),
}


class Edited(UnreliableBroker):
    """A broker whose answers are edited on the way."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.venue, rig.clock)
        self.edit: Any = lambda reported: reported

    async def snapshot(self) -> BrokerSnapshot:
        reported: BrokerSnapshot = self.edit(await super().snapshot())
        return reported


@pytest.fixture
def rig() -> Rig:
    """Return a rig that holds 15 AAPL at 50 with a stop at 48 and a target at 54."""
    rig = Rig()
    rig.use(Edited(rig))
    rig.feed(make_signal(now=rig.clock.now()))
    assert rig.reconcile().breaks == ()
    return rig


def unheard(rig: Rig, act: Any) -> None:
    """Do something at the venue of which no event arrives."""
    rig.execution.orders.sync()
    act()
    rig.venue._events.clear()
    rig.venue._unsaved.clear()


def at_venue(rig: Rig, name: str) -> Any:
    return rig._desk.orders[name]


def stop_of(rig: Rig) -> str:
    return rig.order("-S1").order.client_order_id


def cancel_at_venue(rig: Rig, name: str) -> None:
    unheard(rig, lambda: rig._engine.cancel(name, rig.clock.now()))


def forget_at_venue(rig: Rig, name: str) -> None:
    """Let the venue lose every trace of an order."""
    cancel_at_venue(rig, name)
    group = rig._desk.orders[name].group
    if group is not None:
        group.legs = [leg for leg in group.legs if leg.id != name]
    del rig._desk.orders[name]


def submit_at_venue(rig: Rig, name: str, **terms: Any) -> None:
    order = Order(
        client_order_id=name,
        bracket_id=BRACKET,
        role=OrderRole.STOP,
        instrument=make_instrument(terms.pop("symbol", "AAPL")),
        time_in_force=TimeInForce.GTC,
        **terms,
    )
    unheard(rig, lambda: rig._engine.submit([order], rig.clock.now()))


def hold_at_venue(rig: Rig, quantity: int, symbol: str = "AAPL") -> None:
    """Let the venue hold *quantity*, whatever was traded."""
    instrument = make_instrument(symbol)
    rig._engine.ledger.instruments[instrument.key] = instrument
    if rig._engine.ledger.last_price(instrument.key) is None:
        rig.price("20", symbol)
    if quantity:
        rig._engine.ledger.positions[instrument.key] = D(quantity)
    else:
        rig._engine.ledger.positions.pop(instrument.key, None)


def trade_in_tws(rig: Rig, side: OrderSide, quantity: int, price: str, name: str = "TWS-1") -> None:
    """Trade by hand: apex did not ask for it."""
    rig.price(price)
    submit_at_venue(rig, name, side=side, order_type=OrderType.MARKET, quantity=Quantity(D(quantity)))


def codes(found: Reconciliation, status: BreakStatus = BreakStatus.REPAIRED) -> list[str]:
    return [each.code for each in found.breaks if each.status is status]


def only(found: Reconciliation) -> Break:
    (each,) = found.breaks
    return each


def alarms(rig: Rig) -> list[str]:
    return [msgspec.json.decode(event.data)["code"] for event in rig.events("alarm")]


def ask(rig: Rig, **request: Any) -> Reconciliation:
    async def no_price(_: Any) -> None:
        return None

    for name in ("stop_price", "price"):
        if name in request:
            request[name] = Price(D(request[name]))
    adoption = Adoption(reconciler=rig.reconciler, store=rig.store, clock=rig.clock, ids=rig.ids, price_of=no_price)
    found: Reconciliation = rig.run(adoption.reconcile(ReconcileRequest(**request)))
    return found


def assert_laws(rig: Rig) -> None:
    """Laws 2 and 3 for AAPL, by the venue's books."""
    held = abs(rig.at_venue().get("AAPL", D(0)))
    assert rig.most_that_exits_fill() <= held
    mine = rig.state.positions.get("AAPL")
    backed = min(held, mine.position.quantity) if mine else 0
    protected = sum(o.quantity - o.filled for o in rig._desk.open.values() if o.order.order_type is OrderType.STOP)
    assert not backed or protected >= backed or "unprotected" in alarms(rig)


def assert_settled(rig: Rig) -> None:
    """A second comparison finds what the first one left, and says nothing new."""
    first = rig.state.reconciliation
    assert first is not None
    events = len(rig.store.events)
    again = rig.reconcile()
    assert again.breaks == first.open_breaks + tuple(b for b in first.breaks if b.status is BreakStatus.IGNORED)
    rig.reconcile()
    repeated = [event.kind for event in rig.store.events[events:]]
    assert set(repeated) <= {"reconciled"}
    assert len(repeated) <= 1
    assert_laws(rig)


class TestFills:
    def test_a_fill_we_missed_is_adopted(self, rig: Rig) -> None:
        unheard(rig, lambda: rig.price("54.5"))
        found = rig.reconcile()
        assert codes(found)[0] == "missed_fill"
        assert not rig.state.positions
        (trip,) = rig.state.round_trips.values()
        assert trip.exit_reason == "target"
        assert rig.state.locks == {}
        assert_settled(rig)

    def test_a_correction_replaces_what_was_booked(self, rig: Rig) -> None:
        entry = next(iter(rig.state.fills.values()))
        fixed = replace(entry, exec_id=f"{entry.key}.02", price=Price(D("50.10")))
        rig.broker.edit = lambda reported: replace(reported, fills=(fixed, *reported.fills[1:]))
        assert codes(rig.reconcile()) == ["missed_fill"]
        assert rig.state.positions["AAPL"].position.entry_price == D("50.10")
        assert_settled(rig)

    def test_a_fill_of_a_lost_order_makes_the_position_ours(self, rig: Rig) -> None:
        name = f"apex-{BRACKET}-E"
        rig.price("20", "MSFT")
        submit_at_venue(
            rig, name, symbol="MSFT", side=OrderSide.BUY, order_type=OrderType.MARKET, quantity=Quantity(D(4))
        )
        found = rig.reconcile()
        assert codes(found) == ["missed_fill"]
        assert codes(found, BreakStatus.OPEN) == ["stop_missing"]
        assert rig.state.positions["MSFT"].position.quantity == 4
        assert "MSFT" in rig.state.locks
        ask(rig, adopt="MSFT", stop_price="18")
        assert rig.state.locks == {}
        assert [r.order.stop_price for r in rig.orders("MSFT")] == [18]
        assert_settled(rig)


class TestOrders:
    def test_a_cancelled_stop_is_adopted_and_put_back(self, rig: Rig) -> None:
        cancel_at_venue(rig, stop_of(rig))
        found = rig.reconcile()
        assert codes(found) == ["stop_missing", "order_state_differs"]
        assert rig.order("-S1").status is OrderStatus.CANCELLED
        assert rig.unprotected() == 0
        assert rig.state.locks == {}
        assert_settled(rig)

    def test_a_stop_that_the_broker_forgot_is_closed_and_put_back(self, rig: Rig) -> None:
        forget_at_venue(rig, stop_of(rig))
        found = rig.reconcile()
        assert set(codes(found)) == {"order_unknown_to_broker", "stop_missing"}
        assert rig.order("-S1").reason == "not at the broker any more"
        assert rig.order("-S2").status is OrderStatus.WORKING
        assert_settled(rig)

    def test_an_intent_that_never_arrived_frees_its_signal(self, rig: Rig) -> None:
        broker: Edited = rig.broker
        broker.has_snapshot = False
        broker.fates.append(Fate.LOST_BEFORE)
        rig.feed(make_signal("MSFT", now=rig.clock.now()))
        assert "sig-MSFT" in rig.state.signals
        broker.has_snapshot = True
        assert set(codes(rig.reconcile())) == {"order_unknown_to_broker"}
        assert "sig-MSFT" not in rig.state.signals
        assert "never_sent" in alarms(rig)

    def test_a_stop_moved_at_the_broker_is_taken_over(self, rig: Rig) -> None:
        order = rig.order("-S1").order
        moved = replace(order, stop_price=Price(D(49)), quantity=Quantity(D(10)))
        unheard(rig, lambda: rig._engine.modify(moved, rig.clock.now()))
        found = rig.reconcile()
        assert codes(found)[-1] == "order_terms_differ"
        assert rig.order("-S1").order.stop_price == 49
        assert rig.order("-S1").order.quantity == 15, "what was taken from it is given back"
        assert rig.unprotected() == 0
        assert_settled(rig)

    def test_another_order_under_our_id_is_left_to_a_person(self, rig: Rig) -> None:
        def turned(reported: BrokerSnapshot) -> BrokerSnapshot:
            rows = tuple(
                replace(row, side=row.side.opposite) if row.client_order_id == stop_of(rig) else row
                for row in reported.working
            )
            return replace(reported, working=rows)

        rig.broker.edit = turned
        assert codes(rig.reconcile(), BreakStatus.OPEN) == ["order_terms_differ"]
        assert "AAPL" in rig.state.locks
        assert rig.broker.asked_cancels == []

    def test_an_orphan_of_ours_is_cancelled(self, rig: Rig) -> None:
        name = f"apex-{BRACKET}-T1"
        submit_at_venue(
            rig,
            name,
            side=OrderSide.SELL,
            order_type=OrderType.LIMIT,
            quantity=Quantity(D(9)),
            limit_price=Price(D(60)),
        )
        assert rig.most_that_exits_fill() == 24
        found = rig.reconcile()
        assert codes(found) == ["orphan_order"]
        assert at_venue(rig, name).status is OrderStatus.CANCELLED
        assert_settled(rig)

    def test_an_orphan_that_is_the_only_protection_is_taken_over(self, rig: Rig) -> None:
        name = f"apex-{BRACKET}-S1"
        forget_at_venue(rig, stop_of(rig))
        cancel_at_venue(rig, rig.order("-T1").order.client_order_id)
        submit_at_venue(
            rig, name, side=OrderSide.SELL, order_type=OrderType.STOP, quantity=Quantity(D(15)), stop_price=Price(D(47))
        )
        found = rig.reconcile()
        assert "orphan_order" in codes(found)
        assert rig.state.orders[name].status is OrderStatus.WORKING
        assert rig.broker.asked_cancels == []
        assert rig.unprotected() == 0
        assert_settled(rig)

    def test_an_order_taken_for_cancelled_that_still_protects_is_taken_back(self, rig: Rig) -> None:
        with rig.store.transaction() as tx:
            record = rig.order("-S1")
            tx.orders[record.order.client_order_id] = replace(record, status=OrderStatus.CANCELLED)
        assert codes(rig.reconcile()) == ["orphan_order"]
        assert rig.order("-S1").status is OrderStatus.WORKING
        assert_settled(rig)

    def test_an_orphan_of_another_connection_is_only_shown(self, rig: Rig) -> None:
        name = f"apex-{BRACKET}-T1"
        submit_at_venue(
            rig,
            name,
            side=OrderSide.SELL,
            order_type=OrderType.LIMIT,
            quantity=Quantity(D(9)),
            limit_price=Price(D(60)),
        )
        rig.broker.edit = lambda reported: replace(
            reported, working=tuple(replace(row, is_ours_to_cancel=False) for row in reported.working)
        )
        assert codes(rig.reconcile(), BreakStatus.OPEN) == ["orphan_order"]
        assert "AAPL" in rig.state.locks
        assert rig.broker.asked_cancels == []

    def test_a_second_stop_under_one_id_is_cancelled(self, rig: Rig) -> None:
        name = stop_of(rig)

        def doubled(reported: BrokerSnapshot) -> BrokerSnapshot:
            if name in rig.broker.asked_cancels:
                return reported
            twins = tuple(replace(row, broker_order_id="99") for row in reported.working if row.client_order_id == name)
            return replace(reported, working=(*reported.working, *twins))

        rig.broker.edit = doubled
        found = rig.reconcile()
        assert "surplus_order" in codes(found)
        assert rig.broker.asked_cancels == [name]
        assert rig.unprotected() == 0
        assert_settled(rig)

    def test_an_order_placed_by_hand_is_never_touched(self, rig: Rig) -> None:
        submit_at_venue(
            rig,
            "",
            symbol="TSLA",
            side=OrderSide.BUY,
            order_type=OrderType.STOP,
            quantity=Quantity(D(1)),
            stop_price=Price(D(9)),
        )
        assert rig.reconcile().breaks == ()
        assert rig.broker.asked_cancels == []


class TestPositions:
    def test_a_position_that_is_not_ours_locks_its_symbol(self, rig: Rig) -> None:
        hold_at_venue(rig, 7, "MSFT")
        found = rig.reconcile()
        assert only(found).code is BreakCode.POSITION_NOT_OURS
        (report,) = rig.feed(make_signal("MSFT", now=rig.clock.now()))
        assert report.outcome is SignalOutcome.REFUSED
        (reason,) = report.reasons
        assert (reason.code, reason.limit, reason.value) == (
            "reconciled",
            "7 at the broker",
            "0 here (position_not_ours)",
        )
        assert alarms(rig) == ["position_not_ours"]
        assert "MSFT" not in rig.state.positions
        assert_settled(rig)

    def test_a_lock_clears_itself_when_a_later_answer_agrees(self, rig: Rig) -> None:
        hold_at_venue(rig, 7, "MSFT")
        rig.reconcile()
        hold_at_venue(rig, 0, "MSFT")
        assert rig.reconcile().breaks == ()
        assert rig.state.locks == {}
        (report,) = rig.feed(make_signal("MSFT", now=rig.clock.now()))
        assert report.outcome is SignalOutcome.EXECUTED

    def test_a_position_sold_by_hand_leaves_no_exit_and_cannot_be_closed_again(self, rig: Rig) -> None:
        trade_in_tws(rig, OrderSide.SELL, 15, "51")
        found = rig.reconcile()
        assert codes(found, BreakStatus.OPEN) == ["position_missing"]
        assert set(codes(found)) == {"exits_exceed_position", "foreign_fill"}
        assert rig.resting_at_venue() == {}
        with pytest.raises(RefusedError, match="only 0 at the broker"):
            rig.close()
        assert rig.at_venue() == {}
        rig.cycle()
        assert rig.resting_at_venue() == {}, "no stop is put back for what is gone"
        assert_settled(rig)

    def test_a_part_sold_by_hand_keeps_exits_for_the_rest(self, rig: Rig) -> None:
        trade_in_tws(rig, OrderSide.SELL, 5, "51")
        rig.reconcile()
        assert rig.at_venue() == {"AAPL": 10}
        assert rig.most_that_exits_fill() == 10
        rig.clock.advance(minutes=1)
        rig.cycle()
        assert rig.most_that_exits_fill() == 10
        rig.close(quantity="10")
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_more_bought_by_hand_leaves_ours_protected(self, rig: Rig) -> None:
        trade_in_tws(rig, OrderSide.BUY, 5, "51")
        found = rig.reconcile()
        assert codes(found, BreakStatus.OPEN) == ["position_differs"]
        assert "Trades made outside apex explain it." in only_open(found).message
        assert rig.most_that_exits_fill() == 15
        assert_settled(rig)

    def test_adopting_what_was_sold_books_the_round_trip_at_the_price_reported(self, rig: Rig) -> None:
        trade_in_tws(rig, OrderSide.SELL, 15, "51")
        found = ask(rig, adopt="aapl")
        assert found.open_breaks == ()
        assert not rig.state.positions
        (trip,) = rig.state.round_trips.values()
        assert (trip.pnl, trip.exit_reason) == (15, "outside")
        assert rig.state.locks == {}
        assert_settled(rig)

    def test_adopting_more_of_ours_extends_its_stop(self, rig: Rig) -> None:
        trade_in_tws(rig, OrderSide.BUY, 5, "52")
        rig.reconcile()
        ask(rig, adopt="AAPL")
        assert rig.state.positions["AAPL"].position.quantity == rig.at_venue()["AAPL"]
        assert rig.unprotected() == 0
        assert_settled(rig)

    def test_adopting_a_position_needs_a_stop_on_the_right_side(self, rig: Rig) -> None:
        trade_in_tws_of("MSFT", rig)
        rig.reconcile()
        with pytest.raises(InputError) as error:
            ask(rig, adopt="MSFT")
        assert error.value.code == "stop_needed"
        with pytest.raises(InputError) as error:
            ask(rig, adopt="MSFT", stop_price="21")
        assert error.value.code == "stop_on_wrong_side"
        ask(rig, adopt="MSFT", stop_price="18.005")
        (stop,) = rig.orders("MSFT")
        assert (stop.order.stop_price, stop.order.quantity, stop.status) == (D("18.01"), 7, OrderStatus.WORKING)
        assert rig.state.brackets[stop.order.bracket_id].strategy == "adopted"
        assert_settled(rig)

    def test_adopting_without_a_stop_is_reported(self, rig: Rig) -> None:
        trade_in_tws_of("MSFT", rig)
        ask(rig, adopt="MSFT", without_stop=True)
        assert rig.state.positions["MSFT"].position.quantity == 7
        rig.cycle()
        assert "unprotected" in alarms(rig)
        assert ask(rig, adopt="MSFT", stop_price="18").open_breaks == ()

    def test_adopting_a_position_makes_no_day_trade(self, rig: Rig) -> None:
        trade_in_tws_of("MSFT", rig)
        ask(rig, adopt="MSFT", stop_price="18")
        account = rig.run(rig.broker.account())
        before = rig.gatherer._day_trades(rig.state, account, rig.clock.now())
        assert set(before.opened_today) == {"AAPL", "MSFT"}
        assert before.used == 0
        rig.clock.advance(minutes=1)
        rig.close("MSFT")
        after = rig.gatherer._day_trades(rig.state, account, rig.clock.now())
        assert after.used == 1

    def test_the_price_is_asked_for_when_the_broker_does_not_report(self, rig: Rig) -> None:
        hold_at_venue(rig, 7, "MSFT")
        with pytest.raises(InputError) as error:
            ask(rig, adopt="MSFT", stop_price="18")
        assert error.value.code == "price_needed"
        ask(rig, adopt="MSFT", stop_price="18", price="20")
        assert rig.state.positions["MSFT"].position.entry_price == 20

    def test_a_position_that_was_turned_round_by_hand_is_adopted_with_a_stop_above(self, rig: Rig) -> None:
        hold_at_venue(rig, -5)
        with pytest.raises(InputError) as error:
            ask(rig, adopt="AAPL", price="50", stop_price="48")
        assert error.value.code == "stop_on_wrong_side"
        ask(rig, adopt="AAPL", price="50", stop_price="52")
        position = rig.state.positions["AAPL"].position
        assert (position.side, position.quantity) == ("short", 5)
        (stop,) = [r.order for r in rig.orders() if r.status is OrderStatus.WORKING]
        assert (stop.side, stop.quantity, stop.stop_price) == (OrderSide.BUY, 5, 52)
        assert rig.state.locks == {}
        assert_settled(rig)

    def test_nothing_is_adopted_on_an_incomplete_answer(self, rig: Rig) -> None:
        hold_at_venue(rig, 20)
        rig.broker.has_snapshot = False
        with pytest.raises(NothingToDo, match="answer is incomplete"):
            ask(rig, adopt="AAPL", price="50")
        assert rig.state.positions["AAPL"].position.quantity == 15

    def test_nothing_to_adopt_is_said(self, rig: Rig) -> None:
        with pytest.raises(NothingToDo):
            ask(rig, adopt="MSFT", stop_price="18")

    def test_what_is_ignored_is_shown_and_locks_nothing_until_it_changes(self, rig: Rig) -> None:
        hold_at_venue(rig, 7, "MSFT")
        found = ask(rig, ignore="MSFT")
        assert codes(found, BreakStatus.IGNORED) == ["position_not_ours"]
        assert rig.state.locks == {}
        assert_settled(rig)
        hold_at_venue(rig, 8, "MSFT")
        assert codes(rig.reconcile(), BreakStatus.OPEN) == ["position_not_ours"]
        assert set(rig.state.locks) == {"MSFT"}
        assert rig.state.ignored == {}

    def test_a_foreign_part_stays_ignored_while_ours_is_closed(self, rig: Rig) -> None:
        hold_at_venue(rig, 20)
        ask(rig, ignore="AAPL")
        rig.close()
        assert rig.at_venue() == {"AAPL": 5}
        assert codes(rig.reconcile(), BreakStatus.IGNORED) == ["position_not_ours"]
        assert rig.state.locks == {}


def only_open(found: Reconciliation) -> Break:
    (each,) = found.open_breaks
    return each


def trade_in_tws_of(symbol: str, rig: Rig) -> None:
    rig.price("20", symbol)
    submit_at_venue(
        rig, "TWS-1", symbol=symbol, side=OrderSide.BUY, order_type=OrderType.MARKET, quantity=Quantity(D(7))
    )


class TestForeignFills:
    def test_trades_by_hand_are_counted_once_and_never_folded(self, rig: Rig) -> None:
        trade_in_tws_of("MSFT", rig)
        hold = dict(rig.state.positions)
        found = rig.reconcile()
        assert codes(found) == ["foreign_fill"]
        (row,) = rig.state.history_fills.values()
        assert (row.security, row.quantity, row.held_before) == ("MSFT", 7, 0)
        assert dict(rig.state.positions) == hold
        rig.reconcile()
        assert len(rig.state.history_fills) == 1
        assert_settled(rig)

    def test_a_round_trip_by_hand_is_a_day_trade(self, rig: Rig) -> None:
        trade_in_tws_of("MSFT", rig)
        rig.clock.advance(minutes=1)
        submit_at_venue(
            rig, "TWS-2", symbol="MSFT", side=OrderSide.SELL, order_type=OrderType.MARKET, quantity=Quantity(D(7))
        )
        rig.reconcile()
        account = rig.run(rig.broker.account())
        assert rig.gatherer._day_trades(rig.state, account, rig.clock.now()).used == 1

    def test_fills_reported_as_foreign_are_not_ours(self, rig: Rig) -> None:
        fill = Fill(
            exec_id="0001.01",
            instrument=make_instrument("IBM"),
            side=OrderSide.BUY,
            quantity=Quantity(D(3)),
            price=Price(D(100)),
            filled_at=rig.clock.now(),
        )
        rig.broker.edit = lambda reported: replace(reported, foreign_fills=(fill,))
        assert codes(rig.reconcile()) == ["foreign_fill"]
        assert "IBM" not in rig.state.positions


class TestAnswers:
    def test_an_incomplete_answer_removes_nothing_and_locks_everything(self, rig: Rig) -> None:
        broker: Edited = rig.broker
        cancel_at_venue(rig, stop_of(rig))
        hold_at_venue(rig, 0)
        broker.has_snapshot = False
        before = {name: record.status for name, record in rig.state.orders.items()}
        found = rig.reconcile()
        assert codes(found, BreakStatus.OPEN) == ["answer_incomplete"]
        assert {name: record.status for name, record in rig.state.orders.items()} == before
        assert broker.asked_cancels == []
        assert set(rig.state.locks) == {"*"}
        (report,) = rig.feed(make_signal("MSFT", now=rig.clock.now()))
        assert report.outcome is SignalOutcome.REFUSED
        broker.has_snapshot = True
        rig.reconcile()
        assert "*" not in rig.state.locks
        assert "AAPL" in rig.state.locks

    def test_an_incomplete_answer_clears_no_lock(self, rig: Rig) -> None:
        hold_at_venue(rig, 7, "MSFT")
        rig.reconcile()
        rig.broker.has_snapshot = False
        rig.reconcile()
        assert set(rig.state.locks) == {"*", "MSFT"}

    def test_an_incomplete_answer_may_be_reported_to_lock_nothing(self, rig: Rig) -> None:
        rig.broker.has_snapshot = False
        limits = ReconcileLimits(require_complete=False)
        reconciler = rig.make_reconciler(limits)
        assert rig.run(reconciler.reconcile(repair=True)).breaks == ()
        assert rig.state.locks == {}

    def test_another_account_stops_everything(self, rig: Rig) -> None:
        broker: Edited = rig.broker
        broker.edit = lambda reported: replace(reported, account_id="DU7654321", positions={}, holdings=(), working=())
        found = rig.reconcile()
        assert only(found).code is BreakCode.ACCOUNT_DIFFERS
        assert set(rig.state.locks) == {"*"}
        assert "DU7654321" not in repr(rig.store.events) + repr(found)
        assert rig.state.positions
        broker.edit = lambda reported: reported
        assert rig.reconcile().breaks == ()
        assert rig.state.locks == {}

    def test_what_happens_while_the_broker_answers_is_no_difference(self, rig: Rig) -> None:
        stale = rig.run(rig.venue.snapshot())
        rig.price("54.5")
        answers = [stale]
        rig.broker.edit = lambda reported: answers.pop() if answers else reported
        found = rig.reconcile()
        assert found.breaks == ()
        assert not rig.state.positions

    def test_looking_only_corrects_nothing_but_locks(self, rig: Rig) -> None:
        cancel_at_venue(rig, stop_of(rig))
        found = rig.reconcile(repair=False)
        assert set(codes(found, BreakStatus.OPEN)) == {"order_state_differs", "stop_missing"}
        assert rig.order("-S1").status is OrderStatus.WORKING
        assert set(rig.state.locks) == {"AAPL"}


class TestLoop:
    def test_it_compares_at_once_then_every_few_minutes_and_after_a_reconnect(self, rig: Rig) -> None:
        asked: list[int] = []
        rig.broker.edit = lambda reported: asked.append(1) or reported
        tend = lambda: rig.run(rig.reconciler.tend(rig.clock.now()))  # noqa: E731 - asked often below
        rig.reconciler = rig.make_reconciler(ReconcileLimits())
        tend()
        tend()
        assert len(asked) == 1
        rig.clock.advance(minutes=5)
        tend()
        assert len(asked) == 2
        type(rig.broker).connections = property(lambda _: 2)  # type: ignore[assignment,method-assign]
        try:
            tend()
        finally:
            type(rig.broker).connections = UnreliableBroker.connections  # type: ignore[method-assign]
        assert len(asked) == 3

    def test_an_incomplete_answer_is_asked_for_again_soon(self, rig: Rig) -> None:
        rig.clock.advance(minutes=5)
        rig.broker.has_snapshot = False
        rig.run(rig.reconciler.tend(rig.clock.now()))
        assert "*" in rig.state.locks
        rig.broker.has_snapshot = True
        rig.clock.advance(seconds=31)
        rig.run(rig.reconciler.tend(rig.clock.now()))
        assert rig.state.locks == {}

    def test_a_loop_repairs_by_itself(self, rig: Rig) -> None:
        loop = rig.make_coordinator(chores=(rig.reconciler,))
        rig.clock.advance(minutes=6)
        forget_at_venue(rig, stop_of(rig))
        assert rig.run(loop.cycle())
        assert rig.order("-S2").status is OrderStatus.WORKING
        assert_settled(rig)

    def test_without_auto_repair_a_loop_only_locks(self, rig: Rig) -> None:
        limits = ReconcileLimits(auto_repair=False)
        reconciler = rig.make_reconciler(limits)
        forget_at_venue(rig, stop_of(rig))
        assert rig.run(reconciler.tend(rig.clock.now())) is False
        assert rig.order("-S1").status is OrderStatus.WORKING
        assert "AAPL" in rig.state.locks


class TestCrash:
    @pytest.mark.parametrize("repeat", [1, 2])
    def test_a_process_that_dies_before_it_corrects_leaves_a_lock_and_the_next_goes_on(
        self, rig: Rig, repeat: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        forget_at_venue(rig, stop_of(rig))
        for _ in range(repeat):

            async def die(*_: Any) -> None:
                raise SystemExit

            monkeypatch.setattr(rig.reconciler, "_correct", die)
            with pytest.raises(SystemExit):
                rig.reconcile()
            assert set(rig.state.locks) == {"AAPL"}
            book = rig.venue
            rig._build()
            assert rig.venue is book
        rig.reconcile()
        assert rig.state.locks == {}
        assert rig.unprotected() == 0
        assert_settled(rig)

    def test_the_journal_brings_locks_ignored_and_adopted_back(self, rig: Rig) -> None:
        hold_at_venue(rig, 7, "MSFT")
        hold_at_venue(rig, 3, "IBM")
        hold_at_venue(rig, 4, "TSLA")
        ask(rig, ignore="MSFT")
        ask(rig, adopt="IBM", price="20", stop_price="18")
        state = SilentState()
        events: list[OutboxRow] = list(rig.store.events)
        assert rebuild(state, events) == ()
        assert dict(state.locks) == dict(rig.state.locks)
        assert set(state.locks) == {"TSLA"}
        assert dict(state.ignored) == dict(rig.state.ignored)
        assert state.positions["IBM"].position == rig.state.positions["IBM"].position
        assert state.brackets == rig.state.brackets


class TestManyRounds:
    def test_a_cancel_that_does_not_hold_is_not_tried_for_ever(self, rig: Rig) -> None:
        broker: Edited = rig.broker
        name = f"apex-{BRACKET}-T1"
        submit_at_venue(
            rig,
            name,
            side=OrderSide.SELL,
            order_type=OrderType.LIMIT,
            quantity=Quantity(D(9)),
            limit_price=Price(D(60)),
        )
        broker.loses_cancels = True
        found = rig.reconcile()
        assert codes(found, BreakStatus.OPEN) == ["orphan_order"]
        assert set(broker.asked_cancels) == {name}
        assert len(broker.asked_cancels) <= 3
        assert "orphan_order" in alarms(rig)
        broker.loses_cancels = False
        rig.clock.advance(timedelta(minutes=5))
        assert codes(rig.reconcile()) == ["orphan_order"]
        assert at_venue(rig, name).status is OrderStatus.CANCELLED
        assert_settled(rig)
