"""Manager: looks after open positions in the loop, by the rules of section ``management``.

Rules say what is wanted (``rules/management.py``, ``rules/holding.py``); this module asks the broker for it. An order
is on disk before it leaves, a stop is cancelled only after its stand-in is confirmed, and what the broker does not
confirm is told and asked again after a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.closing import close_position
from apex_cli.core.errors import ApexError, BusyError, NothingToDo
from apex_cli.core.executor import TradeExecutor
from apex_cli.core.gathering import Gatherer
from apex_cli.core.guarding import changes_of, orders_of
from apex_cli.core.model.base import Value
from apex_cli.core.model.management import ManagementPlan
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.outcome import TradingMode
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.work import CloseRequest
from apex_cli.core.recording import Alarm
from apex_cli.core.rules.calendar import market_status
from apex_cli.core.rules.holding import TimeClose, close_due, flat_from
from apex_cli.core.rules.management import (
    DropStop,
    EndEntries,
    MoveStop,
    StartTrail,
    StopChange,
    gain_of,
    is_tighter,
    stop_changes,
)
from apex_cli.core.rules.protection import is_unsure
from apex_cli.core.rules.targets import missing_targets
from apex_cli.core.state import State

PAUSE = timedelta(seconds=30)
"""How long the loop waits before it asks again for what the broker did not confirm."""

MOST_ROUNDS = 4
"""Looks at one position in one cycle: the entry ends, a trailing stop begins, the old stop goes."""


class StopMovedEvent(Value, frozen=True, kw_only=True):
    """A stop stands nearer to the price."""

    client_order_id: str
    symbol: str
    why: str
    """``breakeven``, ``target`` or ``trail``."""

    from_price: Price
    to_price: Price
    price: Price
    """The latest price then."""

    r_multiple: Decimal
    """Profit in R then."""


class TrailStartedEvent(Value, frozen=True, kw_only=True):
    """A trailing stop was sent beside the stop it will replace."""

    client_order_id: str
    symbol: str
    replaces: str
    stop_price: Price
    trail_amount: Price
    price: Price
    r_multiple: Decimal


class StopReplacedEvent(Value, frozen=True, kw_only=True):
    """A stop is gone, and the trailing one works in its place."""

    client_order_id: str
    symbol: str
    replaced_by: str


class EntryEndedEvent(Value, frozen=True, kw_only=True):
    """What was left of an entry was cancelled, as the stops of what it has bought are moved now."""

    client_order_ids: tuple[str, ...]
    symbol: str
    r_multiple: Decimal


class TimeCloseEvent(Value, frozen=True, kw_only=True):
    """A position, or a part of it, was closed because it was time."""

    symbol: str
    due: datetime
    quantity: Quantity
    exit_price: Price | None


class TargetRestoredEvent(Value, frozen=True, kw_only=True):
    """A limit close ended unfilled, and its target is back."""

    client_order_id: str
    symbol: str
    limit_price: Price
    quantity: Quantity


class Manager:
    """A chore of the loop: time exits, trailing stops, break-even, targets that come back."""

    def __init__(self, *, executor: TradeExecutor, gatherer: Gatherer) -> None:
        """Look after what *executor* holds, at the prices of *gatherer*."""
        self._executor = executor
        self._gatherer = gatherer
        self._store = executor.store
        self._not_before: dict[tuple[str, str], datetime] = {}
        """When to try again, by security and kind of work."""

        self._told: dict[tuple[str, str], str] = {}
        """Last alarm by security and kind of work: the same trouble is told once a run."""

        self._seen: State | None = None
        self._seen_changes: tuple[int, ...] = ()

    async def tend(self, now: datetime) -> bool:
        """Do what is due for every position; True when something changed.

        Raises:
            StateError: an intent could not be written; nothing was sent.
        """
        changed = False
        state = self._store.view()
        is_new = state is not self._seen or changes_of(state) != self._seen_changes
        for key in list(state.positions):
            changed = await self._tend_one(key, now, is_new=is_new) or changed
        changed = await self._end_late_entries(now) or changed
        self._seen = self._store.view()
        self._seen_changes = changes_of(self._seen)
        return changed

    async def _tend_one(self, key: str, now: datetime, *, is_new: bool) -> bool:
        row, bracket = self._held(key)
        if row is None or bracket is None:
            return False
        plan = self._executor.limits.management.plan_for(bracket.strategy)
        if await self._close_in_time(key, row.position, plan, bracket, now):
            return True
        may_lack_target = is_new or (key, "target") in self._not_before
        has_target = may_lack_target and await self._restore_targets(key, row.position, bracket, now)
        return await self._manage_stops(key, plan, now) or has_target

    def _held(self, key: str) -> tuple[PositionRecord | None, BracketRecord | None]:
        state = self._store.view()
        row: PositionRecord | None = state.positions.get(key)
        bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id) if row else None
        return row, bracket

    # Time

    async def _close_in_time(
        self, key: str, position: Position, plan: ManagementPlan, bracket: BracketRecord, now: datetime
    ) -> bool:
        """Close what has been held long enough; True when it was tried."""
        if not plan.closes or self._is_paused(key, "close", now):
            return False
        state = self._store.view()
        market = market_status(position.instrument.market_type, now)
        close = close_due(position, orders_of(state, key), plan, market, state.trading.mode, now)
        if close is None:
            return False
        try:
            await self._close(key, close, bracket.signal_id, now)
        except (BusyError, NothingToDo):
            return False
        except ApexError as error:
            self._failed(key, "close", f"{close.reason}_failed", f"{error.message} {error.hint}", bracket.signal_id)
        return True

    async def _close(self, key: str, close: TimeClose, subject: str, now: datetime) -> None:
        closed = await close_position(self._executor, CloseRequest(symbol=key, reason=close.reason))
        event = TimeCloseEvent(symbol=key, due=close.due, quantity=closed.quantity, exit_price=closed.exit_price)
        with self._store.transaction() as tx:
            tx.emit(close.reason, now, subject, event)
        self._told.pop((key, "close"), None)

    async def _end_late_entries(self, now: datetime) -> bool:
        """Cancel entries that still rest when everything is to be flat for the day."""
        state = self._store.view()
        if not any(plan.flat_at_close for plan in self._plans()):
            return False
        late = [record.order for record in state.orders.open() if self._is_late(record, now)]
        for order in late:
            self._not_before[order.client_order_id, "entry"] = now + PAUSE
            failure = await self._executor.ask_cancel((order.client_order_id,))
            if failure is not None:
                message = f"{order.instrument.key}: the entry could not be cancelled for the day: {failure.message}"
                self._failed(order.client_order_id, "entry", "entry_not_cancelled", message, order.instrument.key)
        self._executor.sync()
        return bool(late)

    def _plans(self) -> tuple[ManagementPlan, ...]:
        management = self._executor.limits.management
        return (management, *management.strategies.values())

    def _is_late(self, record: OrderRecord, now: datetime) -> bool:
        """Tell whether *record* is an entry that would open what has to be closed already."""
        order = record.order
        bracket: BracketRecord | None = self._store.view().brackets.get(order.bracket_id)
        if bracket is None or order.role is not OrderRole.ENTRY or record.status is not OrderStatus.WORKING:
            return False
        plan = self._executor.limits.management.plan_for(bracket.strategy)
        flat_at = flat_from(market_status(order.instrument.market_type, now), plan)
        is_late = flat_at is not None and flat_at <= now
        return is_late and not self._is_paused(order.client_order_id, "entry", now)

    # Targets

    async def _restore_targets(self, key: str, position: Position, bracket: BracketRecord, now: datetime) -> bool:
        """Put targets back whose place a limit close took that has expired."""
        state = self._store.view()
        if self._is_paused(key, "target", now) or state.trading.mode is TradingMode.HALTED:
            return False
        targets = missing_targets(position, bracket, orders_of(state, key))
        for order in targets:
            event = TargetRestoredEvent(
                client_order_id=order.client_order_id,
                symbol=key,
                limit_price=order.limit_price or position.entry_price,
                quantity=order.quantity,
            )
            record = await self._place(order, bracket.signal_id, "target_restored", event, now)
            if record.status is not OrderStatus.WORKING:
                message = f"{key}: the target could not be put back: {record.reason or record.status.lower()}"
                self._failed(key, "target", "target_not_restored", message, bracket.signal_id)
        return bool(targets)

    # Stops

    async def _manage_stops(self, key: str, plan: ManagementPlan, now: datetime) -> bool:
        """Move stops and begin trailing, as long as the broker confirms what it is asked for."""
        changed = False
        if not plan.moves_stops:
            return changed
        for _ in range(MOST_ROUNDS):
            row, bracket = self._held(key)
            quote = self._gatherer.quote(row.position.instrument, now) if row else None
            if row is None or bracket is None or quote is None or self._is_paused(key, "stop", now):
                break
            orders = orders_of(self._store.view(), key)
            changes = stop_changes(row.position, bracket, orders, plan, quote.price)
            if not changes or not await self._change_stops(key, row.position, bracket, changes, quote.price, now):
                break
            changed = True
        return changed

    async def _change_stops(  # noqa: PLR0917 - private, called once
        self,
        key: str,
        position: Position,
        bracket: BracketRecord,
        changes: Sequence[StopChange],
        price: Price,
        now: datetime,
    ) -> bool:
        """Carry *changes* out; False when nobody may touch these exits now."""
        r_multiple = gain_of(position, bracket, price).r_multiple
        try:
            with self._executor.guard.hands_off(key):
                for change in changes:
                    match change:
                        case MoveStop():
                            await self._move(position, bracket, change, price, r_multiple, now)
                        case StartTrail():
                            await self._start_trail(bracket, change, price, r_multiple, now)
                        case DropStop():
                            await self._drop(key, bracket, change, now)
                        case EndEntries():
                            await self._end_entries(key, bracket, change, r_multiple, now)
        except BusyError:
            return False
        return True

    async def _move(  # noqa: PLR0917 - private, called once
        self,
        position: Position,
        bracket: BracketRecord,
        change: MoveStop,
        price: Price,
        r_multiple: Decimal,
        now: datetime,
    ) -> None:
        name, to = change.order.client_order_id, change.order.stop_price or change.from_price
        failure = await self._executor.ask_modify((change.order,))

        def is_there(record: OrderRecord | None) -> bool:
            stands = record.order.stop_price if record is not None else None
            return stands is not None and not is_tighter(position, to, stands)

        if failure is None:
            await self._executor.settle(
                lambda state: state.orders[name].status.is_final or is_there(state.orders.get(name))
            )
        record: OrderRecord = self._store.view().orders[name]
        key = position.instrument.key
        if is_there(record):
            event = StopMovedEvent(
                client_order_id=name,
                symbol=key,
                why=change.why,
                from_price=change.from_price,
                to_price=record.order.stop_price or to,
                price=price,
                r_multiple=r_multiple,
            )
            self._note("stop_moved", event, bracket.signal_id, now)
        elif record.is_open:
            why = failure.message if failure else record.reason or "the broker did not confirm it."
            message = f"{key}: the stop {name} could not be moved from {change.from_price} to {to}: {why}"
            self._failed(key, "stop", "stop_not_moved", message, bracket.signal_id)

    async def _start_trail(
        self, bracket: BracketRecord, change: StartTrail, price: Price, r_multiple: Decimal, now: datetime
    ) -> None:
        order, key = change.order, change.order.instrument.key
        event = TrailStartedEvent(
            client_order_id=order.client_order_id,
            symbol=key,
            replaces=change.replaces,
            stop_price=order.stop_price or price,
            trail_amount=order.trail_amount or price,
            price=price,
            r_multiple=r_multiple,
        )
        record = await self._place(order, bracket.signal_id, "trail_started", event, now)
        if record.status not in {OrderStatus.WORKING, OrderStatus.FILLED}:
            message = (
                f"{key}: the trailing stop could not be placed: {record.reason or record.status.lower()} "
                f"The stop {change.replaces} stays."
            )
            self._failed(key, "stop", "trail_not_placed", message, bracket.signal_id)

    async def _drop(self, key: str, bracket: BracketRecord, change: DropStop, now: datetime) -> None:
        name = change.client_order_id
        failure = await self._executor.ask_cancel((name,))
        if failure is None and await self._executor.settle(lambda state: state.orders[name].status.is_final):
            event = StopReplacedEvent(client_order_id=name, symbol=key, replaced_by=change.replaced_by)
            self._note("stop_replaced", event, bracket.signal_id, now)
            return
        why = failure.message if failure else "The broker did not confirm it."
        message = f"{key}: the old stop {name} beside the trailing {change.replaced_by} could not be cancelled: {why}"
        self._failed(key, "stop", "stop_not_cancelled", message, bracket.signal_id)

    async def _end_entries(
        self, key: str, bracket: BracketRecord, change: EndEntries, r_multiple: Decimal, now: datetime
    ) -> None:
        names = change.client_order_ids
        with self._store.transaction() as tx:
            tx.resting.pop(bracket.bracket_id, None)
        failure = await self._executor.ask_cancel(names)
        if failure is None and await self._executor.settle(
            lambda state: all(state.orders[name].status.is_final for name in names)
        ):
            event = EntryEndedEvent(client_order_ids=names, symbol=key, r_multiple=r_multiple)
            self._note("entry_ended", event, bracket.signal_id, now)
            return
        why = failure.message if failure else "The broker did not confirm it."
        message = f"{key}: what is left of the entry could not be cancelled before the stop is moved: {why}"
        self._failed(key, "stop", "entry_not_cancelled", message, bracket.signal_id)

    # Both

    async def _place(self, order: Order, subject: str, kind: str, event: Value, now: datetime) -> OrderRecord:
        """Write *order* as an intent together with its *event*, send it, and return what became of it."""
        with self._store.transaction() as tx:
            tx.emit(kind, now, subject, event)
            self._executor.intend_in(tx, (order,), now, subject=subject)
        name = order.client_order_id
        if await self._executor.send((order,)):
            await self._executor.settle(lambda state: not is_unsure(state.orders[name]))
        return self._executor.records((order,))[0]

    def _note(self, kind: str, event: Value, subject: str, now: datetime) -> None:
        with self._store.transaction() as tx:
            tx.emit(kind, now, subject, event)

    def _is_paused(self, key: str, work: str, now: datetime) -> bool:
        return now < self._not_before.get((key, work), now)

    def _failed(self, key: str, work: str, code: str, message: str, subject: str) -> None:
        """Try again later; raise the alarm, once for the same reason."""
        now = self._executor.clock.now()
        self._not_before[key, work] = now + PAUSE
        if self._told.get((key, work)) != message:
            self._told[key, work] = message
            self._note("alarm", Alarm(code=code, message=message.strip()), subject, now)
