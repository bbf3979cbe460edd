"""The books as one value and back, and what may be forgotten."""

from __future__ import annotations

from datetime import datetime

from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import Phase
from apex_cli.core.model.spelling import respelled_key
from apex_cli.core.venue.book import OcaGroup, VenueBook, WorkingOrder
from apex_cli.core.venue.lifecycle import BEFORE_ALL, WORKING, Desk, group_name


def dump(desk: Desk) -> VenueBook:
    """Return everything *desk* and its ledger know."""
    ledger = desk.ledger
    return VenueBook(
        cash=Usd(ledger.cash),
        base=ledger.base,
        foreign=dict(ledger.foreign),
        rates=dict(ledger.rates),
        positions=ledger.dump_positions(),
        orders=tuple(order.dump() for order in desk.orders.values()),
        groups=tuple(group.dump() for group in desk.groups.values()),
        fills=tuple(ledger.fills),
        prices=ledger.dump_prices(),
        last_number=desk.last_number,
        last_rank=desk.last_rank,
        last_execution=ledger.last_execution,
        now=None if desk.at is BEFORE_ALL else desk.at,
    )


def restore(book: VenueBook, desk: Desk) -> None:
    """Fill an empty *desk* from *book*."""
    ledger = desk.ledger
    ledger.foreign = dict(book.foreign)
    ledger.rates = dict(book.rates)
    ledger.restore_positions(book.positions)
    ledger.fills = list(book.fills)
    ledger.last_execution = book.last_execution
    desk.last_number = book.last_number
    desk.last_rank = book.last_rank
    desk.at = book.now or BEFORE_ALL
    for name, kept in book.prices.items():
        ledger.see(respelled_key(name), kept.price, kept.at, kept.volume)
    _restore_orders(book, desk)


def _restore_orders(book: VenueBook, desk: Desk) -> None:
    for kept in book.groups:
        group = OcaGroup(kept.name, kept.parent_id)
        group.size = kept.size
        group.filled = kept.filled
        group.allowed = kept.allowed
        group.is_done = kept.is_done
        desk.groups[kept.name] = group
    for row in book.orders:
        order = WorkingOrder.restored(row)
        desk.orders[order.id] = order
        if order.status is WORKING:
            desk.admit(order)
        _rejoin(order, desk)
    for order in sorted(desk.open.values(), key=lambda order: order.rank):
        if order.order.good_till is not None:
            desk.timed[order.id] = order
        if order.rank:
            order.phase = Phase.ANY
            desk.working.setdefault(order.key, []).append(order)
        elif order.phase is not Phase.ANY and (order.order.parent_id is None or (order.group and order.group.allowed)):
            desk.waiting[order.id] = order


def _rejoin(order: WorkingOrder, desk: Desk) -> None:
    """Put a kept order back into its group, and the group under its parent."""
    terms = order.order
    if terms.parent_id is None and terms.oca_group is None:
        return
    group = desk.groups.get(group_name(terms))
    if group is None:
        return
    group.legs.append(order)
    order.group = group
    parent = desk.orders.get(group.parent_id or "")
    if parent is None:
        return
    if parent.groups is None:
        parent.groups = []
    if group not in parent.groups:
        parent.groups.append(group)


def forget(desk: Desk, before: datetime) -> None:
    """Drop fills before *before*, and final orders last touched before it whose relatives are final too."""
    desk.ledger.fills = [fill for fill in desk.ledger.fills if fill.filled_at >= before]
    kept, old = set(), []
    for order in desk.orders.values():
        if order.status is WORKING or order.updated_at >= before:
            kept.add(order.order.parent_id or order.id)
        else:
            old.append(order)
    for order in old:
        if (order.order.parent_id or order.id) in kept or _group_is_needed(order, before):
            continue
        del desk.orders[order.id]
        if order.group is not None:
            desk.groups.pop(order.group.name, None)


def _group_is_needed(order: WorkingOrder, before: datetime) -> bool:
    legs = () if order.group is None else order.group.legs
    return any(leg.status is WORKING or leg.updated_at >= before for leg in legs)
