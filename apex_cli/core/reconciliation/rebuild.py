"""Brings an older state up to the present by what the journal tells; nothing is told again.

Events carry whole rows, so replaying means putting them where they were put once, and folding fills again. What the
journal does not tell stays as it was, and the next run works it out: latest prices of what is held, what the account is
worth, the last look at the learners, how high the equity stood between the last decision and the end. A signal whose
orders were all rejected by the broker counts as executed or as refused: either way it is not acted on again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from apex_cli.core.day_trades.imports import HistoryImportedEvent
from apex_cli.core.day_trades.rejections import note_rejection
from apex_cli.core.decision.record import SIGNAL_OUTCOME_OF, DecidedEvent, SignalEndedEvent, signal_row
from apex_cli.core.execution.orders import NOTHING_SENT, IntentEvent
from apex_cli.core.learning.learners import LEARNING_KINDS, LearningEvent
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, DecisionKind
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.reconciliation import Ignored, Reconciliation
from apex_cli.core.model.records import (
    ApprovalRecord,
    ApprovalStatus,
    BracketRecord,
    Counters,
    DeficitRecord,
    OutboxRow,
    RestingEntry,
    SignalOutcome,
    SignalRecord,
    TradingState,
)
from apex_cli.core.model.request import RequestRecord
from apex_cli.core.positions.announcements import DaySummary, count_told
from apex_cli.core.positions.booking import fold_in
from apex_cli.core.positions.lessons import drop_lesson, keep_lesson
from apex_cli.core.positions.retention import prune
from apex_cli.core.reconciliation.reconciler import restore_reconciliation
from apex_cli.core.state.tables import State

LONGEST_SIGNAL = timedelta(days=30)
"""How long a signal stays known whose own end the journal does not tell."""


class SilentState(State):
    """A state whose changes are no news."""

    def emit(self, kind: str, at: datetime, subject: str = "", data: object = None) -> int:
        """Tell nothing and return the newest sequence number."""
        del kind, at, subject, data
        return self.last_seq


class _Coded(Value, frozen=True, kw_only=True):
    code: str


class _Repriced(Value, frozen=True, kw_only=True):
    bracket: BracketRecord


def rebuild(state: State, events: Iterable[OutboxRow]) -> tuple[int, ...]:
    """Apply *events* to *state*, which should emit nothing; return the numbers of those that could not be read.

    Args:
        state: changed in place.
        events: in the order of their sequence numbers, each once.
    """
    unreadable: list[int] = []
    for event in events:
        apply, payload = _APPLY.get(event.kind, (_pass, object))
        try:
            data = msgspec.json.decode(event.data, type=payload)
        except msgspec.DecodeError:
            unreadable.append(event.seq)
        else:
            apply(state, event, data)
        state.last_seq = max(state.last_seq, event.seq)
    _forget_passing(state)
    return tuple(unreadable)


def _forget_passing(state: State) -> None:
    """Drop what only a running process may act on: how far it had come since is not known.

    Work that one process handed to another, for which nobody waits; entries that were to follow the price, which rest
    where they are.
    """
    for table in state.tables():
        if table.row_type in {RequestRecord, RestingEntry}:
            table.clear()


def _pass(state: State, event: OutboxRow, data: object) -> None:
    """Let an event go by that changed no table, or one whose rows nobody waits for any more."""


def _signal_ended(state: State, event: OutboxRow, data: SignalEndedEvent) -> None:
    state.signals[data.signal.signal_id] = signal_row(data.signal, data.outcome, event.at)


def _signal_refused(state: State, event: OutboxRow, data: SignalRecord) -> None:
    del event
    state.signals[data.signal_id] = data


def _decided(state: State, event: OutboxRow, data: DecidedEvent) -> None:
    """Know the signal from its decision on: an intent that got lost must not let it be acted on twice."""
    counters = state.counters
    state.counters = replace(counters, peak_equity=Usd(max(counters.peak_equity, data.snapshot.peak_equity)))
    if data.is_answer:
        return
    executes = data.decision.kind is DecisionKind.EXECUTE
    outcome = SignalOutcome.EXECUTED if executes else SignalOutcome.REFUSED
    signal = data.opportunity.signal
    state.signals[signal.signal_id] = signal_row(signal, outcome, event.at)


def _intent(state: State, event: OutboxRow, data: IntentEvent) -> None:
    for order in data.orders:
        state.orders[order.client_order_id] = OrderRecord(order=order, created_at=event.at, updated_at=event.at)
    if data.bracket is not None:
        _opened(state, data.bracket, event.at)


def _repriced(state: State, event: OutboxRow, data: _Repriced) -> None:
    del event
    state.brackets[data.bracket.bracket_id] = data.bracket


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


def _approval_queued(state: State, event: OutboxRow, data: ApprovalRecord) -> None:
    state.approvals[data.approval_id] = data
    row = signal_row(data.opportunity.signal, SignalOutcome.QUEUED, event.at)
    state.signals[row.signal_id] = replace(row, approval_id=data.approval_id)


def _approval_changed(state: State, event: OutboxRow, data: ApprovalRecord) -> None:
    del event
    state.approvals[data.approval_id] = data
    outcome = SIGNAL_OUTCOME_OF.get(data.status)
    row: SignalRecord | None = state.signals.get(data.opportunity.signal.signal_id)
    if outcome and row:
        state.signals[row.signal_id] = replace(row, outcome=outcome)


def _order_updated(state: State, event: OutboxRow, data: OrderRecord) -> None:
    del event
    state.orders[data.order.client_order_id] = data
    note_rejection(state, data)
    if data.status is OrderStatus.REJECTED and data.order.role is OrderRole.ENTRY:
        bracket: BracketRecord | None = state.brackets.get(data.order.bracket_id)
        if bracket is not None:
            _conclude(state, bracket.signal_id)


def _alarm(state: State, event: OutboxRow, data: _Coded) -> None:
    """An entry that never left: when none did, the signal is nobody's again."""
    if data.code == "never_sent":
        _conclude(state, event.subject)


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


def _fill(state: State, event: OutboxRow, data: Fill) -> None:
    """Fold the fill; a lesson it leads to waits for its own event, which has its number."""
    known = set(state.lessons)
    fold_in(state, data, event.at)
    for key in set(state.lessons) - known:
        del state.lessons[key]


def _round_trip_closed(state: State, event: OutboxRow, data: RoundTrip) -> None:
    state.round_trips[data.round_trip_id] = data
    keep_lesson(state, data, event.seq)


def _round_trip_voided(state: State, event: OutboxRow, data: RoundTrip) -> None:
    del event
    state.round_trips.pop(data.round_trip_id, None)
    drop_lesson(state, data.round_trip_id)


def _learned(state: State, event: OutboxRow, data: LearningEvent) -> None:
    del event
    if data.version is not None:
        state.weights[str(data.version.version)] = data.version
    state.learning = data.learning


def _session_started(state: State, event: OutboxRow, data: Counters) -> None:
    del event
    state.counters = data
    prune(state, date.fromisoformat(data.session_date))


def _history_imported(state: State, event: OutboxRow, data: HistoryImportedEvent) -> None:
    del event
    for row in data.rows:
        state.history_fills[row.key] = row
    state.counters = replace(state.counters, fills_since=data.imported.covered_since)


def _reconciled(state: State, event: OutboxRow, data: Reconciliation) -> None:
    del event
    restore_reconciliation(state, data)


def _position_ignored(state: State, event: OutboxRow, data: Ignored) -> None:
    del event
    state.ignored[data.key] = data


def _position_adopted(state: State, event: OutboxRow, data: BracketRecord) -> None:
    del event
    state.brackets[data.bracket_id] = data
    state.ignored.pop(data.instrument.key, None)


def _margin_deficit(state: State, event: OutboxRow, data: DeficitRecord) -> None:
    del event
    state.deficits[data.session_date] = data


def _trading_state_changed(state: State, event: OutboxRow, data: TradingState) -> None:
    del event
    state.trading = data


def _day_trade_warning(state: State, event: OutboxRow, data: DayTradeStatus) -> None:
    state.counters = replace(state.counters, day_trades_told=count_told(data, event.at))


def _daily_summary(state: State, event: OutboxRow, data: DaySummary) -> None:
    del event
    state.counters = replace(state.counters, summary_for=data.session_date)


def _run_overdue(state: State, event: OutboxRow, data: object) -> None:
    del data
    state.counters = replace(state.counters, overdue_told=event.at)


_APPLY: dict[str, tuple[Callable[[State, OutboxRow, Any], None], Any]] = {
    "signal_ended": (_signal_ended, SignalEndedEvent),
    "decided": (_decided, DecidedEvent),
    "intent": (_intent, IntentEvent),
    "repriced": (_repriced, _Repriced),
    "approval_queued": (_approval_queued, ApprovalRecord),
    **{f"approval_{status}": (_approval_changed, ApprovalRecord) for status in ApprovalStatus},
    "signal_refused": (_signal_refused, SignalRecord),
    "order_updated": (_order_updated, OrderRecord),
    "alarm": (_alarm, _Coded),
    "fill": (_fill, Fill),
    "fill_corrected": (_fill, Fill),
    "round_trip_closed": (_round_trip_closed, RoundTrip),
    "round_trip_voided": (_round_trip_voided, RoundTrip),
    **dict.fromkeys(LEARNING_KINDS, (_learned, LearningEvent)),
    "session_started": (_session_started, Counters),
    "day_trade_warning": (_day_trade_warning, DayTradeStatus),
    "daily_summary": (_daily_summary, DaySummary),
    "run_overdue": (_run_overdue, object),
    "trading_state_changed": (_trading_state_changed, TradingState),
    "history_imported": (_history_imported, HistoryImportedEvent),
    "reconciled": (_reconciled, Reconciliation),
    "position_ignored": (_position_ignored, Ignored),
    "position_adopted": (_position_adopted, BracketRecord),
    "margin_deficit": (_margin_deficit, DeficitRecord),
    "margin_deficit_met": (_margin_deficit, DeficitRecord),
}
"""What each kind of event did to the tables, and the type of its payload."""
