"""Refusals of a venue before prices are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from apex_cli.core.model.money import ZERO
from apex_cli.core.model.order import Order, TimeInForce
from apex_cli.core.venue.book import OcaGroup, WorkingOrder
from apex_cli.core.venue.lifecycle import WORKING, Desk, group_name

INFINITE = Decimal("Infinity")


def transmission_fault(desk: Desk, orders: Sequence[Order]) -> str:
    """Return why one transmission is refused as a whole; empty when it is fine."""
    entries: dict[str, Order] = {}
    for order in orders:
        name = order.client_order_id
        if name in desk.orders or name in entries:
            return f"{name}: duplicate client order id"
        entries[name] = order
    for order in orders:
        fault = terms_fault(order)
        if not fault and not desk.ledger.is_rated(order.instrument):
            fault = f"there is no rate of {order.instrument.currency}"
        if not fault and order.parent_id is not None:
            fault = _child_fault(desk, order, entries)
        if not fault and (order.parent_id is not None or order.oca_group is not None):
            fault = _group_fault(desk, order)
        if fault:
            return f"{order.client_order_id}: {fault}"
    return ""


def change_fault(desk: Desk, working: WorkingOrder, order: Order) -> str:
    """Return why *working* cannot take the terms of *order*; empty when it can."""
    terms = working.order
    if working.status is not WORKING:
        return f"the order is already {working.status}"
    if order.side is not terms.side or order.order_type is not terms.order_type:
        return "side and type cannot change"
    if order.instrument.key != terms.instrument.key:
        return "the instrument cannot change"
    fault = terms_fault(order)
    if not fault and order.quantity < working.filled:
        fault = f"quantity {order.quantity} is below the filled {working.filled}"
    if not fault and order.quantity > working.quantity and working.group is not None:
        fault = _holding_fault(desk, working.group, order.quantity - working.filled)
    return fault


def terms_fault(order: Order) -> str:
    """Return what is wrong with the terms of *order* on its own; empty when nothing is."""
    quantity = order.quantity
    if not _is_amount(quantity):
        return f"quantity {quantity} is not positive"
    if quantity % order.instrument.quantity_step:
        return f"quantity {quantity} is not a multiple of {order.instrument.quantity_step}"
    if order.time_in_force is TimeInForce.GTD and order.good_till is None:
        return "a GTD order needs the time until which it is good"
    return _price_fault(order)


def _price_fault(order: Order) -> str:
    kind = order.order_type
    if kind.row.needs_limit and not _is_price(order.limit_price):
        return f"{kind} order needs a positive limit price, found {order.limit_price}"
    if kind.row.needs_stop and not _is_price(order.stop_price):
        return f"{kind} order needs a positive stop price, found {order.stop_price}"
    if kind.row.trails:
        fault = _trail_fault(order)
        if fault:
            return fault
        if order.stop_price is not None and not _is_price(order.stop_price):
            return f"TRAIL order needs a positive stop price or none, found {order.stop_price}"
    return ""


def _trail_fault(order: Order) -> str:
    """Return what is wrong with the distance of a TRAIL: an amount, or a fraction below 1, never both."""
    fraction = order.trail_fraction
    if fraction is None:
        amount = order.trail_amount
        return "" if _is_price(amount) else f"TRAIL order needs a positive trail amount, found {amount}"
    if order.trail_amount is not None:
        return "TRAIL order takes a trail amount or a trail fraction, not both"
    return "" if _is_amount(fraction) and fraction < 1 else f"trail fraction {fraction} is not between 0 and 1"


def _is_price(price: Decimal | None) -> bool:
    return price is not None and _is_amount(price)


def _is_amount(value: Decimal) -> bool:
    try:
        return ZERO < value < INFINITE
    except InvalidOperation:  # not a number
        return False


def _child_fault(desk: Desk, order: Order, entries: dict[str, Order]) -> str:
    """Return what is wrong between *order* and its parent, in the same transmission or working."""
    parent_id = order.parent_id or ""
    parent = entries.get(parent_id)
    if parent is None:
        working = desk.open.get(parent_id)
        if working is None:
            return f"parent {parent_id} is not working"
        parent = working.order
    if parent.parent_id is not None:
        return f"parent {parent_id} is itself a child"
    if parent.side is order.side:
        return f"child and parent are both {order.side}"
    if parent.instrument is not order.instrument and parent.instrument.key != order.instrument.key:
        return f"child trades {order.instrument.key}, its parent {parent.instrument.key}"
    return ""


def _group_fault(desk: Desk, order: Order) -> str:
    """Return what is wrong between *order* and the OCA group it wants to join."""
    group = desk.groups.get(group_name(order))
    if group is None:
        return ""
    if group.is_done:
        return f"OCA group {group.name} is finished"
    if order.parent_id is None:
        return ""  # who joins the children of an entry is no child of it
    if group.parent_id != order.parent_id:
        return f"OCA group {group.name} belongs to another entry"
    return _holding_fault(desk, group, order.quantity)


def _holding_fault(desk: Desk, group: OcaGroup, quantity: Decimal) -> str:
    """Return why *quantity* is too much for a group of exits whose entry is final."""
    if group.parent_id is None or group.parent_id in desk.open:
        return ""
    left = (group.allowed or ZERO) - group.filled
    return f"quantity {quantity} is more than the {left} the entry holds" if quantity > left else ""
