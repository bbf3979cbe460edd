"""Brings an older book of the venue up to date from the journal: orders, executions, and ended orders.

The venue numbers orders and executions without a gap, so a book that does not know the newest numbers is an older one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.order import OrderRecord, OrderStatus
from apex_cli.core.venue.book import VenueBook, VenueOrder, VenuePrice, WorkingOrder
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.lifecycle import WORKING, Desk
from apex_cli.core.venue.settlement import EXECUTION_PREFIX, Ledger
from apex_cli.core.venue.snapshot import dump, restore

NO_TRACE = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN, OrderStatus.NEVER_SENT, OrderStatus.REJECTED})
"""An order of which the venue may know nothing, or nothing that matters."""


class OutOfReachError(Exception):
    """What is known does not lead from the book to the present; the text says where it breaks off."""


class Marks(NamedTuple):
    """The newest numbers of a venue."""

    order: int = 0
    execution: int = 0

    def is_behind(self, other: Marks) -> bool:
        """Return whether *other* knows more."""
        return self.order < other.order or self.execution < other.execution


def marks_of_book(book: VenueBook) -> Marks:
    """Return the newest numbers that *book* gave out."""
    return Marks(book.last_number, book.last_execution)


def marks_of(orders: Iterable[OrderRecord], fills: Iterable[Fill]) -> Marks:
    """Return the newest numbers among *orders* and *fills* of this venue; those of another broker do not count."""
    executions = max((_execution_number(fill) for fill in fills), default=0)
    return Marks(max((_order_number(record) for record in orders), default=0) if executions else 0, executions)


def _execution_number(fill: Fill) -> int:
    number = fill.key.removeprefix(EXECUTION_PREFIX)
    return int(number) if fill.key.startswith(EXECUTION_PREFIX) and number.isdigit() else 0


def _order_number(record: OrderRecord) -> int:
    number = record.broker_order_id or ""
    return int(number) if number.isdigit() else 0


def caught_up(book: VenueBook, orders: Iterable[OrderRecord], fills: Iterable[Fill]) -> VenueBook:
    """Return *book* with all that happened since, by what is known of *orders* and *fills*.

    Raises:
        OutOfReachError: an execution is missing, or does not fit the order that it belongs to.
    """
    ledger = Ledger(book.cash, CostModel(), book.base)
    desk = Desk(ledger)
    restore(book, desk)
    records = [record for record in orders if record.status not in NO_TRACE]
    later = sorted((fill for fill in fills if _execution_number(fill) > book.last_execution), key=_execution_number)
    arrived = [record for record in records if _order_number(record) > book.last_number]
    for _, _, happened in sorted(
        [*((record.created_at, _order_number(record), record) for record in arrived)]
        + [(fill.filled_at, _AFTER_ORDERS + _execution_number(fill), fill) for fill in later],
        key=lambda event: event[:2],
    ):
        if isinstance(happened, Fill):
            _book(desk, happened)
            ledger.see(happened.instrument.key, happened.price, happened.filled_at)
        else:
            _accept(desk, happened)
    for record in records:
        if record.order.client_order_id in desk.orders:
            _settle(desk, record)
    desk.sweep()
    return _with_costs(dump(desk), {fill.key: fill for fill in later}, book.prices)


_AFTER_ORDERS = 1 << 40
"""Executions come after the orders of the same moment."""


def _accept(desk: Desk, record: OrderRecord) -> None:
    if record.order.parent_id is not None and record.order.parent_id not in desk.orders:
        raise OutOfReachError(f"{record.order.client_order_id}: the order that it belongs to is not known")
    desk.at = max(desk.at, record.created_at)
    desk.last_number = max(desk.last_number, _order_number(record) - 1)
    desk.accept(record.order, desk.at)


def _book(desk: Desk, fill: Fill) -> None:
    """Book an execution of an order, or the end of a contract, which is of no order."""
    if fill.settlement is None:
        _fill(desk, fill)
        return
    if _execution_number(fill) != desk.ledger.last_execution + 1:
        raise OutOfReachError(f"execution {fill.exec_id} does not follow what the book knows")
    desk.ledger.deliver(fill.instrument, fill.quantity * fill.side.sign, fill.price, fill.settlement, fill.filled_at)


def _fill(desk: Desk, fill: Fill) -> None:
    order = desk.orders.get(fill.client_order_id)
    number = _execution_number(fill)
    if order is None or order.status is not WORKING or number != desk.ledger.last_execution + 1:
        raise OutOfReachError(f"execution {fill.exec_id} does not follow what the book knows")
    desk.at = max(desk.at, fill.filled_at)
    if fill.rate is not None:
        desk.ledger.rates[fill.rate.currency] = fill.rate.value
    desk.seq += 1
    desk.cap, desk.cap_is_shared = fill.quantity, True
    order.quantity = max(order.quantity, order.filled + fill.quantity)
    desk.fill(order, fill.price)
    if desk.ledger.last_execution != number or desk.ledger.fills[-1].quantity != fill.quantity:
        raise OutOfReachError(f"execution {fill.exec_id} does not fit its order")
    desk.sweep()


def _settle(desk: Desk, record: OrderRecord) -> None:
    """Give an order the terms and the end that are known of it."""
    order = desk.orders[record.order.client_order_id]
    if order.status is not WORKING:
        return
    desk.at = max(desk.at, record.updated_at)
    if not record.is_open:
        desk.finish(order, record.status, record.reason)
        return
    _change(order, record)


def _change(order: WorkingOrder, record: OrderRecord) -> None:
    terms = record.order
    if terms.stop_price != order.order.stop_price:
        order.trigger = terms.stop_price
    order.order = terms
    order.quantity = terms.quantity
    order.become(order.kind)


def _with_costs(book: VenueBook, later: dict[str, Fill], before: dict[str, VenuePrice]) -> VenueBook:
    """Return *book* with the commissions that the executions had, and prices of what did not trade."""
    paid: dict[str, Decimal] = {}
    cash, foreign = Decimal(book.cash), dict(book.foreign)
    for fill in later.values():
        paid[fill.client_order_id] = paid.get(fill.client_order_id, ZERO) + fill.commission
        charged_in = fill.commission_currency
        if charged_in:
            foreign[charged_in] = foreign.get(charged_in, ZERO) - fill.commission
        else:
            cash -= fill.commission
    return replace(
        book,
        cash=Usd(cash),
        foreign=foreign,
        fills=tuple(later.get(fill.key, fill) for fill in book.fills),
        orders=tuple(_charged(row, paid.get(row.order.client_order_id)) for row in book.orders),
        prices={**before, **book.prices},
    )


def _charged(row: VenueOrder, commission: Decimal | None) -> VenueOrder:
    return row if commission is None else replace(row, commission=Usd(row.commission + commission))
