"""TradeExecutor: intents to the broker, fills to positions, protection that follows the quantity.

Every order is on disk as an intent before it leaves. What the broker answers is booked; what it
does not answer is *unknown* until the broker itself says more. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.booking import Booked, book
from apex_cli.core.errors import BrokerError, OutcomeUnknownError
from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerEvent
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.order import Order, OrderRecord, OrderStatus
from apex_cli.core.model.outcome import Decision, Snapshot
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, BracketRecord
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.ports import Broker, Clock, Ids, StateStore
from apex_cli.core.recording import end_approval, record_decision, record_executed
from apex_cli.core.rules.brackets import build_bracket
from apex_cli.core.rules.protection import replacement_stop, unprotected_quantity
from apex_cli.core.state import State

POLL_INTERVAL_S = 0.05
UNSETTLED = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN})
NOTHING_SENT = frozenset({OrderStatus.NEVER_SENT, OrderStatus.REJECTED})


class IntentEvent(Value, frozen=True, kw_only=True):
    """What we are about to send."""

    bracket: BracketRecord | None = None
    orders: tuple[Order, ...]


class Alarm(Value, frozen=True, kw_only=True):
    """Something a person must know now."""

    code: str
    message: str


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
        ack_timeout_s: float = 10.0,
        on_booked: Callable[[Booked], None] | None = None,
    ) -> None:
        """Keep the ports; *on_booked* hears what was booked, after its commit."""
        self.store = store
        self.broker = broker
        self.clock = clock
        self.ids = ids
        self.limits = limits
        self.ack_timeout_s = ack_timeout_s
        self.on_booked = on_booked

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
        bracket, orders = build_bracket(
            decision, opportunity, bracket_id=self.ids.new(), entry_order=self.limits.execution.entry_order, now=now
        )
        with self.store.transaction() as tx:
            if not _may_open(tx, opportunity, approval):
                return ()
            record_decision(tx, opportunity, snapshot, self.limits, decision)
            record_executed(tx, opportunity.signal, bracket.bracket_id, now)
            if approval is not None:
                _approve(tx, approval, bracket.bracket_id, now, decided_by)
            tx.brackets[bracket.bracket_id] = bracket
            tx.counters = replace(tx.counters, entries_today=tx.counters.entries_today + 1)
            self._intend(tx, orders, now, subject=bracket.signal_id, bracket=bracket)
        for transmission in transmissions(orders):
            await self.send(transmission)
        self._close_approval(approval, orders)
        return self.records(orders)

    async def send(self, orders: Sequence[Order]) -> None:
        """Send intents that are on disk as one transmission, and book what comes back at once."""
        failure: BrokerError | OutcomeUnknownError | None = None
        try:
            await self.broker.submit(orders)
        except (BrokerError, OutcomeUnknownError) as error:
            failure = error
        status = OrderStatus.NEVER_SENT if isinstance(failure, BrokerError) else OrderStatus.UNKNOWN
        reason = failure.message if failure else "The broker gave no acknowledgement."
        self._book(self.broker.drain(), asked=orders, absent=status, reason=reason)

    def intend(self, orders: Iterable[Order], *, subject: str) -> None:
        """Write *orders* as intents, in a commit of their own."""
        with self.store.transaction() as tx:
            self._intend(tx, tuple(orders), self.clock.now(), subject=subject)

    def _intend(
        self,
        tx: State,
        orders: tuple[Order, ...],
        now: datetime,
        *,
        subject: str,
        bracket: BracketRecord | None = None,
    ) -> None:
        for order in orders:
            tx.orders[order.client_order_id] = OrderRecord(order=order, created_at=now, updated_at=now)
        tx.emit("intent", now, subject, IntentEvent(bracket=bracket, orders=orders))

    def sync(self) -> bool:
        """Book everything the broker reported since the last call; True when there was something."""
        events = self.broker.drain()
        if not events:
            return False
        self._book(events)
        return True

    def _book(
        self,
        events: Iterable[BrokerEvent],
        *,
        asked: Sequence[Order] = (),
        absent: OrderStatus = OrderStatus.UNKNOWN,
        reason: str = "",
    ) -> None:
        """Book *events* in one commit; orders of *asked* that they say nothing of become *absent*."""
        with self.store.transaction() as tx:
            now = self.clock.now()
            booked = book(tx, events, now)
            _settle_unanswered(tx, asked, absent, reason, now)
        if self.on_booked and (booked.fills or booked.round_trips):
            self.on_booked(booked)

    async def settle(self, is_settled: Callable[[State], bool]) -> bool:
        """Book events until *is_settled* holds; False when the broker took too long."""
        waited = 0.0
        while True:
            self.sync()
            if is_settled(self.store.view()):
                return True
            if waited >= self.ack_timeout_s:
                return False
            await asyncio.sleep(POLL_INTERVAL_S)
            waited += POLL_INTERVAL_S

    async def recover(self) -> tuple[OrderRecord, ...]:
        """Ask the broker what became of intents and unknown orders; return those still unknown.

        Found: adopted. Proved absent by a complete snapshot: never sent. Otherwise: unknown.
        """
        self.sync()
        open_questions = [r for r in self.store.view().orders.values() if r.status in UNSETTLED]
        if open_questions:
            snapshot = await self.broker.snapshot()
            absent = OrderStatus.NEVER_SENT if snapshot.is_complete else OrderStatus.UNKNOWN
            reason = "The broker never saw it." if snapshot.is_complete else "The broker gave no complete answer."
            asked = [record.order for record in open_questions]
            self._book((*snapshot.orders, *snapshot.fills), asked=asked, absent=absent, reason=reason)
        await self.restore_protection()
        return tuple(r for r in self.store.view().orders.values() if r.status is OrderStatus.UNKNOWN)

    async def restore_protection(self) -> None:
        """Place a stop for every held unit that nothing covers, and raise an alarm for it."""
        state = self.store.view()
        for key, row in list(state.positions.items()):
            records = [r for r in state.orders.values() if r.order.instrument.key == key]
            gap = Quantity(unprotected_quantity(row.position, records))
            if gap <= 0 or any(r.status in UNSETTLED for r in records):
                continue
            bracket: BracketRecord | None = state.brackets.get(row.position.bracket_id)
            if bracket is None:
                self._raise(Alarm(code="unprotected", message=f"{key}: {gap} held without a stop or a plan."), key)
                continue
            stop = replacement_stop(row.position, bracket, gap, records)
            message = f"{key}: {gap} were held without a stop; a stop at {stop.stop_price} is placed."
            self._raise(Alarm(code="protection_restored", message=message), bracket.signal_id)
            self.intend((stop,), subject=bracket.signal_id)
            await self.send((stop,))

    def _raise(self, alarm: Alarm, subject: str) -> None:
        with self.store.transaction() as tx:
            tx.emit("alarm", self.clock.now(), subject, alarm)

    def records(self, orders: Iterable[Order]) -> tuple[OrderRecord, ...]:
        """Return what is known of *orders* now."""
        known = self.store.view().orders
        return tuple(known[o.client_order_id] for o in orders if o.client_order_id in known)

    def _close_approval(self, approval: ApprovalRecord | None, orders: Sequence[Order]) -> None:
        if approval is None:
            return
        sent = any(r.status not in NOTHING_SENT for r in self.records(orders))
        status = ApprovalStatus.EXECUTED if sent else ApprovalStatus.FAILED
        with self.store.transaction() as tx:
            row = tx.approvals[approval.approval_id]
            end_approval(tx, row, status, self.clock.now(), reason=row.reason, decided_by=row.decided_by)


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
