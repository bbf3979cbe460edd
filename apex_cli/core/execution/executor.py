"""TradeExecutor: opens brackets, closes positions, and keeps everything held protected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from apex_cli.core.decision.brackets import build_bracket
from apex_cli.core.decision.record import end_approval, record_decision, signal_row
from apex_cli.core.errors import STATE_BUSY, ApexError, BusyError, OutcomeUnknownError
from apex_cli.core.execution.guard import GivenUp, Guard
from apex_cli.core.execution.order_manager import SOUND, Orders
from apex_cli.core.execution.upkeep import roll_session
from apex_cli.core.market.calendar import session_date, session_start
from apex_cli.core.model.decision import Decision, Snapshot
from apex_cli.core.model.limits import Limits, OnRejectedStop, ProtectionLimits
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, BracketRecord, RestingEntry, SignalOutcome
from apex_cli.core.model.request import CloseRequest
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.ports import Clock, Ids, StateStore
from apex_cli.core.positions.protection import orders_of, uncovered
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.core.state.tables import State

if TYPE_CHECKING:
    from apex_cli.core.execution.closer import Closer

MOST_ROUNDS = 12
"""How often late refusals are answered before a command ends; a stop is tried fewer times than that."""

ASK_AGAIN = timedelta(seconds=30)
"""How long a running loop waits before it asks again about orders of unknown fate."""


class Opening(NamedTuple):
    """An entry that is written down and not sent yet."""

    bracket: BracketRecord
    orders: tuple[Order, ...]


class TradeExecutor:
    """Carries decisions out, and keeps what they opened protected."""

    def __init__(
        self,
        *,
        store: StateStore,
        clock: Clock,
        ids: Ids,
        limits: Limits,
        protection: ProtectionLimits,
        orders: Orders,
        guard: Guard,
        make_closer: Callable[[], Closer],
    ) -> None:
        """Keep the parts; *make_closer* returns what closes a position that gets no stop."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._limits = limits
        self._protection = protection
        self._orders = orders
        self._guard = guard
        self._make_closer = make_closer
        self._ask_at: datetime | None = None
        self._not_closed: dict[str, str] = {}
        """Last message by security on a close that failed after a rejected stop: raised once a run."""

    def records(self, opening: Opening) -> tuple[OrderRecord, ...]:
        """Return its orders as they stand."""
        return self._orders.records(opening.orders)

    @property
    def most_together(self) -> int:
        """How many entries may be written down before the first of them leaves for the broker."""
        return self._orders.most_together

    @property
    def in_settlement(self) -> tuple[str, ...]:
        """Names of the orders that were sent or changed and are not settled yet."""
        return self._orders.in_settlement

    def as_it_stands(self, error: ApexError) -> ApexError:
        """Return *error*, or that the outcome is unknown where the state is held after something left for the broker.

        A state that another process holds is called busy only before: who hears that does the work again.
        """
        return unsettled(error) if self._orders.has_sent and error.code == STATE_BUSY else error

    async def send(self, openings: Sequence[Opening]) -> None:
        """Send what was written down; of several, all before anything is booked."""
        match openings:
            case ():
                return
            case (opening,):
                await self._orders.send_all(opening.orders)
            case _:
                await self._orders.send_together([opening.orders for opening in openings])
        await self._look_after(openings)
        self._orders.end_approvals()

    async def _look_after(self, openings: Iterable[Opening]) -> None:
        """Conclude entries that do not work, and see to it that what is held has its stop."""
        troubled = [
            opening
            for opening in openings
            if any(record.status not in SOUND for record in self._orders.records(opening.orders))
        ]
        for opening in troubled:
            self._orders.conclude(opening.bracket)
        if troubled:
            await self._close_given_up(await self._guard.watch())

    def write_down(
        self,
        opportunity: Opportunity,
        snapshot: Snapshot,
        decision: Decision,
        *,
        approval: ApprovalRecord | None = None,
        decided_by: str = "apex",
    ) -> Opening | None:
        """Write the decision and the orders of its bracket as intents; None when someone else was first.

        Raises:
            StateError: they could not be written.
        """
        now = self._clock.now()
        roll_session(self._store, snapshot.account, now)
        strategy = opportunity.signal.strategy
        bracket, orders = build_bracket(
            decision,
            opportunity,
            bracket_id=self._ids.new(),
            entry_order=self._limits.entry_order(strategy),
            entry_minutes=self._limits.execution.entry_minutes,
            is_one_entry=self._limits.execution.one_entry,
            stop_limit_pct=self._limits.stop_limit_pct,
            now=now,
        )
        with self._store.transaction() as tx:
            if not _may_open(tx, opportunity, approval):
                return None
            record_decision(tx, opportunity, snapshot, self._limits, decision, approval)
            row = tx.signals.get(decision.signal_id) or signal_row(opportunity.signal, SignalOutcome.EXECUTED, now)
            tx.signals[decision.signal_id] = replace(row, outcome=SignalOutcome.EXECUTED, bracket_id=bracket.bracket_id)
            if approval is not None:
                _approve(tx, approval, bracket.bracket_id, now, decided_by)
            tx.brackets[bracket.bracket_id] = bracket
            if self._limits.follows_price(strategy):
                tx.resting[bracket.bracket_id] = _resting(opportunity, bracket, orders, now)
            tx.counters = replace(tx.counters, entries_today=tx.counters.entries_today + 1)
            self._orders.intend(tx, orders, now, subject=bracket.signal_id, bracket=bracket)
        return Opening(bracket, orders)

    async def recover(self) -> tuple[OrderRecord, ...]:
        """Ask the broker what became of intents and unknown orders; return those still unknown.

        Then everything held gets its stop, or an alarm.

        Raises:
            BrokerError: the broker cannot be asked; nothing changed.
        """
        self._orders.sync()
        if self._orders.unsettled():
            self._ask_at = self._clock.now() + ASK_AGAIN
        await self._orders.ask_again()
        await self.protect()
        return tuple(r for r in self._store.view().orders.open() if r.status is OrderStatus.UNKNOWN)

    async def watch(self) -> None:
        """Between two rounds of a loop: keep everything held protected, and ask again about what is unknown.

        Raises:
            BrokerError: the broker cannot be asked.
        """
        self._orders.end_approvals()
        is_due = self._ask_at is None or self._clock.now() >= self._ask_at
        if is_due and self._orders.unsettled():
            await self.recover()
        else:
            await self._close_given_up(await self._guard.watch())

    async def finish(self) -> None:
        """Stay until every order that was sent or changed is settled, and what is held has its stop or an alarm.

        A stop that the broker refuses late is tried again at once, as often as configured, and then given up.

        Raises:
            OutcomeUnknownError: what became of an order is in doubt, or could not be written down, or what is held has
                no working stop.
        """
        has_sent = bool(self._orders.in_settlement)
        try:
            trouble = await self._follow()
        except BusyError as error:
            raise unsettled(error) from error
        trouble = trouble or (self.lacks_cover() if has_sent else None)
        if trouble is not None:
            raise trouble

    async def _follow(self) -> OutcomeUnknownError | None:
        """Follow what was sent until it is settled; return what stays in doubt."""
        trouble: OutcomeUnknownError | None = None
        for _ in range(MOST_ROUNDS):
            if trouble is not None or not self._orders.in_settlement:
                break
            try:
                await self._orders.follow()
            except OutcomeUnknownError as error:  # what else is held is looked after all the same
                trouble = error
            await self._close_given_up(await self._guard.look(at_once=True, is_last=True))
        return trouble

    def lacks_cover(self) -> OutcomeUnknownError | None:
        """Return the error that something is held without the stop of its plan; None when all of it is covered."""
        bare = uncovered(self._store.view())
        if not bare:
            return None
        return OutcomeUnknownError(
            "unprotected",
            " ".join(each.sentence for each in bare),
            hint="Close it, or protect it at the broker; apex run --once tries the stop again.",
            details={"orders": [each.stop for each in bare if each.stop]},
        )

    async def protect(self) -> None:
        """Trim exits and place missing stops at once; close what the broker takes no stop for, where configured."""
        await self._close_given_up(await self._guard.look(at_once=True))

    async def _close_given_up(self, given_up: Iterable[GivenUp]) -> None:
        """Close at market what has no stop and gets none; a close that fails raises an alarm."""
        if self._protection.on_rejected_stop is not OnRejectedStop.FLATTEN:
            return
        for each in given_up:
            if self._closes_rejected(each.key) >= self._protection.stop_attempts:
                continue
            request = CloseRequest(symbol=each.key, reason="stop_rejected")
            try:
                await self._make_closer().close(request)
            except ApexError as error:
                self._alarm_not_closed(each, f"{each.key}: it could not be closed: {error.message}")

    def _closes_rejected(self, key: str) -> int:
        """Return how many closing orders of *key* the broker rejected in this session."""
        since = session_start(session_date(self._clock.now()))
        closes = [r for r in orders_of(self._store.view(), key) if r.order.role is OrderRole.CLOSE]
        return sum(1 for r in closes if r.status is OrderStatus.REJECTED and r.updated_at >= since)

    def _alarm_not_closed(self, each: GivenUp, message: str) -> None:
        if self._not_closed.get(each.key) != message:
            self._not_closed[each.key] = message
            with self._store.transaction() as tx:
                alarm = Alarm(code="flatten_failed", message=message)
                tx.emit(AlarmRaised(at=self._clock.now(), subject=each.subject, data=alarm))


def unsettled(error: ApexError) -> OutcomeUnknownError:
    """Return the error that *error* stopped the booking of what had left for the broker."""
    return OutcomeUnknownError(
        "orders_unsettled",
        f"What became of the orders could not be written down: {error.message}",
        hint="Look at apex orders; the next start asks the broker again.",
        details=error.details,
    )


def _may_open(tx: State, opportunity: Opportunity, approval: ApprovalRecord | None) -> bool:
    """Return, under the lock, whether this signal is still nobody's; what an agent proposed is never without a yes."""
    if approval is None:
        return opportunity.signal.proposal is None and opportunity.signal.signal_id not in tx.signals
    row: ApprovalRecord | None = tx.approvals.get(approval.approval_id)
    return row is not None and row.status is ApprovalStatus.PENDING and row.version == approval.version


def _resting(opportunity: Opportunity, bracket: BracketRecord, orders: Iterable[Order], now: datetime) -> RestingEntry:
    return RestingEntry(
        bracket_id=bracket.bracket_id,
        opportunity=opportunity,
        entries=tuple(o.client_order_id for o in orders if o.role is OrderRole.ENTRY),
        first_price=bracket.entry_price,
        price=bracket.entry_price,
        since=now,
    )


def _approve(tx: State, approval: ApprovalRecord, bracket_id: str, now: datetime, decided_by: str) -> None:
    row = replace(approval, bracket_id=bracket_id)
    end_approval(tx, row, ApprovalStatus.APPROVED, now, decided_by=decided_by, reason=approval.reason)
