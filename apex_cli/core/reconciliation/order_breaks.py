"""Our orders and fills against the broker's: what was missed, what differs, what should not be there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.model.broker_events import BrokerOrder, BrokerSnapshot, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus, TimeInForce
from apex_cli.core.model.reconciliation import Break, BreakCode, Correction, CorrectionKind
from apex_cli.core.model.wording import plain
from apex_cli.core.positions.ledger import in_order, supersedes
from apex_cli.core.state.tables import State, is_our_id, is_ours

NOTHING = "nothing"


class Ledgers:
    """The broker's answer by our ids."""

    def __init__(self, state: State, reported: BrokerSnapshot) -> None:
        """Sort *reported* by client order id; what carries none of ours is found by the broker's own number."""
        ours = {r.broker_order_id: name for name, r in state.orders.items() if r.broker_order_id}
        self.working: dict[str, list[BrokerOrder]] = {}
        for order in reported.working:
            name = order.client_order_id or ours.get(order.broker_order_id, "")
            if is_our_id(name) or name in state.orders:
                self.working.setdefault(name, []).append(order)
        self.said: dict[str, OrderUpdate] = {}
        for update in reported.orders:
            name = update.client_order_id or ours.get(update.broker_order_id or "", "")
            if name and _says_more(update, self.said.get(name)):
                self.said[name] = replace(update, client_order_id=name)


def _says_more(update: OrderUpdate, known: OrderUpdate | None) -> bool:
    """Report which of two words on one order counts: that it works, then the newer one."""
    if known is None:
        return True
    return (not update.status.is_final, update.at) > (not known.status.is_final, known.at)


def missed_fills(state: State, reported: BrokerSnapshot) -> tuple[Break, ...]:
    """Return a break for each execution of ours that our books do not have, or have in an older version."""
    found = []
    for fill in in_order(reported.fills):
        known: Fill | None = state.fills.get(fill.key)
        if is_ours(state, fill) and (known is None or supersedes(fill, known)):
            found.append(_missed_fill(fill, known))
    return tuple(found)


def _missed_fill(fill: Fill, known: Fill | None) -> Break:
    key = fill.instrument.key
    theirs = fill_words(fill)
    what = "was missed" if known is None else "was corrected"
    return Break(
        code=BreakCode.MISSED_FILL,
        key=key,
        subject=fill.exec_id,
        ours=NOTHING if known is None else fill_words(known),
        theirs=theirs,
        message=f"{key}: an execution of {fill.client_order_id} {what}: {theirs}.",
        correction=Correction(
            kind=CorrectionKind.ADOPT_FILL,
            message="Book it.",
            client_order_id=fill.client_order_id,
            fill=fill,
        ),
        instrument=fill.instrument,
    )


def fill_words(fill: Fill) -> str:
    """Return side, quantity and price of an execution."""
    return f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}"


def with_fills(state: State, breaks: Iterable[Break]) -> dict[str, OrderRecord]:
    """Return every order of ours as it stands once the missed fills of *breaks* are booked."""
    records = dict(state.orders.items())
    for each in breaks:
        fill = each.correction.fill
        record = None if fill is None else records.get(fill.client_order_id)
        if fill is None or record is None:
            continue
        known: Fill | None = state.fills.get(fill.key)
        quantity = record.filled_quantity + fill.quantity - (known.quantity if known else ZERO)
        is_done = quantity >= record.order.quantity
        status = OrderStatus.FILLED if is_done else record.status
        if status in {OrderStatus.INTENT, OrderStatus.UNKNOWN, OrderStatus.NEVER_SENT}:
            status = OrderStatus.WORKING
        records[fill.client_order_id] = replace(record, filled_quantity=Quantity(quantity), status=status)
    return records


def compare_orders(
    records: dict[str, OrderRecord], reported: BrokerSnapshot, ledgers: Ledgers, now: datetime
) -> tuple[Break, ...]:
    """Return what differs about the orders that our books take for open, and bring *records* in line.

    Args:
        records: ours, missed fills counted; changed in place to how they stand after the corrections.
        reported: the broker's answer; only a complete one proves that an order is not there.
        ledgers: the same by our ids.
        now: when it was reported.
    """
    found: list[Break] = []
    for name, record in list(records.items()):
        if not record.is_open:
            continue
        works, said = ledgers.working.get(name, []), ledgers.said.get(name)
        if works:
            found.extend(_working(records, record, works, reported, now))
        elif said is not None:
            found.extend(_said(records, record, said))
        elif reported.is_complete:
            found.append(_gone(records, record, now))
    return tuple(found)


def _working(
    records: dict[str, OrderRecord],
    record: OrderRecord,
    works: Sequence[BrokerOrder],
    reported: BrokerSnapshot,
    now: datetime,
) -> list[Break]:
    """Compare an order that works on both sides, or of which we did not know."""
    name = record.order.client_order_id
    kept = next((order for order in works if order.broker_order_id == record.broker_order_id), works[0])
    found = []
    if record.status is not OrderStatus.WORKING:
        update = OrderUpdate(
            client_order_id=name, status=OrderStatus.WORKING, broker_order_id=kept.broker_order_id, at=now
        )
        found.append(_state_break(record, update))
        record = replace(record, status=OrderStatus.WORKING, broker_order_id=kept.broker_order_id)
    fresh = with_terms(record, kept)
    if fresh is None or fresh.order != record.order:
        found.append(_terms_break(record, fresh, kept))
        record = fresh or record
    records[name] = record
    surplus = [order for order in works if order is not kept]
    return found + [_surplus(record, order, len(works), is_proved=reported.is_complete) for order in surplus]


def with_terms(record: OrderRecord, theirs: BrokerOrder) -> OrderRecord | None:
    """Return *record* with the broker's quantity and prices; None when it is another order altogether."""
    order = record.order
    if (order.side, order.instrument.key) != (theirs.side, theirs.instrument.key):
        return None
    if theirs.order_type not in {order.order_type, None}:
        return None
    changes: dict[str, Decimal] = {}
    if theirs.quantity > ZERO:
        changes["quantity"] = theirs.quantity
    if order.order_type.row.needs_limit and theirs.limit_price is not None:
        changes["limit_price"] = theirs.limit_price
    if order.order_type.row.needs_stop and theirs.stop_price is not None:
        changes["stop_price"] = theirs.stop_price
    changed = {name: value for name, value in changes.items() if value != getattr(order, name)}
    return replace(record, order=replace(order, **changed)) if changed else record


def _terms_break(record: OrderRecord, fresh: OrderRecord | None, theirs: BrokerOrder) -> Break:
    """Return the break of an order that has other terms at the broker; without *fresh* it is another order there."""
    order = record.order
    ours, there = terms_in_words(order), terms_in_words(theirs if fresh is None else fresh.order)
    if fresh is None:
        kind, todo = CorrectionKind.NONE, "Look at the broker: cancel there what is not wanted."
        what = f"is another order at the broker: {there}, not {ours}."
    else:
        kind, todo = CorrectionKind.ADOPT_TERMS, "Take over the broker's terms."
        what = f"changed at the broker: here {ours}, there {there}."
    return Break(
        code=BreakCode.ORDER_TERMS,
        key=order.instrument.key,
        subject=order.client_order_id,
        ours=ours,
        theirs=there,
        message=f"{order.instrument.key}: {order.client_order_id} {what}",
        correction=Correction(
            kind=kind, message=todo, client_order_id=order.client_order_id, record=fresh, order=theirs
        ),
        instrument=order.instrument,
    )


def terms_in_words(order: Order | BrokerOrder) -> str:
    """Return side, quantity, type and prices."""
    prices = [f"limit {plain(order.limit_price)}"] if order.limit_price is not None else []
    prices += [f"stop {plain(order.stop_price)}"] if order.stop_price is not None else []
    kind = order.order_type or "another type"
    return " ".join([order.side, plain(order.quantity), order.instrument.key, kind, *prices])


def _surplus(record: OrderRecord, theirs: BrokerOrder, count: int, *, is_proved: bool) -> Break:
    order = record.order
    may_cancel = is_proved and theirs.is_ours_to_cancel
    return Break(
        code=BreakCode.SURPLUS_ORDER,
        key=order.instrument.key,
        subject=f"{order.client_order_id} #{theirs.broker_order_id}",
        ours="1 order",
        theirs=f"{count} orders",
        message=f"{order.instrument.key}: {count} orders work at the broker as {order.client_order_id}.",
        correction=cancelling(order.client_order_id, theirs)
        if may_cancel
        else hands_off(order.client_order_id, theirs, is_proved=is_proved),
        instrument=order.instrument,
    )


def cancelling(name: str, theirs: BrokerOrder) -> Correction:
    """Return the cancel of one order at the broker."""
    return Correction(
        kind=CorrectionKind.CANCEL, message=f"Cancel #{theirs.broker_order_id}.", client_order_id=name, order=theirs
    )


def hands_off(name: str, theirs: BrokerOrder, *, is_proved: bool) -> Correction:
    """Return why an order at the broker stays as it is."""
    why = f"Only {theirs.placed_by or 'its own connection'} can cancel it." if is_proved else "Wait for a full answer."
    return Correction(kind=CorrectionKind.NONE, message=why, client_order_id=name, order=theirs)


def _said(records: dict[str, OrderRecord], record: OrderRecord, said: OrderUpdate) -> list[Break]:
    """Compare an order that the broker names, but not among those that work."""
    if said.status is record.status or said.status in {OrderStatus.INTENT, OrderStatus.UNKNOWN}:
        return []
    records[record.order.client_order_id] = replace(record, status=said.status)
    return [_state_break(record, said)]


def _state_break(record: OrderRecord, update: OrderUpdate) -> Break:
    order = record.order
    why = f": {update.reason.rstrip('.')}" if update.reason else ""
    return Break(
        code=BreakCode.ORDER_STATE,
        key=order.instrument.key,
        subject=order.client_order_id,
        ours=record.status.lower(),
        theirs=update.status.lower(),
        message=f"{order.instrument.key}: {order.client_order_id} is {record.status.lower()} here and "
        f"{update.status.lower()} at the broker{why}.",
        correction=Correction(
            kind=CorrectionKind.ADOPT_STATE,
            message=f"Take over that it is {update.status.lower()}.",
            client_order_id=order.client_order_id,
            update=update,
        ),
        instrument=order.instrument,
    )


def _gone(records: dict[str, OrderRecord], record: OrderRecord, now: datetime) -> Break:
    """An open order that a complete answer does not have."""
    order, name = record.order, record.order.client_order_id
    is_sent = record.status is OrderStatus.WORKING
    is_day = order.time_in_force is TimeInForce.DAY
    ended = OrderStatus.EXPIRED if is_day else OrderStatus.CANCELLED
    status = ended if is_sent else OrderStatus.NEVER_SENT
    reason = "not at the broker any more" if is_sent else "the broker never saw it"
    update = OrderUpdate(client_order_id=name, status=status, at=now, reason=reason)
    records[name] = replace(record, status=status)
    return Break(
        code=BreakCode.ORDER_GONE,
        key=order.instrument.key,
        subject=name,
        ours=record.status.lower(),
        theirs=NOTHING,
        message=f"{order.instrument.key}: {name} is {record.status.lower()} here, and the broker does not know it.",
        correction=Correction(
            kind=CorrectionKind.RESOLVE,
            message=f"Close it as {status.lower().replace('_', ' ')}.",
            client_order_id=name,
            update=update,
        ),
        instrument=order.instrument,
    )
