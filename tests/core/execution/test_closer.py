from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.errors import (
    ApexError,
    BrokerError,
    BusyError,
    InputError,
    NothingToDo,
    OutcomeUnknownError,
    RefusedError,
    StateError,
)
from apex_cli.core.execution.close_terms import find_position
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.limits import Patience
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import EntryOrder, OrderRole, OrderStatus
from apex_cli.core.model.protections import NO_PROTECTIONS
from apex_cli.core.model.records import SignalOutcome, TradingState
from apex_cli.core.model.side import OrderSide
from kit import START, FixedClock
from kit.faults import FailingStore, Fate, UnreliableBroker
from kit.rig import ROOMY, Rig, auto, make_signal

D = Decimal


def holding(
    price: str = "51", *, store: Any = None, limits: Any = None, **changes: Any
) -> tuple[Rig, UnreliableBroker]:
    """Return a rig that holds 15 AAPL, or what *changes* say, and an unreliable broker that behaves so far."""
    rig = Rig(store=store, limits=limits or auto())
    broker = UnreliableBroker(rig.venue, rig.clock)
    rig.use(broker)
    rig.feed(make_signal(now=rig.clock.now(), **changes))
    assert rig.at_venue()
    rig.clock.advance(minutes=5)
    rig.price(price)
    rig.cycle()
    with rig.store.transaction() as tx:
        for key, row in list(tx.positions.items()):
            tx.positions[key] = replace(row, current_price=Price(D(price)))
    return rig, broker


def codes(rig: Rig) -> list[str]:
    return [msgspec.json.decode(event.data)["code"] for event in rig.events("alarm")]


def status(rig: Rig, ending: str) -> OrderStatus:
    return rig.order(ending).status


def following(rig: Rig) -> Orders:
    """Return orders of a broker that may refuse them for a minute after it took them."""
    return Orders(
        store=rig.store, broker=rig.broker, clock=rig.clock, patience=Patience(settle_s=60), protections=NO_PROTECTIONS
    )


class TestFollowing:
    def test_orders_that_have_ended_are_followed_no_longer(self) -> None:
        rig, _ = holding()
        names = [record.order.client_order_id for record in rig.state.orders.open()]
        orders = following(rig)
        rig.run(orders.cancel(names))
        assert orders.in_settlement == tuple(names)
        rig.run(asyncio.wait_for(orders.follow(), 10))
        assert orders.in_settlement == ()
        assert all(rig.state.orders[name].status is OrderStatus.CANCELLED for name in names)

    def test_an_order_that_works_may_still_be_refused(self) -> None:
        rig, _ = holding()
        (stop,) = (each.order for each in rig.state.orders.open() if each.order.role is OrderRole.STOP)
        orders = following(rig)
        rig.run(orders.modify((replace(stop, stop_price=Price(D("48.5"))),)))
        with pytest.raises(TimeoutError):
            rig.run(asyncio.wait_for(orders.follow(), 0.2))
        assert orders.in_settlement == (stop.client_order_id,)


class TestTheWhole:
    def test_a_close_sells_what_is_held_and_leaves_nothing_working(self) -> None:
        rig, _ = holding()
        closed = rig.close(reason="earnings")
        assert (closed.status, closed.quantity, closed.remaining) == ("closed", 15, 0)
        assert (closed.exit_price, closed.pnl, closed.pnl_pct) == (51, 15, 2)
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert (trip.exit_price, trip.pnl, trip.pnl_pct, trip.exit_reason) == (51, 15, 2, "earnings")
        assert not rig.state.positions

    def test_a_short_is_bought_back(self) -> None:
        rig, _ = holding("49", side="SHORT", stop="52", targets=("46",))
        closed = rig.close()
        assert (closed.status, closed.pnl, closed.pnl_pct) == ("closed", 15, 2)
        assert rig.order("-C1").order.side is OrderSide.BUY
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_the_exits_rest_until_the_closing_order_fills(self) -> None:
        rig, broker = holding()
        resting: list[Any] = []

        def look(order: Any) -> bool:
            resting.append((order.role, rig.most_that_exits_fill(), order.oca_group))
            return False

        broker.rejects = look
        rig.close()
        assert set(resting) == {(OrderRole.CLOSE, 15, rig.order("-S1").order.oca_group)}
        assert broker.asked_cancels == []

    @pytest.mark.parametrize("request_", [{}, {"quantity": "4"}, {"fraction": "0.9"}, {"limit_price": "53"}])
    @pytest.mark.parametrize("targets", [("54",), ("55", "58", "60"), ()])
    def test_no_step_leaves_it_naked_nor_offers_too_much(
        self, request_: dict[str, str], targets: tuple[str, ...]
    ) -> None:
        limits = auto(type(ROOMY)(max_position_pct=D(1), max_open_risk_pct=D(1), min_reward_risk=D(0)))
        rig, broker = holding(targets=targets, limits=limits)
        seen: list[tuple[D, D, D]] = []

        def look(_: str) -> None:
            seen.append((rig.at_venue().get("AAPL", D(0)), rig.stopped_at_venue(), rig.most_that_exits_fill()))

        broker.before_exchange = look
        broker.before_submit = look
        rig.close(**request_)
        assert seen
        assert all(covered >= held >= exits for held, covered, exits in seen), seen

    def test_all_exits_of_several_tranches_go(self) -> None:
        rig, _ = holding(targets=("55", "58", "60"))
        assert rig.close().quantity == 15
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_second_close_finds_nothing(self) -> None:
        rig, _ = holding()
        rig.close()
        with pytest.raises(NothingToDo, match="no open position"):
            rig.close()

    def test_a_position_without_a_plan_can_be_closed(self) -> None:
        rig, broker = holding()
        rig.close()
        rig.price("10", "MSFT")
        bought = Fill(
            exec_id="TWS.01",
            client_order_id="apex-00000000000000000000000009-C9",
            instrument=make_instrument("MSFT"),
            side=OrderSide.BUY,
            quantity=Quantity(D(4)),
            price=Price(D(10)),
            filled_at=rig.clock.now(),
        )
        broker._own.append(bought)
        closed = rig.close("MSFT")
        assert (closed.status, closed.quantity) == ("closed", 4)

    def test_the_rest_of_an_entry_is_cancelled_first(self) -> None:
        rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT))
        rig.price("51")
        rig.feed(make_signal(now=rig.clock.now()))
        rig.price("50", size="4")
        rig.cycle()
        assert rig.at_venue() == {"AAPL": 4}
        assert rig.close().quantity == 4
        rig.price("49")
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_day_trade_limit_never_blocks_a_close(self) -> None:
        rig = Rig()
        for number, symbol in enumerate(("A", "B", "C")):
            rig.feed(make_signal(symbol, now=rig.clock.now(), signal_id=f"s{number}"))
            rig.clock.advance(minutes=1)
            rig.close(symbol)
        rig.feed(make_signal("D", now=rig.clock.now()))
        assert not rig.state.positions
        reasons = {r.code for report in rig.coordinator.reports for r in report.reasons}
        assert reasons == {"day_trades"}

    def test_at_no_day_trade_left_what_is_held_can_still_be_closed(self) -> None:
        rig = Rig()
        rig.feed(make_signal("HELD", now=rig.clock.now()))
        for symbol in ("A", "B", "C"):
            rig.feed(make_signal(symbol, now=rig.clock.now()))
            rig.clock.advance(minutes=1)
            rig.close(symbol)
        (report,) = rig.feed(make_signal("D", now=rig.clock.now()))
        assert {reason.code for reason in report.reasons} == {"day_trades"}
        assert rig.close("HELD").status == "closed"


class TestAPart:
    @pytest.mark.parametrize(
        ("request_", "sold", "left"),
        [
            ({"fraction": "0.5"}, 7, 8),
            ({"quantity": "4"}, 4, 11),
            ({"fraction": "0.01"}, 1, 14),
            ({"fraction": "1"}, 15, 0),
        ],
    )
    def test_the_exits_shrink_to_what_stays(self, request_: Any, sold: int, left: int) -> None:
        rig, _ = holding()
        closed = rig.close(**request_)
        assert (closed.quantity, closed.remaining) == (sold, left)
        assert closed.status == ("reduced" if left else "closed")
        assert rig.at_venue().get("AAPL", 0) == left
        assert rig.most_that_exits_fill() == left
        assert rig.unprotected() == 0

    def test_of_several_tranches_the_nearest_targets_go(self) -> None:
        rig, _ = holding(targets=("55", "58", "60"))
        rig.close(quantity="7")
        assert rig.most_that_exits_fill() == 8
        assert rig.unprotected() == 0
        assert [status(rig, f"-T{n}") is OrderStatus.WORKING for n in (1, 2, 3)] == [False, True, True]
        for price in ("58", "60"):
            rig.price(price)
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_part_is_a_round_trip_only_when_the_rest_is_closed(self) -> None:
        rig, _ = holding()
        rig.close(quantity="5", reason="half out")
        assert not rig.state.round_trips
        rig.price("53")
        rig.close(reason="rest out")
        (trip,) = rig.state.round_trips.values()
        assert (trip.quantity, trip.pnl, trip.exit_reason) == (15, 35, "rest out")

    @pytest.mark.parametrize("quantity", ["0", "-3", "16", "2.5"])
    def test_a_quantity_that_is_not_held_is_refused(self, quantity: str) -> None:
        rig, _ = holding()
        with pytest.raises(InputError, match="cannot close"):
            rig.close(quantity=quantity)
        assert rig.most_that_exits_fill() == 15

    @pytest.mark.parametrize("fraction", ["0", "1.5", "-1"])
    def test_a_fraction_that_is_none_is_refused(self, fraction: str) -> None:
        rig, _ = holding()
        with pytest.raises(InputError, match="fraction"):
            rig.close(fraction=fraction)

    def test_coins_go_down_to_four_decimals(self) -> None:
        rig = Rig()
        rig.feed(
            make_signal("BTC-USD", now=START, market=MarketType.CRYPTO, entry="1000", stop="960", targets=("1080",))
        )
        held = rig.at_venue()["BTC-USD@crypto"]
        assert held == D("0.75")
        closed = rig.close("BTC-USD", fraction="0.333")
        assert closed.quantity == D("0.2497")
        assert rig.at_venue()["BTC-USD@crypto"] == D("0.5003")
        assert rig.most_that_exits_fill("BTC-USD@crypto") == D("0.5003")
        assert rig.unprotected("BTC-USD@crypto") == 0
        assert rig.close("btc-usd").status == "closed"
        assert rig.at_venue() == {}


class TestAtALimit:
    def test_it_rests_beside_the_stop_in_place_of_the_target(self) -> None:
        rig, _ = holding()
        closed = rig.close(limit_price="53")
        assert (closed.status, closed.quantity, closed.remaining) == ("working", 0, 15)
        close, stop = rig.order("-C1").order, rig.order("-S1")
        assert (close.oca_group, close.limit_price, stop.order.stop_price) == (stop.order.oca_group, 53, 48)
        assert stop.status is OrderStatus.WORKING
        assert status(rig, "-T1") is OrderStatus.CANCELLED
        assert rig.most_that_exits_fill() == 15
        assert rig.unprotected() == 0

    @pytest.mark.parametrize(("price", "pnl", "reason"), [("53", 45, "take it"), ("47", -45, "stop")])
    def test_one_of_the_pair_ends_the_other(self, price: str, pnl: int, reason: str) -> None:
        rig, _ = holding()
        rig.close(limit_price="53", reason="take it")
        rig.price(price)
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert (trip.pnl, trip.exit_reason) == (pnl, reason)

    def test_a_limit_that_the_price_meets_fills_at_once(self) -> None:
        rig, _ = holding()
        assert rig.close(limit_price="50.50").status == "closed"
        assert rig.resting_at_venue() == {}

    def test_a_part_rests_beside_the_exits_of_the_rest(self) -> None:
        rig, _ = holding()
        rig.close(limit_price="53", quantity="5")
        assert rig.most_that_exits_fill() == 15
        assert rig.unprotected() == 0
        rig.price("53")
        rig.cycle()
        assert rig.at_venue() == {"AAPL": 10}
        assert rig.most_that_exits_fill() == 10
        assert rig.unprotected() == 0

    def test_a_limit_that_expires_leaves_the_stop(self) -> None:
        rig, _ = holding()
        rig.close(limit_price="53")
        rig.clock.advance(minutes=24 * 60)
        rig.cycle()
        rig.cycle()
        assert status(rig, "-C1") is OrderStatus.EXPIRED
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15
        assert codes(rig) == []

    def test_a_limit_that_expires_gives_its_target_back(self) -> None:
        rig, _ = holding()
        rig.close(limit_price="53")
        rig.clock.advance(minutes=24 * 60)
        rig.cycle()
        rig.cycle()
        target, stop = rig.order("-T2"), rig.order("-S1")
        assert (target.status, target.order.limit_price, target.order.quantity) == (OrderStatus.WORKING, 54, 15)
        assert target.order.oca_group == stop.order.oca_group
        assert rig.most_that_exits_fill() == 15
        rig.cycle()
        assert len(rig.events("target_restored")) == 1
        rig.price("54")
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_limit_for_a_part_that_expires_gives_back_the_target_of_that_part(self) -> None:
        rig, _ = holding(targets=("54", "56"))
        rig.close(limit_price="53", quantity="8")
        rig.price("53", size="3")
        rig.clock.advance(minutes=24 * 60)
        rig.cycle()
        rig.cycle()
        assert rig.at_venue() == {"AAPL": 12}
        targets = {
            r.order.limit_price: r.open_quantity
            for r in rig.orders()
            if r.order.role is OrderRole.TARGET and r.status is OrderStatus.WORKING
        }
        assert targets == {54: 5, 56: 7}
        assert rig.most_that_exits_fill() == 12
        assert rig.unprotected() == 0

    def test_while_trading_is_halted_no_target_comes_back(self) -> None:
        rig, _ = holding()
        rig.close(limit_price="53")
        with rig.store.transaction() as tx:
            tx.trading = TradingState(mode=TradingMode.HALTED)
        rig.clock.advance(minutes=24 * 60)
        rig.cycle()
        rig.cycle()
        assert not rig.events("target_restored")
        assert rig.unprotected() == 0
        with rig.store.transaction() as tx:
            tx.trading = TradingState()
        rig.clock.advance(minutes=1)
        rig.cycle()
        assert len(rig.events("target_restored")) == 1

    def test_a_second_limit_takes_the_place_of_the_first(self) -> None:
        rig, _ = holding()
        rig.close(limit_price="53")
        rig.close(limit_price="52.50")
        assert rig.most_that_exits_fill() == 15
        assert status(rig, "-C1") is OrderStatus.CANCELLED
        assert rig.close().status == "closed"
        assert rig.resting_at_venue() == {}

    def test_a_short_rests_as_a_pair_too(self) -> None:
        rig, _ = holding("49", side="SHORT", stop="52", targets=("46",))
        rig.close(limit_price="47")
        assert rig.unprotected() == 0
        rig.price("53")
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_stop_that_the_price_passes_closes_it_instead(self) -> None:
        rig, _ = holding()
        rig.close(limit_price="53")
        rig.price("47.50")
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert trip.exit_reason == "stop"

    def test_a_rejected_limit_leaves_a_stop(self) -> None:
        rig, broker = holding()
        broker.rejects = lambda order: order.role is OrderRole.CLOSE
        with pytest.raises(RefusedError, match="not accepted: rejected by the exchange"):
            rig.close(limit_price="53")
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15


class TestWhatHappensMeanwhile:
    def test_a_stop_that_fills_first_has_closed_it(self) -> None:
        rig, broker = holding()
        broker.before_exchange = lambda _: rig.price("47") if rig.at_venue() else None
        closed = rig.close()
        assert (closed.status, closed.quantity, closed.remaining) == ("closed", 0, 0)
        assert rig.at_venue() == {}
        (trip,) = rig.state.round_trips.values()
        assert trip.exit_reason == "stop"

    def test_a_target_that_fills_partly_lowers_what_is_sold(self) -> None:
        rig, broker = holding()
        filled: list[str] = []

        def meanwhile(_: str) -> None:
            if not filled:
                filled.append("once")
                rig.price("54", size="6")

        broker.before_exchange = meanwhile
        closed = rig.close()
        assert closed.quantity == 9
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_near_target_that_fills_while_a_part_is_closed_counts(self) -> None:
        rig, broker = holding(targets=("55", "58", "60"))
        broker.before_exchange = lambda name: rig.price("55") if name.endswith(("S1", "T1")) else None
        closed = rig.close(quantity="5")
        assert (closed.status, closed.quantity, closed.remaining) == ("reduced", 0, 10)
        assert rig.at_venue() == {"AAPL": 10}
        assert rig.most_that_exits_fill() == 10
        assert rig.unprotected() == 0

    def test_another_tranche_that_fills_meanwhile_leaves_nothing_unprotected(self) -> None:
        rig, broker = holding(targets=("55", "58", "60"))
        first: list[str] = []

        def meanwhile(name: str) -> None:
            if not first and name.endswith("T1"):
                first.append(name)
                rig.venue._keep(rig.venue._engine.cancel(rig.order("-S1").order.client_order_id, rig.clock.now()))
                rig.venue._keep(rig.venue._engine.cancel(name, rig.clock.now()))
                rig.price("58")

        broker.before_cancel = meanwhile
        rig.close(quantity="5")
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() <= rig.at_venue()["AAPL"]

    def test_a_cancel_that_is_not_confirmed_sells_nothing(self) -> None:
        rig, broker = holding("53.90")
        broker.loses_cancels = True
        broker.rejects = lambda order: order.role is OrderRole.CLOSE and order.oca_group is not None
        broker.why = "OCA group is not supported"
        with pytest.raises(OutcomeUnknownError, match="nothing was sold"):
            rig.close()
        assert rig.at_venue() == {"AAPL": 15}
        assert rig.most_that_exits_fill() == 15
        assert rig.unprotected() == 0

    def test_a_refused_cancel_sells_nothing(self) -> None:
        rig, broker = holding("53.90")
        broker.refuses_cancels = True
        broker.rejects = lambda order: order.role is OrderRole.CLOSE and order.oca_group is not None
        broker.why = "OCA group is not supported"
        with pytest.raises(OutcomeUnknownError):
            rig.close()
        assert rig.most_that_exits_fill() == 15

    @pytest.mark.parametrize("price", ["51", "53.90"])
    def test_a_broker_that_lets_nothing_join_the_exits_gets_the_close_alone(self, price: str) -> None:
        rig, broker = holding(price)
        broker.rejects = lambda order: order.role is OrderRole.CLOSE and order.oca_group is not None
        broker.why = "Order rejected - reason:OCA group revision is not allowed (IB 10326)"
        closed = rig.close()
        assert (closed.status, closed.quantity, closed.client_order_id[-3:]) == ("closed", 15, "-C2")
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_broker_that_would_refuse_the_close_keeps_the_exits(self) -> None:
        rig, broker = holding()
        broker.refusal = "Order rejected - reason:the account is restricted (IB 201)"
        with pytest.raises(RefusedError, match="restricted") as error:
            rig.close(quantity="4")
        assert "not touched" in error.value.hint
        assert broker.asked_cancels == []
        assert {r.status for r in rig.orders() if r.order.role is not OrderRole.ENTRY} == {OrderStatus.WORKING}
        assert rig.close().status == "closed", "where no exit is touched, the order itself is the question"

    def test_an_exit_that_the_broker_leaves_beside_the_close_is_cancelled(self) -> None:
        rig, broker = holding()
        real = broker.exchange

        async def apart(exchange: Any) -> None:
            orders = tuple(replace(order, oca_group=None) for order in exchange.orders)
            await real(replace(exchange, orders=orders))

        broker.exchange = apart  # type: ignore[method-assign]
        assert rig.close().status == "closed"
        assert sorted(name[-2:] for name in broker.asked_cancels) == ["S1", "T1"]
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_target_near_the_price_goes_first_and_the_stop_stays_until_that_is_confirmed(self) -> None:
        rig, broker = holding("53.90")
        broker.loses_cancels = True
        with pytest.raises(OutcomeUnknownError, match="nothing was sold"):
            rig.close()
        assert [name[-2:] for name in broker.asked_cancels] == ["T1"]
        assert rig.unprotected() == 0
        assert codes(rig) == []
        broker.loses_cancels = False
        assert rig.close().status == "closed"
        assert rig.resting_at_venue() == {}

    def test_a_connection_that_breaks_between_two_cancels_leaves_a_stop(self) -> None:
        rig, broker = holding("53.90")
        real = broker.cancel

        async def break_on_target(name: str) -> None:
            if name.endswith("T1"):
                raise BrokerError("not_connected", "The broker is not connected.")
            await real(name)

        broker.cancel = break_on_target  # type: ignore[method-assign]
        broker.rejects = lambda order: order.role is OrderRole.CLOSE and order.oca_group is not None
        broker.why = "OCA group is not supported"
        with pytest.raises(BrokerError):
            rig.close()
        assert rig.at_venue() == {"AAPL": 15}
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15

    def test_an_entry_that_cannot_be_stopped_keeps_its_exits(self) -> None:
        rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT))
        broker = UnreliableBroker(rig.venue, rig.clock)
        rig.use(broker)
        rig.price("51")
        rig.feed(make_signal(now=rig.clock.now()))
        rig.price("50", size="4")
        rig.cycle()
        broker.loses_cancels = True
        with pytest.raises(OutcomeUnknownError, match="entry"):
            rig.close()
        assert rig.unprotected() == 0

    def test_late_fills_are_waited_for(self) -> None:
        rig, broker = holding()
        real = broker.drain
        held: list[Any] = []

        def late() -> Any:
            events = [*held, *real()]
            held.clear()
            held.extend(e for e in events if isinstance(e, Fill) and e not in rig.state.fills.values())
            return [e for e in events if e not in held]

        broker.drain = late  # type: ignore[method-assign]
        seen: list[int] = []

        def late_once() -> Any:
            seen.append(1)
            return late() if len(seen) < 6 else [*held, *real()]

        broker.drain = late_once  # type: ignore[method-assign]
        closed = rig.close()
        assert (closed.status, closed.quantity, closed.exit_price) == ("closed", 15, 51)

    def test_two_closes_at_once_are_one(self) -> None:
        rig, _ = holding()
        with rig.guard.hands_off("AAPL"), pytest.raises(BusyError):
            rig.close()
        assert rig.close().status == "closed"


class TestWhenTheCloseFails:
    def test_a_rejected_close_leaves_the_exits_where_they_are(self) -> None:
        rig, broker = holding()
        broker.rejects = lambda order: order.role is OrderRole.CLOSE
        with pytest.raises(RefusedError, match="rejected by the exchange") as error:
            rig.close()
        assert error.value.hint == "Its stop and targets stay in place."
        assert {status(rig, "-S1"), status(rig, "-T1")} == {OrderStatus.WORKING}
        assert codes(rig) == []

    @pytest.mark.parametrize("price", ["51", "53.90"])
    def test_a_rejected_close_of_a_part_puts_the_stop_back(self, price: str) -> None:
        rig, broker = holding(price)
        broker.rejects = lambda order: order.role is OrderRole.CLOSE
        with pytest.raises(RefusedError, match="rejected by the exchange") as error:
            rig.close(quantity="4")
        assert "put back" in error.value.hint
        assert "could not" not in error.value.hint
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15
        assert codes(rig) == ["protection_restored"]

    def test_again_and_again_it_never_rests_for_more_than_is_held(self) -> None:
        rig, broker = holding(targets=("55", "58", "60"))
        broker.rejects = lambda order: order.role is OrderRole.CLOSE
        for request in ({}, {"quantity": "4"}, {"fraction": "0.5"}, {"limit_price": "54"}):
            with pytest.raises(RefusedError):
                rig.close(**request)
            assert rig.most_that_exits_fill() <= 15
            assert rig.unprotected() == 0

    def test_when_the_stop_is_rejected_too_the_person_is_reported(self) -> None:
        rig, broker = holding(targets=("55", "58"))
        broker.rejects = lambda order: order.role in {OrderRole.CLOSE, OrderRole.STOP}
        with pytest.raises(RefusedError) as error:
            rig.close()
        assert "unprotected" in error.value.hint
        assert codes(rig) == ["unprotected"]
        for _ in range(3):
            rig.clock.advance(minutes=2)
            rig.cycle()
        assert len([r for r in rig.orders() if r.order.role is OrderRole.STOP]) == 5, "the bracket's, and three tries"
        assert codes(rig) == ["unprotected", "stop_rejected"]

    def test_a_close_that_could_not_be_sent_is_no_refusal(self) -> None:
        rig, broker = holding()
        broker.fates.append(Fate.REFUSED)
        with pytest.raises(BrokerError, match="could not be sent"):
            rig.close()
        assert rig.unprotected() == 0

    def test_a_close_of_unknown_fate_is_reported_and_not_repeated(self) -> None:
        rig, broker = holding()
        broker.fates.append(Fate.LOST_AFTER)
        real = broker.drain
        broker.drain = lambda: () if len(broker.submitted) > 1 else real()  # type: ignore[method-assign]
        closed = rig.close()
        assert closed.status == "unknown"
        assert codes(rig) == []
        assert rig.unprotected() == 0, "the exits rest until the broker reports the fill"
        with pytest.raises(OutcomeUnknownError, match="sell twice"):
            rig.close()
        broker.drain = real  # type: ignore[method-assign]
        rig.run(rig.executor.recover())
        assert rig.at_venue() == {}
        assert not rig.state.positions
        assert rig.resting_at_venue() == {}

    def test_a_close_that_never_arrived_is_found_out_and_the_stop_put_back(self) -> None:
        rig, broker = holding()
        broker.fates.append(Fate.LOST_BEFORE)
        assert rig.close().status == "unknown"
        rig.run(rig.executor.recover())
        assert status(rig, "-C1") is OrderStatus.NEVER_SENT
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15

    def test_a_close_that_turns_up_after_all_leaves_no_stop_behind(self) -> None:
        rig, broker = holding()
        broker.fates.append(Fate.LOST_BEFORE)
        rig.close()
        rig.run(rig.executor.recover())
        rig.run(rig.venue.submit([rig.order("-C1").order]))
        rig.cycle()
        rig.cycle()
        assert rig.at_venue() == {}
        assert rig.resting_at_venue() == {}

    def test_a_close_filled_in_part_and_then_cancelled_is_reported_as_it_is(self) -> None:
        rig, broker = holding()

        async def half(exchange: Any) -> None:
            (order,) = exchange.orders
            rig.venue._engine.ledger.prices.pop("AAPL")
            await rig.venue.submit([replace(order, reference_price=None)])
            rig.price("51", size="6")
            await rig.venue.cancel(order.client_order_id)

        broker.exchange = half  # type: ignore[method-assign]
        closed = rig.close()
        assert (closed.status, closed.quantity, closed.remaining, closed.exit_price) == ("reduced", 6, 9, 51)
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 9

    def test_a_commit_that_fails_between_exits_and_close_is_mended_by_the_next_start(self) -> None:
        rig, _ = holding("53.90", store=FailingStore(Rig().store))
        rig.store.fail_at = rig.store.transactions + 2  # the target is smaller, the close is not written
        with pytest.raises(StateError):
            rig.close(quantity="4")
        assert rig.at_venue() == {"AAPL": 15}
        rig.restart()
        assert rig.unprotected() == 0
        assert rig.most_that_exits_fill() == 15


class TestPermission:
    @pytest.mark.parametrize("mode", [TradingMode.REDUCING, TradingMode.HALTED])
    def test_a_person_closes_in_every_trading_state(self, mode: TradingMode) -> None:
        rig, _ = holding()
        with rig.store.transaction() as tx:
            tx.trading = TradingState(mode=mode, reason="fat finger")
        assert rig.close().status == "closed"

    def test_a_closed_market_leaves_the_stop_where_it_is(self) -> None:
        rig, _ = holding()
        rig.clock.advance(minutes=10 * 60)
        with pytest.raises(NothingToDo, match="is closed"):
            rig.close()
        assert rig.most_that_exits_fill() == 15

    def test_coins_can_be_closed_at_any_time(self) -> None:
        rig = Rig()
        rig.feed(
            make_signal("BTC-USD", now=START, market=MarketType.CRYPTO, entry="1000", stop="960", targets=("1080",))
        )
        rig.clock.advance(minutes=10 * 60)
        assert rig.close("BTC-USD@crypto").status == "closed"

    def test_what_is_not_held_cannot_be_closed(self) -> None:
        rig, _ = holding()
        with pytest.raises(NothingToDo, match="no open position") as error:
            rig.close("MSFT")
        assert error.value.hint == "Held: AAPL."

    def test_a_symbol_that_could_be_two_securities_is_asked_for(self) -> None:
        rig, _ = holding()
        rig.feed(
            make_signal(
                now=rig.clock.now(), market=MarketType.OPTIONS, signal_id="call", entry="5", stop="4.90", targets=("6",)
            )
        )
        assert set(rig.state.positions) == {"AAPL", "AAPL@options unspecified"}
        assert find_position(rig.state, "aapl").position.instrument.key == "AAPL"
        rig.close("AAPL")
        assert find_position(rig.state, "aapl").position.instrument.key == "AAPL@options unspecified"


class TestCrashes:
    """The process dies at one step of a close; the next start finds the venue as it was left."""

    @pytest.mark.parametrize(
        "request_", [{}, {"quantity": "4"}, {"limit_price": "53"}, {"limit_price": "53", "quantity": "4"}]
    )
    @pytest.mark.parametrize("targets", [("54",), ("55", "58", "60"), ()])
    def test_at_every_commit(self, request_: dict[str, str], targets: tuple[str, ...]) -> None:
        limits = auto(type(ROOMY)(max_position_pct=D(1), max_open_risk_pct=D(1), min_reward_risk=D(0)))
        for step in range(1, 8):
            rig, _ = holding(store=FailingStore(Rig().store), targets=targets, limits=limits)
            rig.store.fail_at = rig.store.transactions + step
            with suppress(ApexError):
                rig.close(**request_)
            held = rig.at_venue().get("AAPL", D(0))
            assert rig.most_that_exits_fill() <= max(held, D(0))
            rig.store.fail_at = None
            rig.restart()
            held = rig.at_venue().get("AAPL", D(0))
            mine = rig.state.positions["AAPL"].position.quantity if rig.state.positions else D(0)
            assert held == mine
            assert rig.unprotected() == 0
            assert rig.most_that_exits_fill() == held or not targets

    def test_after_it_the_signal_is_still_done(self) -> None:
        rig, _ = holding()
        rig.close()
        (report,) = rig.feed(make_signal(now=START))
        assert report.outcome is SignalOutcome.DUPLICATE


def test_the_clock_of_these_tests_stands_in_an_open_session() -> None:
    assert FixedClock().now() == START
