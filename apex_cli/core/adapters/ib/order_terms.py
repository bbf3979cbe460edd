"""Orders as the protocol's orders and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from types import ModuleType
from typing import Any

from apex_cli.core.adapters.ib.numbers import to_price
from apex_cli.core.adapters.ib.shapes import IbOrder
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.order import Order, OrderRole, OrderType, Phase, TimeInForce, type_on_wire

OCA_REDUCE_WITH_BLOCK = 2
"""A leg that fills in part reduces the others, so that what is left keeps its stop; one that fills whole cancels them.

Only one leg is at a venue at a time, so that both cannot fill. Type 1 would cancel the stop at the first share that the
target sells.
"""

LARGEST_REF = 64
"""Characters of an ``orderRef`` that are known to come back whole."""


def problem_with(order: Order) -> str:
    """Return why *order* cannot be sent as it is, empty when it can."""
    if order.quantity <= ZERO:
        return f"its quantity is {order.quantity}"
    name = order.client_order_id
    if not name.isascii() or not name.isprintable() or len(name) > LARGEST_REF:
        return "its client order id is no short ASCII text"
    return _missing_terms(order)


def _missing_terms(order: Order) -> str:
    """Return which price, distance or time the order type needs and *order* does not have."""
    row = order.order_type.row
    if order.time_in_force is TimeInForce.GTD and order.good_till is None:
        return "a GTD order needs the time until which it is good"
    if row.needs_limit and not _is_price(order.limit_price):
        return f"a {order.order_type} order needs a limit price above 0, found {order.limit_price}"
    if row.needs_stop and not _is_price(order.stop_price):
        return f"a {order.order_type} order needs a stop price above 0, found {order.stop_price}"
    if row.trails and not _has_one_distance(order):
        return f"a TRAIL order needs a trail amount or a trail fraction, found {order.trail_amount}"
    return ""


def _has_one_distance(order: Order) -> bool:
    """Return whether a trailing stop has exactly one distance: the broker refuses both."""
    fraction = order.trail_fraction
    if fraction is None:
        return _is_price(order.trail_amount)
    return order.trail_amount is None and fraction.is_finite() and ZERO < fraction < 1


def _is_price(price: Price | None) -> bool:
    return price is not None and price.is_finite() and price > ZERO


def order_fields(
    order: Order,
    *,
    order_id: int,
    account: str,
    parent_id: int = 0,
    transmit: bool = True,
    outside_rth: bool = False,
    trigger_method: int = 0,
) -> dict[str, Any]:
    """Return the fields of a fresh protocol order; nothing is left to a preset of TWS.

    Prices must lie on the tick grid already. What the protocol takes as floats is made here, and only here.
    """
    wire = order.order_type.row.wire
    fields: dict[str, Any] = {
        "orderId": order_id,
        "action": str(order.side),
        "totalQuantity": _number(order.quantity),
        "orderType": wire.word,
        "tif": wire.tif or str(order.time_in_force),
        "account": account,
        "orderRef": order.client_order_id,
        "parentId": parent_id,
        "transmit": transmit,
        "outsideRth": outside_rth and _fills_at_a_limit(order.order_type),
    }
    if trigger_method and order.order_type.is_stop:
        fields["triggerMethod"] = trigger_method
    if order.oca_group:
        fields |= {"ocaGroup": order.oca_group, "ocaType": OCA_REDUCE_WITH_BLOCK}
    if order.good_till is not None:
        fields["goodTillDate"] = f"{order.good_till.astimezone(UTC):%Y%m%d-%H:%M:%S}"
    if wire.algo:
        fields["algoStrategy"] = wire.algo
    return fields | _price_fields(order)


def _fills_at_a_limit(kind: OrderType) -> bool:
    """Return whether an order may fill outside regular hours: nothing does so at market, nor in an auction."""
    return kind.row.needs_limit and kind.row.phase is Phase.ANY


def protocol_order(library: ModuleType, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - either library's order
    """Return *fields* as an order of *library*, an algorithm with its usual urgency."""
    if "algoStrategy" in fields:
        fields = {**fields, "algoParams": [library.TagValue("adaptivePriority", "Normal")]}
    return library.Order(**fields)


def own_type(order: IbOrder) -> OrderType | None:
    """Return the order type that *order* has; None for one that apex does not send."""
    return type_on_wire(order.orderType, order.tif, order.algoStrategy)


def _price_fields(order: Order) -> dict[str, float]:
    fields: dict[str, float] = {}
    row = order.order_type.row
    if order.limit_price is not None and row.needs_limit:
        fields["lmtPrice"] = float(order.limit_price)
    if row.trails:
        if order.trail_fraction is not None:
            fields["trailingPercent"] = float(order.trail_fraction * 100)
        elif order.trail_amount is not None:
            fields["auxPrice"] = float(order.trail_amount)
        if order.stop_price is not None:
            fields["trailStopPrice"] = float(order.stop_price)
    elif order.stop_price is not None and row.needs_stop:
        fields["auxPrice"] = float(order.stop_price)
    return fields


def _number(quantity: Decimal) -> float:
    """Return whole quantities as int: ``10``, not ``10.0``."""
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)


def in_sending_order(orders: Sequence[Order]) -> tuple[Order, ...]:
    """Return one transmission parent first and protective stop last.

    The last leg releases the whole. When it is refused nothing works, and what is refused must be the stop: an entry
    without its target is protected, an entry without its stop is not.
    """
    rank = {OrderRole.ENTRY: 0, OrderRole.CLOSE: 0, OrderRole.TARGET: 1, OrderRole.STOP: 2}
    return tuple(sorted(orders, key=lambda order: rank[order.role]))


def parent_ids(orders: Sequence[Order], ids: Mapping[str, int]) -> dict[str, int]:
    """Return the protocol's parent id by client order id, 0 where the parent is not in this transmission."""
    return {order.client_order_id: ids.get(order.parent_id or "", 0) for order in orders}


def stop_price_of(order: IbOrder) -> Price | None:
    """Return the trigger that *order* has now."""
    if order.orderType == "TRAIL LIMIT":  # not ours, but somebody may have placed one
        return to_price(order.trailStopPrice)
    kind = own_type(order)
    if kind is None or not kind.row.has_trigger:
        return None
    return to_price(order.auxPrice if kind.row.needs_stop else order.trailStopPrice)


def limit_price_of(order: IbOrder) -> Price | None:
    """Return the limit that *order* has now."""
    kind = own_type(order)
    return to_price(order.lmtPrice) if kind is not None and kind.row.needs_limit else None
