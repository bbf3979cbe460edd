"""A split of a position: all its numbers are adjusted in one commit.

new = parts.new units for parts.old, at old/new of the price: 10 for 1, 1 for 20. Values, profits and R stay what they
were: quantities times the ratio, prices over it. Levels are put on the tick. What is less than a unit was paid in cash.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.market.ticks import on_tick
from apex_cli.core.model.fill import Fill, Settlement
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd, floor_to_step
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import Position, signed
from apex_cli.core.model.reconciliation import SplitParts
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.positions.protection import next_leg_id, replacement_stop
from apex_cli.core.state.tables import State


def apply_split(tx: State, key: str, parts: SplitParts) -> None:
    """Bring position, plan, executions and ended orders of *key* to what they are after the split.

    Orders that still work are left to what the broker says of them.
    """
    row: PositionRecord | None = tx.positions.get(key)
    if row is not None:
        carried = None if row.carried is None else _position(row.carried, parts)
        price = parts.price(row.current_price)
        tx.positions[key] = replace(row, position=_position(row.position, parts), carried=carried, current_price=price)
    for name, fill in list(tx.fills.items()):
        if fill.instrument.key == key:
            tx.fills[name] = split_fill(fill, parts)
    for name, bracket in list(tx.brackets.items()):
        if bracket.instrument.key == key:
            tx.brackets[name] = _bracket(bracket, parts)
    for name, record in list(tx.orders.items()):
        if record.order.instrument.key == key and record.status.is_final:
            tx.orders[name] = _record(record, parts)
    for name, execution in list(tx.history_fills.items()):
        if execution.security == key:
            before = execution.held_before
            tx.history_fills[name] = replace(
                execution,
                quantity=parts.quantity(execution.quantity),
                held_before=None if before is None else parts.quantity(before),
            )


def cash_for_fraction(position: Position, at_broker: Decimal, price: Price, at: datetime) -> Fill | None:
    """Return the execution that books the part of a unit that was paid in cash; None when there is none.

    Args:
        position: as it is after the split, the fraction included.
        at_broker: what the broker holds of it, signed.
        price: of a unit after the split; what the broker paid is not known.
        at: when it was noticed.
    """
    fraction = abs(signed(position)) - abs(at_broker)
    if fraction <= ZERO:
        return None
    key = position.instrument.key
    return Fill(
        exec_id=f"split-{key.replace('.', '_')}-{at:%Y%m%d}.01",
        bracket_id=position.bracket_id,
        instrument=position.instrument,
        side=position.side.closed_by,
        quantity=Quantity(fraction),
        price=price,
        filled_at=at,
        settlement=Settlement.PAID_IN_CASH,
    )


def exits_of_plan(
    position: Position, bracket: BracketRecord, orders: Sequence[OrderRecord]
) -> tuple[tuple[Order, Order], ...]:
    """Return stop and target in place of each target that ended with the split, for no more than is held.

    What has no target any more gets its stop from the guard, as always. Position, *bracket* and *orders*, all of its
    instrument, are as they are after the split.
    """
    lost = {
        r.order.tranche: r.order
        for r in sorted(orders, key=lambda r: r.created_at)
        if r.order.bracket_id == bracket.bracket_id
        and r.order.role is OrderRole.TARGET
        and r.status is OrderStatus.CANCELLED
        and not r.filled_quantity
    }
    left, pairs = position.orderable - sum((r.open_quantity for r in orders), ZERO), []
    for number, target in enumerate(lost[tranche] for tranche in sorted(lost)):
        quantity = Quantity(min(floor_to_step(target.quantity, position.instrument.quantity_step), left))
        if quantity <= ZERO:
            break
        left -= quantity
        stop = replacement_stop(position, bracket, quantity, orders, skip=number)
        group = f"{bracket.bracket_id}-split-{stop.client_order_id.rpartition('-')[2]}"
        name = next_leg_id(bracket.bracket_id, "T", orders, skip=number)
        again = replace(target, client_order_id=name, parent_id=None, quantity=quantity, oca_group=group)
        pairs.append((replace(stop, oca_group=group), again))
    return tuple(pairs)


def split_fill(fill: Fill, parts: SplitParts) -> Fill:
    """Return an execution of before the split in units and at a price of after it."""
    return replace(fill, quantity=parts.quantity(fill.quantity), price=parts.price(fill.price))


def _position(position: Position, parts: SplitParts) -> Position:
    return replace(
        position,
        quantity=parts.quantity(position.quantity),
        entry_price=parts.price(position.entry_price),
        opened_quantity=parts.quantity(position.opened_quantity),
        closed_quantity=parts.quantity(position.closed_quantity),
    )


def _bracket(bracket: BracketRecord, parts: SplitParts) -> BracketRecord:
    side = bracket.side.opposite
    return replace(
        bracket,
        quantity=parts.quantity(bracket.quantity),
        entry_price=parts.price(bracket.entry_price),
        stop_price=on_tick(parts.price(bracket.stop_price), bracket.instrument, side),
        target_prices=tuple(on_tick(parts.price(each), bracket.instrument, side) for each in bracket.target_prices),
        risk_per_unit=Usd(parts.price(Price(bracket.risk_per_unit))),
    )


def _record(record: OrderRecord, parts: SplitParts) -> OrderRecord:
    average = record.average_price
    return replace(
        record,
        order=split_order(record.order, parts),
        filled_quantity=parts.quantity(record.filled_quantity),
        average_price=None if average is None else parts.price(average),
    )


def split_order(order: Order, parts: SplitParts) -> Order:
    """Return *order* as it would be sent after the split, its levels on the tick."""

    def level(price: Price | None) -> Price | None:
        return None if price is None else on_tick(parts.price(price), order.instrument, order.side)

    return replace(
        order,
        quantity=parts.quantity(order.quantity),
        limit_price=level(order.limit_price),
        stop_price=level(order.stop_price),
        trail_amount=None if order.trail_amount is None else parts.price(order.trail_amount),
        reference_price=None if order.reference_price is None else parts.price(order.reference_price),
    )
