"""How much of a position is protected by working stops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace

from apex_cli.core.market.ticks import limit_beyond
from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position, signed
from apex_cli.core.model.reconciliation import Lock
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.state.tables import State


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
    exits = _working_exits(position, orders)
    stops = _stops_among(exits)
    overnight = [r for r in stops if r.order.time_in_force is TimeInForce.GTC]
    triggers = [r.order.stop_price for r in stops if r.order.stop_price is not None]
    targets = {r.order.limit_price for r in exits if r.order.role is OrderRole.TARGET and r.order.limit_price}
    return Protection(
        quantity=_covered(position, stops),
        overnight_quantity=_covered(position, overnight),
        stop_price=tightest(position, triggers) if triggers else None,
        target_prices=tuple(sorted(targets, reverse=position.side is PositionSide.SHORT)),
    )


def _working_exits(position: Position, orders: Iterable[OrderRecord]) -> list[OrderRecord]:
    side = position.side.closed_by
    return [r for r in orders if r.status is OrderStatus.WORKING and r.order.side is side]


def _stops_among(exits: Iterable[OrderRecord]) -> list[OrderRecord]:
    return [r for r in exits if r.order.order_type.is_stop and r.order.role is not OrderRole.ENTRY]


def _covered(position: Position, stops: Iterable[OrderRecord]) -> Quantity:
    """Return what *stops* cover; those of one OCA group are alternatives and count once."""
    return Quantity(min(position.quantity, sum(map(_size, exit_groups(stops).values()), ZERO)))


def exit_groups(orders: Iterable[OrderRecord]) -> dict[str, list[OrderRecord]]:
    """Return *orders* by OCA group; one without a group is its own."""
    groups: dict[str, list[OrderRecord]] = {}
    for record in orders:
        groups.setdefault(record.order.oca_group or record.order.client_order_id, []).append(record)
    return groups


def own_group(client_order_id: str) -> str:
    """Return the OCA group of an order that has no partner yet: what comes later can join it.

    >>> own_group("apex-01J-S2")
    'apex-01J-S2-OCA'
    """
    return f"{client_order_id}-OCA"


def _size(legs: Iterable[OrderRecord]) -> Decimal:
    """Return what one OCA group may still fill."""
    return max((leg.open_quantity for leg in legs), default=ZERO)


def unprotected_quantity(position: Position, orders: Iterable[OrderRecord]) -> Decimal:
    """Return the orderable units that neither a working stop nor a working closing order covers.

    A closing order outside an OCA group counts as cover: a stop beside it could sell twice.
    """
    records = [r for r in orders if r.status is OrderStatus.WORKING]
    closing = sum(
        (r.open_quantity for r in records if r.order.role is OrderRole.CLOSE and r.order.oca_group is None), ZERO
    )
    covered = _covered(position, _stops_among(_working_exits(position, records)))
    return max(ZERO, position.orderable - covered - closing)


def is_unsure(record: OrderRecord) -> bool:
    """Return whether more may have happened to an order than was booked: its fate or its fills are missing."""
    if record.status is OrderStatus.FILLED:
        return record.filled_quantity < record.order.quantity
    return record.status in {OrderStatus.INTENT, OrderStatus.UNKNOWN}


class Restoration(Value, frozen=True, kw_only=True):
    """The stops that a position lacks."""

    stops: tuple[Order, ...]
    grow: tuple[Order, ...] = ()
    """Stops that cover less than their OCA group may fill, with the quantity they should have."""

    uncovered: Quantity
    """Units that no further stop can cover: exits without a stop rest for them."""


def restoration(position: Position, bracket: BracketRecord, orders: Iterable[OrderRecord]) -> Restoration:
    """Return the stops to place so that every held unit has one, and no unit could be sold twice.

    A target that lost its stop gets one in its own OCA group; a stop that is smaller than its group grows. The rest
    gets a stop of its own, for no more than the held quantity less what every resting exit could fill. *orders* are all
    of the instrument.
    """
    records = list(orders)
    side = position.side.closed_by
    groups = exit_groups(
        r for r in records if r.is_open and r.order.role is not OrderRole.ENTRY and r.order.side is side
    )
    gap = unprotected_quantity(position, records)
    room = position.orderable - sum(map(_size, groups.values()), ZERO)
    stops: list[Order] = []
    grow: list[Order] = []

    def add(quantity: Decimal, oca_group: str | None) -> None:
        stop = replacement_stop(position, bracket, Quantity(quantity), records, skip=len(stops))
        stops.append(stop if oca_group is None else replace(stop, oca_group=oca_group))

    for name, legs in groups.items():
        protecting = [leg for leg in legs if leg.order.order_type.is_stop]
        missing = min(gap, _size(legs) - _size(protecting))
        if missing <= ZERO or legs[0].order.oca_group is None:
            continue
        gap -= missing
        if protecting:
            stop = max(protecting, key=lambda leg: leg.open_quantity).order
            grow.append(replace(stop, quantity=Quantity(stop.quantity + missing)))
        else:
            add(missing, name)
    alone = min(gap, room)
    if alone > ZERO:
        add(alone, None)
        gap -= alone
    return Restoration(stops=tuple(stops), grow=tuple(grow), uncovered=Quantity(gap))


def refusals(stop: Order, orders: Iterable[OrderRecord], since: datetime) -> int:
    """Return how often the broker rejected a stand-in stop of the same terms at or after *since*."""
    return len(_refused(stop, orders, since))


def last_refusal(stop: Order, orders: Iterable[OrderRecord], since: datetime) -> datetime | None:
    """Return when the broker last rejected a stand-in stop of the same terms; None when it did not since *since*."""
    return max(_refused(stop, orders, since), default=None)


def _refused(stop: Order, orders: Iterable[OrderRecord], since: datetime) -> list[datetime]:
    """One that was refused in an OCA group, perhaps because the group had just finished, may be taken alone."""
    terms = (stop.quantity, stop.stop_price, stop.side, _partners(stop))
    return [
        r.updated_at
        for r in orders
        if r.status is OrderStatus.REJECTED
        and r.order.role is OrderRole.STOP
        and r.order.parent_id is None
        and r.updated_at >= since
        and (r.order.quantity, r.order.stop_price, r.order.side, _partners(r.order)) == terms
    ]


def _partners(order: Order) -> str | None:
    """Return the OCA group that *order* joined; None where it is alone in its own."""
    return None if order.oca_group == own_group(order.client_order_id) else order.oca_group


def most_to_close(position: Position | None, orders: Iterable[OrderRecord], side: OrderSide) -> Quantity:
    """Return how much exits on *side* may rest for: what is held, and what working entries may still open."""
    held = position.quantity if position is not None and position.side.closed_by is side else ZERO
    opening = (r.open_quantity for r in orders if r.order.role is OrderRole.ENTRY and r.order.side is side.opposite)
    return Quantity(held + sum(opening, ZERO))


def tightest(position: Position, triggers: Iterable[Price]) -> Price:
    """Return the trigger that is nearest to the price."""
    return max(triggers) if position.side is PositionSide.LONG else min(triggers)


def next_leg_id(bracket_id: str, letter: str, orders: Iterable[OrderRecord], *, skip: int = 0) -> str:
    """Return the next free client order id of a bracket, such as ``apex-<bracket_id>-S2``; *skip* leaves some out."""
    prefix = f"apex-{bracket_id}-{letter}"
    tails = (r.order.client_order_id.removeprefix(prefix) for r in orders)
    used = [int(tail) for tail in tails if tail.isdigit()]
    return f"{prefix}{max(used, default=0) + 1 + skip}"


def replacement_stop(
    position: Position, bracket: BracketRecord, quantity: Quantity, orders: Sequence[OrderRecord], *, skip: int = 0
) -> Order:
    """Return a GTC stop for *quantity* at the tightest trigger the bracket has had, in an OCA group of its own."""
    records = [r for r in orders if r.order.bracket_id == bracket.bracket_id]
    seen = [r.order.stop_price for r in records if r.order.role is OrderRole.STOP and r.order.stop_price is not None]
    side = position.side.closed_by
    name = next_leg_id(bracket.bracket_id, "S", records, skip=skip)
    return Order(
        client_order_id=name,
        bracket_id=bracket.bracket_id,
        role=OrderRole.STOP,
        instrument=position.instrument,
        side=side,
        quantity=quantity,
        time_in_force=TimeInForce.GTC,
        oca_group=own_group(name),
        **stop_terms(bracket, tightest(position, [*seen, bracket.stop_price]), side),
    )


def stop_terms(bracket: BracketRecord, trigger: Price, side: OrderSide) -> dict[str, Any]:
    """Return order type and prices of a stop on *side* at *trigger*, as the bracket's stops are sent."""
    part, instrument = bracket.stop_limit_pct, bracket.instrument
    if part is None:
        return {"order_type": OrderType.STOP, "stop_price": trigger}
    limit = limit_beyond(trigger, part, instrument, side)
    return {"order_type": OrderType.STOP_LIMIT, "stop_price": trigger, "limit_price": limit}


def still_held(position: Position, lock: Lock | None) -> Position | None:
    """Return the part of *position* that the broker holds according to *lock*; exits rest for no more than that."""
    if lock is None or lock.difference is None:
        return position
    return backed(position, signed(position) + lock.difference)


def backed(position: Position | None, at_broker: Decimal) -> Position | None:
    """Return the part of *position* that the broker holds, too; None when it holds none of it."""
    if position is None or signed(position) * at_broker <= ZERO:
        return None
    quantity = min(position.quantity, abs(at_broker))
    return position if quantity == position.quantity else replace(position, quantity=Quantity(quantity))


def held_on_both_sides(state: State, key: str) -> Position | None:
    """Return what is held of *key*, less what the broker is known not to hold: a stop for that would open a short."""
    row: PositionRecord | None = state.positions.get(key)
    return None if row is None else still_held(row.position, state.locks.get(key))


class Uncovered(Value, frozen=True, kw_only=True):
    """A position that is held without the stop of its plan."""

    key: str
    gap: Decimal
    quantity: Quantity
    stop: str
    """Client order id of the newest stop; empty when there was none."""

    why: str
    """What became of it."""

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        last = f": {self.stop}: {self.why}" if self.stop else ""
        return f"{self.key}: {self.gap} of {self.quantity} are held without a working stop{last}."


def uncovered(state: State) -> tuple[Uncovered, ...]:
    """Return what is held with a plan and without full cover; a holding that never had a stop is known to have none."""
    found = []
    for key, row in state.positions.items():
        position = held_on_both_sides(state, key)
        if position is None or row.position.bracket_id not in state.brackets:
            continue
        records = orders_of(state, key)
        gap = unprotected_quantity(position, records)
        if gap > ZERO:
            newest = newest_stop(records)
            name = newest.order.client_order_id if newest else ""
            why = (newest.reason or newest.status.lower()).rstrip(".") if newest else ""
            found.append(Uncovered(key=key, gap=gap, quantity=position.quantity, stop=name, why=why))
    return tuple(found)


def newest_stop(orders: Iterable[OrderRecord]) -> OrderRecord | None:
    """Return the stop that was written down last."""
    stops = (r for r in orders if r.order.role is OrderRole.STOP)
    return max(stops, key=lambda r: (r.created_at, r.order.client_order_id), default=None)


def orders_of(state: State, key: str) -> Sequence[OrderRecord]:
    """Return every order of one instrument."""
    return list(state.orders.of(key))


class ExitFacts(NamedTuple):
    """Everything that decides which exits a security lacks, and which rest for too much: rows that never change."""

    position: Position | None
    lock: Lock | None
    bracket: BracketRecord | None
    orders: list[OrderRecord]


def exit_facts(state: State, key: str, known: ExitFacts | None = None) -> ExitFacts:
    """Return what the exits of one security depend on: *known* itself, as it was looked at, where nothing changed."""
    row: PositionRecord | None = state.positions.get(key)
    position = None if row is None else row.position
    bracket = None if position is None else state.brackets.get(position.bracket_id)
    lock, orders = state.locks.get(key), list(state.orders.of(key))
    if known is not None:
        old_position, old_lock, old_bracket, old_orders = known
        if position is old_position and lock is old_lock and bracket is old_bracket and orders == old_orders:
            return known
    return ExitFacts(position, lock, bracket, orders)


def entries_after_exit(orders: Iterable[OrderRecord]) -> tuple[OrderRecord, ...]:
    """Return the working entries of one instrument that must end, as an exit of what they bought has filled.

    A stop ends every entry of its decision, a target the one it waited for and the one of its own tranche.
    """
    records = list(orders)
    entries = [r for r in records if r.order.role is OrderRole.ENTRY and r.is_open]
    if not entries:
        return ()
    exited = [r.order for r in records if r.filled_quantity and r.order.role in {OrderRole.STOP, OrderRole.TARGET}]
    stopped = {order.bracket_id for order in exited if order.role is OrderRole.STOP}
    reached = {(order.bracket_id, order.tranche) for order in exited}
    parents = {order.parent_id for order in exited}
    return tuple(
        r
        for r in entries
        if r.order.bracket_id in stopped
        or r.order.client_order_id in parents
        or (r.order.bracket_id, r.order.tranche) in reached
    )
