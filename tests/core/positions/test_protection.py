from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.positions.protection import (
    entries_after_exit,
    is_unsure,
    last_refusal,
    most_to_close,
    next_leg_id,
    protection_of,
    refusals,
    replacement_stop,
    restoration,
    uncovered,
    unprotected_quantity,
)
from apex_cli.core.state.tables import State
from kit import START

D = Decimal
AAPL = make_instrument("AAPL")
W, F, C = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED
LETTERS = {"E": OrderRole.ENTRY, "S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}


def position(quantity: str = "10", side: PositionSide = PositionSide.LONG) -> Position:
    return Position(
        instrument=AAPL,
        side=side,
        quantity=Quantity(D(quantity)),
        entry_price=Price(D(50)),
        entry_time=START,
        bracket_id="b",
        opened_quantity=Quantity(D(quantity)),
        opened_value=D(quantity) * 50,
    )


BRACKET = BracketRecord(
    bracket_id="b",
    signal_id="sig",
    instrument=AAPL,
    side=OrderSide.BUY,
    quantity=Quantity(D(10)),
    entry_price=Price(D(50)),
    stop_price=Price(D(48)),
    risk_per_unit=Usd(D(2)),
    created_at=START,
)


def record(name: str, quantity: str = "10", *, filled: str = "0", status: OrderStatus = W, **terms: Any) -> OrderRecord:
    role = LETTERS[name[0]]
    if role is OrderRole.STOP:
        terms.setdefault("stop_price", Price(D(48)))
    if role is OrderRole.TARGET:
        terms.setdefault("limit_price", Price(D(54)))
    kinds = {OrderRole.STOP: OrderType.STOP, OrderRole.TARGET: OrderType.LIMIT}
    terms.setdefault("order_type", kinds.get(role, OrderType.MARKET))
    terms.setdefault("side", OrderSide.BUY if role is OrderRole.ENTRY else OrderSide.SELL)
    terms.setdefault("time_in_force", TimeInForce.GTC)
    order = Order(
        client_order_id=f"apex-b-{name}",
        bracket_id="b",
        role=role,
        instrument=AAPL,
        quantity=Quantity(D(quantity)),
        **terms,
    )
    return OrderRecord(
        order=order, status=status, filled_quantity=Quantity(D(filled)), created_at=START, updated_at=START
    )


class TestProtection:
    def test_a_working_stop_covers_its_open_quantity(self) -> None:
        found = protection_of(position(), [record("S1", "10", filled="4"), record("T1", "6")])
        assert (found.quantity, found.overnight_quantity, found.stop_price) == (6, 6, 48)
        assert found.target_prices == (54,)

    def test_more_than_is_held_is_not_more_protection(self) -> None:
        assert protection_of(position("3"), [record("S1")]).quantity == 3

    def test_a_day_stop_covers_today_only(self) -> None:
        found = protection_of(position(), [record("S1", time_in_force=TimeInForce.DAY)])
        assert (found.quantity, found.overnight_quantity) == (10, 0)

    def test_only_a_stop_known_to_work_counts(self) -> None:
        for status in (OrderStatus.INTENT, OrderStatus.UNKNOWN, C, F, OrderStatus.REJECTED, OrderStatus.NEVER_SENT):
            assert protection_of(position(), [record("S1", status=status)]).quantity == 0

    def test_stops_of_one_group_are_alternatives(self) -> None:
        orders = [record("S1", "5", oca_group="g"), record("S2", "5", oca_group="g", order_type=OrderType.TRAIL)]
        assert protection_of(position(), orders).quantity == 5

    def test_the_nearest_trigger_is_reported(self) -> None:
        orders = [record("S1", "5"), record("S2", "5", stop_price=Price(D(49)))]
        assert protection_of(position(), orders).stop_price == 49

    def test_a_short_is_covered_by_a_purchase(self) -> None:
        short = position(side=PositionSide.SHORT)
        assert protection_of(short, [record("S1")]).quantity == 0
        buying = record("S1", side=OrderSide.BUY, stop_price=Price(D(52)))
        lower = record("S2", side=OrderSide.BUY, stop_price=Price(D(51)))
        assert protection_of(short, [buying, lower]).stop_price == 51

    def test_an_entry_stop_protects_nothing(self) -> None:
        entry = record("E", side=OrderSide.SELL, order_type=OrderType.STOP, stop_price=Price(D(48)))
        assert protection_of(position(), [entry]).quantity == 0


class TestGap:
    def test_what_no_stop_covers_is_unprotected(self) -> None:
        assert unprotected_quantity(position(), []) == 10
        assert unprotected_quantity(position(), [record("T1")]) == 10
        assert unprotected_quantity(position(), [record("S1", "7")]) == 3

    def test_a_working_close_is_on_its_way_an_unknown_one_is_not(self) -> None:
        assert unprotected_quantity(position(), [record("C1", "10")]) == 0
        assert unprotected_quantity(position(), [record("C1", "10", status=OrderStatus.UNKNOWN)]) == 10

    def test_a_limit_beside_its_stop_is_no_second_cover(self) -> None:
        assert unprotected_quantity(position(), [record("C1", "5", oca_group="g")]) == 10

    def test_an_order_whose_fills_are_missing_is_unsure(self) -> None:
        assert is_unsure(record("S1", status=F))
        assert not is_unsure(record("S1", status=F, filled="10"))
        assert is_unsure(record("S1", status=OrderStatus.UNKNOWN))
        assert is_unsure(record("S1", status=OrderStatus.INTENT))
        assert not is_unsure(record("S1", status=C))


KINDS = ["pair", "small pair", "dead pair", "target", "stop", "close"]


class TestRestoration:
    def test_without_any_exit_one_stop_for_everything(self) -> None:
        found = restoration(position(), BRACKET, [record("E", status=F, filled="10")])
        (stop,) = found.stops
        assert (stop.client_order_id, stop.quantity, stop.stop_price, stop.side) == (
            "apex-b-S1",
            10,
            48,
            OrderSide.SELL,
        )
        assert (stop.oca_group, stop.parent_id, stop.time_in_force) == ("apex-b-S1-OCA", None, TimeInForce.GTC)
        assert found.uncovered == 0

    def test_a_target_without_a_stop_gets_one_in_its_group(self) -> None:
        orders = [record("S1", status=C, oca_group="g"), record("T1", oca_group="g")]
        (stop,) = restoration(position(), BRACKET, orders).stops
        assert (stop.client_order_id, stop.quantity, stop.oca_group) == ("apex-b-S2", 10, "g")

    def test_groups_and_the_rest_get_one_each(self) -> None:
        orders = [
            record("S1", "4", oca_group="g1"),
            record("T1", "4", oca_group="g1"),
            record("S2", "3", status=C, oca_group="g2"),
            record("T2", "3", oca_group="g2"),
        ]
        found = restoration(position(), BRACKET, orders)
        assert [(s.client_order_id[-2:], s.quantity, s.oca_group) for s in found.stops] == [
            ("S3", 3, "g2"),
            ("S4", 3, "apex-b-S4-OCA"),
        ]

    def test_beside_an_exit_of_its_own_there_is_no_room(self) -> None:
        orders = [record("T1", "10"), record("S1", status=C)]
        found = restoration(position(), BRACKET, orders)
        assert (found.stops, found.uncovered) == ((), 10)

    def test_the_tightest_trigger_ever_had_stays(self) -> None:
        orders = [record("S1", status=C, stop_price=Price(D(51)))]
        assert replacement_stop(position(), BRACKET, Quantity(D(10)), orders).stop_price == 51
        short = position(side=PositionSide.SHORT)
        lower = [record("S1", status=C, stop_price=Price(D(47)))]
        assert replacement_stop(short, BRACKET, Quantity(D(10)), lower).stop_price == 47

    @given(
        st.integers(1, 20),
        st.lists(
            st.tuples(
                st.integers(1, 12), st.sampled_from(["pair", "target", "stop", "dead pair", "small pair", "close"])
            ),
            max_size=5,
        ),
    )
    def test_it_never_lets_exits_exceed_what_is_held(self, held: int, legs: list[tuple[int, str]]) -> None:
        orders: list[OrderRecord] = []
        for number, (size, kind) in enumerate(legs, start=1):
            group = None if kind in {"stop", "close"} else f"g{number}"
            if kind in {"pair", "stop", "dead pair"}:
                status = C if kind == "dead pair" else W
                orders.append(record(f"S{number}", str(size), status=status, oca_group=group))
            if kind == "small pair":
                orders.append(record(f"S{number}", str(max(1, size // 2)), oca_group=group))
            if kind in {"pair", "small pair", "target"}:
                orders.append(record(f"T{number}", str(size), oca_group=group))
            if kind == "close":
                orders.append(record(f"C{number}", str(size)))
        found = restoration(position(str(held)), BRACKET, orders)
        resting = most(orders)
        grown = {order.client_order_id: order for order in found.grow}
        old = [replace(r, order=grown.get(r.order.client_order_id, r.order)) for r in orders]
        assert most(old) == resting, "a stop grows no further than its group"
        after = most([*old, *(OrderRecord(order=s, status=W, created_at=START, updated_at=START) for s in found.stops)])
        assert after <= max(resting, D(held))
        assert len({s.client_order_id for s in found.stops} | {r.order.client_order_id for r in orders}) == len(
            found.stops
        ) + len(orders)
        gap = unprotected_quantity(position(str(held)), orders)
        added = sum((new.order.quantity - r.order.quantity for new, r in zip(old, orders, strict=True)), D(0))
        assert sum((s.quantity for s in found.stops), D(0)) + added + found.uncovered == gap


def most(orders: list[OrderRecord]) -> Decimal:
    groups: dict[str, Decimal] = {}
    for each in orders:
        if each.is_open:
            name = each.order.oca_group or each.order.client_order_id
            groups[name] = max(groups.get(name, D(0)), each.open_quantity)
    return sum(groups.values(), D(0))


class TestRefused:
    def test_rejections_of_the_same_terms_are_counted_by_session(self) -> None:
        stop = replacement_stop(position(), BRACKET, Quantity(D(10)), [])
        rejected = [record("S2", status=OrderStatus.REJECTED), record("S3", status=OrderStatus.REJECTED)]
        assert refusals(stop, rejected, START) == 2
        assert last_refusal(stop, rejected, START) == rejected[0].updated_at
        assert refusals(stop, rejected, START + timedelta(days=1)) == 0
        assert last_refusal(stop, rejected, START + timedelta(days=1)) is None
        assert refusals(stop, [record("S2", "9", status=OrderStatus.REJECTED)], START) == 0
        assert refusals(stop, [record("S2", status=C)], START) == 0
        in_group = record("S2", status=OrderStatus.REJECTED, oca_group="finished")
        assert refusals(stop, [in_group], START) == 0

    def test_the_stop_of_the_bracket_itself_does_not_count(self) -> None:
        stop = replacement_stop(position(), BRACKET, Quantity(D(10)), [])
        own = record("S1", status=OrderStatus.REJECTED, parent_id="apex-b-E")
        assert refusals(stop, [own], START) == 0


def test_exits_may_rest_for_what_is_held_and_what_may_still_be_opened() -> None:
    entry = record("E", "10", filled="4")
    assert most_to_close(position("4"), [entry], OrderSide.SELL) == 10
    assert most_to_close(position("4"), [], OrderSide.SELL) == 4
    assert most_to_close(position("4"), [entry], OrderSide.BUY) == 0
    assert most_to_close(None, [], OrderSide.SELL) == 0
    assert most_to_close(position("4", PositionSide.SHORT), [], OrderSide.BUY) == 4


def test_leg_ids_go_on_from_the_highest() -> None:
    orders = [record("S1"), record("S7"), record("T9")]
    assert next_leg_id("b", "S", orders) == "apex-b-S8"
    assert next_leg_id("b", "S", orders, skip=1) == "apex-b-S9"
    assert next_leg_id("b", "C", orders) == "apex-b-C1"


def names(records: tuple[OrderRecord, ...]) -> list[str]:
    return [each.order.client_order_id.removeprefix("apex-b-") for each in records]


@pytest.mark.parametrize(
    ("exited", "ended"),
    [
        ([record("S1"), record("T1")], []),
        ([record("S1", filled="4")], ["E", "E2"]),
        ([record("S1", filled="10", status=F)], ["E", "E2"]),
        ([record("T1", filled="4")], ["E"]),
        ([record("T2", filled="4", tranche=2)], ["E2"]),
        ([record("C1", filled="4")], []),
    ],
)
def test_an_entry_ends_when_an_exit_of_it_has_filled(exited: list[OrderRecord], ended: list[str]) -> None:
    entries = [record("E", filled="4"), record("E2", filled="4", tranche=2), record("E3", status=C)]
    assert names(entries_after_exit([*entries, *exited])) == ended


@pytest.mark.parametrize(
    ("side", "trigger", "limit"), [(PositionSide.LONG, 48, "47.04"), (PositionSide.SHORT, 48, "48.96")]
)
def test_a_replacement_has_a_limit_beyond_its_trigger_where_the_plan_says_so(
    side: PositionSide, trigger: int, limit: str
) -> None:
    bracket = replace(BRACKET, stop_limit_pct=D("0.02"))
    stop = replacement_stop(position(side=side), bracket, Quantity(D(10)), [])
    assert (stop.order_type, stop.stop_price, stop.limit_price) == (OrderType.STOP_LIMIT, trigger, D(limit))


def test_a_target_ends_the_entry_that_it_waited_for() -> None:
    target = record("T2", filled="4", tranche=2)
    target = replace(target, order=replace(target.order, parent_id="apex-b-E"))
    assert names(entries_after_exit([record("E", filled="6"), target])) == ["E"]


def test_an_exit_of_another_decision_ends_no_entry() -> None:
    other = record("S1", filled="4")
    other = replace(other, order=replace(other.order, bracket_id="other"))
    assert entries_after_exit([record("E"), other]) == ()


def books(*orders: OrderRecord, has_plan: bool = True) -> State:
    state = State()
    state.positions["AAPL"] = PositionRecord(position=position(), current_price=Price(D(50)), priced_at=START)
    if has_plan:
        state.brackets["b"] = BRACKET
    for each in orders:
        state.orders[each.order.client_order_id] = each
    return state


REJECTED = OrderStatus.REJECTED


@pytest.mark.parametrize(
    ("orders", "sentence"),
    [
        ([], "AAPL: 10 of 10 are held without a working stop."),
        ([record("S1", "4")], "AAPL: 6 of 10 are held without a working stop: apex-b-S1: working."),
        (
            [record("S1", status=C), replace(record("S2", status=REJECTED), reason="201 no such stop.")],
            "AAPL: 10 of 10 are held without a working stop: apex-b-S2: 201 no such stop.",
        ),
    ],
)
def test_what_is_held_without_the_stop_of_its_plan_is_named_with_that_stop(
    orders: list[OrderRecord], sentence: str
) -> None:
    (found,) = uncovered(books(*orders))
    assert found.sentence == sentence


def test_what_is_covered_or_never_had_a_stop_is_not_named() -> None:
    assert uncovered(books(record("S1"))) == ()
    assert uncovered(books(has_plan=False)) == ()
