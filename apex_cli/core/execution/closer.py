"""Closes a position, whole or in part, without ever selling more than is held.

The exits go first: cancelled for what is closed, shrunk for what stays, each confirmed by the
broker. A fill that comes meanwhile is booked and lowers what is left to close. Only then the
closing order leaves, for no more than is held. A resting limit leaves together with a stop, as
one OCA group, so that nothing is ever without protection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.brackets import ExitChanges, close_order, exits_for_remaining, part_of
from apex_cli.core.errors import ApexError, BrokerError, InputError, NothingToDo, OutcomeUnknownError, RefusedError
from apex_cli.core.execution.guard import Guard
from apex_cli.core.execution.orders import Orders
from apex_cli.core.market.calendar import market_status
from apex_cli.core.market.expiry import has_expired
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import Reason
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderSide, OrderStatus
from apex_cli.core.model.position import PositionSide, profit, profit_pct
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import Closed, CloseRequest, CloseStatus, EntriesCancelled
from apex_cli.core.model.spelling import names_key, same_security
from apex_cli.core.ports import Clock, Ids, StateStore
from apex_cli.core.positions.protection import held_on_both_sides, is_unsure, next_leg_id, orders_of, replacement_stop
from apex_cli.core.state.tables import State

FAILED = frozenset({OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.CANCELLED, OrderStatus.EXPIRED})


def find_position(state: State, symbol: str) -> PositionRecord:
    """Return the position that *symbol* names, by key or, when that is clear, by symbol alone.

    Raises:
        NothingToDo: nothing of that name is held.
        InputError: several securities of that symbol are held.
    """
    named: PositionRecord | None = state.positions.get(symbol)
    if named is not None:
        return named
    rows: list[PositionRecord] = [
        row for row in state.positions.values() if same_security(symbol, row.position.instrument)
    ]
    exact = [row for row in rows if names_key(symbol, row.position.instrument.key)]
    if len(exact or rows) == 1:
        return (exact or rows)[0]
    if not rows:
        held = ", ".join(state.positions) or "nothing"
        message = f"There is no open position in {symbol}."
        raise NothingToDo("no_position", message, hint=f"Held: {held}.", details={"symbol": symbol})
    names = ", ".join(repr(row.position.instrument.key) for row in rows)
    raise InputError("ambiguous_symbol", f"{symbol} could be {names}.", hint="Name one of them.")


class Closer:
    """Closes positions with orders, while the guard leaves their exits alone."""

    def __init__(
        self, *, orders: Orders, guard: Guard, store: StateStore, clock: Clock, ids: Ids, enforce_market_hours: bool
    ) -> None:
        """Keep the parts; with *enforce_market_hours* nothing is closed while its market is closed."""
        self._orders = orders
        self._guard = guard
        self._store = store
        self._clock = clock
        self._ids = ids
        self._enforce_market_hours = enforce_market_hours

    async def close(self, request: CloseRequest, *, request_id: str = "") -> Closed:
        """Close what *request* asks for, and return the result.

        The closing order carries *request_id*, so that a process that takes over finds it. It is done in every trading
        state: whoever acts without being asked, such as time exits, looks at that state before.

        Raises:
            NothingToDo: nothing is held, or its market is closed: the stop stays where it is.
            InputError: the quantity is not held, or off the step.
            RefusedError: the broker holds less, or it rejected the order.
            BrokerError: the broker cannot be reached; nothing was sold.
            OutcomeUnknownError: the broker did not confirm in time; look before doing more.
            BusyError: it is being closed already.
        """
        self._orders.sync()
        key = self._permitted(request)
        state = self._store.view()
        await self._orders.require_ready(r.order.client_order_id for r in orders_of(state, key) if r.is_open)
        with self._guard.hands_off(key):
            try:
                return await self._close(key, request, request_id)
            finally:
                await self._guard.mend(key)

    async def cancel_entries(self, symbol: str) -> EntriesCancelled:
        """Cancel what is left of the entries in a security, confirmed by the broker.

        Raises:
            NothingToDo: no entry works.
            BrokerError: the broker cannot be reached; nothing was asked for.
            OutcomeUnknownError: the broker did not confirm in time.
        """
        self._orders.sync()
        names = tuple(_open_entries(self._store.view(), symbol))
        if not names:
            raise NothingToDo("no_entry", f"No entry in {symbol} works.", hint="Look at apex orders.")
        await self._orders.require_ready(names)
        with self._guard.hands_off(symbol):
            for error in (await self._stop_entries((symbol,))).values():
                raise error
        return EntriesCancelled(symbol=symbol, client_order_ids=names)

    async def close_together(self, requests: Sequence[CloseRequest]) -> tuple[Closed | ApexError, ...]:
        """Close what several requests ask for, with one commit for each step of all of them.

        The steps are those of ``close``, and one that fails stops no other. For closes at market: nothing rests.
        """
        self._orders.sync()
        outcomes: dict[int, Closed | ApexError] = {}
        wanted: dict[str, CloseRequest] = {}
        places: dict[str, int] = {}
        with ExitStack() as hands_off:
            for place, request in enumerate(requests):
                try:
                    key = self._permitted(request)
                    hands_off.enter_context(self._guard.hands_off(key))
                except ApexError as error:
                    outcomes[place] = error
                else:
                    wanted[key] = request
                    places[key] = place
            try:
                found = await self._close_all(wanted)
            finally:
                for key in wanted:
                    await self._guard.mend(key)
        outcomes |= {places[key]: outcome for key, outcome in found.items()}
        return tuple(outcomes[place] for place in range(len(requests)))

    async def _close_all(self, wanted: Mapping[str, CloseRequest]) -> dict[str, Closed | ApexError]:
        """Stop entries, release exits, then close what is still held of each; return by security what came of it."""
        state = self._store.view()
        found: dict[str, Closed | ApexError] = {}
        try:
            await self._orders.require_ready(
                r.order.client_order_id for key in wanted for r in orders_of(state, key) if r.is_open
            )
        except BrokerError as error:
            return dict.fromkeys(wanted, error)
        found |= await self._stop_entries(tuple(wanted))
        state = self._store.view()
        remaining = {
            key: _remaining(state.positions.get(key), request) for key, request in wanted.items() if key not in found
        }
        unreleased, notes = await self._release_all(remaining)
        found |= unreleased
        left = {key: quantity for key, quantity in remaining.items() if key not in found}
        sent: dict[str, tuple[PositionRecord, Order]] = {}
        with self._store.transaction() as tx:
            for key, quantity in left.items():
                held: PositionRecord | None = tx.positions.get(key)
                if held is None or held.position.quantity <= quantity:
                    found[key] = _nothing_to_close(key, held)
                    continue
                orders = self._intended(tx, held, quantity, wanted[key], "")
                sent[key] = (held, orders[0])
        if sent:
            await self._orders.send_together([(order,) for _, order in sent.values()])
            names = [order.client_order_id for _, order in sent.values()]
            await self._orders.settle(lambda state: all(_is_final(state, name) for name in names))
        for key, (held, order) in sent.items():
            try:
                found[key] = await self._outcome(held, order, wanted[key])
            except ApexError as error:
                found[key] = error
        return {key: _with_notes(outcome, notes.get(key, ())) for key, outcome in found.items()}

    def _permitted(self, request: CloseRequest) -> str:
        """Return the key of the position that *request* names; refused where it must not be closed now."""
        state = self._store.view()
        row = find_position(state, request.symbol)
        self._require_permission(state, row)
        _require_held(state, row, _wanted_quantity(row, request))
        return row.position.instrument.key

    async def _close(self, key: str, request: CloseRequest, request_id: str) -> Closed:
        """Stop entries, release exits, then close what is still held beyond what shall remain."""
        for error in (await self._stop_entries((key,))).values():
            raise error
        remaining = _remaining(self._held(key), request)
        unreleased, notes = await self._release_all({key: remaining})
        for error in unreleased.values():
            raise error
        closed = await self._close_rest(key, remaining, request, request_id)
        return replace(closed, warnings=(*closed.warnings, *notes[key]))

    async def _close_rest(self, key: str, remaining: Quantity, request: CloseRequest, request_id: str) -> Closed:
        """Send the closing order for what is still held beyond *remaining*."""
        held = self._held(key)
        if held is None or held.position.quantity <= remaining:
            return _nothing_to_close(key, held)
        with self._store.transaction() as tx:
            orders = self._intended(tx, held, remaining, request, request_id)
        await self._orders.send(orders)
        return await self._outcome(held, orders[0], request)

    def _intended(
        self, tx: State, held: PositionRecord, remaining: Quantity, request: CloseRequest, request_id: str
    ) -> tuple[Order, ...]:
        """Write down the orders that close what is held beyond *remaining*."""
        bracket_id = held.position.bracket_id or self._ids.new()
        quantity = Quantity(held.position.quantity - remaining)
        orders = _closing_orders(tx, held, bracket_id, quantity, request)
        orders = tuple(replace(order, request_id=request_id) for order in orders)
        self._orders.intend(tx, orders, self._clock.now(), subject=_subject(tx, held))
        return orders

    def _held(self, key: str) -> PositionRecord | None:
        row: PositionRecord | None = self._store.view().positions.get(key)
        return row

    def _require_permission(self, state: State, row: PositionRecord) -> None:
        instrument = row.position.instrument
        unknown = [r.order.client_order_id for r in orders_of(state, instrument.key) if is_unsure(r)]
        if unknown:
            raise OutcomeUnknownError(
                "order_unknown",
                f"{instrument.key}: the outcome of {', '.join(unknown)} is unknown; closing now could sell twice.",
                hint="Look at apex orders; apex run --once asks the broker again.",
            )
        if has_expired(instrument, self._clock.now()):
            raise NothingToDo(
                "expired",
                f"{instrument.key} does not trade any more: it expired on {instrument.expiry}.",
                hint="The broker settles it; the next apex run books how.",
            )
        market = market_status(instrument.market_type, self._clock.now())
        if self._enforce_market_hours and not market.is_open:
            opens = f" It opens {market.opens_at:%Y-%m-%d %H:%M} UTC." if market.opens_at else ""
            raise NothingToDo(
                "market_closed",
                f"The market for {instrument.key} is closed ({market.why}).{opens} Its stop stays in place.",
                hint="Run it again when the market is open.",
            )

    async def _stop_entries(self, keys: Collection[str]) -> dict[str, ApexError]:
        """Cancel what is left of entries, confirmed by the broker: nothing is opened beside a close.

        Returns:
            The error by security where that was not confirmed.
        """
        state = self._store.view()
        entries = {key: _open_entries(state, key) for key in keys}
        self._end_following(keys)
        failure = await self._orders.cancel(name for names in entries.values() for name in names)
        open_names = [name for names in entries.values() for name in names]
        if await self._orders.settle(lambda state: all(_is_final(state, name) for name in open_names)):
            return {}
        state = self._store.view()
        return {
            key: failure
            or OutcomeUnknownError(
                "entry_unconfirmed",
                f"{key}: the broker did not confirm that the rest of the entry is cancelled; nothing was sold.",
                hint="Look at apex orders, then try again.",
            )
            for key, names in entries.items()
            if not all(_is_final(state, name) for name in names)
        }

    def _end_following(self, keys: Collection[str]) -> None:
        """Let no entry of *keys* be sent again at another price."""
        if not self._store.view().resting:
            return
        with self._store.transaction() as tx:
            for row in [r for r in tx.resting.values() if r.opportunity.signal.instrument.key in keys]:
                del tx.resting[row.bracket_id]

    async def _release_all(
        self, remaining: Mapping[str, Quantity]
    ) -> tuple[dict[str, ApexError], dict[str, tuple[Reason, ...]]]:
        """Cancel and shrink exits until no more than *remaining* of each security rests, confirmed by the broker.

        Returns:
            The error by security where that was not confirmed; elsewhere, which exits were replaced as the broker
            refused to change them.
        """
        state = self._store.view()
        changes = {key: exits_for_remaining(orders_of(state, key), quantity) for key, quantity in remaining.items()}
        failure = await self._orders.cancel(name for change in changes.values() for name in change.cancel)
        if failure is None or len(changes) > 1:
            failed = await self._orders.change(order for change in changes.values() for order in change.shrink)
            failure = failure or failed
        await self._orders.settle(lambda state: all(_is_released(state, change) for change in changes.values()))
        state = self._store.view()
        unreleased = {
            key: failure or self._unconfirmed(key, change)
            for key, change in changes.items()
            if not _is_released(state, change)
        }
        return unreleased, {key: self._replaced(change) for key, change in changes.items() if key not in unreleased}

    def _unconfirmed(self, key: str, changes: ExitChanges) -> ApexError:
        why = next(filter(None, (self._orders.refusal_of(order.client_order_id) for order in changes.shrink)), "")
        return OutcomeUnknownError(
            "exits_unconfirmed",
            f"{key}: the broker did not confirm that the resting exits are gone; nothing was sold."
            + (f" It says: {why}" if why else ""),
            hint="Look at apex orders, then try again.",
        )

    def _replaced(self, changes: ExitChanges) -> tuple[Reason, ...]:
        names = [order.client_order_id for order in changes.shrink]
        return tuple(
            Reason(
                code="exit_replaced",
                message=f"{name} was replaced by {fresh}, as it could not be changed: {self._orders.refusal_of(name)}",
            )
            for name in names
            if (fresh := self._orders.replacement_of(name)) != name
        )

    async def _outcome(self, row: PositionRecord, order: Order, request: CloseRequest) -> Closed:
        name, key = order.client_order_id, row.position.instrument.key
        rests = request.limit_price is not None
        await self._orders.settle(lambda state: not is_unsure(state.orders[name]) if rests else _is_final(state, name))
        state = self._store.view()
        record: OrderRecord = state.orders[name]
        held = self._held(key)
        is_still_held = held is not None and held.position.quantity > row.position.quantity - order.quantity
        if record.status in FAILED and not record.filled_quantity and is_still_held:
            raise _failure(key, record, is_covered=await self._guard.protect(key))
        return _closed(state, record, row.position.side, row.position.entry_price)


def _open_entries(state: State, key: str) -> list[str]:
    records = orders_of(state, key)
    return [r.order.client_order_id for r in records if r.is_open and r.order.role is OrderRole.ENTRY]


def _remaining(row: PositionRecord | None, request: CloseRequest) -> Quantity:
    """Return what is to be left of a position."""
    return Quantity(row.position.quantity - _wanted_quantity(row, request) if row else ZERO)


def _nothing_to_close(key: str, held: PositionRecord | None) -> Closed:
    """Return the result where fills have closed enough meanwhile."""
    left = held.position.quantity if held else Quantity(ZERO)
    status = CloseStatus.REDUCED if left else CloseStatus.CLOSED
    return Closed(symbol=key, status=status, quantity=Quantity(ZERO), remaining=left)


def _with_notes(outcome: Closed | ApexError, notes: Sequence[Reason]) -> Closed | ApexError:
    return replace(outcome, warnings=(*outcome.warnings, *notes)) if isinstance(outcome, Closed) else outcome


def _require_held(state: State, row: PositionRecord, wanted: Quantity) -> None:
    """Refuse to sell what the broker is known not to hold: that would open the other side."""
    key = row.position.instrument.key
    if not wanted:
        raise RefusedError(
            "fraction_only",
            f"{key}: the {row.position.quantity} held are less than one unit; the broker takes no order for them.",
            hint="Close them in the broker's own program.",
        )
    held = held_on_both_sides(state, key)
    most = held.quantity if held is not None else ZERO
    if wanted > most:
        raise RefusedError(
            "not_at_broker",
            f"{key}: {row.position.quantity} are held here, but only {most} at the broker; {wanted} cannot be closed.",
            hint=f"Take over what the broker holds: apex reconcile --adopt {key!r}"
            + (f"; or close --quantity {most}." if most else "."),
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
        return position.orderable
    step = position.instrument.quantity_step
    if not ZERO < request.quantity <= position.quantity or request.quantity % step:
        raise InputError(
            "quantity_invalid",
            f"{request.symbol}: cannot close {request.quantity} of {position.quantity}.",
            hint=f"Give a multiple of {step}, at most {position.quantity}.",
        )
    return request.quantity


def _is_released(state: State, changes: ExitChanges) -> bool:
    gone = all(_is_final(state, client_order_id) for client_order_id in changes.cancel)
    return gone and all(
        _is_final(state, order.client_order_id) or state.orders[order.client_order_id].order.quantity <= order.quantity
        for order in changes.shrink
    )


def _is_final(state: State, client_order_id: str) -> bool:
    """Return whether an order has ended and everything it filled is booked."""
    record: OrderRecord | None = state.orders.get(client_order_id)
    return record is None or (record.status.is_final and not is_unsure(record))


def _closing_orders(
    state: State, row: PositionRecord, bracket_id: str, quantity: Quantity, request: CloseRequest
) -> tuple[Order, ...]:
    """Return the closing order; for a resting limit, with a stop as its OCA partner."""
    position = row.position
    records = [r for r in orders_of(state, position.instrument.key) if r.order.bracket_id == position.bracket_id]
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


def _profit_of(state: State, record: OrderRecord, side: PositionSide, entry: Price, average: Price) -> Usd:
    """Return what *record* earned, in account currency: each of its fills by its own rate."""
    unit = record.order.instrument.multiplier
    fills = [fill for fill in state.fills.values() if fill.client_order_id == record.order.client_order_id]
    if not any(fill.rate for fill in fills):
        return profit(side, entry, average, record.filled_quantity, unit)
    gains = (worth(fill.rate, profit(side, entry, fill.price, fill.quantity, unit), fill.price) for fill in fills)
    return Usd(sum(gains, ZERO))


def _closed(state: State, record: OrderRecord, side: PositionSide, entry: Price) -> Closed:
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
        warnings=(_fraction_left(instrument, fraction),) if fraction and record.status is OrderStatus.FILLED else (),
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
    side = PositionSide.LONG if record.order.side is OrderSide.SELL else PositionSide.SHORT
    return replace(_closed(state, record, side, _entry_price(state, record)), warnings=closed.warnings)


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


def _failure(key: str, record: OrderRecord, *, is_covered: bool) -> ApexError:
    """Return the error of a close that did not happen, after its stop was put back."""
    hint = "The stop was put back; look at apex positions."
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


def _subject(state: State, row: PositionRecord) -> str:
    bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id)
    return bracket.signal_id if bracket else row.position.instrument.symbol
