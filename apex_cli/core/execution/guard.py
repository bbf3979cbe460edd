"""Guard: what is held keeps its stop, and nothing rests for more than is held.

Looked at after every start and whenever orders or positions changed. A stop that is missing is put
back; what cannot be put back is told. An exit that could sell what is not held any more is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apex_cli.core.decision.record import Alarm
from apex_cli.core.errors import ApexError, BusyError
from apex_cli.core.market.calendar import session_date, session_start
from apex_cli.core.model.limits import OnRejectedStop
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderSide, OrderStatus
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import CloseRequest
from apex_cli.core.positions.protection import is_unsure, last_refusal, refusals, restoration, unprotected_quantity
from apex_cli.core.reconciliation.breaks import still_held
from apex_cli.core.reconciliation.position_breaks import excess
from apex_cli.core.state.tables import State

if TYPE_CHECKING:
    from apex_cli.core.execution.executor import TradeExecutor

PAUSE_AFTER_SUCCESS = timedelta(seconds=5)
PAUSE_AFTER_FAILURE = timedelta(seconds=30)
"""How long the loop waits before it places another stop for the same security."""


class Guard:
    """Puts stops back, takes excess exits away, and tells what it cannot mend."""

    def __init__(self, executor: TradeExecutor) -> None:
        """Watch over what *executor* holds."""
        self._executor = executor
        self._under_way: set[str] = set()
        self._told: dict[str, str] = {}
        """Last alarm by security: the same trouble is told once a run."""

        self._given_up: dict[str, str] = {}
        self._not_closed: dict[str, str] = {}
        """Last words on stops that the broker rejects, and on closes that followed: told once a run."""

        self._not_before: dict[str, datetime] = {}
        self._seen: State | None = None
        self._seen_changes: tuple[int, ...] = ()

    @contextmanager
    def hands_off(self, key: str) -> Iterator[None]:
        """Leave the exits of one security alone while it is being closed.

        Raises:
            BusyError: it is being closed already.
        """
        if key in self._under_way:
            raise BusyError("close_under_way", f"{key} is being closed already.", hint="Wait for that to end.")
        self._under_way.add(key)
        try:
            yield
        finally:
            self._under_way.discard(key)
            self._seen = None

    async def watch(self) -> None:
        """Look again if orders or positions changed, or something is still amiss."""
        state = self._executor.store.view()
        if self._told or state is not self._seen or changes_of(state) != self._seen_changes:
            await self.look()

    async def mend(self, key: str) -> bool:
        """Bring the exits of one security in line with what is held, at once; return whether all of it is covered."""
        await self._trim(key)
        return await self.protect(key, at_once=True)

    async def look(self, *, at_once: bool = False) -> None:
        """Cancel exits that rest for more than is held, and place the stops that are missing."""
        state = self._executor.store.view()
        for key in {r.order.instrument.key: None for r in state.orders.open()}:
            if key not in self._under_way:
                await self._trim(key)
        for key in dict.fromkeys((*self._told, *self._executor.store.view().positions)):
            if key not in self._under_way:
                await self.protect(key, at_once=at_once)
        self._seen = self._executor.store.view()
        self._seen_changes = changes_of(self._seen)

    async def _trim(self, key: str) -> None:
        """Cancel or shrink exits of *key* beyond what is held and what working entries may still open."""
        state = self._executor.store.view()
        working = [r for r in state.orders.open() if r.order.instrument.key == key]
        changes = [excess(held_on_both_sides(state, key), working, side) for side in OrderSide]
        if not any(change.cancel or change.shrink for change in changes) or any(map(is_unsure, orders_of(state, key))):
            return
        for change in changes:
            await self._executor.ask_cancel(change.cancel)
            await self._executor.ask_modify(change.shrink)
        self._executor.sync()

    async def protect(self, key: str, *, at_once: bool = False) -> bool:
        """Place the stops that *key* lacks, or raise an alarm; return whether everything held is covered.

        With *at_once* without the pause that keeps a loop from placing one stop after another.
        """
        state = self._executor.store.view()
        position = held_on_both_sides(state, key)
        working = [r for r in state.orders.open() if r.order.instrument.key == key]
        if position is None or unprotected_quantity(position, working) <= 0:
            self._told.pop(key, None)
            return True
        bracket: BracketRecord | None = state.brackets.get(position.bracket_id)
        if bracket is None:
            self._tell(key, position, "there is no plan to take a stop price from", key)
            return False
        records = orders_of(state, key)
        if any(map(is_unsure, records)):
            self._tell(key, position, "the outcome of an order is unknown", bracket.signal_id)
            return False
        now = self._executor.clock.now()
        if not at_once and now < self._not_before.get(key, now):
            if key not in self._told:
                self._tell(key, position, "the last one did not hold, and the next follows soon", bracket.signal_id)
            return False
        return await self._place(key, position, bracket, records, now)

    async def _place(
        self, key: str, position: Position, bracket: BracketRecord, records: Sequence[OrderRecord], now: datetime
    ) -> bool:
        missing = restoration(position, bracket, records)
        gap = unprotected_quantity(position, records)
        stops = [stop for stop in missing.stops if self._may_try(stop, records, now)]
        if missing.grow:
            await self._executor.ask_modify(missing.grow)
            self._executor.sync()
        await self._send(stops, bracket.signal_id)
        left = self._uncovered(key)
        self._not_before[key] = now + (PAUSE_AFTER_FAILURE if left else PAUSE_AFTER_SUCCESS)
        if left:
            self._tell(key, position, _why_not(self._executor.store.view(), key), bracket.signal_id)
            if any(self._is_given_up(stop, now) for stop in missing.stops):
                await self._give_up(key, bracket.signal_id)
            return not self._uncovered(key)
        self._told.pop(key, None)
        price = next((stop.stop_price for stop in (*stops, *missing.grow)), bracket.stop_price)
        message = f"{key}: {gap} were held without a stop; a stop at {price} is placed."
        self._raise(Alarm(code="protection_restored", message=message), bracket.signal_id)
        return True

    def _may_try(self, stop: Order, records: Sequence[OrderRecord], now: datetime) -> bool:
        """Tell whether a stop may be sent: a rejected one again after a pause, a few times a session."""
        since = session_start(session_date(now))
        last = last_refusal(stop, records, since)
        policy = self._executor.protection
        if last is None:
            return True
        is_rested = now >= last + timedelta(seconds=policy.retry_pause_s)
        return is_rested and refusals(stop, records, since) < policy.stop_attempts

    def _is_given_up(self, stop: Order, now: datetime) -> bool:
        records = orders_of(self._executor.store.view(), stop.instrument.key)
        tried = refusals(stop, records, session_start(session_date(now)))
        return tried >= self._executor.protection.stop_attempts

    async def _give_up(self, key: str, subject: str) -> None:
        """Tell that the broker takes no stop, and close the position where the configuration says so."""
        policy = self._executor.protection
        flattens = policy.on_rejected_stop is OnRejectedStop.FLATTEN
        what = "it is closed at market" if flattens else "close it, or protect it at the broker"
        message = f"{key}: the broker rejected the stop {policy.stop_attempts} times; {what}."
        if self._given_up.get(key) != message:
            self._given_up[key] = message
            self._raise(Alarm(code="stop_rejected", message=message), subject)
        if flattens and key not in self._under_way and self._closes_rejected(key) < policy.stop_attempts:
            await self._flatten(key, subject)

    def _closes_rejected(self, key: str) -> int:
        """Return how many closing orders of *key* the broker rejected in this session."""
        since = session_start(session_date(self._executor.clock.now()))
        closes = [r for r in orders_of(self._executor.store.view(), key) if r.order.role is OrderRole.CLOSE]
        return sum(1 for r in closes if r.status is OrderStatus.REJECTED and r.updated_at >= since)

    async def _flatten(self, key: str, subject: str) -> None:
        """Close all of *key* at market; what keeps it from closing is told."""
        from apex_cli.core.execution.closer import close_position  # noqa: PLC0415 - closing needs the executor that owns this

        request = CloseRequest(symbol=key, reason="stop_rejected")
        try:
            await close_position(self._executor, request, is_protective=True)
        except ApexError as error:
            message = f"{key}: it could not be closed: {error.message}"
            if self._not_closed.get(key) != message:
                self._not_closed[key] = message
                self._raise(Alarm(code="flatten_failed", message=message), subject)

    async def _send(self, stops: Sequence[Order], subject: str) -> None:
        if stops:
            self._executor.intend(stops, subject=subject)
        for stop in stops:
            await self._executor.send((stop,))

    def _uncovered(self, key: str) -> bool:
        """Tell whether *key* is held without full cover now."""
        state = self._executor.store.view()
        position = held_on_both_sides(state, key)
        return position is not None and unprotected_quantity(position, orders_of(state, key)) > 0

    def _tell(self, key: str, position: Position, why: str, subject: str) -> None:
        """Raise the alarm that *key* is not covered, once for the same reason."""
        state = self._executor.store.view()
        gap = unprotected_quantity(position, orders_of(state, key))
        message = f"{key}: {gap} of {position.quantity} are held without a working stop: {why}."
        if self._told.get(key) != message:
            self._raise(Alarm(code="unprotected", message=message), subject)
            self._told[key] = message

    def _raise(self, alarm: Alarm, subject: str) -> None:
        with self._executor.store.transaction() as tx:
            tx.emit("alarm", self._executor.clock.now(), subject, alarm)


def changes_of(state: State) -> tuple[int, ...]:
    """Return counts that rise whenever an order or a fill is booked, or a mismatch is found."""
    tables = (state.orders, state.fills, state.locks)
    return tuple(count for table in tables for count in (table.additions, table.rewrites, len(table)))


def _why_not(state: State, key: str) -> str:
    """Return why a stop of *key* does not work, in the words of the newest one."""
    stops = [r for r in orders_of(state, key) if r.order.role is OrderRole.STOP]
    newest = max(stops, key=lambda r: (r.created_at, r.order.client_order_id), default=None)
    if newest is None or newest.status is OrderStatus.WORKING:
        return "other exits rest for them"
    return newest.reason.rstrip(".") or f"the last stop is {newest.status.lower()}"


def held_on_both_sides(state: State, key: str) -> Position | None:
    """Return what is held of *key*, less what the broker is known not to hold: a stop for that would open a short."""
    row: PositionRecord | None = state.positions.get(key)
    return None if row is None else still_held(row.position, state.locks.get(key))


def orders_of(state: State, key: str) -> Sequence[OrderRecord]:
    """Return every order of one instrument."""
    return [record for record in state.orders.values() if record.order.instrument.key == key]
