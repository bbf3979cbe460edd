"""Which profit targets to restore after a limit close expired unfilled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import STOP_TYPES, Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.positions.protection import exit_groups, is_unsure, next_leg_id


def missing_targets(position: Position, bracket: BracketRecord, orders: Iterable[OrderRecord]) -> tuple[Order, ...]:
    """Return the targets to put back: one for each limit close that expired, in the group of the stop it left.

    The two are alternatives, so no more can be sold than the stop covers. The price is that of the nearest target
    that gave way and did not fill. A target that was put back once, or refused, does not come again.

    Args:
        position: what is held.
        bracket: the plan it was opened by.
        orders: every order of its instrument.
    """
    records = [r for r in orders if r.order.bracket_id == bracket.bracket_id]
    price = _nearest_given_up(position, records)
    if price is None or any(map(is_unsure, records)):
        return ()
    targets: list[Order] = []
    for name, legs in exit_groups(records).items():
        stop = _bereft_stop(legs)
        if stop is not None:
            targets.append(
                _target(bracket, stop, name, price, next_leg_id(bracket.bracket_id, "T", records, skip=len(targets)))
            )
    return tuple(targets)


def _nearest_given_up(position: Position, records: Iterable[OrderRecord]) -> Price | None:
    """Return the nearest price of a target that was cancelled before it filled."""
    targets = (r for r in records if r.order.role is OrderRole.TARGET and _has_given_way(r))
    prices = [r.order.limit_price for r in targets if r.order.limit_price is not None]
    return min(prices, key=lambda price: price * position.side.sign, default=None)


def _has_given_way(target: OrderRecord) -> bool:
    return target.status is OrderStatus.CANCELLED and not target.filled_quantity


def _bereft_stop(legs: Sequence[OrderRecord]) -> OrderRecord | None:
    """Return the working stop among *legs* when its limit close has expired and nothing stands in for it."""
    stop = next((r for r in legs if r.status is OrderStatus.WORKING and r.order.order_type in STOP_TYPES), None)
    expired = [r.created_at for r in legs if r.order.role is OrderRole.CLOSE and r.status is OrderStatus.EXPIRED]
    others = any(r.is_open for r in legs if r.order.order_type not in STOP_TYPES)
    targets = [r for r in legs if r.order.role is OrderRole.TARGET and r.status is not OrderStatus.NEVER_SENT]
    is_bereft = (
        bool(expired) and not others and all(_has_given_way(r) and r.created_at <= max(expired) for r in targets)
    )
    return stop if is_bereft else None


def _target(bracket: BracketRecord, stop: OrderRecord, group: str, price: Price, name: str) -> Order:
    return Order(
        client_order_id=name,
        bracket_id=bracket.bracket_id,
        role=OrderRole.TARGET,
        tranche=stop.order.tranche,
        instrument=stop.order.instrument,
        side=stop.order.side,
        order_type=OrderType.LIMIT,
        quantity=Quantity(stop.open_quantity),
        limit_price=price,
        time_in_force=TimeInForce.GTC,
        oca_group=group,
    )
