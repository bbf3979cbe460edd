"""Which profit targets to restore: after a limit close expired, or where a server took several for one group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.positions.protection import exit_groups, is_unsure, next_leg_id, own_group


def missing_targets(position: Position, bracket: BracketRecord, orders: Iterable[OrderRecord]) -> tuple[Order, ...]:
    """Return the targets to put back, each in the OCA group of a stop that has none: it can sell no more than that.

    One for each limit close that expired, at the price of the nearest target that gave way and did not fill. One for
    each stop that had to be put back after an exit of another tranche had filled: some servers take all that waited for
    one entry for one group, and end or reduce the exits of every tranche with the first. A target that was put back
    once, or refused, does not come again. *orders* are all of the instrument.
    """
    records = [r for r in orders if r.order.bracket_id == bracket.bracket_id]
    if any(map(is_unsure, records)):
        return ()
    return _after_a_limit(position, bracket, records) or _of_other_tranches(position, bracket, records)


def _after_a_limit(position: Position, bracket: BracketRecord, records: Sequence[OrderRecord]) -> tuple[Order, ...]:
    price = _nearest_given_up(position, records)
    if price is None:
        return ()
    targets: list[Order] = []
    for name, legs in exit_groups(records).items():
        stop = _bereft_stop(legs)
        if stop is not None:
            targets.append(
                _target(bracket, stop, name, price, next_leg_id(bracket.bracket_id, "T", records, skip=len(targets)))
            )
    return tuple(targets)


def _of_other_tranches(position: Position, bracket: BracketRecord, records: Sequence[OrderRecord]) -> tuple[Order, ...]:
    """Return a target beside each stop that stands in alone, where the fill of one tranche took the exits of others."""
    has_exited = any(r.filled_quantity for r in records if r.order.role in {OrderRole.TARGET, OrderRole.STOP})
    is_entering = any(r.is_open and r.order.role is OrderRole.ENTRY for r in records)
    if not has_exited or is_entering or any(r.order.role is OrderRole.CLOSE for r in records):
        return ()
    groups = exit_groups(records)
    lost = [t for t in _unreached(records) if _was_taken(t, groups[t.order.oca_group or t.order.client_order_id])]
    price = _nearest_given_up(position, lost)
    if price is None:
        return ()
    targets: list[Order] = []
    for name, legs in groups.items():
        if _stands_in_alone(name, legs) and legs[0].open_quantity <= sum(t.order.quantity for t in lost):
            next_id = next_leg_id(bracket.bracket_id, "T", records, skip=len(targets))
            targets.append(_target(bracket, legs[0], name, price, next_id))
    return tuple(targets)


def _stands_in_alone(name: str, legs: Sequence[OrderRecord]) -> bool:
    stop = legs[0]
    is_stop = stop.status is OrderStatus.WORKING and stop.order.order_type.is_stop
    return len(legs) == 1 and is_stop and name == own_group(stop.order.client_order_id)


def _unreached(records: Iterable[OrderRecord]) -> list[OrderRecord]:
    return [r for r in records if r.order.role is OrderRole.TARGET and not r.filled_quantity]


def _was_taken(target: OrderRecord, legs: Iterable[OrderRecord]) -> bool:
    """Return whether the broker ended a target with its stop, though neither of them has filled."""
    return all(_has_given_way(r) for r in legs if r.order.order_type.is_stop) and _has_given_way(target)


def _nearest_given_up(position: Position, records: Iterable[OrderRecord]) -> Price | None:
    """Return the nearest price of a target that was cancelled before it filled."""
    targets = (r for r in records if r.order.role is OrderRole.TARGET and _has_given_way(r))
    prices = [r.order.limit_price for r in targets if r.order.limit_price is not None]
    return min(prices, key=lambda price: price * position.side.sign, default=None)


def _has_given_way(target: OrderRecord) -> bool:
    return target.status is OrderStatus.CANCELLED and not target.filled_quantity


def _bereft_stop(legs: Sequence[OrderRecord]) -> OrderRecord | None:
    """Return the working stop among *legs* when its limit close has expired and nothing stands in for it."""
    stop = next((r for r in legs if r.status is OrderStatus.WORKING and r.order.order_type.is_stop), None)
    expired = [r.created_at for r in legs if r.order.role is OrderRole.CLOSE and r.status is OrderStatus.EXPIRED]
    others = any(r.is_open for r in legs if not r.order.order_type.is_stop)
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
