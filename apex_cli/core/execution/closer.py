"""Closes a position, whole or in part, without ever selling more than is held.

The exits go first: cancelled for what is closed, shrunk for what stays, each confirmed by the
broker. A fill that comes meanwhile is booked and lowers what is left to close. Only then the
closing order leaves, for no more than is held. A resting limit leaves together with a stop, as
one OCA group, so that nothing is ever without protection.
"""

from __future__ import annotations

from msgspec.structs import replace

from apex_cli.core.decision.brackets import ExitChanges, close_order, exits_for_remaining, part_of
from apex_cli.core.errors import ApexError, BrokerError, InputError, NothingToDo, OutcomeUnknownError, RefusedError
from apex_cli.core.execution.executor import TradeExecutor
from apex_cli.core.execution.guard import held_on_both_sides, orders_of
from apex_cli.core.market.calendar import market_status
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderSide, OrderStatus
from apex_cli.core.model.position import PositionSide, profit, profit_pct
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import Closed, CloseRequest
from apex_cli.core.positions.protection import is_unsure, next_leg_id, replacement_stop
from apex_cli.core.state.tables import State

FAILED = frozenset({OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.CANCELLED, OrderStatus.EXPIRED})


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
        message = f"There is no open position in {symbol}."
        raise NothingToDo("no_position", message, hint=f"Held: {held}.", details={"symbol": symbol})
    names = ", ".join(repr(row.position.instrument.key) for row in rows)
    raise InputError("ambiguous_symbol", f"{symbol} could be {names}.", hint="Name one of them.")


async def close_position(
    executor: TradeExecutor, request: CloseRequest, *, request_id: str = "", is_protective: bool = False
) -> Closed:
    """Close what *request* asks for, and return what came of it.

    The closing order carries *request_id*, so that a process that takes over finds it. A protective close is done in
    every trading state.

    Raises:
        NothingToDo: nothing is held, or its market is closed: the stop stays where it is.
        InputError: the quantity is not held, or off the step.
        RefusedError: trading is halted, the broker holds less, or it rejected the order.
        BrokerError: the broker cannot be reached; nothing was sold.
        OutcomeUnknownError: the broker did not confirm in time; look before doing more.
        BusyError: it is being closed already.
    """
    executor.sync()
    row = find_position(executor.store.view(), request.symbol)
    _require_permission(executor, row, is_protective=is_protective)
    _require_held(executor, row, _wanted_quantity(row, request))
    key = row.position.instrument.key
    with executor.guard.hands_off(key):
        try:
            return await _close(executor, key, request, request_id)
        finally:
            await executor.guard.mend(key)


async def _close(executor: TradeExecutor, key: str, request: CloseRequest, request_id: str) -> Closed:
    """Stop entries, release exits, then close what is still held beyond what shall remain."""
    await _stop_entries(executor, key)
    row: PositionRecord | None = executor.store.view().positions.get(key)
    remaining = Quantity(row.position.quantity - _wanted_quantity(row, request) if row else ZERO)
    await _release_exits(executor, key, remaining)
    held: PositionRecord | None = executor.store.view().positions.get(key)
    if held is None or held.position.quantity <= remaining:
        left = held.position.quantity if held else Quantity(ZERO)
        return Closed(symbol=key, status="reduced" if left else "closed", quantity=Quantity(ZERO), remaining=left)
    orders = _closing_orders(executor, held, Quantity(held.position.quantity - remaining), request)
    orders = tuple(replace(order, request_id=request_id) for order in orders)
    executor.intend(orders, subject=_subject(executor, held))
    await executor.send(orders)
    return await _outcome(executor, held, orders[0], request)


def _require_held(executor: TradeExecutor, row: PositionRecord, wanted: Quantity) -> None:
    """Refuse to sell what the broker is known not to hold: that would open the other side."""
    key = row.position.instrument.key
    held = held_on_both_sides(executor.store.view(), key)
    most = held.quantity if held is not None else ZERO
    if wanted > most:
        raise RefusedError(
            "not_at_broker",
            f"{key}: {row.position.quantity} are held here, but only {most} at the broker; {wanted} cannot be closed.",
            hint=f"Take over what the broker holds: apex reconcile --adopt {key!r}"
            + (f"; or close --quantity {most}." if most else "."),
        )


def _require_permission(executor: TradeExecutor, row: PositionRecord, *, is_protective: bool) -> None:
    state = executor.store.view()
    instrument = row.position.instrument
    if state.trading.mode is TradingMode.HALTED and not is_protective:
        raise RefusedError(
            "trading_halted",
            f"Trading is halted{f': {state.trading.reason}' if state.trading.reason else ''}. Stops stay in place.",
            hint="apex reduce allows closing; apex resume allows everything.",
        )
    unknown = [r.order.client_order_id for r in orders_of(state, instrument.key) if is_unsure(r)]
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
        if not ZERO < request.fraction <= 1:
            raise InputError(
                "fraction_invalid",
                f"{request.symbol}: cannot close a fraction of {request.fraction}.",
                hint="Give more than 0, and at most 1; 0.5 is half.",
            )
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


async def _stop_entries(executor: TradeExecutor, key: str) -> None:
    """Cancel what is left of entries, confirmed by the broker: nothing is opened beside a close."""
    entries = [
        r.order.client_order_id
        for r in orders_of(executor.store.view(), key)
        if r.is_open and r.order.role is OrderRole.ENTRY
    ]
    _end_following(executor, key)
    failure = await executor.ask_cancel(entries)
    if not await executor.settle(lambda state: all(_is_final(state, name) for name in entries)):
        raise failure or OutcomeUnknownError(
            "entry_unconfirmed",
            f"{key}: the broker did not confirm that the rest of the entry is cancelled; nothing was sold.",
            hint="Look at apex orders, then try again.",
        )


def _end_following(executor: TradeExecutor, key: str) -> None:
    """Let no entry of *key* be sent anew at another price."""
    if not executor.store.view().resting:
        return
    with executor.store.transaction() as tx:
        for row in [r for r in tx.resting.values() if r.opportunity.signal.instrument.key == key]:
            del tx.resting[row.bracket_id]


async def _release_exits(executor: TradeExecutor, key: str, remaining: Quantity) -> None:
    """Cancel and shrink exits until no more than *remaining* rests, confirmed by the broker."""
    changes = exits_for_remaining(orders_of(executor.store.view(), key), remaining)
    failure = await executor.ask_cancel(changes.cancel) or await executor.ask_modify(changes.shrink)
    if not await executor.settle(lambda state: _is_released(state, changes)):
        raise failure or OutcomeUnknownError(
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
    """Tell whether an order has ended and everything it filled is booked."""
    record: OrderRecord | None = state.orders.get(client_order_id)
    return record is None or (record.status.is_final and not is_unsure(record))


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
    name = order.client_order_id
    rests = request.limit_price is not None
    await executor.settle(lambda state: _is_answered(state, name) if rests else _is_final(state, name))
    state = executor.store.view()
    record = state.orders[name]
    held: PositionRecord | None = state.positions.get(row.position.instrument.key)
    is_still_held = held is not None and held.position.quantity > row.position.quantity - order.quantity
    if record.status in FAILED and not record.filled_quantity and is_still_held:
        raise await _failure(executor, row.position.instrument.key, record)
    return _closed(state, record, row.position.side, row.position.entry_price)


def _closed(state: State, record: OrderRecord, side: PositionSide, entry: Price) -> Closed:
    """Return what a closing order came to so far."""
    instrument, average = record.order.instrument, record.average_price
    held: PositionRecord | None = state.positions.get(instrument.key)
    pnl = pnl_pct = None
    if average is not None:
        pnl = profit(side, entry, average, record.filled_quantity, instrument.multiplier)
        pnl_pct = profit_pct(side, entry, average)
    return Closed(
        symbol=instrument.key,
        status=_status_word(record, held),
        quantity=record.filled_quantity,
        remaining=held.position.quantity if held else Quantity(ZERO),
        exit_price=average,
        pnl=pnl,
        pnl_pct=pnl_pct,
        client_order_id=record.order.client_order_id,
    )


def closed_for(state: State, request_id: str) -> Closed | None:
    """Return what became of a close that was begun for *request_id*; None when nothing was ever sent."""
    for record in state.orders.values():
        order = record.order
        if (
            order.request_id == request_id
            and order.role is OrderRole.CLOSE
            and record.status is not OrderStatus.NEVER_SENT
        ):
            side = PositionSide.LONG if order.side is OrderSide.SELL else PositionSide.SHORT
            return _closed(state, record, side, _entry_price(state, record))
    return None


def _entry_price(state: State, record: OrderRecord) -> Price:
    """Return the entry price of what *record* closed: of what is still held, or of the round trip it ended."""
    key = record.order.instrument.key
    held: PositionRecord | None = state.positions.get(key)
    if held is not None:
        return held.position.entry_price
    ended = [trip.entry_price for trip in state.round_trips.values() if trip.instrument.key == key]
    return ended[-1] if ended else record.order.reference_price or Price(ZERO)


def _is_answered(state: State, client_order_id: str) -> bool:
    return not is_unsure(state.orders[client_order_id])


async def _failure(executor: TradeExecutor, key: str, record: OrderRecord) -> ApexError:
    """Put the stop back, and return what to tell of a close that did not happen."""
    is_covered = await executor.guard.protect(key, at_once=True)
    hint = "The stop was put back; look at apex positions."
    if not is_covered:
        hint = "The stop could not be put back: the position is unprotected. Look at apex positions now."
    why = record.reason.rstrip(".") or record.status.lower()
    if record.status is OrderStatus.NEVER_SENT:
        return BrokerError("close_not_sent", f"{key}: the closing order could not be sent: {why}.", hint=hint)
    return RefusedError("close_rejected", f"{key}: the closing order was not accepted: {why}.", hint=hint)


def _status_word(record: OrderRecord, held: PositionRecord | None) -> str:
    match record.status:
        case OrderStatus.FILLED:
            return "reduced" if held else "closed"
        case OrderStatus.CANCELLED | OrderStatus.EXPIRED | OrderStatus.REJECTED if record.filled_quantity or not held:
            return "reduced" if held else "closed"
        case OrderStatus.WORKING:
            return "working"
        case _:
            return "unknown"


def _subject(executor: TradeExecutor, row: PositionRecord) -> str:
    bracket: BracketRecord | None = executor.store.view().brackets.get(row.position.bracket_id)
    return bracket.signal_id if bracket else row.position.instrument.symbol
