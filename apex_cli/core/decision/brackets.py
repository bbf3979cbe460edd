"""Brackets: entry, stop and targets as orders, and the orders that close a position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace

from apex_cli.core.decision.tranches import tranche_quantities
from apex_cli.core.market.ticks import levels_on_ticks, on_tick
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import Decision
from apex_cli.core.model.money import ZERO, Price, Quantity, floor_to_step
from apex_cli.core.model.order import EntryOrder, Order, OrderRecord, OrderRole, OrderType, Phase, TimeInForce
from apex_cli.core.model.position import Position, risk_per_unit
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.positions.protection import most_to_close, stop_terms


class ExitChanges(Value, frozen=True, kw_only=True):
    """What to ask the broker so that resting exits never exceed what is left."""

    cancel: tuple[str, ...] = ()
    """Client order ids."""

    shrink: tuple[Order, ...] = ()
    """Orders with their smaller total quantity, what has filled included."""


class Tranche(NamedTuple):
    """The part of an entry that has exits of its own."""

    number: int
    """From 1, nearest target first."""

    quantity: Quantity
    target: Price | None


def build_bracket(
    decision: Decision,
    opportunity: Opportunity,
    *,
    bracket_id: str,
    entry_order: EntryOrder,
    now: datetime,
    entry_minutes: int | None = None,
    targets: tuple[Price, ...] | None = None,
    is_one_entry: bool = True,
    stop_limit_pct: Decimal | None = None,
) -> tuple[BracketRecord, tuple[Order, ...]]:
    """Return the record and the orders of one entry decision: its entry, and per tranche a stop and a target.

    One tranche per target: the quantity is split evenly by the instrument's step, the remainder to the first
    tranches; where it is too small, the nearest targets get one step each. With the signal's own fractions, what they
    leave over is a tranche without a target. The exits of a tranche are one OCA group that waits for the entry. Exits
    rest until cancelled.

    Prices go to the tick as ``to_tick`` says: the loss at the stop never exceeds what was sized.

    Args:
        decision: with a size; its entry price is the price of an entry that needs one.
        opportunity: the signal gives stop and targets.
        bracket_id: a ULID; order ids are ``apex-<bracket_id>-E``, ``-S1``, ``-T1``, with several entries ``-E1`` ...
        entry_order: how the entry meets the market.
        now: when it was decided.
        entry_minutes: how long an entry may rest that waits for no auction; None for all of the session.
        targets: other targets than the signal's.
        is_one_entry: False: every tranche has an entry of its own, and each pays its own commission.
        stop_limit_pct: how far the limit of each stop lies beyond its trigger; None for stops that sell at market.

    Raises:
        ValueError: the decision has no size, or its levels meet on the tick grid.
    """
    from apex_cli.core.positions.lessons import entry_conditions

    sized, signal = decision.sized, opportunity.signal
    if sized is None:
        raise ValueError(f"signal {decision.signal_id} has no size: it cannot become a bracket")
    instrument = decision.instrument
    entry, stop, nearest_first = _levels(decision, opportunity, entry_order, targets)
    fractions = signal.target_fractions if targets is None else ()
    parts = tranche_quantities(sized.quantity, instrument, len(nearest_first), fractions)
    traded = nearest_first[: len(parts)]
    record = BracketRecord(
        bracket_id=bracket_id,
        signal_id=signal.signal_id,
        strategy=signal.strategy,
        instrument=instrument,
        side=decision.side,
        quantity=sized.quantity,
        entry_price=entry,
        stop_price=stop,
        target_prices=traded,
        risk_per_unit=worth(sized.rate, risk_per_unit(entry, stop, instrument.multiplier), stop),
        rate=sized.rate,
        stop_limit_pct=stop_limit_pct,
        confidence=signal.confidence,
        reward_risk=decision.reward_risk,
        created_at=now,
        conditions=entry_conditions(opportunity),
        agent=signal.proposal.agent if signal.proposal is not None else "",
    )
    validity: dict[str, Any] = {}
    if entry_minutes is not None and entry_order.order_type.row.phase is Phase.ANY:
        validity = {"time_in_force": TimeInForce.GTD, "good_till": now + timedelta(minutes=entry_minutes)}
    whole = Order(
        client_order_id=f"apex-{bracket_id}-E",
        bracket_id=bracket_id,
        role=OrderRole.ENTRY,
        instrument=instrument,
        side=decision.side,
        quantity=sized.quantity,
        reference_price=decision.entry_price,
        **entry_order.terms_at(entry),
        **validity,
    )
    tranches = tuple(
        Tranche(number, quantity, traded[number - 1] if number <= len(traded) else None)
        for number, quantity in enumerate(parts, start=1)
    )
    if is_one_entry or len(tranches) == 1:
        return record, entry_with_exits(whole, record, tranches)
    own = (order for each in tranches for order in entry_with_exits(_own_entry(whole, each), record, (each,)))
    return record, tuple(own)


def _levels(
    decision: Decision, opportunity: Opportunity, entry_order: EntryOrder, targets: tuple[Price, ...] | None
) -> tuple[Price, Price, tuple[Price, ...]]:
    """Return entry, stop and targets, nearest first, on the tick grid.

    Raises:
        ValueError: a level is not above zero, or entry and stop meet.
    """
    signal, side = opportunity.signal, decision.side
    wanted = signal.target_prices if targets is None else targets
    entry, stop, rounded = levels_on_ticks(decision.entry_price, signal.stop_loss, wanted, decision.instrument, side)
    if min((entry, stop, *rounded)) <= ZERO or (entry - stop) * side.sign <= ZERO:
        raise ValueError(f"signal {decision.signal_id}: entry {entry} and stop {stop} do not make a {side} bracket")
    if not entry_order.has_limit:
        entry = decision.entry_price
    return entry, stop, tuple(sorted(rounded, reverse=side is OrderSide.SELL))


def _own_entry(whole: Order, tranche: Tranche) -> Order:
    """Return the entry of one tranche alone."""
    name = f"{whole.client_order_id}{tranche.number}"
    return replace(whole, client_order_id=name, tranche=tranche.number, quantity=tranche.quantity)


def entry_with_exits(entry: Order, bracket: BracketRecord, tranches: Sequence[Tranche]) -> tuple[Order, ...]:
    """Return *entry* with the exits that wait for it: per tranche one OCA group of a stop and, if it has one, a target.

    Args:
        entry: for the quantity of all *tranches* together.
        bracket: says where, and how, every tranche is stopped out.
        tranches: what the entry buys, nearest target first; what it fills first belongs to the first.
    """
    side = entry.side.opposite
    stop = stop_terms(bracket, bracket.stop_price, side)
    legs = [entry]
    for tranche in tranches:
        exits = [("S", OrderRole.STOP, stop)]
        if tranche.target is not None:
            exits.append(("T", OrderRole.TARGET, {"order_type": OrderType.LIMIT, "limit_price": tranche.target}))
        legs += [
            Order(
                client_order_id=f"apex-{entry.bracket_id}-{letter}{tranche.number}",
                bracket_id=entry.bracket_id,
                role=role,
                tranche=tranche.number,
                instrument=entry.instrument,
                side=side,
                quantity=tranche.quantity,
                time_in_force=TimeInForce.GTC,
                oca_group=f"apex-{entry.bracket_id}-{tranche.number}",
                parent_id=entry.client_order_id,
                **terms,
            )
            for letter, role, terms in exits
        ]
    return tuple(legs)


def part_of(position: Position, fraction: Decimal) -> Quantity:
    """Return *fraction* of the position, down to the step, but at least one step and at most all that is orderable.

    Args:
        position: what is held.
        fraction: in (0, 1]; 0.5 is half.

    Raises:
        ValueError: *fraction* is outside (0, 1].
    """
    if not ZERO < fraction <= 1:
        raise ValueError(f"a fraction of {fraction} cannot be closed: it must be above 0 and at most 1")
    step = position.instrument.quantity_step
    part = max(step, floor_to_step(position.quantity * fraction, step))
    return Quantity(min(position.orderable, part))


def close_order(
    position: Position,
    *,
    bracket_id: str,
    number: int = 1,
    quantity: Quantity | None = None,
    limit_price: Price | None = None,
    reference_price: Price | None = None,
) -> Order:
    """Return the order that closes *position*, whole or in part: at market, or at a limit for today.

    Resting exits must be cancelled or shrunk first: see ``exits_for_remaining``.

    Args:
        position: what is held.
        bracket_id: the position's, or a new ULID; the order id is ``apex-<bracket_id>-C<number>``.
        number: which close under that id, from 1.
        quantity: how much; all that is orderable by default.
        limit_price: worst acceptable price.
        reference_price: the price the person saw.

    Raises:
        ValueError: *quantity* is not above 0, more than is held, or off the step.
    """
    wanted = position.orderable if quantity is None else quantity
    instrument = position.instrument
    if not ZERO < wanted <= position.quantity:
        raise ValueError(f"cannot close {wanted} of {position.quantity} {instrument.symbol}")
    if wanted % instrument.quantity_step:
        raise ValueError(f"cannot close {wanted} {instrument.symbol}: the step is {instrument.quantity_step}")
    side = position.side.closed_by
    return Order(
        client_order_id=f"apex-{bracket_id}-C{number}",
        bracket_id=bracket_id,
        role=OrderRole.CLOSE,
        instrument=instrument,
        side=side,
        order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        quantity=wanted,
        limit_price=None if limit_price is None else on_tick(limit_price, instrument, side),
        reference_price=reference_price,
    )


def exits_for_remaining(orders: Iterable[OrderRecord], remaining: Quantity) -> ExitChanges:
    """Return which exits to cancel or shrink so that together they close no more than *remaining*.

    The legs of one OCA group are alternatives and count once. What is left goes to closing orders first, then to
    what has a stop, then to the farthest targets: a part closed by hand takes the place of the nearest ones. Stops
    shrink last: who is killed in between leaves a target too small, never a stop.

    Args:
        orders: the orders of one instrument; entries and finished orders are ignored.
        remaining: quantity that is, or will be, held; 0 when flat. A fraction of a step gets no exit.
    """
    groups: dict[str, list[OrderRecord]] = {}
    for record in orders:
        if record.is_open and record.order.role is not OrderRole.ENTRY:
            groups.setdefault(record.order.oca_group or record.order.client_order_id, []).append(record)
    left: Decimal = max(remaining, ZERO)
    cancel: list[str] = []
    shrink: list[Order] = []
    for legs in sorted(groups.values(), key=_keeping_rank):
        whole = floor_to_step(left, legs[0].order.instrument.quantity_step)
        allotted = min(whole, max(leg.open_quantity for leg in legs))
        left -= allotted
        for leg in legs:
            if not allotted:
                cancel.append(leg.order.client_order_id)
            elif leg.open_quantity > allotted:
                shrink.append(replace(leg.order, quantity=Quantity(leg.filled_quantity + allotted)))
    shrink.sort(key=lambda order: order.role is OrderRole.STOP)
    return ExitChanges(cancel=tuple(cancel), shrink=tuple(shrink))


def _keeping_rank(legs: list[OrderRecord]) -> tuple[bool, bool, int, str]:
    """Return the place in the queue for what is left: closes, then protection, then the highest tranche."""
    order = legs[0].order
    has_stop = any(leg.order.role is OrderRole.STOP for leg in legs)
    return order.role is not OrderRole.CLOSE, not has_stop, -order.tranche, order.client_order_id


def excess(position: Position | None, orders: Iterable[OrderRecord], side: OrderSide) -> ExitChanges:
    """Return what to do about exits on *side* that rest for more than *position* and working entries allow."""
    working = [record for record in orders if record.is_open]
    most = most_to_close(position, working, side)
    return exits_for_remaining((r for r in working if r.order.side is side), most)
