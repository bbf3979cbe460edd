"""The result of a close, read from orders and fills."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import ApexError, BrokerError, RefusedError
from apex_cli.core.model.currency import worth
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import profit, profit_pct
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import PositionRecord
from apex_cli.core.model.request import Closed, CloseStatus
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.wording import plain
from apex_cli.core.positions.booking import is_at_theory
from apex_cli.core.state.tables import State


def nothing_to_close(key: str, held: PositionRecord | None) -> Closed:
    """Return the result where fills have closed enough meanwhile."""
    left = held.position.quantity if held else Quantity(ZERO)
    status = CloseStatus.REDUCED if left else CloseStatus.CLOSED
    return Closed(symbol=key, status=status, quantity=Quantity(ZERO), remaining=left)


def _profit_of(state: State, record: OrderRecord, side: PositionSide, entry: Price, average: Price) -> Usd:
    """Return what *record* earned, in account currency: each of its fills by its own rate."""
    unit = record.order.instrument.multiplier
    fills = [fill for fill in state.fills.values() if fill.client_order_id == record.order.client_order_id]
    if not any(fill.rate for fill in fills):
        return profit(side, entry, average, record.filled_quantity, unit)
    gains = (worth(fill.rate, profit(side, entry, fill.price, fill.quantity, unit), fill.price) for fill in fills)
    return Usd(sum(gains, ZERO))


def what_came_of(state: State, record: OrderRecord, side: PositionSide, entry: Price) -> Closed:
    """Return what a closing order came to so far."""
    instrument, average = record.order.instrument, record.average_price
    held: PositionRecord | None = state.positions.get(instrument.key)
    pnl = pnl_pct = None
    if average is not None:
        pnl = _profit_of(state, record, side, entry, average)
        pnl_pct = profit_pct(side, entry, average)
    fraction = held.position.quantity - held.position.orderable if held else ZERO
    return Closed(
        symbol=instrument.key,
        status=_status_of(record, held),
        quantity=record.filled_quantity,
        remaining=held.position.quantity if held else Quantity(ZERO),
        exit_price=average,
        pnl=pnl,
        pnl_pct=pnl_pct,
        client_order_id=record.order.client_order_id,
        is_theoretical=is_at_theory(state, (record,)),
        warnings=(_fraction_left(instrument, fraction),) if fraction and record.status is OrderStatus.FILLED else (),
        trouble=_trouble_of(record, held, side),
    )


def _trouble_of(record: OrderRecord, held: PositionRecord | None, side: PositionSide) -> Reason | None:
    """Return what is wrong where a closing order ended short of its quantity, or went beyond what was held."""
    if held is None:
        return None
    order, position = record.order, held.position
    key, left = order.instrument.key, plain(position.quantity)
    if position.side is not side:
        return Reason(
            code="close_went_beyond",
            message=f"{key}: an exit filled while the closing order was on its way: {left} are held {position.side} "
            f"now, which nobody asked for. Look at the broker, then apex close {key}.",
        )
    if not (record.status.is_final and ZERO < record.filled_quantity < order.quantity):
        return None
    return Reason(
        code="close_incomplete",
        message=f"{key}: {plain(record.filled_quantity)} of {plain(order.quantity)} were closed, and the rest of the "
        f"closing order ended{f': {record.reason}' if record.reason else ''}. {left} are still held.",
    )


def _fraction_left(instrument: Instrument, fraction: Decimal) -> Reason:
    return Reason(
        code="fraction_left",
        message=f"{instrument.key}: {fraction} are less than one unit and stay; only the broker's program closes them.",
        value=f"{fraction}",
    )


def closed_now(state: State, closed: Closed) -> Closed:
    """Return *closed* with the status that its order has now, and what has filled since."""
    record: OrderRecord = state.orders[closed.client_order_id]
    if closed.status is not CloseStatus.WORKING or record.status is OrderStatus.WORKING:
        return closed
    side = record.order.side.opposite.opens
    return replace(what_came_of(state, record, side, _entry_price(state, record)), warnings=closed.warnings)


def closed_for(state: State, request_id: str) -> Closed | None:
    """Return what became of a close that was begun for *request_id*; None when nothing was ever sent."""
    for record in state.orders.values():
        order = record.order
        if (
            order.request_id == request_id
            and order.role is OrderRole.CLOSE
            and record.status is not OrderStatus.NEVER_SENT
        ):
            side = order.side.opposite.opens
            return what_came_of(state, record, side, _entry_price(state, record))
    return None


def _entry_price(state: State, record: OrderRecord) -> Price:
    """Return the entry price of what *record* closed: of what is still held, or of the round trip it ended."""
    key = record.order.instrument.key
    held: PositionRecord | None = state.positions.get(key)
    if held is not None:
        return held.position.entry_price
    ended = [trip.entry_price for trip in state.round_trips.values() if trip.instrument.key == key]
    return ended[-1] if ended else record.order.reference_price or Price(ZERO)


def close_failure(key: str, record: OrderRecord, *, is_covered: bool, was_touched: bool) -> ApexError:
    """Return the error of a close that did not happen; exits that were touched for it are put back before."""
    hint = "The stop was put back; look at apex positions." if was_touched else "Its stop and targets stay in place."
    if not is_covered:
        hint = "The stop could not be put back: the position is unprotected. Look at apex positions now."
    why = record.reason.rstrip(".") or record.status.lower()
    if record.status is OrderStatus.NEVER_SENT:
        return BrokerError("close_not_sent", f"{key}: the closing order could not be sent: {why}.", hint=hint)
    return RefusedError("close_rejected", f"{key}: the closing order was not accepted: {why}.", hint=hint)


def _status_of(record: OrderRecord, held: PositionRecord | None) -> CloseStatus:
    match record.status:
        case OrderStatus.FILLED:
            return CloseStatus.REDUCED if held else CloseStatus.CLOSED
        case OrderStatus.CANCELLED | OrderStatus.EXPIRED | OrderStatus.REJECTED if record.filled_quantity or not held:
            return CloseStatus.REDUCED if held else CloseStatus.CLOSED
        case OrderStatus.WORKING:
            return CloseStatus.WORKING
        case _:
            return CloseStatus.UNKNOWN
