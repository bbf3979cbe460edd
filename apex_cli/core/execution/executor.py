"""TradeExecutor: intents to the broker, fills to positions, protection that follows the quantity.

Every order is on disk as an intent before it leaves. What the broker answers is booked; what it
does not answer is *unknown* until the broker itself says more. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from apex_cli.core.decision.brackets import build_bracket
from apex_cli.core.decision.record import Alarm, end_approval, record_decision, record_executed
from apex_cli.core.errors import ApexError, BrokerError, OutcomeUnknownError
from apex_cli.core.execution.guard import Guard
from apex_cli.core.execution.upkeep import roll_session
from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerEvent, OrderUpdate
from apex_cli.core.model.decision import Decision, Snapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import Limits, ProtectionLimits
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.records import (
    ApprovalRecord,
    ApprovalStatus,
    BracketRecord,
    RestingEntry,
    SignalOutcome,
    SignalRecord,
)
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.ports import Broker, Clock, Ids, StateStore
from apex_cli.core.positions.booking import Booked, book
from apex_cli.core.state.tables import State, is_ours

SHORTEST_POLL_S, POLL_INTERVAL_S = 0.002, 0.05
"""How long to wait for the broker between two looks: at first the one, twice as long each time, up to the other."""

ASK_AGAIN = timedelta(seconds=30)
"""How long a running loop waits before it asks again about orders of unknown fate."""

UNSETTLED = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN})
NOTHING_SENT = frozenset({OrderStatus.NEVER_SENT, OrderStatus.REJECTED})
SOUND = frozenset({OrderStatus.WORKING, OrderStatus.FILLED})


class IntentEvent(Value, frozen=True, kw_only=True):
    """What we are about to send."""

    bracket: BracketRecord | None = None
    orders: tuple[Order, ...]


class TradeExecutor:
    """Opens brackets, books what comes back, and settles what is unknown."""

    def __init__(
        self,
        *,
        store: StateStore,
        broker: Broker,
        clock: Clock,
        ids: Ids,
        limits: Limits,
        protection: ProtectionLimits | None = None,
        ack_timeout_s: float = 10.0,
        on_booked: Callable[[Booked], None] | None = None,
    ) -> None:
        """Keep the ports; *on_booked* hears what was booked, after its commit."""
        self.store = store
        self.broker = broker
        self.clock = clock
        self.ids = ids
        self.limits = limits
        self.protection = protection or ProtectionLimits()
        self.ack_timeout_s = ack_timeout_s
        self.on_booked = on_booked
        self.guard = Guard(self)
        self._undelivered: list[BrokerEvent] = []
        self._ask_at: datetime | None = None
        self.saw_foreign = False
        """True since the broker told of a trade that apex did not ask for, until the books are compared."""

    async def open(
        self,
        opportunity: Opportunity,
        snapshot: Snapshot,
        decision: Decision,
        *,
        approval: ApprovalRecord | None = None,
        decided_by: str = "apex",
    ) -> tuple[OrderRecord, ...]:
        """Send the bracket of an execute decision; return its orders as they stand afterwards.

        Returns an empty tuple when the signal, or the approval, was taken by someone else first.

        Raises:
            StateError: the intent could not be written; nothing was sent.
        """
        now = self.clock.now()
        roll_session(self.store, snapshot.account, now)
        strategy = opportunity.signal.strategy
        bracket, orders = build_bracket(
            decision,
            opportunity,
            bracket_id=self.ids.new(),
            entry_order=self.limits.entry_order(strategy),
            entry_minutes=self.limits.execution.entry_minutes,
            now=now,
        )
        with self.store.transaction() as tx:
            if not _may_open(tx, opportunity, approval):
                return ()
            record_decision(tx, opportunity, snapshot, self.limits, decision, approval)
            record_executed(tx, opportunity.signal, bracket.bracket_id, now)
            if approval is not None:
                _approve(tx, approval, bracket.bracket_id, now, decided_by)
            tx.brackets[bracket.bracket_id] = bracket
            if self.limits.follows_price(strategy):
                tx.resting[bracket.bracket_id] = _resting(opportunity, bracket, orders, now)
            tx.counters = replace(tx.counters, entries_today=tx.counters.entries_today + 1)
            self.intend_in(tx, orders, now, subject=bracket.signal_id, bracket=bracket)
        await self.send_all(transmissions(orders))
        if any(record.status not in SOUND for record in self.records(orders)):
            self.conclude(bracket)
            await self.guard.watch()
        if approval is not None:
            self._end_approvals()
        return self.records(orders)

    async def send_all(self, parts: Sequence[tuple[Order, ...]]) -> None:
        """Send one part after another; after one that failed, the others stay here."""
        for number, part in enumerate(parts, start=1):
            if await self.send(part):
                continue
            rest = tuple(order for later in parts[number:] for order in later)
            self._book(asked=rest, absent=OrderStatus.NEVER_SENT, reason="Not sent, as the part before it failed.")
            return

    async def send(self, orders: Sequence[Order]) -> bool:
        """Send intents that are on disk as one transmission, and book what comes back; False when sending failed."""
        failure: BrokerError | OutcomeUnknownError | None = None
        try:
            await self.broker.submit(orders)
        except (BrokerError, OutcomeUnknownError) as error:
            failure = error
        status = OrderStatus.NEVER_SENT if isinstance(failure, BrokerError) else OrderStatus.UNKNOWN
        reason = failure.message if failure else "The broker gave no acknowledgement."
        self._book(asked=orders, absent=status, reason=reason)
        return failure is None

    async def ask_cancel(self, client_order_ids: Iterable[str]) -> ApexError | None:
        """Ask for cancels; return what went wrong with asking."""
        return await self._ask_each(self.broker.cancel(name) for name in client_order_ids)

    async def ask_modify(self, orders: Iterable[Order]) -> ApexError | None:
        """Ask for new terms of working orders; return what went wrong with asking."""
        return await self._ask_each(self.broker.modify(order) for order in orders)

    @staticmethod
    async def _ask_each(requests: Iterable[Awaitable[None]]) -> ApexError | None:
        failure: ApexError | None = None
        for request in requests:
            try:
                await request
            except (BrokerError, OutcomeUnknownError) as error:
                failure = error
        return failure

    def intend(self, orders: Iterable[Order], *, subject: str) -> None:
        """Write *orders* as intents, in a commit of their own."""
        with self.store.transaction() as tx:
            self.intend_in(tx, tuple(orders), self.clock.now(), subject=subject)

    def intend_in(
        self,
        tx: State,
        orders: tuple[Order, ...],
        now: datetime,
        *,
        subject: str,
        bracket: BracketRecord | None = None,
    ) -> None:
        """Write *orders* as intents, inside the caller's transaction."""
        for order in orders:
            tx.orders[order.client_order_id] = OrderRecord(order=order, created_at=now, updated_at=now)
        tx.emit("intent", now, subject, IntentEvent(bracket=bracket, orders=orders))

    def sync(self) -> bool:
        """Book everything the broker reported since the last call; True when there was something."""
        self._undelivered.extend(self.broker.drain())
        if not self._undelivered:
            return False
        self._book()
        return True

    def adopt(self, told: Iterable[BrokerEvent], also: Callable[[State], None]) -> None:
        """Book what an answer of the broker tells beyond the events that came, and do *also* in the same commit.

        Orders that turn out never to have left free their signal, as after a start.
        """
        told = tuple(told)
        self._book(told=told, also=also)
        never = {u.client_order_id for u in told if isinstance(u, OrderUpdate) and u.status is OrderStatus.NEVER_SENT}
        state = self.store.view()
        entries = [r for r in state.orders.values() if r.order.client_order_id in never]
        self._conclude_entries([record.order for record in entries])
        self._end_approvals()

    def _book(
        self,
        *,
        told: Iterable[BrokerEvent] = (),
        asked: Sequence[Order] = (),
        absent: OrderStatus = OrderStatus.UNKNOWN,
        reason: str = "",
        also: Callable[[State], None] | None = None,
    ) -> None:
        """Book events and *told* in one commit; orders of *asked* that they say nothing of become *absent*.

        What the broker reported is kept until it is booked: a commit that fails loses nothing.
        """
        self._undelivered.extend(self.broker.drain())
        with self.store.transaction() as tx:
            now = self.clock.now()
            events = (*self._undelivered, *told)
            self.saw_foreign = self.saw_foreign or any(isinstance(e, Fill) and not is_ours(tx, e) for e in events)
            booked = book(tx, events, now)
            _settle_unanswered(tx, asked, absent, reason, now)
            if also is not None:
                also(tx)
        self._undelivered.clear()
        if self.on_booked and (booked.fills or booked.round_trips):
            self.on_booked(booked)

    async def settle(self, is_settled: Callable[[State], bool]) -> bool:
        """Book events until *is_settled* holds; False when the broker took too long."""
        waited, pause = 0.0, SHORTEST_POLL_S
        while True:
            self.sync()
            if is_settled(self.store.view()):
                return True
            if waited >= self.ack_timeout_s:
                return False
            await asyncio.sleep(pause)
            waited += pause
            pause = min(2 * pause, POLL_INTERVAL_S)

    async def recover(self) -> tuple[OrderRecord, ...]:
        """Ask the broker what became of intents and unknown orders; return those still unknown.

        Found: adopted. Proved absent by a complete snapshot: never sent, and the signal may be decided
        again. Otherwise: unknown. Then everything held gets its stop, or an alarm.

        Raises:
            BrokerError: the broker cannot be asked; nothing changed.
        """
        self.sync()
        questions = [r.order for r in self.store.view().orders.open() if r.status in UNSETTLED]
        if questions:
            self._ask_at = self.clock.now() + ASK_AGAIN
            await self._ask(questions)
        self._end_approvals()
        await self.guard.look(at_once=True)
        return tuple(r for r in self.store.view().orders.open() if r.status is OrderStatus.UNKNOWN)

    async def _ask(self, questions: Sequence[Order]) -> None:
        snapshot = await self.broker.snapshot()
        absent = OrderStatus.NEVER_SENT if snapshot.is_complete else OrderStatus.UNKNOWN
        reason = "The broker never saw it." if snapshot.is_complete else "The broker gave no complete answer."
        self._book(told=(*snapshot.orders, *snapshot.fills), asked=questions, absent=absent, reason=reason)
        self._conclude_entries(questions)

    def _conclude_entries(self, orders: Iterable[Order]) -> None:
        """Tell what became of the brackets whose entries are among *orders*."""
        brackets = self.store.view().brackets
        for bracket_id in {order.bracket_id: None for order in orders if order.role is OrderRole.ENTRY}:
            if bracket_id in brackets:
                self.conclude(brackets[bracket_id])

    async def confirm(self) -> bool:
        """Ask the broker for all it knows and book it; True when the answer was complete.

        Raises:
            BrokerError: the broker cannot be asked.
        """
        snapshot = await self.broker.snapshot()
        self._book(told=(*snapshot.orders, *snapshot.fills))
        return snapshot.is_complete

    async def watch(self) -> None:
        """Between two rounds of a loop: keep everything held protected, and ask again about what is unknown.

        Raises:
            BrokerError: the broker cannot be asked.
        """
        self._end_approvals()
        is_due = self._ask_at is None or self.clock.now() >= self._ask_at
        if is_due and any(r.status in UNSETTLED for r in self.store.view().orders.open()):
            await self.recover()
        else:
            await self.guard.watch()

    def records(self, orders: Iterable[Order]) -> tuple[OrderRecord, ...]:
        """Return what is known of *orders* now."""
        known = self.store.view().orders
        return tuple(known[o.client_order_id] for o in orders if o.client_order_id in known)

    def conclude(self, bracket: BracketRecord) -> None:
        """Tell of entries that never left; when none was even tried at the venue, the signal is nobody's again."""
        with self.store.transaction() as tx:
            entries = _entries_of(tx, bracket.bracket_id)
            never = [r for r in entries if r.status is OrderStatus.NEVER_SENT]
            row: SignalRecord | None = tx.signals.get(bracket.signal_id)
            is_ours = row is not None and row.bracket_id == bracket.bracket_id
            if never:
                tx.emit("alarm", self.clock.now(), bracket.signal_id, _never_sent(bracket, never, len(entries)))
            if row is not None and is_ours and len(never) == len(entries):
                del tx.signals[bracket.signal_id]
            elif row is not None and is_ours and all(r.status in NOTHING_SENT for r in entries):
                refused = tx.signals[bracket.signal_id] = replace(row, outcome=SignalOutcome.REFUSED)
                tx.emit("signal_refused", self.clock.now(), bracket.signal_id, refused)

    def _end_approvals(self) -> None:
        """Give approvals that were answered with yes their end, once the fate of their orders is known."""
        if not any(a.status is ApprovalStatus.APPROVED for a in self.store.view().approvals.values()):
            return
        with self.store.transaction() as tx:
            for row in [a for a in tx.approvals.values() if a.status is ApprovalStatus.APPROVED]:
                status = _end_of(tx, row)
                if status is not None:
                    now = self.clock.now()
                    end_approval(tx, row, status, now, reason=row.reason, decided_by=row.decided_by)


def transmissions(orders: Sequence[Order]) -> tuple[tuple[Order, ...], ...]:
    """Group *orders* so that each entry leaves together with its own exits, in one piece."""
    by_tranche: dict[int, list[Order]] = {}
    for order in orders:
        by_tranche.setdefault(order.tranche, []).append(order)
    return tuple(map(tuple, by_tranche.values()))


def _may_open(tx: State, opportunity: Opportunity, approval: ApprovalRecord | None) -> bool:
    """Tell, under the lock, whether this signal is still nobody's."""
    if approval is None:
        return opportunity.signal.signal_id not in tx.signals
    row: ApprovalRecord | None = tx.approvals.get(approval.approval_id)
    return row is not None and row.status is ApprovalStatus.PENDING and row.version == approval.version


def _end_of(tx: State, approval: ApprovalRecord) -> ApprovalStatus | None:
    """Return what an approved one came to; None while only the broker knows."""
    entries = _entries_of(tx, approval.bracket_id)
    if any(r.status not in NOTHING_SENT | UNSETTLED for r in entries):
        return ApprovalStatus.EXECUTED
    return None if any(r.status in UNSETTLED for r in entries) else ApprovalStatus.FAILED


def _resting(opportunity: Opportunity, bracket: BracketRecord, orders: Iterable[Order], now: datetime) -> RestingEntry:
    return RestingEntry(
        bracket_id=bracket.bracket_id,
        opportunity=opportunity,
        entries=tuple(o.client_order_id for o in orders if o.role is OrderRole.ENTRY),
        first_price=bracket.entry_price,
        price=bracket.entry_price,
        since=now,
    )


def _entries_of(tx: State, bracket_id: str | None) -> list[OrderRecord]:
    return [r for r in tx.orders.values() if r.order.bracket_id == bracket_id and r.order.role is OrderRole.ENTRY]


def _never_sent(bracket: BracketRecord, never: Sequence[OrderRecord], entries: int) -> Alarm:
    part = "" if len(never) == entries else f", {len(never)} of {entries} parts"
    message = f"{bracket.instrument.key}: the entry for {bracket.signal_id} was never sent{part}: {never[0].reason}"
    return Alarm(code="never_sent", message=message)


def _approve(tx: State, approval: ApprovalRecord, bracket_id: str, now: datetime, decided_by: str) -> None:
    row = replace(approval, bracket_id=bracket_id)
    end_approval(tx, row, ApprovalStatus.APPROVED, now, decided_by=decided_by, reason=approval.reason)


def _settle_unanswered(tx: State, orders: Sequence[Order], status: OrderStatus, reason: str, now: datetime) -> None:
    """Give orders that the broker said nothing of their status."""
    for order in orders:
        record: OrderRecord | None = tx.orders.get(order.client_order_id)
        if record is not None and record.status in UNSETTLED and record.status is not status:
            fresh = replace(record, status=status, reason=reason, updated_at=now)
            tx.orders[order.client_order_id] = fresh
            tx.emit("order_updated", now, _subject(tx, order), fresh)


def _subject(tx: State, order: Order) -> str:
    bracket: BracketRecord | None = tx.brackets.get(order.bracket_id)
    return bracket.signal_id if bracket else order.instrument.symbol
