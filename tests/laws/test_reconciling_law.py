"""Laws 2, 3 and 7: whatever was changed at the broker, a comparison ends in agreement or a lock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.reconciliation import AUTOMATIC, BreakCode, BreakStatus
from apex_cli.core.model.side import OrderSide
from apex_cli.core.reconciliation.breaks import POSITION_CODES
from kit.faults import UnreliableBroker
from kit.rig import Rig, make_signal

D = Decimal
LOST = "00000000000000000000000009"
TAMPERINGS = st.one_of(
    st.tuples(st.just("cancel"), st.sampled_from(["S1", "T1", "S2", "T2"])),
    st.tuples(st.just("forget"), st.sampled_from(["S1", "T1", "S2", "T2"])),
    st.tuples(st.just("move"), st.sampled_from(["S1", "S2"]), st.sampled_from(["47", "49"]), st.integers(1, 12)),
    st.tuples(st.just("price"), st.sampled_from(["47", "49", "50", "52", "55", "58"])),
    st.tuples(st.just("hold"), st.sampled_from([-4, 0, 3, 10, 15, 22])),
    st.tuples(st.just("orphan"), st.sampled_from(["S1", "T1"]), st.integers(1, 20)),
    st.tuples(st.just("by hand"), st.sampled_from(list(OrderSide)), st.integers(1, 20)),
    st.tuples(st.just("compare")),
    st.tuples(st.just("look"), st.booleans()),
    st.tuples(st.just("restart")),
    st.tuples(st.just("lose cancels"), st.booleans()),
    st.tuples(st.just("incomplete")),
)


def tamper(rig: Rig, step: tuple[Any, ...], number: int) -> None:
    """Change the venue's books so that no event reports it."""
    engine, now = rig._engine, rig.clock.now()
    rig.execution.orders.sync()
    names = {name.rpartition("-")[2]: name for name in rig._desk.open if name.startswith("apex")}
    match step:
        case ("cancel" | "forget", leg) if leg in names:
            name = names[leg]
            engine.cancel(name, now)
            if step[0] == "forget":
                group = rig._desk.orders.pop(name).group
                if group is not None:
                    group.legs = [each for each in group.legs if each.id != name]
        case ("move", leg, price, quantity) if leg in names:
            order = rig._desk.orders[names[leg]].order
            engine.modify(replace(order, stop_price=Price(D(price)), quantity=Quantity(D(quantity))), now)
        case ("price", price):
            engine.on_price("AAPL", Price(D(price)), now)
        case ("hold", quantity):
            engine.ledger.positions["AAPL"] = D(quantity)
            if not quantity:
                del engine.ledger.positions["AAPL"]
        case ("orphan", leg, quantity):
            engine.submit([exit_order(f"apex-{LOST}-{leg}", leg, quantity)], now)
        case ("by hand", side, quantity):
            order = exit_order(f"TWS-{number}", "M", quantity)
            engine.submit([replace(order, side=side)], now)
    rig.venue._events.clear()


def exit_order(name: str, leg: str, quantity: int) -> Order:
    kind = {"S": OrderType.STOP, "T": OrderType.LIMIT, "M": OrderType.MARKET}[leg[0]]
    return Order(
        client_order_id=name,
        bracket_id=LOST,
        role=OrderRole.STOP if kind is OrderType.STOP else OrderRole.TARGET,
        instrument=make_instrument("AAPL"),
        side=OrderSide.SELL,
        order_type=kind,
        quantity=Quantity(D(quantity)),
        limit_price=Price(D(90)) if kind is OrderType.LIMIT else None,
        stop_price=Price(D(40)) if kind is OrderType.STOP else None,
        time_in_force=TimeInForce.GTC,
    )


def act(rig: Rig, step: tuple[Any, ...], number: int) -> None:
    match step:
        case ("compare",):
            rig.reconcile()
        case ("look", repairs):
            rig.reconcile(repair=repairs)
            rig.run(rig.executor.watch())
        case ("restart",):
            rig._build()
        case ("lose cancels", loses):
            rig.broker.loses_cancels = loses
        case ("incomplete",):
            before = {name: (r.status, r.order) for name, r in rig.state.orders.items()}
            cancels = len(rig.broker.asked_cancels)
            rig.broker.has_snapshot = False
            rig.reconcile()
            rig.broker.has_snapshot = True
            assert {name: (r.status, r.order) for name, r in rig.state.orders.items()} == before
            assert len(rig.broker.asked_cancels) == cancels
        case _:
            tamper(rig, step, number)
    rig.clock.advance(minutes=1)


def alarmed(rig: Rig) -> set[str]:
    return {msgspec.json.decode(event.data)["code"] for event in rig.events("alarm")}


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(TAMPERINGS, max_size=8), targets=st.sampled_from([("54",), ("54", "57")]))
def test_whatever_was_changed_a_comparison_ends_in_agreement_or_a_lock(
    steps: list[tuple[Any, ...]], targets: tuple[str, ...]
) -> None:
    rig = Rig()
    rig.use(UnreliableBroker(rig.venue, rig.clock))
    rig.price("50")
    rig.feed(make_signal(now=rig.clock.now(), targets=targets))
    for number, step in enumerate(steps):
        act(rig, step, number)
        assert not [n for n in rig.broker.asked_cancels if not n.startswith("apex-")], "what is foreign is not touched"
        assert not [f for f in rig.state.fills.values() if f.client_order_id.startswith("TWS")], "nor folded"
    rig.broker.loses_cancels = False
    rig.reconcile()
    rig.clock.advance(minutes=5)
    found = rig.reconcile()
    due = [e for e in found.open_breaks if e.correction.kind in AUTOMATIC and e.code is not BreakCode.STOP_MISSING]
    assert due == [], "everything that needs no person is done"
    theirs = rig.at_venue().get("AAPL", D(0))
    row = rig.state.positions.get("AAPL")
    ours = row.position.quantity * row.position.side.sign if row else D(0)
    assert (ours == theirs) == (not {each.code for each in found.open_breaks} & POSITION_CODES)
    assert bool(found.open_breaks) == ("AAPL" in rig.state.locks)
    backed = min(abs(ours), abs(theirs)) if ours * theirs > 0 else D(0)
    lost = [o for name, o in rig._desk.open.items() if name not in rig.state.orders and name.startswith("apex")]
    assert all(order.quantity - order.filled <= abs(theirs) for order in lost), "an exit of what only the broker holds"
    assert not lost or not backed
    assert lost or rig.most_that_exits_fill() <= backed, "law 3"
    stops = sum(
        order.quantity - order.filled
        for name, order in rig._desk.open.items()
        if name in rig.state.orders
        and order.order.order_type is OrderType.STOP
        and rig.state.orders[name].status is OrderStatus.WORKING
    )
    assert stops >= backed or "unprotected" in alarmed(rig), "law 2"
    events = len(rig.store.events)
    rig.clock.advance(minutes=5)
    again = rig.reconcile()
    assert [e.identity for e in again.breaks] == [
        e.identity for e in found.breaks if e.status is not BreakStatus.REPAIRED
    ]
    assert {event.kind for event in rig.store.events[events:]} <= {"reconciled"}, "and says so once"
