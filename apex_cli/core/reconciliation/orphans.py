"""Orders that work at the broker under ids of ours, and that our books do not take for open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.model.broker_events import BrokerOrder, BrokerSnapshot
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, TimeInForce
from apex_cli.core.model.position import Position
from apex_cli.core.model.reconciliation import Break, BreakCode, Correction, CorrectionKind
from apex_cli.core.positions.protection import unprotected_quantity
from apex_cli.core.reconciliation.order_breaks import (
    NOTHING,
    Ledgers,
    cancelling,
    hands_off,
    terms_in_words,
    with_terms,
)
from apex_cli.core.state.tables import OUR_ID

ORPHAN = "orphan"
"""Note of an order that is known only so that its cancel can be heard of."""

ROLES = {"E": OrderRole.ENTRY, "S": OrderRole.STOP, "T": OrderRole.TARGET, "C": OrderRole.CLOSE}


def orphans(
    records: dict[str, OrderRecord],
    held: Mapping[str, Position],
    reported: BrokerSnapshot,
    ledgers: Ledgers,
    now: datetime,
) -> tuple[Break, ...]:
    """Return orders that work under ids of ours and that our books do not take for open.

    One that is the only protection of something held is taken over, with its OCA partner; the others are cancelled.
    """
    rows = [(name, order) for name, works in ledgers.working.items() for order in works if _is_orphan(records, name)]
    stops_first = sorted(rows, key=lambda row: row[1].order_type is None or not row[1].order_type.is_stop)
    return tuple(_orphan(records, held, reported, order, name, now) for name, order in stops_first)


def _is_orphan(records: Mapping[str, OrderRecord], name: str) -> bool:
    known = records.get(name)
    return known is None or not known.is_open or known.order.note == ORPHAN


def _orphan(  # noqa: PLR0917 - the two sides, and the order between them
    records: dict[str, OrderRecord],
    held: Mapping[str, Position],
    reported: BrokerSnapshot,
    theirs: BrokerOrder,
    name: str,
    now: datetime,
) -> Break:
    known = records.get(name)
    adopted = _as_record(theirs, name, known, now)
    others = {key: record for key, record in records.items() if key != name}
    if adopted is not None and (_is_needed(adopted, others, held) or _is_partner(adopted, others, held)):
        records[name] = adopted
        correction = Correction(
            kind=CorrectionKind.ADOPT_ORDER,
            message="Take it over: it belongs to what protects the position.",
            client_order_id=name,
            record=adopted,
            order=theirs,
        )
    elif _leaves_unknown(theirs, held, reported):
        correction = Correction(
            kind=CorrectionKind.NONE,
            message=f"It stays: it is an exit of {theirs.instrument.key}, which apex does not know as its own.",
            client_order_id=name,
            order=theirs,
        )
    elif reported.is_complete and theirs.is_ours_to_cancel:
        marked = adopted and replace(adopted, order=replace(adopted.order, note=ORPHAN))
        correction = replace(cancelling(name, theirs), record=marked)
        records.pop(name, None)
    else:
        correction = hands_off(name, theirs, is_proved=reported.is_complete)
    key = theirs.instrument.key
    here = "unknown" if known is None else known.status.lower()
    return Break(
        code=BreakCode.ORPHAN_ORDER,
        key=key,
        subject=f"{name} #{theirs.broker_order_id}",
        ours=NOTHING if known is None else known.status.lower(),
        theirs=terms_in_words(theirs),
        message=f"{key}: {name} works at the broker, and is {here} here.",
        correction=correction,
        instrument=theirs.instrument,
    )


def _is_needed(adopted: OrderRecord, records: Mapping[str, OrderRecord], held: Mapping[str, Position]) -> bool:
    """Return whether *adopted* is a stop for something held that no stop of ours covers."""
    order = adopted.order
    position = held.get(order.instrument.key)
    if position is None or not order.order_type.is_stop or order.side is not position.side.closed_by:
        return False
    same = [r for r in records.values() if r.order.instrument.key == order.instrument.key]
    return unprotected_quantity(position, same) > ZERO


def _is_partner(adopted: OrderRecord, records: Mapping[str, OrderRecord], held: Mapping[str, Position]) -> bool:
    """Return whether *adopted* rests in one OCA group with an exit of ours: only one of them can fill."""
    order = adopted.order
    position = held.get(order.instrument.key)
    if position is None or order.oca_group is None or order.side is not position.side.closed_by:
        return False
    group = [r for r in records.values() if r.is_open and r.order.oca_group == order.oca_group]
    return any(r.open_quantity >= adopted.open_quantity for r in group)


def _leaves_unknown(theirs: BrokerOrder, held: Mapping[str, Position], reported: BrokerSnapshot) -> bool:
    """Return whether *theirs* is an exit of something that the broker holds and our books lack: a state may be lost."""
    key = theirs.instrument.key
    at_broker = reported.positions.get(key, ZERO)
    is_exit = at_broker * theirs.side.sign < ZERO and theirs.quantity - theirs.filled_quantity <= abs(at_broker)
    return key not in held and is_exit


def _as_record(theirs: BrokerOrder, name: str, known: OrderRecord | None, now: datetime) -> OrderRecord | None:
    """Return the order as it would stand in our books; None when it cannot be one of ours."""
    if known is not None:
        fresh = with_terms(known, theirs)
        if fresh is None:
            return None
        fresh = replace(fresh, order=replace(fresh.order, note=fresh.order.note.removeprefix(ORPHAN)))
        return replace(
            fresh, status=OrderStatus.WORKING, broker_order_id=theirs.broker_order_id, reason="", updated_at=now
        )
    parts = OUR_ID.fullmatch(name)
    role = ROLES.get(parts["letter"]) if parts else None
    if parts is None or role is None or theirs.order_type is None:
        return None
    order = Order(
        client_order_id=name,
        bracket_id=parts["bracket"],
        role=role,
        instrument=theirs.instrument,
        side=theirs.side,
        order_type=theirs.order_type,
        quantity=theirs.quantity,
        limit_price=_if_price(theirs.limit_price),
        stop_price=_if_price(theirs.stop_price),
        time_in_force=TimeInForce.GTC,
        oca_group=theirs.oca_group or None,
    )
    return OrderRecord(
        order=order,
        status=OrderStatus.WORKING,
        filled_quantity=theirs.filled_quantity,
        broker_order_id=theirs.broker_order_id,
        created_at=now,
        updated_at=now,
    )


def _if_price(price: Price | None) -> Price | None:
    return price if price is not None and price > ZERO else None
