"""Books what the broker did: order states, fills, positions, round trips, and the news for people.

Called inside a transaction. Fills are the truth: each is booked once by its execution id,
positions are folds over them, and an event that says nothing new changes nothing. An entry that
filled and a position that shrank are announced in the same commit.
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
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import Position, RoundTrip, profit, profit_pct
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.positions.ledger import apply_fill, in_order, supersedes
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.events.order_events import EntryFill, EntryFilled, FillBooked, FillCorrected, OrderUpdated
from apex_cli.core.state.events.position_events import PositionReduced, Reduction, RoundTripClosed, RoundTripVoided
from apex_cli.core.state.tables import State, is_ours

OUR_OWN_WORD = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN, OrderStatus.NEVER_SENT})
"""What we say of an order as long as the broker has not spoken."""


class Booked(Value, frozen=True, kw_only=True):
    """What booking some events changed."""

    fills: tuple[Fill, ...] = ()
    """New executions and corrections; repeated deliveries are not among them."""

    round_trips: tuple[RoundTrip, ...] = ()
    """Closed, or booked again after a late fill or a correction."""

    outside: int = 0
    """How many of the events are executions that apex did not ask for."""


def book(tx: State, events: Iterable[BrokerEvent], now: datetime) -> Booked:
    """Apply *events* in the order they came, and return what was new.

    Trades that apex did not ask for are not folded into positions: a comparison with the broker reports them. An
    execution is new when neither it nor a later word on it, a correction or its commission, is booked.
    """
    fills: list[Fill] = []
    trips: list[RoundTrip] = []
    outside = 0
    for event in events:
        if not isinstance(event, Fill):
            book_update(tx, event, now)
        elif not is_ours(tx, event):
            outside += 1
        elif (known := tx.fills.get(event.key)) is None or supersedes(event, known):
            fills.append(event)
            trips.extend(book_fill(tx, event, now))
    if fills:
        _announce(tx, fills, now)
    return Booked(fills=tuple(fills), round_trips=tuple(trips), outside=outside)


def book_update(tx: State, update: OrderUpdate, now: datetime) -> None:
    """Take over the broker's word on one of our orders; orders of others are not ours to book.

    Terms that are older than the last word are not taken over: they were changed since.
    """
    record = tx.orders.get(update.client_order_id)
    if record is None:
        return
    never_sent = OrderStatus.NEVER_SENT  # what we took for that may turn up at the broker after all
    if record.status.is_final and (record.status is not never_sent or update.status is never_sent):
        return
    is_old = record.status not in OUR_OWN_WORD and update.at < record.updated_at
    order = record.order if is_old else _with_terms_of(update, record.order)
    fresh = replace(
        record,
        order=order,
        status=update.status,
        broker_order_id=update.broker_order_id or record.broker_order_id,
        reason=update.reason or ("" if record.is_held else record.reason),
        is_pdt_refusal=update.is_pdt_refusal or record.is_pdt_refusal,
    )
    if fresh != record:
        put_order(tx, replace(fresh, updated_at=record.updated_at if is_old else update.at), now)


def _with_terms_of(update: OrderUpdate, order: Order) -> Order:
    """Return *order* with the quantity and the prices that the broker reports; one without a limit keeps none."""
    if update.quantity is not None and update.quantity != order.quantity:
        order = replace(order, quantity=update.quantity)
    if update.limit_price is not None and order.limit_price not in (None, update.limit_price):
        order = replace(order, limit_price=update.limit_price)
    if update.stop_price is not None and update.stop_price != order.stop_price:
        order = replace(order, stop_price=update.stop_price)
    return order


def book_fill(tx: State, fill: Fill, now: datetime) -> tuple[RoundTrip, ...]:
    """Apply one new execution or correction, and return the round trips it closed or changed."""
    known: Fill | None = tx.fills.get(fill.key)
    record: OrderRecord | None = tx.orders.get(fill.client_order_id)
    if record is not None:
        fill = replace(fill, bracket_id=record.order.bracket_id, role=record.order.role)
    fill = _rated(tx, fill, known, now)
    if record is not None:
        put_order(tx, _filled(record, fill, known), now)
    return fold_in(tx, fill, now)


def fold_in(tx: State, fill: Fill, now: datetime) -> tuple[RoundTrip, ...]:
    """Fold an execution or correction that its order has counted into position and round trips."""
    key, counters, mark = fill.instrument.key, tx.counters, (fill.filled_at, fill.key)
    known: Fill | None = tx.fills.get(fill.key)
    tx.fills[fill.key] = fill
    is_newest = counters.last_fill_at is None or mark > (counters.last_fill_at, counters.last_fill_key)
    if is_newest:  # of all that were ever booked, whatever the security
        tx.counters = replace(counters, last_fill_at=fill.filled_at, last_fill_key=fill.key)
    event_type = FillBooked if known is None else FillCorrected
    tx.emit(event_type(at=now, subject=subject_of(tx, fill.bracket_id, fill.instrument), data=fill))
    row: PositionRecord | None = tx.positions.get(key)
    if known is None and (is_newest or _is_last(tx, fill)):
        position, closed = apply_fill(row.position if row else None, fill, tx.brackets)
        trips, last = [_with_note(tx, trip, fill) for trip in closed], fill
    else:
        position, trips, last = _refolded(tx, key, row, now)
    if position is None:
        tx.positions.pop(key, None)
    else:
        fresh = PositionRecord(position=position, current_price=last.price, priced_at=last.filled_at, rate=last.rate)
        if row is not None and row.priced_at > last.filled_at:
            fresh = replace(fresh, current_price=row.current_price, priced_at=row.priced_at, rate=row.rate)
        tx.positions[key] = fresh if row is None else replace(fresh, carried=row.carried)
    return tuple([_put_round_trip(tx, trip, now) for trip in trips])


def _rated(tx: State, fill: Fill, known: Fill | None, now: datetime) -> Fill:
    """Return *fill* with what its price and its commission are worth in account currency, as that is known now.

    The broker's own word goes first, then what was booked before, then the newest rate of the position or of the plan.
    """
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
        subject = subject_of(tx, fill.bracket_id, fill.instrument)
        tx.emit(AlarmRaised(at=now, subject=subject, data=Alarm(code="commission_without_rate", message=message)))
    return replace(fill, commission_rate=ZERO if charged is None else charged)


def _rate_value(tx: State, fill: Fill) -> Decimal | None:
    """Return what one unit of the commission's currency is worth, by its own rate or that of something held."""
    rates = (fill.rate, *(row.rate for row in tx.positions.values()))
    return next((r.value for r in rates if r is not None and r.currency == fill.commission_currency), None)


def _filled(record: OrderRecord, fill: Fill, known: Fill | None) -> OrderRecord:
    """Return *record* with *fill* counted, in place of what was *known* of the same execution."""
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
    return replace(
        record,
        order=order,
        status=status,
        filled_quantity=Quantity(quantity),
        average_price=value / quantity if quantity else None,
        updated_at=fill.filled_at if is_first_or_last else record.updated_at,
    )


def put_order(tx: State, record: OrderRecord, now: datetime) -> None:
    """Keep *record* and emit its event; an order that turned up after all is an alarm."""
    name = record.order.client_order_id
    known: OrderRecord | None = tx.orders.get(name)
    tx.orders[name] = record
    if record.is_pdt_refusal:
        note_rejection(tx, record)
    subject = subject_of(tx, record.order.bracket_id, record.order.instrument)
    tx.emit(OrderUpdated(at=now, subject=subject, data=record))
    if known is not None and known.status is OrderStatus.NEVER_SENT and record.status is not OrderStatus.NEVER_SENT:
        message = f"{name} was taken for never sent, and turned up at the broker: {record.status.lower()}."
        tx.emit(AlarmRaised(at=now, subject=subject, data=Alarm(code="order_turned_up", message=message)))


def _is_last(tx: State, fill: Fill) -> bool:
    """Return whether no booked fill of the same security sorts after *fill*."""
    mark = (fill.filled_at, fill.key)
    key = fill.instrument.key
    return all((f.filled_at, f.key) <= mark for f in tx.fills.values() if f.instrument.key == key)


def _with_note(tx: State, trip: RoundTrip, fill: Fill) -> RoundTrip:
    """Return *trip* with the reason a person gave for closing it, kept when the order has left the hot tables."""
    record: OrderRecord | None = tx.orders.get(fill.client_order_id)
    if record is not None:
        return replace(trip, exit_reason=record.order.note) if record.order.note else trip
    known: RoundTrip | None = tx.round_trips.get(trip.round_trip_id)
    return replace(trip, exit_reason=known.exit_reason) if known and known.exit_time == trip.exit_time else trip


def _refolded(
    tx: State, key: str, row: PositionRecord | None, now: datetime
) -> tuple[Position | None, list[RoundTrip], Fill]:
    """Fold all kept fills of a security again, as one came late or was corrected, and void the trips that are undone.

    Returns:
        The position, the round trips that are new or changed, and the last fill.
    """
    from apex_cli.core.positions.lessons import drop_lesson

    fills = in_order(f for f in tx.fills.values() if f.instrument.key == key)
    position = row.carried if row else None
    trips: list[RoundTrip] = []
    for each in fills:
        position, closed = apply_fill(position, each, tx.brackets)
        trips.extend(_with_note(tx, trip, each) for trip in closed)
    undone = {fill.key for fill in fills} - {trip.round_trip_id for trip in trips}
    for trip in [t for t in tx.round_trips.values() if t.instrument.key == key and t.round_trip_id in undone]:
        del tx.round_trips[trip.round_trip_id]
        drop_lesson(tx, trip.round_trip_id)
        tx.emit(RoundTripVoided(at=now, subject=trip.signal_id or trip.instrument.symbol, data=trip))
    return position, [t for t in trips if _differs(tx.round_trips.get(t.round_trip_id), t)], fills[-1]


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


def _put_round_trip(tx: State, trip: RoundTrip, now: datetime) -> RoundTrip:
    from apex_cli.core.positions.lessons import keep_lesson

    tx.round_trips[trip.round_trip_id] = trip
    seq = tx.emit(RoundTripClosed(at=now, subject=trip.signal_id or trip.instrument.symbol, data=trip))
    keep_lesson(tx, trip, seq)
    return trip


def subject_of(tx: State, bracket_id: str, instrument: Instrument) -> str:
    """Return what an event is about: the signal that a bracket was opened for, else the symbol."""
    bracket: BracketRecord | None = tx.brackets.get(bracket_id)
    return bracket.signal_id if bracket else instrument.symbol


def entries_of(state: State, bracket_id: str, instrument: Instrument) -> list[OrderRecord]:
    """Return the entry orders of one bracket, which is of *instrument*."""
    records = state.orders.of(instrument.key)
    return [r for r in records if r.order.bracket_id == bracket_id and r.order.role is OrderRole.ENTRY]


def is_at_theory(state: State, records: Iterable[OrderRecord]) -> bool:
    """Return whether a model made a price that one of *records* was filled at: it makes prices of options alone."""
    options = {r.order.client_order_id for r in records if r.order.instrument.market_type is MarketType.OPTIONS}
    return bool(options) and any(f.is_theoretical and f.client_order_id in options for f in state.fills.values())


def _announce(tx: State, fills: Iterable[Fill], now: datetime) -> None:
    """Report the entries and partial closes that newly booked *fills* belong to."""
    fresh: dict[str, Decimal] = {}
    reduced: dict[str, OrderRecord] = {}
    for fill in fills:
        record: OrderRecord | None = tx.orders.get(fill.client_order_id)
        if record is None:
            continue
        bracket_id = record.order.bracket_id
        if record.order.role is OrderRole.ENTRY:
            fresh[bracket_id] = fresh.get(bracket_id, ZERO) + fill.quantity
        elif not record.is_open:
            reduced[fill.client_order_id] = record
    for record in reduced.values():
        _announce_reduction(tx, record, now)
    for bracket_id, quantity in fresh.items():
        _announce_entry(tx, bracket_id, quantity, now)


def _announce_entry(tx: State, bracket_id: str, fresh: Decimal, now: datetime) -> None:
    """Report an entry of which *fresh* units just filled, if those are its first, or nothing more can come."""
    bracket: BracketRecord | None = tx.brackets.get(bracket_id)
    if bracket is None:
        return
    entries = entries_of(tx, bracket_id, bracket.instrument)
    filled = sum([record.filled_quantity for record in entries], ZERO)
    is_complete = not any(record.is_open for record in entries)
    if not filled or not (is_complete or filled == fresh):
        return
    value = sum([r.filled_quantity * r.average_price for r in entries if r.average_price is not None], ZERO)
    filled_now = EntryFill(
        bracket=bracket,
        quantity=Quantity(filled),
        price=Price(value / filled),
        is_complete=is_complete,
        is_theoretical=is_at_theory(tx, entries),
    )
    tx.emit(EntryFilled(at=now, subject=bracket.signal_id, data=filled_now))


def _announce_reduction(tx: State, record: OrderRecord, now: datetime) -> None:
    order = record.order
    row: PositionRecord | None = tx.positions.get(order.instrument.key)
    if row is None or record.average_price is None or row.position.bracket_id != order.bracket_id:
        return
    held, price = row.position, record.average_price
    reduction = Reduction(
        instrument=order.instrument,
        side=held.side,
        quantity=record.filled_quantity,
        remaining=held.quantity,
        entry_price=held.entry_price,
        exit_price=price,
        pnl=row.worth(profit(held.side, held.entry_price, price, record.filled_quantity, order.instrument.multiplier)),
        pnl_pct=profit_pct(held.side, held.entry_price, price),
        reason=order.note or order.role.lower(),
        is_theoretical=held.is_theoretical or is_at_theory(tx, (record,)),
    )
    tx.emit(PositionReduced(at=now, subject=subject_of(tx, order.bracket_id, order.instrument), data=reduction))
