"""How much of a position is protected by working stops."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderSide, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position, PositionSide
from apex_cli.core.model.records import BracketRecord

STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAIL})


class Protection(Value, frozen=True, kw_only=True):
    """What happens to a position when the price goes the wrong way and nobody looks."""

    quantity: Quantity
    """Units covered by a working stop now."""

    overnight_quantity: Quantity
    """Units covered by a stop that stays after the close."""

    stop_price: Price | None
    """The trigger nearest to the price."""

    target_prices: tuple[Price, ...]
    """Working targets, nearest first."""


def protection_of(position: Position, orders: Iterable[OrderRecord]) -> Protection:
    """Return how *position* is protected by *orders* (those of its instrument).

    A stop counts only while the broker is known to be working it: an intent, or an order of
    unknown fate, protects nothing.
    """
    long = position.side is PositionSide.LONG
    exits = [r for r in orders if r.status is OrderStatus.WORKING and (r.order.side.sign < 0) is long]
    stops = [r for r in exits if r.order.order_type in STOP_TYPES and r.order.role is not OrderRole.ENTRY]
    overnight = [r for r in stops if r.order.time_in_force is TimeInForce.GTC]
    triggers = [r.order.stop_price for r in stops if r.order.stop_price is not None]
    targets = {r.order.limit_price for r in exits if r.order.role is OrderRole.TARGET and r.order.limit_price}
    return Protection(
        quantity=_covered(position, stops),
        overnight_quantity=_covered(position, overnight),
        stop_price=(max(triggers) if long else min(triggers)) if triggers else None,
        target_prices=tuple(sorted(targets, reverse=not long)),
    )


def _covered(position: Position, stops: list[OrderRecord]) -> Quantity:
    return Quantity(min(position.quantity, sum((r.open_quantity for r in stops), ZERO)))


def unprotected_quantity(position: Position, orders: Iterable[OrderRecord]) -> Decimal:
    """Return the held units that neither a working stop nor a closing order on its way covers.

    A closing order outside an OCA group counts as cover: a stop beside it could sell twice.
    """
    records = list(orders)
    closing = sum(
        (r.open_quantity for r in records if r.order.role is OrderRole.CLOSE and r.order.oca_group is None), ZERO
    )
    return max(ZERO, position.quantity - protection_of(position, records).quantity - closing)


def next_leg_id(bracket_id: str, letter: str, orders: Iterable[OrderRecord]) -> str:
    """Return the next free client order id of a bracket, such as ``apex-<bracket_id>-S2``."""
    prefix = f"apex-{bracket_id}-{letter}"
    tails = (r.order.client_order_id.removeprefix(prefix) for r in orders)
    used = [int(tail) for tail in tails if tail.isdigit()]
    return f"{prefix}{max(used, default=0) + 1}"


def replacement_stop(
    position: Position, bracket: BracketRecord, quantity: Quantity, orders: Iterable[OrderRecord]
) -> Order:
    """Return a stand-alone GTC stop for *quantity* at the tightest trigger the bracket has had."""
    records = [r for r in orders if r.order.bracket_id == bracket.bracket_id]
    long = position.side is PositionSide.LONG
    seen = [r.order.stop_price for r in records if r.order.role is OrderRole.STOP and r.order.stop_price is not None]
    triggers = [*seen, bracket.stop_price]
    return Order(
        client_order_id=next_leg_id(bracket.bracket_id, "S", records),
        bracket_id=bracket.bracket_id,
        role=OrderRole.STOP,
        instrument=position.instrument,
        side=OrderSide.SELL if long else OrderSide.BUY,
        order_type=OrderType.STOP,
        quantity=quantity,
        stop_price=max(triggers) if long else min(triggers),
        time_in_force=TimeInForce.GTC,
    )
