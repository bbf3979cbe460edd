"""Guard: every position keeps its stop, and exits never rest for more than is held.

Looked at after every start and whenever orders or positions changed. A stop that is missing is put
back; what cannot be put back is reported. An exit that could sell what is not held any more is cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.decision.brackets import excess
from apex_cli.core.errors import BusyError
from apex_cli.core.execution.order_manager import Orders
from apex_cli.core.market.calendar import session_date, session_start
from apex_cli.core.market.expiry import has_expired
from apex_cli.core.model.base import Value
from apex_cli.core.model.limits import OnRejectedStop, ProtectionLimits
from apex_cli.core.model.money import ONE, ZERO
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus
from apex_cli.core.model.position import Position, signed
from apex_cli.core.model.reconciliation import Lock
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.side import OrderSide
from apex_cli.core.ports import Clock, PriceOf, StateStore
from apex_cli.core.positions.protection import (
    ExitFacts,
    entries_after_exit,
    exit_facts,
    held_on_both_sides,
    is_unsure,
    last_refusal,
    newest_stop,
    orders_of,
    refusals,
    restoration,
    still_held,
    unprotected_quantity,
)
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import State

PAUSE_AFTER_SUCCESS = timedelta(seconds=5)
PAUSE_AFTER_FAILURE = timedelta(seconds=30)
"""How long the loop waits before it places another stop for the same security."""


LEAST_JUMP = Decimal("0.81")
"""What is left of a price after the smallest split that is looked for, and a little."""


MOST_SOUND = 10_000
"""Securities of which the guard remembers that nothing was amiss."""


GivePlan = Callable[[Position], Awaitable[bool]]


class Cover(StrEnum):
    """How a position stands after its stops were looked at."""

    FULL = "full"
    PARTIAL = "partial"
    GIVEN_UP = "given_up"
    """The broker rejected the stop as often as it is tried."""


class GivenUp(Value, frozen=True, kw_only=True):
    """A position that the broker takes no stop for."""

    key: str
    subject: str
    """The signal it was opened for."""


class Guard:
    """Places missing stops, takes excess exits away, and raises alarms for what it cannot mend."""

    def __init__(
        self,
        *,
        orders: Orders,
        store: StateStore,
        clock: Clock,
        protection: ProtectionLimits,
        price_of: PriceOf | None = None,
        give_plan: GivePlan | None = None,
    ) -> None:
        """Keep the parts.

        Args:
            orders: places and changes stops.
            store: the state.
            clock: the time of decisions.
            protection: how often a rejected stop is tried.
            price_of: asks for a price.
            give_plan: gives a position without a plan one; False where it has none to give.
        """
        self._price_of = price_of
        self._give_plan = give_plan
        self._orders = orders
        self._store = store
        self._clock = clock
        self._protection = protection
        self._under_way: set[str] = set()
        self._told: dict[str, str] = {}
        """Last alarm by security: the same trouble is reported once a run."""

        self._given_up: dict[str, str] = {}
        """Last message by security on stops that the broker rejects: raised once a run."""

        self._not_ended: dict[str, str] = {}
        """Last message by security on entries that could not be cancelled: raised once a run."""

        self._not_before: dict[str, datetime] = {}
        self._sound: dict[str, ExitFacts] = {}
        """By security: as it was when nothing had to be done."""

        self._is_last = False
        self._seen: State | None = None
        self._seen_changes: tuple[object, ...] = ()

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

    async def watch(self) -> tuple[GivenUp, ...]:
        """Look again if orders or positions changed, or something is still amiss; return what was given up."""
        state = self._store.view()
        if self._told or state is not self._seen or changes_of(state) != self._seen_changes:
            return await self.look()
        return ()

    async def mend(self, key: str) -> bool:
        """Bring the exits of one security in line with what is held, at once; return whether all of it is covered."""
        await self._trim(key)
        return await self.protect(key)

    async def look(self, *, at_once: bool = False, is_last: bool = False) -> tuple[GivenUp, ...]:
        """Cancel exits that rest for more than is held, and place the stops that are missing.

        Args:
            at_once: without the pause between one stop and the next.
            is_last: nobody looks again soon: a rejected stop is tried again without its pause, too.

        Returns:
            What the broker takes no stop for.
        """
        state = self._store.view()
        resting = {r.order.instrument.key: None for r in state.orders.open()}
        given_up: tuple[GivenUp, ...] = ()
        if self._told or not all(map(self._is_sound, resting | dict.fromkeys(state.positions))):
            given_up = await self._mend_all(resting, at_once=at_once, is_last=is_last)
        self._seen = self._store.view()
        self._seen_changes = changes_of(self._seen)
        return given_up

    async def _mend_all(self, resting: Iterable[str], *, at_once: bool, is_last: bool) -> tuple[GivenUp, ...]:
        """Trim what rests for too much in *resting*, protect everything held, and return what was given up."""
        for key in resting:
            if key not in self._under_way and not self._is_sound(key):
                await self._end_entries(key)
                await self._trim(key)
        held = [key for key in self._store.view().positions if not self._is_sound(key)]
        looked_at = dict.fromkeys((*self._told, *held))
        self._is_last = is_last
        covers = {key: await self._protect(key, at_once=at_once) for key in looked_at if key not in self._under_way}
        self._is_last = False
        return tuple(
            GivenUp(key=key, subject=self._subject(key)) for key, cover in covers.items() if cover is Cover.GIVEN_UP
        )

    def _is_sound(self, key: str) -> bool:
        """Return whether nothing is to be done about *key*: worked out again only when something of it changed."""
        state = self._store.view()
        known = self._sound.get(key)
        facts = exit_facts(state, key, known)
        if facts is known:
            return True
        self._sound.pop(key, None)
        if not has_nothing_amiss(facts):
            return False
        if len(self._sound) >= MOST_SOUND:
            self._sound.clear()
        self._sound[key] = facts
        return True

    def _subject(self, key: str) -> str:
        state = self._store.view()
        position = held_on_both_sides(state, key)
        bracket: BracketRecord | None = state.brackets.get(position.bracket_id) if position else None
        return bracket.signal_id if bracket else key

    async def _end_entries(self, key: str) -> None:
        """Cancel what is left of an entry once a stop or target of it has filled: it would buy again without them."""
        late = entries_after_exit(orders_of(self._store.view(), key))
        names = [record.order.client_order_id for record in late]
        if not names:
            return
        with self._store.transaction() as tx:
            for record in late:
                tx.resting.pop(record.order.bracket_id, None)
        failure = await self._orders.cancel(names)
        is_over = await self._orders.settle(lambda state: all(state.orders[name].status.is_final for name in names))
        if not is_over:
            why = failure.message if failure else "the broker did not confirm it."
            message = f"{key}: an exit has filled, but what is left of the entry could not be cancelled: {why}"
            if self._not_ended.get(key) != message:
                self._not_ended[key] = message
                self._raise(Alarm(code="entry_not_cancelled", message=message), self._subject(key))

    async def _trim(self, key: str) -> None:
        """Cancel or shrink exits of *key* beyond what is held and what working entries may still open."""
        state = self._store.view()
        records = orders_of(state, key)
        working = [r for r in records if r.is_open]
        changes = [excess(held_on_both_sides(state, key), working, side) for side in OrderSide]
        if not any(change.cancel or change.shrink for change in changes) or any(map(is_unsure, records)):
            return
        for change in changes:
            await self._orders.cancel(change.cancel)
            await self._orders.change(change.shrink)
        self._orders.sync()

    async def protect(self, key: str) -> bool:
        """Place the stops that *key* lacks at once, or raise an alarm; return whether everything held is covered."""
        return await self._protect(key, at_once=True) is Cover.FULL

    async def _protect(self, key: str, *, at_once: bool) -> Cover:
        """Place missing stops; without *at_once*, a loop waits between one stop and the next."""
        state = self._store.view()
        position = held_on_both_sides(state, key)
        working = [r for r in orders_of(state, key) if r.is_open]
        is_over = position is not None and has_expired(position.instrument, self._clock.now())
        if position is None or is_over or unprotected_quantity(position, working) <= 0:
            self._told.pop(key, None)
            return Cover.FULL
        bracket: BracketRecord | None = state.brackets.get(position.bracket_id)
        if bracket is None:
            return await self._give_stop(key, position, at_once=at_once)
        lock: Lock | None = state.locks.get(key)
        if lock is not None and lock.split is not None:
            why = f"it looks like a split, {lock.split}, and no stop is placed at a price of before"
            self._raise_alarm(key, position, f"{why}; apex reconcile proposes the way on", bracket.signal_id)
            return Cover.PARTIAL
        records = orders_of(state, key)
        if any(map(is_unsure, records)):
            self._raise_alarm(key, position, "the outcome of an order is unknown", bracket.signal_id)
            return Cover.PARTIAL
        now = self._clock.now()
        if not at_once and now < self._not_before.get(key, now):
            if key not in self._told:
                self._raise_alarm(
                    key, position, "the last one did not hold, and the next follows soon", bracket.signal_id
                )
            return Cover.PARTIAL
        return await self._place(key, position, bracket, records, now)

    async def _give_stop(self, key: str, position: Position, *, at_once: bool) -> Cover:
        """Protect a position without a plan, where one is to be had; else say how a person gives it a stop."""
        if self._give_plan is not None and await self._give_plan(position):
            return await self._protect(key, at_once=at_once)
        way = f"apex reconcile --adopt {key!r} --stop PRICE gives it one"
        self._raise_alarm(key, position, f"there is no plan to take a stop price from; {way}", key)
        return Cover.PARTIAL

    async def _place(
        self, key: str, position: Position, bracket: BracketRecord, records: Sequence[OrderRecord], now: datetime
    ) -> Cover:
        missing = restoration(position, bracket, records)
        if await self._is_beyond_doubtful_books(key, position, missing.stops):
            why = "the broker holds another quantity, and the price is beyond the stop of before"
            self._raise_alarm(key, position, f"{why}; apex reconcile shows both", bracket.signal_id)
            return Cover.PARTIAL
        gap = unprotected_quantity(position, records)
        stops = [stop for stop in missing.stops if self._may_try(stop, records, now)]
        if missing.grow:
            await self._orders.change(missing.grow)
        await self._send(stops, bracket.signal_id)
        left = self._uncovered(key)
        self._not_before[key] = now + (PAUSE_AFTER_FAILURE if left else PAUSE_AFTER_SUCCESS)
        if left:
            self._raise_alarm(key, position, _why_not(self._store.view(), key), bracket.signal_id)
            if not any(self._is_given_up(stop, now) for stop in missing.stops):
                return Cover.PARTIAL
            self._tell_given_up(key, bracket.signal_id)
            return Cover.GIVEN_UP
        self._told.pop(key, None)
        price = next((stop.stop_price for stop in (*stops, *missing.grow)), bracket.stop_price)
        message = f"{key}: {gap} were held without a stop; a stop at {price} is placed."
        self._raise(Alarm(code="protection_restored", message=message), bracket.signal_id)
        return Cover.FULL

    async def _is_beyond_doubtful_books(self, key: str, position: Position, stops: Sequence[Order]) -> bool:
        """Return whether the books differ as after a split, so that a stop would stand at a price of before.

        Asked where a stop would fire at once, and where the price has jumped, or is not known.
        """
        row: PositionRecord | None = self._store.view().positions.get(key)
        if self._price_of is None or not stops or row is None:
            return False
        price = await self._price_of(position.instrument)
        triggers = [stop.stop_price for stop in stops if stop.stop_price is not None]
        fires = price is not None and any((price - each) * position.side.sign <= ZERO for each in triggers)
        if not fires and price is not None and not _is_jump(price / row.current_price):
            return False
        ours, theirs = signed(row.position), await self._orders.held_at_broker(key)
        if price is None:
            return theirs is not None and _is_jump(theirs / ours)
        return theirs != ours

    def _may_try(self, stop: Order, records: Sequence[OrderRecord], now: datetime) -> bool:
        """Return whether a stop may be sent: a rejected one again after a pause, a few times a session."""
        since = session_start(session_date(now))
        last = last_refusal(stop, records, since)
        if last is None:
            return True
        is_rested = self._is_last or now >= last + timedelta(seconds=self._protection.retry_pause_s)
        return is_rested and refusals(stop, records, since) < self._protection.stop_attempts

    def _is_given_up(self, stop: Order, now: datetime) -> bool:
        records = orders_of(self._store.view(), stop.instrument.key)
        tried = refusals(stop, records, session_start(session_date(now)))
        return tried >= self._protection.stop_attempts

    def _tell_given_up(self, key: str, subject: str) -> None:
        """Raise the alarm that the broker takes no stop, once a run."""
        flattens = self._protection.on_rejected_stop is OnRejectedStop.FLATTEN
        what = "it is closed at market" if flattens else "close it, or protect it at the broker"
        message = f"{key}: the broker rejected the stop {self._protection.stop_attempts} times; {what}."
        if self._given_up.get(key) != message:
            self._given_up[key] = message
            self._raise(Alarm(code="stop_rejected", message=message), subject)

    async def _send(self, stops: Sequence[Order], subject: str) -> None:
        if stops:
            with self._store.transaction() as tx:
                self._orders.intend(tx, tuple(stops), self._clock.now(), subject=subject)
        for stop in stops:
            await self._orders.send((stop,))

    def _uncovered(self, key: str) -> bool:
        """Return whether *key* is held without full cover now."""
        state = self._store.view()
        position = held_on_both_sides(state, key)
        return position is not None and unprotected_quantity(position, orders_of(state, key)) > 0

    def _raise_alarm(self, key: str, position: Position, why: str, subject: str) -> None:
        """Raise the alarm that *key* is not covered, once for the same reason."""
        state = self._store.view()
        gap = unprotected_quantity(position, orders_of(state, key))
        message = f"{key}: {gap} of {position.quantity} are held without a working stop: {why}."
        if self._told.get(key) != message:
            self._raise(Alarm(code="unprotected", message=message), subject)
            self._told[key] = message

    def _raise(self, alarm: Alarm, subject: str) -> None:
        with self._store.transaction() as tx:
            tx.emit(AlarmRaised(at=self._clock.now(), subject=subject, data=alarm))


def has_nothing_amiss(facts: ExitFacts) -> bool:
    """Return whether what is held is covered, nothing rests for more, and no entry must end."""
    position = None if facts.position is None else still_held(facts.position, facts.lock)
    working = [r for r in facts.orders if r.is_open]
    if position is not None and unprotected_quantity(position, working) > ZERO:
        return False
    if entries_after_exit(facts.orders):
        return False
    changes = [excess(position, working, side) for side in {r.order.side for r in working}]
    return not any(change.cancel or change.shrink for change in changes)


def _is_jump(ratio: Decimal) -> bool:
    """Return whether a quantity or price changed by as much as it does at a split of 5 for 4, or more."""
    return ratio > ZERO and not LEAST_JUMP < ratio < ONE / LEAST_JUMP


def changes_of(state: State) -> tuple[object, ...]:
    """Return what differs whenever an order or a fill is booked, or a mismatch is found."""
    return state.orders.mark, state.fills.mark, state.locks.mark


def _why_not(state: State, key: str) -> str:
    """Return why a stop of *key* does not work, in the words of the newest one."""
    newest = newest_stop(orders_of(state, key))
    if newest is None or newest.status is OrderStatus.WORKING:
        return "other exits rest for them"
    return newest.reason.rstrip(".") or f"the last stop is {newest.status.lower()}"
