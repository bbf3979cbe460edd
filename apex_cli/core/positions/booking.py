"""Books what the broker did: order states, fills, positions, round trips.

Called inside a transaction. Fills are the truth: each is booked once by its execution id,
positions are folds over them, and an event that says nothing new changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.day_trades.rejections import note_rejection
from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerEvent, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Quantity
from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.core.model.position import Position, RoundTrip
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.positions.announcements import announce_fills
from apex_cli.core.positions.ledger import apply_fill, in_order, supersedes
from apex_cli.core.state.events import (
    Alarm,
    AlarmRaised,
    FillBooked,
    FillCorrected,
    OrderUpdated,
    RoundTripClosed,
    RoundTripVoided,
)
from apex_cli.core.state.tables import State, is_ours

OUR_OWN_WORD = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN, OrderStatus.NEVER_SENT})
"""What we say of an order as long as the broker has not spoken."""


class Booked(Value, frozen=True, kw_only=True):
    """What booking some events changed."""

    fills: tuple[Fill, ...] = ()
    """New executions and corrections; repeated deliveries are not among them."""

    round_trips: tuple[RoundTrip, ...] = ()
    """Closed, or booked again after a late fill or a correction."""


def book(tx: State, events: Iterable[BrokerEvent], now: datetime) -> Booked:
    """Apply *events* in the order they came, and return what was new.

    Trades that apex did not ask for are not folded into positions: a comparison with the broker reports them.
    """
    fills: list[Fill] = []
    trips: list[RoundTrip] = []
    for event in events:
        if isinstance(event, Fill):
            if is_ours(tx, event) and is_news(tx, event):
                fills.append(event)
                trips.extend(book_fill(tx, event, now))
        else:
            book_update(tx, event, now)
    announce_fills(tx, fills, now)
    return Booked(fills=tuple(fills), round_trips=tuple(trips))


def is_news(tx: State, fill: Fill) -> bool:
    """Return whether neither *fill* nor a later word on it, a correction or its commission, is booked."""
    known: Fill | None = tx.fills.get(fill.key)
    return known is None or supersedes(fill, known)


def book_update(tx: State, update: OrderUpdate, now: datetime) -> None:
    """Take over the broker's word on one of our orders; orders of others are not ours to book.

    Terms that are older than the last word are not taken over: they were changed since.
    """
    record = tx.orders.get(update.client_order_id)
    if record is None or (record.status.is_final and not _revives(record, update)):
        return
    order = record.order
    is_old = record.status not in OUR_OWN_WORD and update.at < record.updated_at
    if update.quantity is not None and update.quantity != order.quantity and not is_old:
        order = replace(order, quantity=update.quantity)
    has_limit = order.limit_price is not None and update.limit_price is not None
    if has_limit and update.limit_price != order.limit_price and not is_old:
        order = replace(order, limit_price=update.limit_price)
    if update.stop_price is not None and update.stop_price != order.stop_price and not is_old:
        order = replace(order, stop_price=update.stop_price)
    fresh = replace(
        record,
        order=order,
        status=update.status,
        broker_order_id=update.broker_order_id or record.broker_order_id,
        reason=update.reason or ("" if record.is_held else record.reason),
        is_pdt_refusal=update.is_pdt_refusal or record.is_pdt_refusal,
        updated_at=record.updated_at,
    )
    if fresh != record:
        put_order(tx, replace(fresh, updated_at=record.updated_at if is_old else update.at), now)


def book_fill(tx: State, fill: Fill, now: datetime) -> tuple[RoundTrip, ...]:
    """Apply one new execution or correction, and return the round trips it closed or changed."""
    fill = _rated(tx, _attributed(tx, fill), now)
    _count_on_order(tx, fill, tx.fills.get(fill.key), now)
    return fold_in(tx, fill, now)


def fold_in(tx: State, fill: Fill, now: datetime) -> tuple[RoundTrip, ...]:
    """Fold an execution or correction that its order has counted into position and round trips."""
    known: Fill | None = tx.fills.get(fill.key)
    tx.fills[fill.key] = fill
    is_newest = _is_newest(tx, fill)
    in_order = known is None and (is_newest or _is_last(tx, fill))
    if is_newest:
        tx.counters = replace(tx.counters, last_fill_at=fill.filled_at, last_fill_key=fill.key)
    subject = _subject(tx, fill.bracket_id, fill.instrument.symbol)
    event_type = FillBooked if known is None else FillCorrected
    tx.emit(event_type(at=now, subject=subject, data=fill))
    return _apply(tx, fill, now) if in_order else _refold(tx, fill, now)


def _revives(record: OrderRecord, update: OrderUpdate) -> bool:
    """What we took for never sent may turn up at the broker after all."""
    return record.status is OrderStatus.NEVER_SENT and update.status is not OrderStatus.NEVER_SENT


def _attributed(tx: State, fill: Fill) -> Fill:
    """Return *fill* with the bracket and role of its order."""
    record = tx.orders.get(fill.client_order_id)
    if record is None:
        return fill
    return replace(fill, bracket_id=record.order.bracket_id, role=record.order.role)


def _rated(tx: State, fill: Fill, now: datetime) -> Fill:
    """Return *fill* with what its price and its commission are worth in account currency, as that is known now.

    The broker's own word goes first, then what was booked before, then the newest rate of the position or of the plan.
    """
    known: Fill | None = tx.fills.get(fill.key)
    row: PositionRecord | None = tx.positions.get(fill.instrument.key)
    plan: BracketRecord | None = tx.brackets.get(fill.bracket_id)
    rate = fill.rate or next((each.rate for each in (known, row, plan) if each is not None and each.rate), None)
    if rate is not None:
        fill = replace(fill, rate=rate.at_price(fill.price))
    if not fill.commission_currency or fill.commission_rate is not None:
        return fill
    charged = known.commission_rate if known is not None else None
    if charged is None:
        charged = _rate_value(tx, fill)
    if charged is None:
        message = (
            f"{fill.instrument.key}: a commission of {fill.commission} {fill.commission_currency} is not counted, as "
            f"no rate of {fill.commission_currency} is known."
        )
        subject = _subject(tx, fill.bracket_id, fill.instrument.symbol)
        tx.emit(AlarmRaised(at=now, subject=subject, data=Alarm(code="commission_without_rate", message=message)))
    return replace(fill, commission_rate=ZERO if charged is None else charged)


def _rate_value(tx: State, fill: Fill) -> Decimal | None:
    """Return what one unit of the commission's currency is worth, by its own rate or that of something held."""
    rates = (fill.rate, *(row.rate for row in tx.positions.values()))
    return next((r.value for r in rates if r is not None and r.currency == fill.commission_currency), None)


def _count_on_order(tx: State, fill: Fill, known: Fill | None, now: datetime) -> None:
    record: OrderRecord | None = tx.orders.get(fill.client_order_id)
    if record is None:
        return
    old_quantity = known.quantity if known else ZERO
    old_value = known.quantity * known.price if known else ZERO
    quantity = record.filled_quantity - old_quantity + fill.quantity
    value = record.filled_quantity * (record.average_price or ZERO) - old_value + fill.quantity * fill.price
    status = OrderStatus.FILLED if quantity >= record.order.quantity else record.status
    if status in OUR_OWN_WORD:
        status = OrderStatus.WORKING
    order = record.order
    if known is not None and record.status is OrderStatus.FILLED:
        order = replace(order, quantity=Quantity(quantity))  # the correction corrects what was complete
    # While the order works on, its time stays that of the last update: fills come by another clock.
    is_first_or_last = status is OrderStatus.FILLED or record.status in OUR_OWN_WORD
    fresh = replace(
        record,
        order=order,
        status=status,
        filled_quantity=Quantity(quantity),
        average_price=value / quantity if quantity else None,
        updated_at=fill.filled_at if is_first_or_last else record.updated_at,
    )
    put_order(tx, fresh, now)


def put_order(tx: State, record: OrderRecord, now: datetime) -> None:
    """Keep *record* and emit its event; an order that turned up after all is an alarm."""
    name = record.order.client_order_id
    known: OrderRecord | None = tx.orders.get(name)
    tx.orders[name] = record
    note_rejection(tx, record)
    subject = _subject(tx, record.order.bracket_id, record.order.instrument.symbol)
    tx.emit(OrderUpdated(at=now, subject=subject, data=record))
    if known is not None and known.status is OrderStatus.NEVER_SENT and record.status is not OrderStatus.NEVER_SENT:
        message = f"{name} was taken for never sent, and turned up at the broker: {record.status.lower()}."
        tx.emit(AlarmRaised(at=now, subject=subject, data=Alarm(code="order_turned_up", message=message)))


def _is_newest(tx: State, fill: Fill) -> bool:
    """Return whether *fill* sorts after every fill ever booked, whatever the security."""
    counters = tx.counters
    return counters.last_fill_at is None or (fill.filled_at, fill.key) > (counters.last_fill_at, counters.last_fill_key)


def _is_last(tx: State, fill: Fill) -> bool:
    """Return whether no booked fill of the same security sorts after *fill*."""
    mark = (fill.filled_at, fill.key)
    key = fill.instrument.key
    return all((f.filled_at, f.key) <= mark for f in tx.fills.values() if f.instrument.key == key)


def _apply(tx: State, fill: Fill, now: datetime) -> tuple[RoundTrip, ...]:
    key = fill.instrument.key
    row: PositionRecord | None = tx.positions.get(key)
    position, closed = apply_fill(row.position if row else None, fill, tx.brackets)
    _put_position(tx, key, position, fill)
    return tuple(_put_round_trip(tx, _with_note(tx, trip, fill), now) for trip in closed)


def _with_note(tx: State, trip: RoundTrip, fill: Fill) -> RoundTrip:
    """Return *trip* with the reason a person gave for closing it, kept when the order has left the hot tables."""
    record: OrderRecord | None = tx.orders.get(fill.client_order_id)
    if record is not None:
        return replace(trip, exit_reason=record.order.note) if record.order.note else trip
    known: RoundTrip | None = tx.round_trips.get(trip.round_trip_id)
    return replace(trip, exit_reason=known.exit_reason) if known and known.exit_time == trip.exit_time else trip


def _refold(tx: State, fill: Fill, now: datetime) -> tuple[RoundTrip, ...]:
    """Fold all kept fills of the security again: one came late, or was corrected."""
    key = fill.instrument.key
    fills = in_order(f for f in tx.fills.values() if f.instrument.key == key)
    row: PositionRecord | None = tx.positions.get(key)
    position = row.carried if row else None
    trips: list[RoundTrip] = []
    for each in fills:
        position, closed = apply_fill(position, each, tx.brackets)
        trips.extend(_with_note(tx, trip, each) for trip in closed)
    from apex_cli.core.positions.lessons import drop_lesson

    _put_position(tx, key, position, fills[-1])
    fresh = {trip.round_trip_id for trip in trips}
    for trip in [t for t in tx.round_trips.values() if t.instrument.key == key]:
        if trip.round_trip_id in {f.key for f in fills} and trip.round_trip_id not in fresh:
            del tx.round_trips[trip.round_trip_id]
            drop_lesson(tx, trip.round_trip_id)
            tx.emit(RoundTripVoided(at=now, subject=trip.signal_id or trip.instrument.symbol, data=trip))
    known = {trip_id: tx.round_trips.get(trip_id) for trip_id in fresh}
    return tuple(_put_round_trip(tx, trip, now) for trip in trips if _differs(known[trip.round_trip_id], trip))


def _differs(known: RoundTrip | None, trip: RoundTrip) -> bool:
    """Compare what fills decide: the plan a trip names may have left the hot tables."""
    return known is None or _facts(known) != _facts(trip)


def _facts(trip: RoundTrip) -> tuple[object, ...]:
    return (
        trip.side,
        trip.quantity,
        trip.entry_price,
        trip.exit_price,
        trip.entry_time,
        trip.exit_time,
        trip.pnl,
        trip.commission,
        trip.exit_reason,
    )


def _put_position(tx: State, key: str, position: Position | None, fill: Fill) -> None:
    if position is None:
        tx.positions.pop(key, None)
        return
    row: PositionRecord | None = tx.positions.get(key)
    fresh = PositionRecord(position=position, current_price=fill.price, priced_at=fill.filled_at, rate=fill.rate)
    if row is not None:
        fresh = replace(fresh, carried=row.carried)
        if row.priced_at > fill.filled_at:
            fresh = replace(fresh, current_price=row.current_price, priced_at=row.priced_at, rate=row.rate)
    tx.positions[key] = fresh


def _put_round_trip(tx: State, trip: RoundTrip, now: datetime) -> RoundTrip:
    from apex_cli.core.positions.lessons import keep_lesson

    tx.round_trips[trip.round_trip_id] = trip
    seq = tx.emit(RoundTripClosed(at=now, subject=trip.signal_id or trip.instrument.symbol, data=trip))
    keep_lesson(tx, trip, seq)
    return trip


def _subject(tx: State, bracket_id: str, symbol: str) -> str:
    bracket: BracketRecord | None = tx.brackets.get(bracket_id)
    return bracket.signal_id if bracket else symbol
