"""Brings an older state up to the present from the journal; nothing is announced again.

Events carry whole rows, so replaying means putting them where they were put once, and folding fills again. What the
journal does not hold stays as it was, and the next run works it out: latest prices of what is held, what the account is
worth, the last look at the learners, how high the equity stood between the last decision and the end. A signal whose
orders were all rejected by the broker counts as executed or as refused: either way it is not acted on again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from apex_cli.core.day_trades.rejections import note_rejection
from apex_cli.core.decision.record import SIGNAL_OUTCOME_OF, keep_rejected, signal_row
from apex_cli.core.execution.order_manager import NOTHING_SENT
from apex_cli.core.learning.followed import apply_end, follow
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.records import (
    ApprovalRecord,
    BracketRecord,
    OutboxRow,
    RestingEntry,
    SignalOutcome,
    SignalRecord,
)
from apex_cli.core.model.request import RequestRecord
from apex_cli.core.positions.announcements import warning_key
from apex_cli.core.positions.booking import fold_in
from apex_cli.core.positions.cash_flows import with_flow, with_marks
from apex_cli.core.positions.lessons import drop_lesson, entry_conditions, keep_lesson
from apex_cli.core.positions.retention import prune
from apex_cli.core.positions.splits import apply_split
from apex_cli.core.reconciliation.reconciler import restore_reconciliation
from apex_cli.core.state.events import (
    account_events,
    approval_events,
    base_event,
    book_events,
    learning_events,
    management_events,
    operation_events,
    order_events,
    position_events,
    signal_events,
)
from apex_cli.core.state.events.event import Event, UnreadEvent, read_event
from apex_cli.core.state.tables import State

LONGEST_SIGNAL = timedelta(days=30)
"""How long a signal stays known whose own end is not in the journal."""


class SilentState(State):
    """A state whose changes are no news."""

    def emit(self, event: Event) -> int:
        """Put nothing into the journal and return the newest sequence number."""
        del event
        return self.last_seq


def rebuild(state: State, rows: Iterable[OutboxRow]) -> tuple[int, ...]:
    """Apply *rows* to *state*, which should emit nothing; return the numbers of those that could not be read.

    *rows* are in the order of their sequence numbers, each once.
    """
    unreadable: list[int] = []
    for row in rows:
        event = read_event(row)
        if isinstance(event, UnreadEvent):
            if event.event_type is not None and not issubclass(event.event_type, base_event.Remark):
                unreadable.append(event.seq)
        else:
            _apply(state, event)
        state.last_seq = max(state.last_seq, row.seq)
    _forget_passing(state)
    return tuple(unreadable)


def _apply(state: State, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each kind of event
    """Put the rows of *event* where they were put once."""
    match event:
        case signal_events.Decided():
            _decided(state, event.data, event.at)
        case signal_events.SignalEnded(data=end):
            state.signals[end.signal.signal_id] = signal_row(end.signal, end.outcome, event.at)
        case signal_events.SignalInvalid(data=rejected):
            keep_rejected(state, rejected.file_version, event.at)
        case signal_events.SignalRefused(data=row):
            state.signals[row.signal_id] = row
        case approval_events.ApprovalQueued():
            _approval_queued(state, event.data, event.at)
        case approval_events.ApprovalEvent():
            _approval_changed(state, event.data)
        case order_events.IntentWritten():
            _intent(state, event.data, event.at)
        case management_events.Repriced(data=step):
            state.brackets[step.bracket.bracket_id] = step.bracket
        case order_events.OrderUpdated():
            _order_updated(state, event.data)
        case order_events.FillEvent():
            _fill(state, event.data, event.at)
        case position_events.RoundTripClosed(data=trip):
            state.round_trips[trip.round_trip_id] = trip
            keep_lesson(state, trip, event.seq)
        case position_events.RoundTripVoided(data=trip):
            state.round_trips.pop(trip.round_trip_id, None)
            drop_lesson(state, trip.round_trip_id)
        case position_events.TradeLocked(data=lock) | position_events.TradeLockLifted(data=lock):
            state.trade_locks[lock.lock_id] = lock
        case position_events.TradeLockVoided(data=lock):
            state.trade_locks.pop(lock.lock_id, None)
        case book_events.Reconciled():
            restore_reconciliation(state, event.data)
        case book_events.PositionIgnored(data=ignored):
            state.ignored[ignored.key] = ignored
        case book_events.PositionAdopted(data=bracket):
            state.brackets[bracket.bracket_id] = bracket
            state.ignored.pop(bracket.instrument.key, None)
        case book_events.PositionSplit(data=split):
            apply_split(state, split.key, split.parts)
        case book_events.HistoryImported():
            _history_imported(state, event.data)
        case account_events.DeficitEvent(data=deficit):
            state.deficits[deficit.session_date] = deficit
        case account_events.DayTradeWarning(data=status):
            state.counters = replace(state.counters, day_trades_told=warning_key(status, event.at))
        case learning_events.LearningEvent():
            _learned(state, event.data)
        case learning_events.FollowingEnded(data=end):
            apply_end(state, end, event.seq)
        case account_events.SessionStarted(data=counters):
            state.counters = counters
            prune(state, date.fromisoformat(counters.session_date))
        case account_events.CashMoved(data=flow):
            state.counters = with_flow(state.counters, flow)
        case account_events.MarksReset(data=flow):
            state.counters = with_marks(state.counters, flow.equity_after)
        case account_events.DaySummarised(data=summary):
            state.counters = replace(state.counters, summary_for=summary.session_date)
        case operation_events.RunOverdue():
            state.counters = replace(state.counters, overdue_told=event.at)
        case operation_events.TradingStateChanged():
            state.trading = event.data
        case operation_events.AlarmRaised(data=alarm):
            if alarm.code == "never_sent":  # when no entry ever left, the signal is nobody's again
                _conclude(state, event.subject)
            if alarm.code == "broker_unavailable":
                state.counters = replace(state.counters, outage_told=event.at)
        case base_event.Remark():
            pass
        case _:
            assert_never(event)


def _forget_passing(state: State) -> None:
    """Drop what only a running process may act on: how far it had come since is not known.

    Work that one process handed to another, for which nobody waits; entries that were to follow the price, which rest
    where they are.
    """
    for table in state.tables():
        if table.row_type in {RequestRecord, RestingEntry}:
            table.clear()


def _decided(state: State, data: signal_events.DecisionRecord, at: datetime) -> None:
    """Know the signal from its decision on: an intent that got lost must not let it be acted on twice."""
    state.counters = state.counters.raised(data.snapshot.peak_equity)
    if data.is_answer:
        return
    executes = data.decision.kind is DecisionKind.EXECUTE
    outcome = SignalOutcome.EXECUTED if executes else SignalOutcome.REFUSED
    signal = data.opportunity.signal
    state.signals[signal.signal_id] = signal_row(signal, outcome, at)
    if not executes:
        conditions = entry_conditions(data.opportunity)
        follow(state, data.opportunity, data.decision, data.limits, conditions=conditions, since=at)


def _intent(state: State, data: order_events.Intent, at: datetime) -> None:
    for order in data.orders:
        state.orders[order.client_order_id] = OrderRecord(order=order, created_at=at, updated_at=at)
    if data.bracket is not None:
        _opened(state, data.bracket, at)


def _opened(state: State, bracket: BracketRecord, at: datetime) -> None:
    state.brackets[bracket.bracket_id] = bracket
    state.counters = replace(state.counters, entries_today=state.counters.entries_today + 1)
    row: SignalRecord | None = state.signals.get(bracket.signal_id)
    if row is None:
        row = SignalRecord(
            signal_id=bracket.signal_id,
            symbol=bracket.instrument.symbol,
            outcome=SignalOutcome.EXECUTED,
            seen_at=at,
            expires_at=at + LONGEST_SIGNAL,
        )
    seen_at = row.seen_at if row.approval_id else at
    state.signals[bracket.signal_id] = replace(
        row, outcome=SignalOutcome.EXECUTED, bracket_id=bracket.bracket_id, seen_at=seen_at
    )


def _approval_queued(state: State, data: ApprovalRecord, at: datetime) -> None:
    state.approvals[data.approval_id] = data
    row = signal_row(data.opportunity.signal, SignalOutcome.QUEUED, at)
    state.signals[row.signal_id] = replace(row, approval_id=data.approval_id)


def _approval_changed(state: State, data: ApprovalRecord) -> None:
    state.approvals[data.approval_id] = data
    outcome = SIGNAL_OUTCOME_OF.get(data.status)
    row: SignalRecord | None = state.signals.get(data.opportunity.signal.signal_id)
    if outcome and row:
        state.signals[row.signal_id] = replace(row, outcome=outcome)


def _order_updated(state: State, data: OrderRecord) -> None:
    state.orders[data.order.client_order_id] = data
    note_rejection(state, data)
    if data.status is OrderStatus.REJECTED and data.order.role is OrderRole.ENTRY:
        bracket: BracketRecord | None = state.brackets.get(data.order.bracket_id)
        if bracket is not None:
            _conclude(state, bracket.signal_id)


def _conclude(state: State, signal_id: str) -> None:
    row: SignalRecord | None = state.signals.get(signal_id)
    if row is None or row.bracket_id is None:
        return
    statuses = {
        record.status
        for record in state.orders.values()
        if record.order.bracket_id == row.bracket_id and record.order.role is OrderRole.ENTRY
    }
    if statuses == {OrderStatus.NEVER_SENT}:
        del state.signals[signal_id]
    elif statuses <= NOTHING_SENT:
        state.signals[signal_id] = replace(row, outcome=SignalOutcome.REFUSED)


def _fill(state: State, data: Fill, at: datetime) -> None:
    """Fold the fill; a lesson it leads to waits for its own event, which has its number."""
    known = set(state.lessons)
    fold_in(state, data, at)
    for key in set(state.lessons) - known:
        del state.lessons[key]


def _learned(state: State, data: learning_events.LearningChange) -> None:
    if data.version is not None:
        state.weights[str(data.version.version)] = data.version
        if data.version.cause == "rollback":
            state.experience.clear()
    if data.learning.audited_seq > state.learning.audited_seq:
        state.audits.clear()
    state.learning = data.learning


def _history_imported(state: State, data: book_events.ImportedHistory) -> None:
    for row in data.rows:
        state.history_fills[row.key] = row
    state.counters = replace(state.counters, fills_since=data.imported.covered_since)
