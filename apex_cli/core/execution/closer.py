"""Closes a position, whole or in part.

It never sells more than is held, and the position is protected at every moment.

A closing order joins the OCA group of the exits of what it closes: the broker ends them with its fill, and it with
theirs. Exits that only shrink, or rest in another group, make room in one piece with it. A fill that comes before is
booked and lowers what is left to close. Where the broker would refuse the closing order, no exit is touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack

from msgspec import Struct, field
from msgspec.structs import replace

from apex_cli.core.decision.brackets import ExitChanges
from apex_cli.core.decision.close_plan import ClosePlan, plan_close, stops_to_stand_in, without
from apex_cli.core.errors import ApexError, BrokerError, NothingToDo, OutcomeUnknownError, RefusedError
from apex_cli.core.execution.close_result import close_failure, nothing_to_close, what_came_of
from apex_cli.core.execution.close_terms import (
    closing_orders,
    find_position,
    require_held,
    wanted_quantity,
    what_remains,
)
from apex_cli.core.execution.guard import Guard
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.market.calendar import market_status
from apex_cli.core.market.expiry import has_expired
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.market import Quote
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import MEANWHILE, Exchange, Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import Closed, CloseRequest, EntriesCancelled
from apex_cli.core.ports import Clock, Ids, StateStore
from apex_cli.core.positions.protection import (
    is_unsure,
    orders_of,
)
from apex_cli.core.state.tables import State

FAILED = frozenset({OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.CANCELLED, OrderStatus.EXPIRED})

GRACE_S = 1.0
"""How long the broker has to end the exits beside a closing order that has filled; then they are cancelled."""

OCA = "OCA"
"""What the broker says in why it refuses an order for its group."""

QuotesOf = Callable[[Iterable[Instrument]], Awaitable[Mapping[str, Quote]]]
"""Asks for the latest quotes, and returns those there are by security."""


class _Closing(Struct, kw_only=True):
    """One close that is under way."""

    key: str
    request: CloseRequest
    remaining: Quantity
    """What is to be left of it."""

    price: Price | None = None
    """Latest price; None: that of the books."""

    plan: ClosePlan = field(default_factory=ClosePlan)
    held: PositionRecord | None = None
    """What was held when the closing order was written down."""

    order: Order | None = None
    shrunk: tuple[str, ...] = ()
    """Client order ids of the exits that were to shrink."""

    outcome: Closed | ApexError | None = None


class Closer:
    """Closes positions with orders, while the guard leaves their exits alone."""

    def __init__(
        self,
        *,
        orders: Orders,
        guard: Guard,
        store: StateStore,
        clock: Clock,
        ids: Ids,
        enforce_market_hours: bool,
        quotes_of: QuotesOf | None,
    ) -> None:
        """Keep the parts.

        Args:
            orders: sends and books.
            guard: puts right what is left of exits afterwards.
            store: the state.
            clock: the time of decisions.
            ids: names closes of positions that were never opened here.
            enforce_market_hours: nothing is closed while its market is closed.
            quotes_of: says which prices are near to filling an exit, and what is halted.
        """
        self._orders = orders
        self._guard = guard
        self._store = store
        self._clock = clock
        self._ids = ids
        self._enforce_market_hours = enforce_market_hours
        self._quotes_of = quotes_of

    async def close(self, request: CloseRequest) -> Closed:
        """Close what *request* asks for, and return the result.

        It is done in every trading state: whoever acts without being asked, such as time exits, looks at that state
        before.

        Raises:
            NothingToDo: nothing is held, its market is closed, or trading in it is halted: the stop stays where it is.
            InputError: the quantity is not held, or off the step.
            RefusedError: the broker holds less, or it rejected the order.
            BrokerError: the broker cannot be reached; nothing was sold.
            OutcomeUnknownError: the broker did not confirm in time; look before doing more.
            BusyError: it is being closed already.
        """
        (outcome,) = await self.close_together((request,))
        if isinstance(outcome, ApexError):
            raise outcome
        return outcome

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

    async def close_together(
        self, requests: Sequence[CloseRequest], *, request_id: str = ""
    ) -> tuple[Closed | ApexError, ...]:
        """Close what one or several requests ask for, with one commit for each step of all of them.

        One that fails stops no other. Several are closes at market: nothing rests. The closing order carries
        *request_id*, so that a process that takes over finds it.
        """
        self._orders.sync()
        wanted: dict[str, CloseRequest] = {}
        keys: list[str | ApexError] = []
        with ExitStack() as hands_off:
            for request in requests:
                try:
                    key = self._permitted(request)
                    hands_off.enter_context(self._guard.hands_off(key))
                except ApexError as error:
                    keys.append(error)
                else:
                    keys.append(key)
                    wanted[key] = request
            found = await self._closed(wanted, request_id) if wanted else {}
        return tuple(key if isinstance(key, ApexError) else found[key] for key in keys)

    def _permitted(self, request: CloseRequest) -> str:
        """Return the key of the position that *request* names; refused where it must not be closed now."""
        state = self._store.view()
        row = find_position(state, request.symbol)
        self._require_permission(state, row)
        require_held(state, row, wanted_quantity(row, request))
        return row.position.instrument.key

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

    async def _closed(self, wanted: Mapping[str, CloseRequest], request_id: str) -> dict[str, Closed | ApexError]:
        """Stop entries, then close what is still held of each; return by security what came of it."""
        found: dict[str, Closed | ApexError] = {}
        quotes, refused = await self._looked_at(wanted)
        found |= refused
        wanted = {key: request for key, request in wanted.items() if key not in found}
        try:
            found |= await self._stop_entries(tuple(wanted))
            state = self._store.view()
            closings = [
                _Closing(
                    key=key,
                    request=request,
                    remaining=what_remains(state.positions.get(key), request),
                    price=quotes[key].price if key in quotes else None,
                )
                for key, request in wanted.items()
                if key not in found
            ]
            await self._close_each(closings, request_id)
            await self._close_again(closings, request_id)
            for each in closings:
                found[each.key] = await self._outcome(each)
        finally:
            for key in wanted:
                await self._guard.mend(key)
        return found

    async def _looked_at(
        self, wanted: Mapping[str, CloseRequest]
    ) -> tuple[Mapping[str, Quote], dict[str, Closed | ApexError]]:
        """Return the latest quotes, and the error of each that cannot be closed now; nothing is touched."""
        state = self._store.view()
        try:
            await self._orders.require_ready(
                r.order.client_order_id for key in wanted for r in orders_of(state, key) if r.is_open
            )
        except BrokerError as error:
            return {}, dict.fromkeys(wanted, error)
        if self._quotes_of is None:
            return {}, {}
        quotes = await self._quotes_of([state.positions[key].position.instrument for key in wanted])
        halted = [key for key in wanted if key in quotes and quotes[key].is_halted]
        return quotes, {key: _halted(key) for key in halted if wanted[key].limit_price is None}

    async def _close_each(self, closings: Sequence[_Closing], request_id: str, *, may_join: bool = True) -> None:
        """Take every step of *closings* together: plan, release, write down, send, wait."""
        for each in closings:
            self._plan(each, self._store.view(), may_join=may_join)
        for each in closings:
            await self._require_taken(each)
        await self._release([each for each in closings if each.outcome is None])
        for each in closings:
            if each.outcome is None:
                await self._make_ready(each)
        left = [each for each in closings if each.outcome is None]
        if not left:
            return
        with self._store.transaction() as tx:
            sent = [self._intended(tx, each, request_id, may_join=may_join) for each in left]
        exchanges = [exchange for exchange in sent if exchange is not None]
        if exchanges:
            await self._orders.exchange(exchanges)
            await self._wait_for(left)

    def _plan(self, closing: _Closing, state: State, *, may_join: bool) -> PositionRecord | None:
        """Plan what happens to the exits; without anything left to close, that is the outcome."""
        row: PositionRecord | None = state.positions.get(closing.key)
        if row is None or row.position.quantity <= closing.remaining:
            closing.outcome = nothing_to_close(closing.key, row)
            return None
        closing.plan = plan_close(
            orders_of(state, closing.key),
            remaining=closing.remaining,
            quantity=Quantity(row.position.quantity - closing.remaining),
            price=closing.price or row.current_price,
            is_resting=closing.request.limit_price is not None,
            may_join=may_join,
        )
        return row

    async def _require_taken(self, closing: _Closing) -> None:
        """Ask whether the broker would take the closing order, where exits must be touched for it.

        One that joins the exits needs no question: they stay until it fills.
        """
        changes = (closing.plan.first, closing.plan.in_one_piece)
        state = self._store.view()
        row: PositionRecord | None = state.positions.get(closing.key)
        if closing.outcome is not None or row is None or not any(each.cancel or each.shrink for each in changes):
            return
        quantity = Quantity(row.position.quantity - closing.remaining)
        bracket_id = row.position.bracket_id or "preview"
        order = closing_orders(state, row, closing.request, bracket_id=bracket_id, quantity=quantity)[0]
        why = await self._orders.refusal_before(replace(order, oca_group=None))
        if why:
            closing.outcome = RefusedError(
                "close_refused",
                f"{closing.key}: the broker would not take the closing order: {why}",
                hint="Its stop and targets were not touched.",
            )

    async def _release(self, closings: Sequence[_Closing]) -> None:
        """Cancel and shrink what has to go first, confirmed by the broker."""
        waiting = [each for each in closings if each.plan.first.cancel or each.plan.first.shrink]
        if not waiting:
            return
        failure = await self._orders.cancel(name for each in waiting for name in each.plan.first.cancel)
        if failure is None or len(waiting) > 1:
            failed = await self._orders.change(order for each in waiting for order in each.plan.first.shrink)
            failure = failure or failed
        await self._orders.settle(lambda state: all(_is_released(state, each.plan.first) for each in waiting))
        for each in waiting:
            each.shrunk += tuple(order.client_order_id for order in each.plan.first.shrink)
            if not _is_released(self._store.view(), each.plan.first):
                each.outcome = failure or self._unconfirmed(each.key, each.plan.first)

    async def _make_ready(self, closing: _Closing) -> None:
        """Shrink targets, and let stand-ins join the stops that may not be changed, while the stops cover everything.

        Targets go first: whether the broker changes what is in an OCA group is known before a stop is asked for.
        """
        changes = closing.plan.in_one_piece
        closing.shrunk += tuple(order.client_order_id for order in changes.shrink)
        targets = [order for order in changes.shrink if not order.order_type.is_stop]
        failure = await self._orders.change(targets)
        asked = ExitChanges(shrink=tuple(targets))
        if failure is not None or not _is_released(self._store.view(), asked):
            closing.outcome = failure or self._unconfirmed(closing.key, asked)
            return
        refused = {name: why for o in targets if (why := self._orders.refusal_of(name := o.client_order_id))}
        for stop in stops_to_stand_in(changes, refused):
            if _is_final(self._store.view(), stop.client_order_id) or await self._orders.stand_in(stop):
                continue
            closing.outcome = self._unconfirmed(closing.key, ExitChanges(shrink=(stop,)))
            return

    def _intended(self, tx: State, closing: _Closing, request_id: str, *, may_join: bool) -> Exchange | None:
        """Write down the orders that close what is held now, and return them with what makes room for them."""
        held = self._plan(closing, tx, may_join=may_join)
        if held is None:
            return None
        plan = closing.plan
        if plan.first.cancel or plan.first.shrink:
            plan = replace(plan, first=ExitChanges(), in_one_piece=plan.first)
        shrinking = [order.client_order_id for order in plan.in_one_piece.shrink]
        stood_in = [name for name in shrinking if self._orders.replacement_of(name) != name]
        changes = without(plan.in_one_piece, stood_in, also_cancel=stood_in)
        closing.plan = replace(plan, in_one_piece=changes)
        bracket_id = held.position.bracket_id or self._ids.new()
        quantity = Quantity(held.position.quantity - closing.remaining)
        orders = closing_orders(
            tx, held, closing.request, bracket_id=bracket_id, quantity=quantity, group=plan.oca_group
        )
        orders = tuple(replace(order, request_id=request_id) for order in orders)
        self._orders.intend(tx, orders, self._clock.now(), subject=_subject(tx, held))
        closing.held, closing.order = held, orders[0]
        return Exchange(orders=orders, cancel=changes.cancel, change=changes.shrink, beside=plan.ended)

    async def _wait_for(self, closings: Sequence[_Closing]) -> None:
        """Wait for the closing orders, and then for the exits that end with them."""
        sent = [(each, each.order.client_order_id) for each in closings if each.order is not None]
        await self._orders.settle(lambda state: all(_has_its_place(state, each, name) for each, name in sent))
        state = self._store.view()
        ending = _ending_with(state, sent)
        if given_way := [name for each, order in sent for name in self._given_way(each, state.orders[order])]:
            await self._orders.cancel(given_way)
            ending += given_way
        if await self._orders.settle(lambda state: all(_is_final(state, name) for name in ending), within_s=GRACE_S):
            return
        late = [name for name in ending if not _is_final(self._store.view(), name)]
        await self._orders.cancel(late)
        await self._orders.settle(lambda state: all(_is_final(state, name) for name in late))
        state = self._store.view()
        for each in closings:
            left = [name for name in late if name in each.plan.touched and not _is_final(state, name)]
            if left:
                each.outcome = _exits_left(each.key, left)

    def _given_way(self, closing: _Closing, record: OrderRecord) -> list[str]:
        """Return the targets and earlier limits that a closing order takes the place of, now that it rests."""
        if closing.request.limit_price is None or record.status is not OrderStatus.WORKING:
            return []
        orders = self._store.view().orders
        return [name for name in closing.plan.ended if not orders[name].order.order_type.is_stop]

    async def _close_again(self, closings: Sequence[_Closing], request_id: str) -> None:
        """Try once more what was rejected as an exit had filled, or as the broker lets nothing join the exits.

        In both cases they rest as before.
        """
        why = {each.key: self._rejection_of(each) for each in closings}
        await self._close_each([each for each in closings if MEANWHILE in why[each.key]], request_id)
        apart = [each for each in closings if each.plan.oca_group is not None and OCA in why[each.key]]
        await self._close_each(apart, request_id, may_join=False)

    def _rejection_of(self, closing: _Closing) -> str:
        """Return why the closing order was rejected; empty when it was not, or something of it has filled."""
        if closing.order is None or closing.outcome is not None:
            return ""
        record: OrderRecord = self._store.view().orders[closing.order.client_order_id]
        return record.reason if record.status is OrderStatus.REJECTED and not record.filled_quantity else ""

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

    def _unconfirmed(self, key: str, changes: ExitChanges) -> ApexError:
        why = next(filter(None, (self._orders.refusal_of(order.client_order_id) for order in changes.shrink)), "")
        return OutcomeUnknownError(
            "exits_unconfirmed",
            f"{key}: the broker did not confirm that the resting exits are gone; nothing was sold."
            + (f" It says: {why}" if why else ""),
            hint="Look at apex orders, then try again.",
        )

    def _replaced(self, closing: _Closing) -> tuple[Reason, ...]:
        """Say which exits were replaced, as the broker refused to change them."""
        why = next(filter(None, map(self._orders.refusal_of, closing.shrunk)), "")
        return tuple(
            Reason(
                code="exit_replaced",
                message=f"{name} was replaced by {fresh}, as it could not be changed: {why}",
            )
            for name in dict.fromkeys(closing.shrunk)
            if why and (fresh := self._orders.replacement_of(name)) != name
        )

    async def _outcome(self, closing: _Closing) -> Closed | ApexError:
        """Return what came of one close; a stop that it cost is put back before."""
        row, order = closing.held, closing.order
        if closing.outcome is not None or row is None or order is None:
            return closing.outcome or nothing_to_close(closing.key, row)
        state = self._store.view()
        record: OrderRecord = state.orders[order.client_order_id]
        held: PositionRecord | None = state.positions.get(closing.key)
        is_still_held = held is not None and held.position.quantity > row.position.quantity - order.quantity
        if record.status in FAILED and not record.filled_quantity and is_still_held:
            was_touched = bool(closing.plan.in_one_piece.cancel or closing.shrunk or closing.plan.first.cancel)
            is_covered = await self._guard.protect(closing.key)
            return close_failure(closing.key, record, is_covered=is_covered, was_touched=was_touched)
        closed = what_came_of(state, record, row.position.side, row.position.entry_price)
        return replace(closed, warnings=(*closed.warnings, *self._replaced(closing)))


def _exits_left(key: str, names: Sequence[str]) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        "exits_left",
        f"{key}: the closing order is at the broker, which did not confirm that {', '.join(names)} ended with it; "
        "more could be sold than is held.",
        hint="Look at apex orders now; apex run --once cancels what rests for more than is held.",
        details={"orders": list(names)},
    )


def _halted(key: str) -> NothingToDo:
    return NothingToDo(
        "halted",
        f"Trading in {key} is halted. Its stop stays in place.",
        hint="Run it again when it trades; --limit rests until then.",
    )


def _open_entries(state: State, key: str) -> list[str]:
    records = orders_of(state, key)
    return [r.order.client_order_id for r in records if r.is_open and r.order.role is OrderRole.ENTRY]


def _is_released(state: State, changes: ExitChanges) -> bool:
    gone = all(_is_final(state, client_order_id) for client_order_id in changes.cancel)
    return gone and all(
        _is_final(state, order.client_order_id) or state.orders[order.client_order_id].order.quantity <= order.quantity
        for order in changes.shrink
    )


def _has_its_place(state: State, closing: _Closing, client_order_id: str) -> bool:
    """Return whether a closing order is at the broker beyond doubt, and has ended where it has no limit."""
    if closing.request.limit_price is not None:
        return not is_unsure(state.orders[client_order_id])
    return _is_final(state, client_order_id)


def _ending_with(state: State, sent: Iterable[tuple[_Closing, str]]) -> list[str]:
    """Return the exits that end with closing orders: those cancelled in one piece, and all where one has filled."""
    ending = [name for each, _ in sent for name in each.plan.in_one_piece.cancel if name in state.orders]
    filled = [each for each, name in sent if state.orders[name].status is OrderStatus.FILLED]
    return ending + [name for each in filled for name in each.plan.ended]


def _is_final(state: State, client_order_id: str) -> bool:
    """Return whether an order has ended and everything it filled is booked."""
    record: OrderRecord | None = state.orders.get(client_order_id)
    return record is None or (record.status.is_final and not is_unsure(record))


def _subject(state: State, row: PositionRecord) -> str:
    bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id)
    return bracket.signal_id if bracket else row.position.instrument.symbol
