"""Every order type is one row, and venue, broker adapter and gateway agree about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from apex_cli.core.adapters.ib.order_terms import order_fields, problem_with
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import EntryOrder, Meets, Order, OrderRole, OrderType, TimeInForce, type_on_wire
from apex_cli.core.model.side import OrderSide
from apex_cli.core.venue.intake import terms_fault
from apex_cli.settings.reference import field_docstrings

PRICE = Price(Decimal(100))


def complete(kind: OrderType) -> Order:
    """Return an order with the prices that its row asks for."""
    row = kind.row
    return Order(
        client_order_id="apex-01ARZ3NDEKTSV4RRFFQ69G5FAV-E",
        bracket_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        role=OrderRole.ENTRY,
        instrument=make_instrument("AAPL"),
        side=OrderSide.BUY,
        order_type=kind,
        quantity=Quantity(Decimal(1)),
        limit_price=PRICE if row.needs_limit else None,
        stop_price=PRICE if row.needs_stop else None,
        trail_amount=PRICE if row.meets is Meets.FOLLOWING else None,
    )


@pytest.mark.parametrize("kind", OrderType)
def test_an_order_with_what_its_row_needs_is_taken_by_venue_and_adapter(kind: OrderType) -> None:
    order = complete(kind)
    assert terms_fault(order) == ""
    assert problem_with(order) == ""
    fields = order_fields(order, order_id=1, account="DU1")
    assert type_on_wire(fields["orderType"], fields["tif"], fields.get("algoStrategy", "")) is kind
    assert ("lmtPrice" in fields) == kind.row.needs_limit
    assert ("auxPrice" in fields) == (kind.row.needs_stop or kind.row.meets is Meets.FOLLOWING)


@pytest.mark.parametrize("kind", OrderType)
@pytest.mark.parametrize("price", ["limit_price", "stop_price", "trail_amount"])
def test_an_order_without_a_price_that_its_row_needs_is_refused_by_both(kind: OrderType, price: str) -> None:
    order = complete(kind)
    if getattr(order, price) is None:
        return
    bare = msgspec.structs.replace(order, **{price: None})
    assert "needs" in terms_fault(bare)
    assert "needs" in problem_with(bare)


def test_a_type_with_a_limit_says_so_in_its_name() -> None:
    assert {kind for kind in OrderType if "LIMIT" in kind.name} == {kind for kind in OrderType if kind.row.needs_limit}


def test_no_two_types_share_a_name_on_the_wire() -> None:
    assert len({kind.row.wire for kind in OrderType}) == len(OrderType)


def test_an_order_good_till_a_time_needs_that_time_and_is_sent_with_it() -> None:
    order = msgspec.structs.replace(complete(OrderType.LIMIT), time_in_force=TimeInForce.GTD)
    assert "GTD" in terms_fault(order)
    assert "GTD" in problem_with(order)
    timed = msgspec.structs.replace(order, good_till=datetime(2026, 11, 24, 20, 30, tzinfo=UTC))
    assert terms_fault(timed) == problem_with(timed) == ""
    fields = order_fields(timed, order_id=1, account="DU1")
    assert (fields["tif"], fields["goodTillDate"]) == ("GTD", "20261124-20:30:00")


def test_an_order_type_opens_a_position_or_protects_one() -> None:
    assert {way.order_type for way in EntryOrder} == {kind for kind in OrderType if not kind.is_stop}


@pytest.mark.parametrize("way", EntryOrder)
def test_an_entry_has_every_price_that_its_row_needs(way: EntryOrder) -> None:
    bare = msgspec.structs.replace(complete(way.order_type), limit_price=None, stop_price=None)
    assert msgspec.structs.replace(bare, **way.terms_at(PRICE)) == complete(way.order_type)


def test_the_reference_configuration_names_every_way_to_enter() -> None:
    words = set(re.findall(r"[a-z_]+", field_docstrings(ExecutionLimits)["entry_order"]))
    assert {way.value for way in EntryOrder} <= words


def test_a_name_is_spelled_as_stored() -> None:
    for kind in OrderType:
        assert msgspec.json.decode(msgspec.json.encode(kind), type=OrderType) is kind
        assert OrderType[kind.value] is kind
