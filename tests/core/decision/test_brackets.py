from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.brackets import (
    build_bracket,
    close_order,
    exits_for_remaining,
    part_of,
)
from apex_cli.core.decision.plan import decide
from apex_cli.core.decision.tranches import split_quantity, tranche_quantities
from apex_cli.core.model.decision import Decision
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import EntryOrder, Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.signal import Opportunity, SignalType

D = Decimal
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def bracket(
    build: Any, quantity: str | None = None, entry_order: EntryOrder = EntryOrder.LIMIT, **signal: Any
) -> tuple[BracketRecord, tuple[Order, ...], Decision, Opportunity]:
    opportunity = build.opportunity(**signal)
    reported = None if quantity is None else Quantity(D(quantity))
    decision = decide(opportunity, build.snapshot(), Limits(), quantity=reported)
    record, orders = build_bracket(decision, opportunity, bracket_id="ULID", entry_order=entry_order, now=NOW)
    return record, orders, decision, opportunity


def test_one_target_makes_entry_stop_and_target(build: Any) -> None:
    record, orders, _, _ = bracket(build)
    entry, stop, target = orders
    assert [order.client_order_id for order in orders] == ["apex-ULID-E", "apex-ULID-S1", "apex-ULID-T1"]
    assert [order.role for order in orders] == [OrderRole.ENTRY, OrderRole.STOP, OrderRole.TARGET]
    assert [order.side for order in orders] == [OrderSide.BUY, OrderSide.SELL, OrderSide.SELL]
    assert [order.order_type for order in orders] == [OrderType.LIMIT, OrderType.STOP, OrderType.LIMIT]
    assert [order.time_in_force for order in orders] == [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTC]
    assert (entry.limit_price, stop.stop_price, target.limit_price) == (50, 48, 54)
    assert (entry.oca_group, entry.parent_id, entry.reference_price) == (None, None, 50)
    for leg in (stop, target):
        assert (leg.oca_group, leg.parent_id, leg.quantity) == ("apex-ULID-1", "apex-ULID-E", 3)
    assert (record.signal_id, record.strategy, record.quantity, record.risk_per_unit) == ("sig-1", "breakout", 3, 2)
    assert (record.reward_risk, record.confidence, record.created_at) == (2, D("0.7"), NOW)


def test_a_market_entry_has_no_limit_and_keeps_the_price_it_was_sized_at(build: Any) -> None:
    record, (entry, *_), _, _ = bracket(build, entry_order=EntryOrder.MARKET, entry="50.004", targets=("54.1",))
    assert (entry.order_type, entry.limit_price, entry.reference_price) == (OrderType.MARKET, None, D("50.004"))
    assert record.entry_price == D("50.004")


def test_a_short_turns_every_side(build: Any) -> None:
    _, orders, _, _ = bracket(build, signal_type=SignalType.SHORT, stop="52.004", targets=("46.004",))
    assert [order.side for order in orders] == [OrderSide.SELL, OrderSide.BUY, OrderSide.BUY]
    assert (orders[1].stop_price, orders[2].limit_price) == (D("52.00"), D("46.00"))


def test_without_a_target_there_is_still_a_stop(build: Any) -> None:
    record, orders, _, _ = bracket(build, targets=())
    assert [order.role for order in orders] == [OrderRole.ENTRY, OrderRole.STOP]
    assert record.target_prices == ()


def test_several_targets_share_one_entry_and_have_exits_of_their_own_nearest_first(build: Any) -> None:
    _, orders, _, _ = bracket(build, "5", targets=("60", "56"))
    assert [order.client_order_id for order in orders] == [f"apex-ULID-{leg}" for leg in ("E", "S1", "T1", "S2", "T2")]
    assert [(o.quantity, o.limit_price) for o in orders if o.role is OrderRole.TARGET] == [(3, 56), (2, 60)]
    assert [o.quantity for o in orders if o.role is not OrderRole.TARGET] == [5, 3, 2]
    assert [o.parent_id for o in orders] == [None, *["apex-ULID-E"] * 4]
    assert [o.oca_group for o in orders] == [None, *["apex-ULID-1"] * 2, *["apex-ULID-2"] * 2]


@pytest.mark.parametrize(
    ("kind", "stop", "target", "limit"),
    [(SignalType.LONG, "48", "56", "47.52"), (SignalType.SHORT, "52", "44", "52.52")],
)
def test_stops_for_outside_regular_hours_have_a_limit_beyond_their_trigger(
    build: Any, kind: SignalType, stop: str, target: str, limit: str
) -> None:
    _, _, decision, opportunity = bracket(build, signal_type=kind, stop=stop, targets=(target,))
    record, (_, leg, _) = build_bracket(
        decision,
        opportunity,
        bracket_id="ULID",
        entry_order=EntryOrder.LIMIT,
        now=NOW,
        stop_limit_pct=D("0.01"),
    )
    assert (leg.order_type, leg.stop_price, leg.limit_price) == (OrderType.STOP_LIMIT, D(stop), D(limit))
    assert record.stop_limit_pct == D("0.01")


def test_where_configured_each_target_has_an_entry_of_its_own(build: Any) -> None:
    _, _, decision, opportunity = bracket(build, "5", targets=("60", "56"))
    _, orders = build_bracket(
        decision, opportunity, bracket_id="ULID", entry_order=EntryOrder.LIMIT, now=NOW, is_one_entry=False
    )
    assert [order.client_order_id for order in orders] == [
        f"apex-ULID-{leg}" for leg in ("E1", "S1", "T1", "E2", "S2", "T2")
    ]
    assert [(o.quantity, o.limit_price) for o in orders if o.role is OrderRole.TARGET] == [(3, 56), (2, 60)]
    assert [o.parent_id for o in orders] == [None, "apex-ULID-E1", "apex-ULID-E1", None, "apex-ULID-E2", "apex-ULID-E2"]
    assert [o.oca_group for o in orders if o.role is OrderRole.STOP] == ["apex-ULID-1", "apex-ULID-2"]


def test_a_small_quantity_reaches_only_the_nearest_targets(build: Any) -> None:
    record, orders, _, _ = bracket(build, "1", targets=("60", "56"))
    assert [order.client_order_id for order in orders] == ["apex-ULID-E", "apex-ULID-S1", "apex-ULID-T1"]
    assert (orders[2].limit_price, record.target_prices) == (56, (56,))


def test_other_targets_may_take_the_place_of_the_signals(build: Any) -> None:
    _, _, decision, opportunity = bracket(build)
    _, orders = build_bracket(
        decision, opportunity, bracket_id="B", entry_order=EntryOrder.LIMIT, now=NOW, targets=(Price(D(58)),)
    )
    assert orders[2].limit_price == 58


def test_a_decision_without_a_size_makes_no_bracket(build: Any) -> None:
    _, _, decision, opportunity = bracket(build)
    with pytest.raises(ValueError, match="has no size"):
        build_bracket(replace(decision, sized=None), opportunity, bracket_id="B", entry_order=EntryOrder.LIMIT, now=NOW)


@pytest.mark.parametrize("stop", ["49.995", "52"])
def test_levels_that_meet_make_no_bracket(build: Any, stop: str) -> None:
    _, _, decision, _ = bracket(build)
    with pytest.raises(ValueError, match="do not make a BUY bracket"):
        build_bracket(decision, build.opportunity(stop=stop), bracket_id="B", entry_order=EntryOrder.LIMIT, now=NOW)


def test_a_split_is_even_with_the_larger_parts_first() -> None:
    stock, coin = make_instrument("X"), make_instrument("BTC-USD", MarketType.CRYPTO)
    assert split_quantity(Quantity(D(7)), stock, 3) == (3, 2, 2)
    assert split_quantity(Quantity(D(2)), stock, 3) == (1, 1)
    assert split_quantity(Quantity(D(2)), stock, 0) == (2,)
    assert split_quantity(Quantity(D("0.0003")), coin, 2) == (D("0.0002"), D("0.0001"))


@pytest.mark.parametrize(
    ("quantity", "targets", "fractions", "parts"),
    [
        (15, 2, (), (8, 7)),
        (15, 0, ("0.5",), (15,)),
        (15, 2, ("0.5", "0.5"), (8, 7)),  # 7 and 7, the odd one to the first
        (15, 2, ("0.4", "0.3"), (6, 4, 5)),  # 6.0 and 4.5; the rest has no target
        (15, 1, ("0.5",), (7, 8)),
        (2, 2, ("0.4", "0.3"), (1, 1)),  # a step each, nothing is left over
        (1, 2, ("0.4", "0.3"), (1,)),
        (3, 2, ("0.1", "0.1"), (1, 1, 1)),
        (10, 2, ("1", "1"), (10,)),
    ],
)
def test_fractions_split_the_quantity_and_lose_nothing(
    quantity: int, targets: int, fractions: tuple[str, ...], parts: tuple[int, ...]
) -> None:
    found = tranche_quantities(Quantity(D(quantity)), make_instrument("AAPL"), targets, tuple(map(D, fractions)))
    assert found == parts
    assert sum(found) == quantity


def test_what_fractions_leave_over_has_a_stop_and_no_target(build: Any) -> None:
    opportunity = build.opportunity(targets=("56", "60"), target_fractions=(D("0.4"), D("0.3")))
    decision = decide(opportunity, build.snapshot(), build.limits(auto=True, max_position_pct=D(1)))
    assert decision.sized is not None
    assert decision.sized.quantity == 15
    # 6 at 56 and 4 at 60: (6 * 56 + 4 * 60) / 10 = 57.6; 7.6 / 2 = 3.8
    assert decision.reward_risk == D("3.8")
    record, orders = build_bracket(decision, opportunity, bracket_id="b", entry_order=EntryOrder.MARKET, now=build.now)
    assert record.target_prices == (56, 60)
    assert [(o.client_order_id[-2:], o.quantity) for o in orders] == [
        ("-E", 15), ("S1", 6), ("T1", 6), ("S2", 4), ("T2", 4), ("S3", 5),
    ]  # fmt: skip


cents = st.decimals("0.5", "20", places=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    is_long=st.booleans(),
    distance=cents,
    gains=st.lists(cents, max_size=4),
    quantity=st.integers(1, 40),
    entry_order=st.sampled_from(EntryOrder),
)
def test_exits_sum_to_the_entry_and_lose_no_more_than_was_sized(  # noqa: PLR0917 - hypothesis passes by name
    build: Any, is_long: bool, distance: Decimal, gains: list[Decimal], quantity: int, entry_order: EntryOrder
) -> None:
    sign = 1 if is_long else -1
    record, orders, decision, _ = bracket(
        build,
        str(quantity),
        entry_order,
        signal_type=SignalType.LONG if is_long else SignalType.SHORT,
        stop=str(D(50) - distance * sign),
        targets=tuple(str(D(50) + gain * sign) for gain in gains),
    )
    assert decision.sized is not None
    by_role = {role: [o for o in orders if o.role is role] for role in OrderRole}
    assert sum(o.quantity for o in by_role[OrderRole.ENTRY]) == quantity
    assert sum(o.quantity for o in by_role[OrderRole.STOP]) == quantity
    assert sum(o.quantity for o in by_role[OrderRole.TARGET]) == (quantity if gains else 0)
    (entry,) = by_role[OrderRole.ENTRY]
    stops = {o.oca_group: o for o in by_role[OrderRole.STOP]}
    for leg in (*by_role[OrderRole.STOP], *by_role[OrderRole.TARGET]):
        assert leg.parent_id == entry.client_order_id
        assert leg.quantity == stops[leg.oca_group].quantity
    loss = sum(
        o.quantity * abs((entry.limit_price or decision.entry_price) - (o.stop_price or 0))
        for o in by_role[OrderRole.STOP]
    )
    assert loss <= decision.sized.risk_amount
    assert record.risk_per_unit <= decision.sized.risk_per_unit
    assert len({o.client_order_id for o in orders}) == len(orders)


def position(quantity: str = "10", side: PositionSide = PositionSide.LONG) -> Position:
    return Position(
        instrument=make_instrument("AAPL"),
        side=side,
        quantity=Quantity(D(quantity)),
        entry_price=Price(D(50)),
        entry_time=NOW,
        opened_quantity=Quantity(D(quantity)),
        opened_value=D(quantity) * 50,
    )


def test_closing_is_at_market_for_all_of_it_by_default() -> None:
    order = close_order(position(), bracket_id="B")
    assert (order.client_order_id, order.role, order.side) == ("apex-B-C1", OrderRole.CLOSE, OrderSide.SELL)
    assert (order.order_type, order.quantity, order.time_in_force) == (OrderType.MARKET, 10, TimeInForce.DAY)


def test_closing_a_part_at_a_limit_keeps_the_worst_price() -> None:
    order = close_order(
        position(side=PositionSide.SHORT),
        bracket_id="B",
        number=2,
        quantity=Quantity(D(4)),
        limit_price=Price(D("49.999")),
        reference_price=Price(D("49.9")),
    )
    assert (order.client_order_id, order.side, order.quantity) == ("apex-B-C2", OrderSide.BUY, 4)
    assert (order.order_type, order.limit_price, order.reference_price) == (OrderType.LIMIT, D("49.99"), D("49.9"))


@pytest.mark.parametrize("quantity", ["0", "-1", "11", "1.5"])
def test_closing_what_is_not_there_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=f"cannot close {quantity}"):
        close_order(position(), bracket_id="B", quantity=Quantity(D(quantity)))


def test_a_fraction_of_a_share_stays_out_of_the_order() -> None:
    assert close_order(position("10.5"), bracket_id="B").quantity == 10


@pytest.mark.parametrize(
    ("held", "fraction", "part"),
    [("10", "0.5", "5"), ("3", "0.5", "1"), ("1", "0.5", "1"), ("10.5", "1", "10"), ("0.5", "0.5", "0")],
)
def test_a_fraction_is_cut_to_the_step_but_never_to_nothing(held: str, fraction: str, part: str) -> None:
    assert part_of(position(held), D(fraction)) == D(part)


@pytest.mark.parametrize("fraction", ["0", "1.01"])
def test_a_fraction_outside_of_one_is_refused(fraction: str) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        part_of(position(), D(fraction))


def recorded(order: Order, *, filled: str = "0", status: OrderStatus = OrderStatus.WORKING) -> OrderRecord:
    return OrderRecord(order=order, status=status, filled_quantity=Quantity(D(filled)), created_at=NOW, updated_at=NOW)


def test_a_partial_close_takes_the_place_of_the_nearest_target(build: Any) -> None:
    _, orders, _, _ = bracket(build, "5", targets=("60", "56"))
    changes = exits_for_remaining([recorded(o) for o in orders], Quantity(D(3)))
    assert changes.cancel == ()
    assert [(o.client_order_id, o.quantity) for o in changes.shrink] == [("apex-ULID-T1", 1), ("apex-ULID-S1", 1)]
    fewer = exits_for_remaining([recorded(o) for o in orders], Quantity(D(2)))
    assert (fewer.cancel, fewer.shrink) == (("apex-ULID-S1", "apex-ULID-T1"), ())


def test_a_flat_position_keeps_no_exit(build: Any) -> None:
    _, orders, _, _ = bracket(build)
    changes = exits_for_remaining([recorded(o) for o in orders], Quantity(D(0)))
    assert (changes.cancel, changes.shrink) == (("apex-ULID-S1", "apex-ULID-T1"), ())


def test_a_partly_filled_target_shrinks_its_stop(build: Any) -> None:
    _, (entry, stop, target), _, _ = bracket(build)
    records = [recorded(entry, filled="3", status=OrderStatus.FILLED), recorded(stop), recorded(target, filled="1")]
    changes = exits_for_remaining(records, Quantity(D(2)))
    assert [(o.client_order_id, o.quantity) for o in changes.shrink] == [("apex-ULID-S1", 2)]


def test_a_working_close_comes_before_the_resting_exits(build: Any) -> None:
    _, orders, _, _ = bracket(build)
    close = close_order(position("3"), bracket_id="ULID", quantity=Quantity(D(1)))
    changes = exits_for_remaining([recorded(o) for o in (*orders, close)], Quantity(D(3)))
    assert [(o.client_order_id, o.quantity) for o in changes.shrink] == [("apex-ULID-T1", 2), ("apex-ULID-S1", 2)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(quantity=st.integers(1, 20), targets=st.integers(0, 4), remaining=st.integers(-2, 25), data=st.data())
def test_resting_exits_never_exceed_what_is_left(
    build: Any, quantity: int, targets: int, remaining: int, data: st.DataObject
) -> None:
    _, orders, _, _ = bracket(build, str(quantity), targets=tuple(str(60 + n) for n in range(targets)))
    records = [recorded(o, filled=str(data.draw(st.integers(0, int(o.quantity))))) for o in orders]
    changes = exits_for_remaining(records, Quantity(D(remaining)))
    smaller = {order.client_order_id: order for order in changes.shrink}
    groups: dict[str, Decimal] = {}
    for record in records:
        order = smaller.get(record.order.client_order_id, record.order)
        if order.role is not OrderRole.ENTRY and order.client_order_id not in changes.cancel:
            assert order.quantity <= record.order.quantity
            left = order.quantity - record.filled_quantity
            groups[order.oca_group or ""] = max(groups.get(order.oca_group or "", D(0)), left)
    assert sum(groups.values()) <= max(0, remaining)


@pytest.mark.parametrize(
    ("way", "limit", "time_in_force", "good_till"),
    [
        (EntryOrder.LIMIT, 50, TimeInForce.GTD, NOW + timedelta(minutes=20)),
        (EntryOrder.ADAPTIVE_MARKET, None, TimeInForce.GTD, NOW + timedelta(minutes=20)),
        (EntryOrder.LIMIT_ON_CLOSE, 50, TimeInForce.DAY, None),
        (EntryOrder.MARKET_ON_OPEN, None, TimeInForce.DAY, None),
    ],
)
def test_an_entry_rests_as_long_as_configured_unless_it_waits_for_an_auction(
    build: Any, way: EntryOrder, limit: int | None, *, time_in_force: TimeInForce, good_till: datetime | None
) -> None:
    opportunity = build.opportunity()
    decision = decide(opportunity, build.snapshot(), Limits())
    _, (entry, *exits) = build_bracket(
        decision, opportunity, bracket_id="B", entry_order=way, now=NOW, entry_minutes=20
    )
    assert (entry.order_type, entry.limit_price) == (way.order_type, limit)
    assert (entry.time_in_force, entry.good_till) == (time_in_force, good_till)
    assert {leg.time_in_force for leg in exits} == {TimeInForce.GTC}
