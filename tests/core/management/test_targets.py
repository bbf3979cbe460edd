from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.management.targets import missing_targets
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from kit import START

D = Decimal
AAPL = make_instrument("AAPL")
TEN = Quantity(D(10))
W, GONE, LATE = OrderStatus.WORKING, OrderStatus.CANCELLED, OrderStatus.EXPIRED
ROLES = {"S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}


def held(side: PositionSide = PositionSide.LONG) -> Position:
    return Position(
        instrument=AAPL,
        side=side,
        quantity=TEN,
        entry_price=Price(D(50)),
        entry_time=START,
        bracket_id="b",
        opened_quantity=TEN,
        opened_value=D(500),
    )


BRACKET = BracketRecord(
    bracket_id="b",
    signal_id="sig",
    instrument=AAPL,
    side=OrderSide.BUY,
    quantity=TEN,
    entry_price=Price(D(50)),
    stop_price=Price(D(48)),
    risk_per_unit=Usd(D(2)),
    created_at=START,
)


def record(name: str, status: OrderStatus, group: str = "close", *, filled: str = "0", **terms: Any) -> OrderRecord:
    role = ROLES[name[0]]
    order = Order(
        client_order_id=f"apex-b-{name}",
        bracket_id="b",
        role=role,
        instrument=AAPL,
        side=OrderSide.SELL,
        order_type=OrderType.STOP if role is OrderRole.STOP else OrderType.LIMIT,
        quantity=TEN,
        stop_price=Price(D(48)) if role is OrderRole.STOP else None,
        limit_price=Price(D(53)) if role is not OrderRole.STOP else None,
        oca_group=group,
    )
    return OrderRecord(
        order=replace(order, **terms),
        status=status,
        filled_quantity=Quantity(D(filled)),
        created_at=START,
        updated_at=START,
    )


OLD = record("T1", GONE, "first", limit_price=Price(D(56)))
NEARER = record("T2", GONE, "second", limit_price=Price(D(54)))
STOP, CLOSE = record("S2", W), record("C1", LATE)


def test_an_expired_limit_close_gives_the_nearest_target_back_beside_its_stop() -> None:
    (target,) = missing_targets(held(), BRACKET, [OLD, NEARER, replace(STOP, filled_quantity=Quantity(D(4))), CLOSE])
    assert (target.client_order_id, target.limit_price, target.quantity) == ("apex-b-T3", 54, 6)
    assert (target.oca_group, target.time_in_force, target.side) == ("close", TimeInForce.GTC, OrderSide.SELL)


def test_a_target_that_gave_way_to_a_limit_in_its_own_group_comes_back() -> None:
    own = record("T1", GONE, "close", limit_price=Price(D(56)))
    (target,) = missing_targets(held(), BRACKET, [own, STOP, CLOSE])
    assert (target.client_order_id, target.limit_price, target.oca_group) == ("apex-b-T2", 56, "close")


def test_for_a_short_the_nearest_is_the_highest() -> None:
    (target,) = missing_targets(held(PositionSide.SHORT), BRACKET, [OLD, NEARER, STOP, CLOSE])
    assert target.limit_price == 56


@pytest.mark.parametrize(
    "orders",
    [
        [STOP, CLOSE],  # there never was a target
        [replace(OLD, status=OrderStatus.FILLED, filled_quantity=TEN), STOP, CLOSE],
        [replace(OLD, filled_quantity=Quantity(D(1))), STOP, CLOSE],  # part of it filled: it is not given up whole
        [OLD, STOP, record("C1", W)],  # the limit rests
        [OLD, STOP, record("C1", GONE)],  # taken back by a person
        [OLD, record("S2", GONE), CLOSE],  # no stop to stand beside
        [OLD, STOP, CLOSE, record("T3", W)],  # back already
        [OLD, STOP, CLOSE, record("T3", OrderStatus.REJECTED)],
        [OLD, STOP, CLOSE, record("T3", OrderStatus.UNKNOWN)],
    ],
)
def test_otherwise_nothing_comes_back(orders: list[OrderRecord]) -> None:
    assert missing_targets(held(), BRACKET, orders) == ()


def test_one_that_never_left_comes_again() -> None:
    lost = record("T3", OrderStatus.NEVER_SENT)
    (target,) = missing_targets(held(), BRACKET, [OLD, STOP, CLOSE, lost])
    assert target.client_order_id == "apex-b-T4"


def test_orders_of_another_decision_do_not_count() -> None:
    others = [replace(r, order=replace(r.order, bracket_id="x")) for r in (OLD, STOP, CLOSE)]
    assert missing_targets(held(), BRACKET, others) == ()


FILLED = replace(record("T1", OrderStatus.FILLED, "one", limit_price=Price(D(54))), filled_quantity=TEN)
TAKEN = (record("S2", GONE, "two"), record("T2", GONE, "two", limit_price=Price(D(56))))
STAND_IN = record("S3", W, "apex-b-S3-OCA")


def test_a_target_that_went_with_another_tranche_comes_back_beside_the_stop_that_stands_in() -> None:
    (target,) = missing_targets(held(), BRACKET, [FILLED, *TAKEN, STAND_IN])
    assert (target.client_order_id, target.limit_price, target.quantity) == ("apex-b-T3", 56, 10)
    assert target.oca_group == STAND_IN.order.oca_group


@pytest.mark.parametrize(
    "orders",
    [
        [*TAKEN, STAND_IN],  # nothing has filled: a person took them back
        [FILLED, TAKEN[1], record("S2", W, "two"), STAND_IN],  # its stop rests: a person took the target back
        [FILLED, *TAKEN],  # no stop to stand beside
        [FILLED, *TAKEN, STAND_IN, record("T3", W, "apex-b-S3-OCA")],  # back already
        [FILLED, *TAKEN, STAND_IN, record("T3", OrderStatus.REJECTED, "apex-b-S3-OCA")],
        [FILLED, *TAKEN, STAND_IN, record("C1", GONE, "close")],  # a person has closed some of it
        [FILLED, *TAKEN, replace(STAND_IN, order=replace(STAND_IN.order, quantity=Quantity(D(11))))],
    ],
)
def test_otherwise_no_target_of_another_tranche_comes_back(orders: list[OrderRecord]) -> None:
    assert missing_targets(held(), BRACKET, orders) == ()
