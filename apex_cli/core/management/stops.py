"""Which stops to move, and where to: break-even and trailing, as values.

A stop is only ever tightened. The broker's trailing stop joins the OCA group of the stop it replaces, so that the two
are alternatives; the old one goes only once the new one works at a trigger as tight. So protection never lapses and
no more can be sold than is held, whatever is killed in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.market.ticks import on_tick
from apex_cli.core.model.base import Value
from apex_cli.core.model.management import ManagementPlan
from apex_cli.core.model.money import ZERO, Price, Quantity, ceil_to_step
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.positions.managed_by import Gain, gain_of, is_tighter
from apex_cli.core.positions.protection import exit_groups, is_unsure, next_leg_id, tightest

TRAIL_NOTE = "trail"
"""What a round trip that ends at a trailing stop was closed by."""


class MoveStop(Value, frozen=True, kw_only=True):
    """Ask for a tighter trigger of a working stop."""

    order: Order
    """The stop with its new trigger."""

    from_price: Price
    why: str
    """``breakeven``, ``target`` or ``trail``."""


class StartTrail(Value, frozen=True, kw_only=True):
    """Add a trailing stop to the group of a working stop."""

    order: Order
    replaces: str
    """Client order id of the stop that goes afterwards."""


class DropStop(Value, frozen=True, kw_only=True):
    """Cancel a stop that a trailing one stands in for."""

    client_order_id: str
    replaced_by: str


class EndEntries(Value, frozen=True, kw_only=True):
    """Cancel what is left of the entry: the trade has come so far without it that its stops are to be moved."""

    client_order_ids: tuple[str, ...]


StopChange = MoveStop | StartTrail | DropStop | EndEntries


def stop_changes(
    position: Position, bracket: BracketRecord, orders: Iterable[OrderRecord], plan: ManagementPlan, price: Price
) -> tuple[StopChange, ...]:
    """Return what to ask the broker now; nothing when all is as it should be, or was asked for already.

    Before anything is moved what is left of the entry goes: later fills would stand on stops that are not meant for
    them. Nothing is moved while an order's fate is unknown, or the price has passed a stop: the broker acts then, or
    the next look will. *orders* are all of its instrument.
    """
    records = list(orders)
    gain = gain_of(position, bracket, price)
    if gain.unit <= ZERO or any(map(is_unsure, records)):
        return ()
    exits = [r for r in records if r.order.side is position.side.closed_by and r.order.role is not OrderRole.ENTRY]
    changes: list[StopChange] = []
    for legs in exit_groups(exits).values():
        change = _change_of(position, bracket, plan, gain, legs, records, skip=len(changes))
        if change is not None:
            changes.append(change)
    entries = tuple(r.order.client_order_id for r in records if r.is_open and r.order.role is OrderRole.ENTRY)
    return (EndEntries(client_order_ids=entries),) if entries and changes else tuple(changes)


def _change_of(  # noqa: PLR0917 - private, called once
    position: Position,
    bracket: BracketRecord,
    plan: ManagementPlan,
    gain: Gain,
    legs: Sequence[OrderRecord],
    records: Sequence[OrderRecord],
    *,
    skip: int,
) -> StopChange | None:
    """Return the next step for the stop among *legs*, which share an OCA group."""
    working = [leg for leg in legs if leg.status is OrderStatus.WORKING and leg.order.order_type.is_stop]
    trail = next((leg for leg in working if leg.order.order_type.row.trails), None)
    plain = next((leg for leg in working if leg is not trail), None)
    stop = plain or trail
    if stop is None or stop.order.stop_price is None or _is_passed(position, stop.order.stop_price, gain.price):
        return None
    if plain is not None and trail is not None:
        return _handed_over(position, plain.order, trail.order)
    amount = trail_amount(position, plan, gain)
    if plain is not None and amount is not None and _can_trail(plain, legs):
        first = tightest(position, [stop.order.stop_price, *_levels(position, plan, gain, records, amount)])
        return StartTrail(
            order=_trailing(bracket, plain, records, amount, first, skip=skip),
            replaces=plain.order.client_order_id,
        )
    by_hand = amount if trail is None else None
    return _moved(position, plan, gain, stop.order, records, by_hand)


def _handed_over(position: Position, plain: Order, trail: Order) -> DropStop | None:
    """Let the old stop go when the trailing one is at least as tight."""
    if trail.stop_price is None or plain.stop_price is None or is_tighter(position, plain.stop_price, trail.stop_price):
        return None
    return DropStop(client_order_id=plain.client_order_id, replaced_by=trail.client_order_id)


def _can_trail(stop: OrderRecord, legs: Iterable[OrderRecord]) -> bool:
    """Return whether a trailing stop can join *stop*: it has a group, and the broker refused none there before.

    A stop with a limit stays one, and is moved instead: a trailing stop sells at market, which nobody does outside
    regular hours.
    """
    if stop.order.order_type.row.needs_limit:
        return False
    refused = any(leg.order.order_type.row.trails and leg.status is OrderStatus.REJECTED for leg in legs)
    return stop.order.oca_group is not None and not refused


def _trailing(
    bracket: BracketRecord,
    stop: OrderRecord,
    records: Sequence[OrderRecord],
    amount: Price,
    first: Price,
    *,
    skip: int,
) -> Order:
    """Return the trailing stop that takes the place of *stop*."""
    return Order(
        client_order_id=next_leg_id(bracket.bracket_id, "S", records, skip=skip),
        bracket_id=bracket.bracket_id,
        role=OrderRole.STOP,
        tranche=stop.order.tranche,
        instrument=stop.order.instrument,
        side=stop.order.side,
        order_type=OrderType.TRAIL,
        quantity=Quantity(stop.open_quantity),
        stop_price=first,
        trail_amount=amount,
        time_in_force=TimeInForce.GTC,
        oca_group=stop.order.oca_group,
        note=TRAIL_NOTE,
    )


def _moved(  # noqa: PLR0917 - private, called once
    position: Position,
    plan: ManagementPlan,
    gain: Gain,
    stop: Order,
    records: Sequence[OrderRecord],
    amount: Price | None,
) -> MoveStop | None:
    """Return the move of *stop* to the tightest level that is wanted now; None when it stands there."""
    levels = _levels(position, plan, gain, records, amount)
    if not levels or stop.stop_price is None:
        return None
    to = tightest(position, levels)
    if not is_tighter(position, to, stop.stop_price):
        return None
    is_trailed = amount is not None and to == _behind(position, gain.price, amount)
    reached = plan.breakeven_at_r is not None and gain.distance >= plan.breakeven_at_r * gain.unit
    why = "trail" if is_trailed else "breakeven" if reached else "target"
    limit = stop.limit_price and _on_tick(position, Price(stop.limit_price + to - stop.stop_price))
    return MoveStop(order=replace(stop, stop_price=to, limit_price=limit or None), from_price=stop.stop_price, why=why)


def _levels(
    position: Position, plan: ManagementPlan, gain: Gain, records: Iterable[OrderRecord], amount: Price | None
) -> list[Price]:
    """Return every trigger that is wanted now and that the price has not passed."""
    wanted = [] if amount is None else [_behind(position, gain.price, amount)]
    if _is_breakeven_due(plan, gain, records):
        wanted.append(breakeven_level(position, plan, gain.unit))
    return [level for level in wanted if not _is_passed(position, level, gain.price)]


def _is_breakeven_due(plan: ManagementPlan, gain: Gain, records: Iterable[OrderRecord]) -> bool:
    if plan.breakeven_at_r is not None and gain.distance >= plan.breakeven_at_r * gain.unit:
        return True
    if plan.breakeven_after_target is None:
        return False
    targets = [r for r in records if r.order.role is OrderRole.TARGET and r.status is OrderStatus.FILLED]
    return len(targets) >= plan.breakeven_after_target


def breakeven_level(position: Position, plan: ManagementPlan, unit: Decimal) -> Price:
    """Return entry price + offset in R, to the tick that is nearer to the price.

    *unit* is 1 R in price.
    """
    level = Price(position.entry_price + plan.breakeven_offset_r * unit * position.side.sign)
    return _on_tick(position, level)


def trail_amount(position: Position, plan: ManagementPlan, gain: Gain) -> Price | None:
    """Return how far a trailing stop stays behind the price, up to the tick; None while none is due.

    distance_r * 1 R, or distance_pct * price; at least one tick.
    """
    trailing, tick = plan.trailing, position.instrument.tick_at(gain.price)
    if trailing.activate_at_r is None or gain.distance < trailing.activate_at_r * gain.unit:
        return None
    distance = trailing.distance_r * gain.unit if trailing.distance_r is not None else ZERO
    if trailing.distance_pct is not None:
        distance = trailing.distance_pct * gain.price
    return Price(max(tick, ceil_to_step(distance, tick)))


def _behind(position: Position, price: Price, amount: Price) -> Price:
    return _on_tick(position, Price(price - amount * position.side.sign))


def _on_tick(position: Position, level: Price) -> Price:
    return on_tick(level, position.instrument, position.side.closed_by)


def _is_passed(position: Position, trigger: Price, price: Price) -> bool:
    """Return whether *price* has reached *trigger*: a stop there would fire at once."""
    return trigger <= ZERO or (price - trigger) * position.side.sign <= ZERO
