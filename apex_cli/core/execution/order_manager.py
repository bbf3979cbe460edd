"""Orders: intents to the broker, and the broker's answers into the state.

Every order is on disk as an intent before it is sent. What the broker answers is booked; what it does not answer is
*unknown* until the broker itself says more. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from apex_cli.core.decision.record import end_approval
from apex_cli.core.errors import ApexError, BrokerError, OutcomeUnknownError
from apex_cli.core.model.broker_events import BrokerEvent, BrokerSnapshot, OrderUpdate
from apex_cli.core.model.limits import Patience
from apex_cli.core.model.money import ZERO, Quantity
from apex_cli.core.model.order import Exchange, Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, BracketRecord, SignalOutcome, SignalRecord
from apex_cli.core.ports import Broker, Clock, StateStore
from apex_cli.core.positions.booking import Booked, book, entries_of, subject_of
from apex_cli.core.positions.protection import next_leg_id, orders_of
from apex_cli.core.positions.trade_locks import keep_locks
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.events.order_events import Intent, IntentWritten, OrderUpdated
from apex_cli.core.state.events.signal_events import SignalRefused
from apex_cli.core.state.tables import State

SHORTEST_POLL_S, POLL_INTERVAL_S = 0.002, 0.05
"""How long to wait for the broker between two looks: at first the one, twice as long each time, up to the other."""

UNSETTLED = frozenset({OrderStatus.INTENT, OrderStatus.UNKNOWN})
NOTHING_SENT = frozenset({OrderStatus.NEVER_SENT, OrderStatus.REJECTED})
SOUND = frozenset({OrderStatus.WORKING, OrderStatus.FILLED})


Send = Callable[[], Awaitable[None]]
PART_BEFORE_FAILED = "Not sent, as the part before it failed."


class _Transmission:
    """Orders that are sent in one piece: that sending them failed is kept, and not raised."""

    def __init__(self, orders: Sequence[Order]) -> None:
        """Believe that the broker takes *orders* and says nothing, until something else is known."""
        self.orders = orders
        self.absent = OrderStatus.UNKNOWN
        """Status of those that the broker says nothing of."""

        self.reason = "The broker gave no acknowledgement."
        self.was_taken = True

    def __enter__(self) -> None:
        """Begin to send."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Keep why it failed."""
        is_expected = isinstance(error, BrokerError | OutcomeUnknownError)
        if isinstance(error, BrokerError | OutcomeUnknownError):
            self.fail(error)
        return is_expected

    def fail(self, error: BrokerError | OutcomeUnknownError) -> None:
        """Note that sending failed: what became of the orders is only known where the broker took nothing."""
        self.absent = OrderStatus.NEVER_SENT if isinstance(error, BrokerError) else OrderStatus.UNKNOWN
        self.reason, self.was_taken = error.message, False


class Orders:
    """Sends orders, changes and cancels, and books everything that the broker reports."""

    def __init__(
        self,
        *,
        store: StateStore,
        broker: Broker,
        clock: Clock,
        patience: Patience,
        protections: Protections,
    ) -> None:
        """Keep the ports; *patience* says how long the broker may take, *protections* what closed trades lock."""
        self._protections = protections
        self._store = store
        self._broker = broker
        self._clock = clock
        self._patience = patience
        self._listeners: list[Callable[[Booked], None]] = []
        self._undelivered: list[BrokerEvent] = []
        self._outside_fills = 0
        self._refused: dict[str, str] = {}
        """Reasons why changes were refused, by client order id, until the next change is asked for."""

        self._replaced: dict[str, str] = {}
        self._in_settlement: dict[str, None] = {}
        """Names of orders that were sent, changed or cancelled, and may still be refused."""

        self.has_sent = False
        """Whether anything ever left for the broker, or may have."""

    @property
    def in_settlement(self) -> tuple[str, ...]:
        """Names of the orders that were sent, changed or cancelled since everything was settled."""
        return tuple(self._in_settlement)

    @property
    def most_together(self) -> int:
        """How many requests may be written down before the first of them leaves for the broker."""
        return self._broker.most_together

    @property
    def outside_fills(self) -> int:
        """How many executions the broker has reported that apex did not ask for."""
        return self._outside_fills

    def listen(self, on_booked: Callable[[Booked], None]) -> None:
        """Call *on_booked* with new fills and round trips, after their commit."""
        self._listeners.append(on_booked)

    # To the broker

    def intend(
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
        tx.emit(IntentWritten(at=now, subject=subject, data=Intent(bracket=bracket, orders=orders)))

    async def send_all(self, orders: Sequence[Order]) -> None:
        """Send intents that are on disk, each entry together with its exits; after one that failed, the others stay."""
        parts = _parts(orders)
        for number, part in enumerate(parts, start=1):
            if await self.send(part):
                continue
            rest = tuple(order for later in parts[number:] for order in later)
            self.sync(asked=rest, absent=OrderStatus.NEVER_SENT, reason=PART_BEFORE_FAILED)
            return

    async def send(self, orders: Sequence[Order]) -> bool:
        """Send intents that are on disk as one transmission, and book what comes back; False when sending failed."""
        self._follow(order.client_order_id for order in orders)
        sent = _Transmission(orders)
        with sent:
            await self._broker.submit(orders)
        self.sync(asked=orders, absent=sent.absent, reason=sent.reason)
        return sent.was_taken

    async def send_together(self, brackets: Iterable[Sequence[Order]]) -> None:
        """Send several sets of intents that are on disk, each as ``send_all`` does, and book what comes back at once.

        One that fails stops no other.
        """
        await self._send_each(
            [(part, partial(self._broker.submit, part)) for part in _parts(each)] for each in brackets
        )

    async def exchange(self, exchanges: Iterable[Exchange]) -> None:
        """Send intents that are on disk, each set in one piece with what makes room for it, and book what comes back.

        One that fails stops no other.
        """
        exchanges = tuple(exchanges)
        for each in exchanges:
            for order in each.change:
                self._refused.pop(order.client_order_id, None)
            touched = (*each.cancel, *(order.client_order_id for order in each.change), *each.beside)
            self._follow(touched)
        await self._send_each([(each.orders, partial(self._broker.exchange, each))] for each in exchanges)

    async def _send_each(self, sets: Iterable[Iterable[tuple[Sequence[Order], Send]]]) -> None:
        """Send each part of *sets*, and book what comes back; after a part that failed, the others of its set stay."""
        sent: list[_Transmission] = []
        try:
            with self._broker.grouped():
                for parts in sets:
                    was_taken = True
                    for orders, send in parts:
                        sent.append(part := _Transmission(orders))
                        if not was_taken:
                            part.fail(BrokerError("not_sent", PART_BEFORE_FAILED))
                            continue
                        with part:
                            await send()
                        was_taken = part.was_taken
        except OutcomeUnknownError as error:
            for part in sent:
                if part.was_taken:
                    part.fail(error)
        self._follow(order.client_order_id for part in sent for order in part.orders)

        def settle(tx: State) -> None:
            for part in sent:
                _settle_unanswered(tx, part.orders, part.absent, part.reason, self._clock.now())

        self.sync(also=settle)

    async def cancel(self, client_order_ids: Iterable[str]) -> ApexError | None:
        """Ask for cancels; return what went wrong with asking."""
        client_order_ids = tuple(client_order_ids)
        self._follow(client_order_ids)
        return await self._ask_each(self._broker.cancel(name) for name in client_order_ids)

    async def modify(self, orders: Iterable[Order]) -> ApexError | None:
        """Ask for new terms of working orders; return what went wrong with asking."""
        orders = tuple(orders)
        self._follow(order.client_order_id for order in orders)
        return await self._ask_each(self._broker.modify(order) for order in orders)

    def _follow(self, client_order_ids: Iterable[str]) -> None:
        """Note what leaves for the broker now."""
        names = dict.fromkeys(client_order_ids)
        self._in_settlement |= names
        self.has_sent = self.has_sent or bool(names)

    async def _ask_each(self, requests: Iterable[Awaitable[None]]) -> ApexError | None:
        failure: ApexError | None = None
        try:
            with self._broker.grouped():
                for request in requests:
                    try:
                        await request
                    except (BrokerError, OutcomeUnknownError) as error:
                        failure = error
        except OutcomeUnknownError as error:
            failure = error
        return failure

    async def require_ready(self, client_order_ids: Iterable[str] = ()) -> None:
        """Make sure that orders can be sent now, and that *client_order_ids* can be changed from here.

        Raises:
            BrokerError: something cannot; nothing was asked for.
        """
        await self._broker.require_ready(client_order_ids)

    async def refusal_before(self, order: Order) -> str:
        """Return why the broker would refuse *order*, empty where it would take it or does not say."""
        return await self._broker.refusal_of(order)

    async def change(self, orders: Iterable[Order]) -> ApexError | None:
        """Give working orders new terms; an order whose change the broker refuses is replaced by a fresh one.

        Interactive Brokers refuses some changes inside an OCA group. The fresh order joins the group before the old one
        is cancelled: the position stays covered, and both together can fill no more than one of them.

        Returns:
            What went wrong with asking.
        """
        orders = tuple(orders)
        for order in orders:
            self._refused.pop(order.client_order_id, None)
        before = {record.order.client_order_id: _terms(record.order) for record in self.records(orders)}
        failure = await self.modify(orders)
        if not orders or failure is not None:
            self.sync()
            return failure
        await self.settle(lambda state: all(self._is_answered(state, order, before) for order in orders))
        for order in orders:
            record: OrderRecord = self._store.view().orders[order.client_order_id]
            stands = record.is_open and _terms(record.order) == before[order.client_order_id] != _terms(order)
            if stands and order.client_order_id in self._refused:
                await self._replace(record, order)
        return None

    async def stand_in(self, order: Order) -> bool:
        """Let a fresh order of these terms join the OCA group of the working one they are for; True when it works."""
        record: OrderRecord = self._store.view().orders[order.client_order_id]
        return await self._join(record, order)

    def refusal_of(self, client_order_id: str) -> str:
        """Return why the last change of an order was refused; empty when it was not."""
        return self._refused.get(client_order_id, "")

    def replacement_of(self, client_order_id: str) -> str:
        """Return the name of the order that took the place of *client_order_id*; its own when none did."""
        return self._replaced.get(client_order_id, client_order_id)

    def _is_answered(self, state: State, order: Order, before: Mapping[str, tuple[object, ...]]) -> bool:
        """Return whether an order has ended, its change was refused, or it has other terms than *before*."""
        record: OrderRecord = state.orders[order.client_order_id]
        old = before[order.client_order_id]
        is_other = _terms(record.order) != old or _terms(order) == old
        return is_other or not record.is_open or order.client_order_id in self._refused

    async def _replace(self, old: OrderRecord, wanted: Order) -> None:
        name = old.order.client_order_id
        is_safe = wanted.oca_group is not None
        if (is_safe or await self._cancelled(name)) and await self._join(old, wanted) and is_safe:
            await self._cancelled(name)

    async def _join(self, old: OrderRecord, wanted: Order) -> bool:
        """Send an order of the terms *wanted* in place of *old*, which is not touched; True when it works."""
        name = old.order.client_order_id
        state = self._store.view()
        letter = name.rpartition("-")[2].rstrip("0123456789")
        fresh = replace(
            wanted,
            client_order_id=next_leg_id(wanted.bracket_id, letter, orders_of(state, wanted.instrument.key)),
            quantity=Quantity(wanted.quantity - old.filled_quantity),
            parent_id=None,
        )
        with self._store.transaction() as tx:
            self.intend(tx, (fresh,), self._clock.now(), subject=subject_of(tx, fresh.bracket_id, fresh.instrument))
        await self.send((fresh,))
        await self.settle(lambda state: state.orders[fresh.client_order_id].status not in UNSETTLED)
        if self._store.view().orders[fresh.client_order_id].status not in SOUND:
            return False
        self._replaced[name] = fresh.client_order_id
        return True

    async def _cancelled(self, name: str) -> bool:
        """Cancel one order; False when the broker does not confirm it."""
        failure = await self.cancel((name,))
        return failure is None and await self.settle(lambda state: state.orders[name].status.is_final)

    # From the broker

    def sync(
        self,
        reported: Iterable[BrokerEvent] = (),
        *,
        asked: Sequence[Order] = (),
        absent: OrderStatus = OrderStatus.UNKNOWN,
        reason: str = "",
        also: Callable[[State], None] | None = None,
    ) -> bool:
        """Book in one commit what the broker sent since the last call, and what it *reported* when it was asked.

        What was sent is kept until it is booked: a commit that fails loses nothing.

        Args:
            reported: an answer of the broker.
            asked: orders that should be among all that; those that are not become *absent*.
            absent: their status.
            reason: why.
            also: what else belongs into the commit.

        Returns:
            Whether the broker said anything.
        """
        self._undelivered.extend(self._broker.drain())
        events = (*self._undelivered, *reported)
        if not (events or asked or also):
            return False
        with self._store.transaction() as tx:
            now = self._clock.now()
            booked = book(tx, events, now)
            if self._protections is not NO_PROTECTIONS and tx.round_trips.changed:
                keep_locks(tx, self._protections, now)
            if asked:
                _settle_unanswered(tx, asked, absent, reason, now)
            if also is not None:
                also(tx)
        self._undelivered.clear()
        self._outside_fills += booked.outside
        for event in events:
            if isinstance(event, OrderUpdate) and event.is_change_refused:
                self._refused[event.client_order_id] = event.reason
        if booked.fills or booked.round_trips:
            for hear in self._listeners:
                hear(booked)
        return bool(events)

    async def settle(self, is_settled: Callable[[State], bool], *, within_s: float | None = None) -> bool:
        """Book events until *is_settled* holds; False when the broker took too long, or longer than *within_s*."""
        limit = self._patience.ack_timeout_s if within_s is None else min(within_s, self._patience.ack_timeout_s)
        waited, pause = 0.0, SHORTEST_POLL_S
        while True:
            self.sync()
            if is_settled(self._store.view()):
                return True
            if waited >= limit:
                return False
            await asyncio.sleep(pause)
            waited += pause
            pause = min(2 * pause, POLL_INTERVAL_S)

    async def follow(self) -> None:
        """Follow the orders in settlement until the broker can no longer refuse them, then ask for all it knows.

        An order that has ended can be refused no more: where all have, only the question is left.

        Raises:
            OutcomeUnknownError: the broker could not be asked, or did not say of each what became of it.
        """
        names = self.in_settlement
        if not names or not self._patience.settle_s:
            self._in_settlement.clear()
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience.settle_s
        while loop.time() < until and not self._have_ended(names):
            await asyncio.sleep(POLL_INTERVAL_S)
            self.sync()
        until = loop.time() + self._patience.ack_timeout_s
        while doubtful := await self._in_doubt(names):
            if loop.time() >= until:
                raise OutcomeUnknownError(
                    "orders_unsettled",
                    f"The broker could not be asked, or did not say, what became of {', '.join(doubtful)}.",
                    hint="Look in TWS and at apex orders; the next start asks again.",
                    details={"orders": list(doubtful)},
                )
            await asyncio.sleep(POLL_INTERVAL_S)
        self._in_settlement = {name: None for name in self._in_settlement if name not in names}

    def _have_ended(self, names: Iterable[str]) -> bool:
        records = map(self._store.view().orders.get, names)
        return all(record is not None and record.status.is_final for record in records)

    async def _in_doubt(self, names: Sequence[str]) -> Sequence[str]:
        """Ask the broker, and return those of *names* that an incomplete answer says nothing of."""
        try:
            snapshot = await self.confirm()
        except BrokerError:
            return names
        if snapshot.is_complete:
            return ()
        known, open_ones = {update.client_order_id for update in snapshot.orders}, self._store.view().orders.open()
        return [name for name in (r.order.client_order_id for r in open_ones) if name in names and name not in known]

    def take_over(self, reported: Iterable[BrokerEvent], also: Callable[[State], None]) -> None:
        """Book what an answer of the broker says beyond the events that came, and do *also* in the same commit.

        Orders that turn out never to have been sent free their signal, as after a start.
        """
        reported = tuple(reported)
        self.sync(reported, also=also)
        updates = (event for event in reported if isinstance(event, OrderUpdate))
        never = {update.client_order_id for update in updates if update.status is OrderStatus.NEVER_SENT}
        state = self._store.view()
        self._conclude_entries([r.order for r in state.orders.values() if r.order.client_order_id in never])
        self.end_approvals()

    async def ask_again(self) -> None:
        """Ask the broker what became of intents and unknown orders.

        Found: adopted. Absent from a complete snapshot, and not to turn up any more: never sent. Otherwise: unknown.

        Raises:
            BrokerError: the broker cannot be asked; nothing changed.
        """
        questions = self.unsettled()
        if questions:
            snapshot = await self._broker.snapshot()
            reported: tuple[BrokerEvent, ...] = (*snapshot.orders, *snapshot.fills)
            if snapshot.is_complete:
                late = tuple(order for order in questions if self.may_turn_up(order.client_order_id))
                gone = tuple(order for order in questions if order not in late)
                self.sync(reported, asked=late, reason="The broker has not seen it yet.")
                self.sync(asked=gone, absent=OrderStatus.NEVER_SENT, reason="The broker never saw it.")
            else:
                self.sync(reported, asked=questions, reason="The broker gave no complete answer.")
            self._conclude_entries(questions)
        self.end_approvals()

    async def confirm(self) -> BrokerSnapshot:
        """Ask the broker for all it knows, book it, and return it.

        Raises:
            BrokerError: the broker cannot be asked.
        """
        snapshot = await self._broker.snapshot()
        self.sync((*snapshot.orders, *snapshot.fills))
        return snapshot

    async def held_at_broker(self, key: str) -> Decimal | None:
        """Return the signed quantity of *key* that the broker holds; None where it gives no complete answer."""
        try:
            snapshot = await self._broker.snapshot()
        except BrokerError:
            return None
        return snapshot.positions.get(key, ZERO) if snapshot.is_complete else None

    # What is known

    def may_turn_up(self, client_order_id: str) -> bool:
        """Return whether an order of unknown fate was written down so recently that its absence proves nothing.

        Never at a broker that is in this process: its clock may be behind what a killed process wrote down.
        """
        record: OrderRecord | None = self._store.view().orders.get(client_order_id)
        wait = timedelta(seconds=self._patience.never_sent_after_s)
        if not wait or record is None or record.status not in UNSETTLED:
            return False
        return self._clock.now() - record.created_at < wait

    def records(self, orders: Iterable[Order]) -> tuple[OrderRecord, ...]:
        """Return what is known of *orders* now."""
        known = self._store.view().orders
        return tuple(known[o.client_order_id] for o in orders if o.client_order_id in known)

    def unsettled(self) -> tuple[Order, ...]:
        """Return the orders whose fate only the broker knows."""
        return tuple(r.order for r in self._store.view().orders.open() if r.status in UNSETTLED)

    # What follows for signals and approvals

    def _conclude_entries(self, orders: Iterable[Order]) -> None:
        brackets = self._store.view().brackets
        for bracket_id in {order.bracket_id: None for order in orders if order.role is OrderRole.ENTRY}:
            if bracket_id in brackets:
                self.conclude(brackets[bracket_id], is_proved=not self._patience.never_sent_after_s)

    def conclude(self, bracket: BracketRecord, *, is_proved: bool = True) -> None:
        """Raise an alarm for entries that were never sent.

        When it *is_proved* that none was sent, the signal may be decided again. An entry that is only absent may turn
        up later: then the signal is over, and a person decides about another one.
        """
        with self._store.transaction() as tx:
            now = self._clock.now()
            entries = entries_of(tx, bracket.bracket_id, bracket.instrument)
            never = [r for r in entries if r.status is OrderStatus.NEVER_SENT]
            row: SignalRecord | None = tx.signals.get(bracket.signal_id)
            if never:
                alarm = _never_sent(bracket, never, len(entries), is_proved=is_proved)
                tx.emit(AlarmRaised(at=now, subject=bracket.signal_id, data=alarm))
            if row is None or row.bracket_id != bracket.bracket_id:
                return
            if len(never) == len(entries) and is_proved:
                del tx.signals[bracket.signal_id]
            elif all(r.status in NOTHING_SENT for r in entries):
                refused = tx.signals[bracket.signal_id] = replace(row, outcome=SignalOutcome.REFUSED)
                tx.emit(SignalRefused(at=now, subject=bracket.signal_id, data=refused))

    def end_approvals(self) -> None:
        """Give approvals that were answered with yes their end, once the fate of their orders is known."""
        if not any(a.status is ApprovalStatus.APPROVED for a in self._store.view().approvals.values()):
            return
        with self._store.transaction() as tx:
            for row in [a for a in tx.approvals.values() if a.status is ApprovalStatus.APPROVED]:
                status = _end_of(tx, row)
                if status is not None:
                    now = self._clock.now()
                    end_approval(tx, row, status, now, reason=row.reason, decided_by=row.decided_by)


def _parts(orders: Sequence[Order]) -> tuple[tuple[Order, ...], ...]:
    """Group *orders* so that each entry is sent together with its own exits, in one piece."""
    by_entry: dict[str, list[Order]] = {}
    for order in orders:
        by_entry.setdefault(order.parent_id or order.client_order_id, []).append(order)
    return tuple(map(tuple, by_entry.values()))


def _terms(order: Order) -> tuple[object, ...]:
    return order.quantity, order.limit_price, order.stop_price


def _settle_unanswered(tx: State, orders: Sequence[Order], status: OrderStatus, reason: str, now: datetime) -> None:
    """Give orders that the broker said nothing of their status."""
    for order in orders:
        record: OrderRecord | None = tx.orders.get(order.client_order_id)
        if record is not None and record.status in UNSETTLED and record.status is not status:
            fresh = replace(record, status=status, reason=reason, updated_at=now)
            tx.orders[order.client_order_id] = fresh
            tx.emit(OrderUpdated(at=now, subject=subject_of(tx, order.bracket_id, order.instrument), data=fresh))


def _end_of(tx: State, approval: ApprovalRecord) -> ApprovalStatus | None:
    """Return the final status of an approved one; None while only the broker knows."""
    entries = entries_of(tx, approval.bracket_id or "", approval.decision.instrument)
    if any(r.status not in NOTHING_SENT | UNSETTLED for r in entries):
        return ApprovalStatus.EXECUTED
    return None if any(r.status in UNSETTLED for r in entries) else ApprovalStatus.FAILED


def _never_sent(bracket: BracketRecord, never: Sequence[OrderRecord], entries: int, *, is_proved: bool) -> Alarm:
    part = "" if len(never) == entries else f", {len(never)} of {entries} parts"
    message = f"{bracket.instrument.key}: the entry for {bracket.signal_id} was never sent{part}: {never[0].reason}"
    if not is_proved:
        message += " It is not sent again by itself. Look in TWS, then enter it under another signal_id if you want to."
    return Alarm(code="never_sent", message=message)
