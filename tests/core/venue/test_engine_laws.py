"""Laws of the venue under random bars, brackets, cancels and restarts."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.book import VenueBook
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine

T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CASH = Decimal(3000)
SYMBOLS = ("AAA", "BBB")
COSTS = CostModel(plan=CommissionPlan.IB_TIERED, slippage_ticks=1)
PARTICIPATION = Decimal("0.1")
ENTRY_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)

prices = st.integers(9000, 11000).map(lambda cents: Price(Decimal(cents) / 100))


@st.composite
def brackets(draw: Any, number: int) -> Any:
    """One entry with one or two tranches of stop (or trail) and target."""
    side = draw(st.sampled_from(OrderSide))
    symbol = draw(st.sampled_from(SYMBOLS))
    name = f"b{number}"
    common = {"bracket_id": name, "instrument": Instrument(symbol=symbol)}
    tranches = draw(st.lists(st.integers(1, 8), min_size=1, max_size=2))
    entry_price = draw(prices)
    sign = side.sign
    orders = [
        Order(
            client_order_id=f"{name}-E",
            role=OrderRole.ENTRY,
            side=side,
            order_type=draw(st.sampled_from(ENTRY_TYPES)),
            quantity=Quantity(Decimal(sum(tranches))),
            limit_price=entry_price,
            stop_price=entry_price,
            time_in_force=draw(st.sampled_from(TimeInForce)),
            **common,
        )
    ]
    stop_type = draw(st.sampled_from((OrderType.STOP, OrderType.TRAIL)))
    for tranche, quantity in enumerate(tranches, 1):
        exits = {
            **common,
            "side": side.opposite,
            "quantity": Quantity(Decimal(quantity)),
            "parent_id": f"{name}-E",
            "oca_group": f"{name}-{tranche}",
            "tranche": tranche,
            "time_in_force": TimeInForce.GTC,
        }
        orders.append(
            Order(
                client_order_id=f"{name}-S{tranche}",
                role=OrderRole.STOP,
                order_type=stop_type,
                stop_price=Price(entry_price - sign * draw(st.integers(1, 900)) / Decimal(100)),
                trail_amount=Price(Decimal(2)),
                **exits,
            )
        )
        target = Price(entry_price + sign * draw(st.integers(1, 900)) / Decimal(100))
        orders.append(
            Order(
                client_order_id=f"{name}-T{tranche}",
                role=OrderRole.TARGET,
                order_type=OrderType.LIMIT,
                limit_price=target,
                **exits,
            )
        )
    return orders


@st.composite
def bars(draw: Any, minute: int) -> Any:
    four = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    middle = draw(st.permutations(four[1:3]))
    start = T0 + timedelta(minutes=minute)
    return Bar(
        symbol=draw(st.sampled_from(SYMBOLS)),
        start=start,
        end=start + timedelta(minutes=1),
        low=four[0],
        high=four[3],
        open=middle[0],
        close=middle[1],
        volume=Decimal(draw(st.integers(0, 60))),
    )


@st.composite
def days(draw: Any) -> Any:
    """What happens to the venue: brackets, bars, cancels of entries, ends of sessions."""
    story = []
    for step in range(draw(st.integers(5, 16))):
        kind = (
            "bracket" if not step else draw(st.sampled_from(("bar", "bar", "bar", "bar", "bracket", "cancel", "end")))
        )
        if kind == "bracket":
            story.append((kind, draw(brackets(step))))
        elif kind == "bar":
            story.append((kind, draw(bars(step))))
        else:
            story.append((kind, draw(st.integers(0, 3))))
    return story


def act(engine: MatchingEngine, step: int, kind: str, what: Any) -> Any:
    at = T0 + timedelta(minutes=step)
    if kind == "bracket":
        return engine.submit(what, at)
    if kind == "bar":
        return engine.on_bar(what.symbol, what)
    if kind == "cancel":
        return engine.cancel(f"b{what}-E", at)
    return engine.end_session(at)


def new_engine(participation: Any) -> MatchingEngine:
    return MatchingEngine(cash=Usd(CASH), costs=COSTS, max_participation=participation)


def open_orders(engine: MatchingEngine) -> Any:
    return {u.client_order_id: u for u in engine.orders() if u.status is OrderStatus.WORKING}


def check(engine: MatchingEngine, orders: Any) -> None:
    """Every law that holds between any two steps."""
    filled = defaultdict(Decimal)
    held = defaultdict(Decimal)
    cash = CASH
    for fill in engine.ledger.fills:
        filled[fill.client_order_id] += fill.quantity
        held[fill.bracket_id] += fill.side.sign * fill.quantity
        cash -= fill.side.sign * fill.quantity * fill.price + fill.commission
    assert engine.ledger.total_cash == cash
    value = sum((q * engine.ledger.last_price(key)[0] for key, q in engine.ledger.positions.items()), Decimal(0))
    assert engine.ledger.equity == cash + value
    working = open_orders(engine)
    for name, order in orders.items():
        assert filled[name] <= order.quantity
        if order.role is OrderRole.ENTRY:
            rest = held[order.bracket_id] * order.side.sign
            assert rest >= 0, "exits never exceed what the entry bought"
            legs = [o for o in orders.values() if o.parent_id == name and o.client_order_id in working]
            if name not in working:
                assert_covered(rest, legs, working, filled)


def assert_covered(rest: Any, legs: Any, working: Any, filled: Any) -> None:
    """Once the entry is final, each side of the exits rests for exactly what is held."""
    for role in (OrderRole.STOP, OrderRole.TARGET):
        resting = sum(
            (working[o.client_order_id].quantity - filled[o.client_order_id] for o in legs if o.role is role),
            Decimal(0),
        )
        assert resting == rest


@settings(max_examples=120, deadline=None)
@given(story=days(), participation=st.sampled_from((PARTICIPATION, None)))
def test_exits_money_and_quantities_stay_consistent(story: Any, participation: Any) -> None:
    engine = new_engine(participation)
    orders = {}
    for step, (kind, what) in enumerate(story):
        act(engine, step, kind, what)
        if kind == "bracket":
            orders.update({order.client_order_id: order for order in what})
        check(engine, orders)


@settings(max_examples=60, deadline=None)
@given(story=days(), participation=st.sampled_from((PARTICIPATION, None)))
def test_a_book_restored_at_any_point_has_the_same_future(story: Any, participation: Any) -> None:
    plain = new_engine(participation)
    restored = new_engine(participation)
    for step, (kind, what) in enumerate(story):
        encoded = msgspec.json.encode(restored.dump())
        book = msgspec.json.decode(encoded, type=VenueBook)
        restored = MatchingEngine.restored(book, costs=COSTS, max_participation=participation)
        assert list(act(restored, step, kind, what)) == list(act(plain, step, kind, what))
    assert restored.dump() == plain.dump()


@settings(max_examples=60, deadline=None)
@given(story=days())
def test_submitting_everything_twice_changes_nothing(story: Any) -> None:
    once, twice = new_engine(None), new_engine(None)
    for step, (kind, what) in enumerate(story):
        act(once, step, kind, what)
        act(twice, step, kind, what)
        if kind == "bracket":
            again = act(twice, step, kind, what)
            assert not [event for event in again if isinstance(event, Fill)]
    assert twice.ledger.fills == once.ledger.fills
    assert twice.ledger.positions == once.ledger.positions


@settings(max_examples=60, deadline=None)
@given(story=days())
def test_fills_lie_inside_the_bar_but_for_slippage(story: Any) -> None:
    engine = new_engine(None)
    for step, (kind, what) in enumerate(story):
        events = act(engine, step, kind, what)
        for event in events:
            if kind == "bar" and isinstance(event, Fill):
                slack = Decimal("0.01")
                assert what.low - slack <= event.price <= what.high + slack


@settings(max_examples=60, deadline=None)
@given(story=days())
def test_what_is_remembered_of_worth_and_of_orders_is_never_old(story: Any) -> None:
    engine = new_engine(None)
    ledger = engine.ledger

    def is_worth() -> Any:
        values = [held * ledger.prices[key] for key, held in ledger.positions.items()]
        return ledger.total_cash + sum(values), sum(map(abs, values))

    before = engine.changes, list(engine.active()), dict(ledger.positions)
    for step, (kind, what) in enumerate(story):
        ledger.worth()
        act(engine, step, kind, what)
        after = engine.changes, list(engine.active()), dict(ledger.positions)
        assert after[0] != before[0] or after == before
        before = after
        assert ledger.worth() == (ledger.equity, ledger.gross_value) == is_worth()
        ledger.move_cash(Usd(Decimal(1)))
        assert ledger.worth() == is_worth()
        if kind == "bracket":
            engine.split(what[0].instrument.key, Decimal(2), T0 + timedelta(minutes=step))
            assert ledger.worth() == is_worth()
