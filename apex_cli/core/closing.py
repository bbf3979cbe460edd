"""Closes a position, whole or in part, without ever selling more than is held.

The exits go first: cancelled for what is closed, shrunk for what stays, each confirmed by the
broker. A fill that comes meanwhile is booked and lowers what is left to close. Only then the
closing order leaves, for no more than is held. A resting limit leaves together with a stop, as
one OCA group, so that nothing is ever without protection.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.errors import InputError, NothingToDo, OutcomeUnknownError, RefusedError
from apex_cli.core.executor import TradeExecutor
from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus
from apex_cli.core.model.outcome import TradingMode
from apex_cli.core.model.position import profit, profit_pct
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.rules.brackets import ExitChanges, close_order, exits_for_remaining, part_of
from apex_cli.core.rules.calendar import market_status
from apex_cli.core.rules.protection import next_leg_id, replacement_stop
from apex_cli.core.state import State


class CloseRequest(Value, frozen=True, kw_only=True):
    """What to close: a fraction or a quantity of it, or all."""

    symbol: str
    fraction: Decimal | None = None
    quantity: Quantity | None = None
    limit_price: Price | None = None
    reason: str = "manual"


class Closed(Value, frozen=True, kw_only=True):
    """What became of a close."""

    symbol: str
    status: str
    """``closed``, ``reduced``, ``working`` (a limit rests) or ``unknown``."""

    quantity: Quantity
    """Units this request closed."""

    remaining: Quantity
    exit_price: Price | None = None
    pnl: Usd | None = None
    """Of what this request closed, before commissions."""

    pnl_pct: Decimal | None = None
    client_order_id: str = ""


def find_position(state: State, symbol: str) -> PositionRecord:
    """Return the position that *symbol* names, by key or, when that is clear, by symbol alone.

    Raises:
        NothingToDo: nothing of that name is held.
        InputError: several securities of that symbol are held.
    """
    wanted = symbol.upper()
    rows = [row for key, row in state.positions.items() if wanted in {key.upper(), row.position.instrument.symbol}]
    exact = [row for row in rows if row.position.instrument.key.upper() == wanted]
    if len(exact or rows) == 1:
        return (exact or rows)[0]
    if not rows:
        held = ", ".join(state.positions) or "nothing"
        raise NothingToDo("no_position", f"There is no open position in {symbol}.", hint=f"Held: {held}.")
    names = ", ".join(repr(row.position.instrument.key) for row in rows)
    raise InputError("ambiguous_symbol", f"{symbol} could be {names}.", hint="Name one of them.")


async def close_position(executor: TradeExecutor, request: CloseRequest) -> Closed:
    """Close what *request* asks for, and return what came of it.

    Raises:
        NothingToDo: nothing is held, or its market is closed: the stop stays where it is.
        InputError: the quantity is not held, or off the step.
        RefusedError: trading is halted, or the broker rejected the order.
        OutcomeUnknownError: the broker did not confirm in time; look before doing more.
    """
    executor.sync()
    row = find_position(executor.store.view(), request.symbol)
    _require_permission(executor, row)
    wanted = _wanted_quantity(row, request)
    remaining = Quantity(row.position.quantity - wanted)
    await _release_exits(executor, row, remaining)
    held = executor.store.view().positions.get(row.position.instrument.key)
    if held is None or held.position.quantity <= remaining:
        left = held.position.quantity if held else Quantity(ZERO)
        return Closed(
            symbol=request.symbol, status="reduced" if left else "closed", quantity=Quantity(ZERO), remaining=left
        )
    orders = _closing_orders(executor, held, Quantity(held.position.quantity - remaining), request)
    executor.intend(orders, subject=_subject(executor, held))
    await executor.send(orders)
    return await _outcome(executor, held, orders[0], request)


def _require_permission(executor: TradeExecutor, row: PositionRecord) -> None:
    state = executor.store.view()
    instrument = row.position.instrument
    if state.trading.mode is TradingMode.HALTED:
        raise RefusedError(
            "trading_halted",
            f"Trading is halted{f': {state.trading.reason}' if state.trading.reason else ''}. Stops stay in place.",
            hint="apex reduce allows closing; apex resume allows everything.",
        )
    unknown = [r.order.client_order_id for r in orders_of(state, instrument.key) if r.status is OrderStatus.UNKNOWN]
    if unknown:
        raise OutcomeUnknownError(
            "order_unknown",
            f"{instrument.key}: the outcome of {', '.join(unknown)} is unknown; closing now could sell twice.",
            hint="Look at apex orders; apex run --once asks the broker again.",
        )
    market = market_status(instrument.market_type, executor.clock.now())
    if executor.limits.risk.enforce_market_hours and not market.is_open:
        opens = f" It opens {market.opens_at:%Y-%m-%d %H:%M} UTC." if market.opens_at else ""
        raise NothingToDo(
            "market_closed",
            f"The market for {instrument.key} is closed ({market.why}).{opens} Its stop stays in place.",
            hint="Run it again when the market is open.",
        )


def _wanted_quantity(row: PositionRecord, request: CloseRequest) -> Quantity:
    position = row.position
    if request.fraction is not None:
        return part_of(position, request.fraction)
    if request.quantity is None:
        return position.quantity
    step = position.instrument.quantity_step
    if not ZERO < request.quantity <= position.quantity or request.quantity % step:
        raise InputError(
            "quantity_invalid",
            f"{request.symbol}: cannot close {request.quantity} of {position.quantity}.",
            hint=f"Give a multiple of {step}, at most {position.quantity}.",
        )
    return request.quantity


async def _release_exits(executor: TradeExecutor, row: PositionRecord, remaining: Quantity) -> None:
    """Cancel and shrink exits until no more than *remaining* rests, confirmed by the broker."""
    key = row.position.instrument.key
    changes = exits_for_remaining(orders_of(executor.store.view(), key), remaining)
    for client_order_id in changes.cancel:
        await executor.broker.cancel(client_order_id)
    for order in changes.shrink:
        await executor.broker.modify(order)
    if not await executor.settle(lambda state: _is_released(state, changes)):
        raise OutcomeUnknownError(
            "exits_unconfirmed",
            f"{key}: the broker did not confirm that the resting exits are gone; nothing was sold.",
            hint="Look at apex orders, then try again.",
        )


def _is_released(state: State, changes: ExitChanges) -> bool:
    gone = all(_is_final(state, client_order_id) for client_order_id in changes.cancel)
    return gone and all(
        _is_final(state, order.client_order_id) or state.orders[order.client_order_id].order.quantity <= order.quantity
        for order in changes.shrink
    )


def _is_final(state: State, client_order_id: str) -> bool:
    record: OrderRecord | None = state.orders.get(client_order_id)
    return record is None or record.status.is_final


def _closing_orders(
    executor: TradeExecutor, row: PositionRecord, quantity: Quantity, request: CloseRequest
) -> tuple[Order, ...]:
    """Return the closing order; for a resting limit, with a stop as its OCA partner."""
    state = executor.store.view()
    position = row.position
    records = [r for r in state.orders.values() if r.order.bracket_id == position.bracket_id]
    bracket_id = position.bracket_id or executor.ids.new()
    name = next_leg_id(bracket_id, "C", records)
    number = int(name.rpartition("C")[2])
    order = close_order(
        position,
        bracket_id=bracket_id,
        number=number,
        quantity=quantity,
        limit_price=request.limit_price,
        reference_price=row.current_price,
    )
    order = replace(order, note=request.reason)
    bracket: BracketRecord | None = state.brackets.get(position.bracket_id)
    if request.limit_price is None or bracket is None:
        return (order,)
    group = f"{order.client_order_id}-OCA"
    stop = replacement_stop(position, bracket, quantity, records)
    return (replace(order, oca_group=group), replace(stop, oca_group=group))


async def _outcome(executor: TradeExecutor, row: PositionRecord, order: Order, request: CloseRequest) -> Closed:
    rests = request.limit_price is not None
    await executor.settle(lambda state: rests or _is_final(state, order.client_order_id))
    state = executor.store.view()
    record = state.orders[order.client_order_id]
    if record.status in {OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.CANCELLED, OrderStatus.EXPIRED}:
        await executor.restore_protection()
        raise RefusedError(
            "close_rejected",
            f"{request.symbol}: the closing order was not accepted: {record.reason or record.status.lower()}.",
            hint="The stop was put back; look at apex positions.",
        )
    position = row.position
    held = state.positions.get(position.instrument.key)
    average = record.average_price
    return Closed(
        symbol=position.instrument.key,
        status=_status_word(record, held),
        quantity=record.filled_quantity,
        remaining=held.position.quantity if held else Quantity(ZERO),
        exit_price=average,
        pnl=profit(position.side, position.entry_price, average, record.filled_quantity, position.instrument.multiplier)
        if average is not None
        else None,
        pnl_pct=profit_pct(position.side, position.entry_price, average) if average is not None else None,
        client_order_id=order.client_order_id,
    )


def _status_word(record: OrderRecord, held: PositionRecord | None) -> str:
    match record.status:
        case OrderStatus.FILLED:
            return "reduced" if held else "closed"
        case OrderStatus.WORKING:
            return "working"
        case _:
            return "unknown"


def orders_of(state: State, key: str) -> Sequence[OrderRecord]:
    """Return every order of one instrument."""
    return [record for record in state.orders.values() if record.order.instrument.key == key]


def _subject(executor: TradeExecutor, row: PositionRecord) -> str:
    bracket: BracketRecord | None = executor.store.view().brackets.get(row.position.bracket_id)
    return bracket.signal_id if bracket else row.position.instrument.symbol
