"""Writes outcomes of signals into the state: each function is the body of one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from apex_cli.core.decision.approval import transition
from apex_cli.core.model.decision import Decision, DecisionKind, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import (
    ApprovalRecord,
    ApprovalStatus,
    RejectedFile,
    SignalOutcome,
    SignalRecord,
)
from apex_cli.core.model.signal import Opportunity, Signal, market_side
from apex_cli.core.ports import SignalBatch
from apex_cli.core.state.events.approval_events import approval_event
from apex_cli.core.state.events.signal_events import Decided, DecisionRecord, SignalEnd, SignalEnded, SignalInvalid
from apex_cli.core.state.tables import State

SHORT = 16
"""A decision whose lists have up to so many rows together holds them itself."""


def record_rejected(tx: State, batch: SignalBatch, now: datetime) -> None:
    """Remember in the journal which rows of *batch* were no signals, once for each file as it stands.

    A file is moved away after this commit: a process that is killed in between leaves it to the next one.
    """
    version = batch.file_version
    if version in tx.rejected_files:
        return
    for row in batch.rejected:
        tx.emit(SignalInvalid(at=now, subject=row.signal_id or row.where, data=replace(row, file_version=version)))
    keep_rejected(tx, version, now)


def keep_rejected(tx: State, file_version: str, now: datetime) -> None:
    """Remember the file whose rejected rows are in the journal, where it can be read again."""
    if file_version:
        tx.rejected_files[file_version] = RejectedFile(file_version=file_version, recorded_at=now)


def record_ended(tx: State, signal: Signal, outcome: SignalOutcome, reasons: tuple[Reason, ...], now: datetime) -> None:
    """End a signal that never came to a decision: expired, dropped, stopped by a stage."""
    tx.signals[signal.signal_id] = signal_row(signal, outcome, now)
    end = SignalEnd(signal=signal, outcome=outcome, reasons=reasons)
    tx.emit(SignalEnded(at=now, subject=signal.signal_id, data=end))


def record_decision(  # noqa: PLR0917 - the event's fields, in their order
    tx: State,
    opportunity: Opportunity,
    snapshot: Snapshot,
    limits: Limits,
    decision: Decision,
    approval: ApprovalRecord | None = None,
) -> None:
    """Put the decision with everything it was made from into the journal; *approval* is the one it answers.

    A refusal ends its signal.
    """
    now, base = snapshot.taken_at, tx.last_inputs
    record = DecisionRecord(
        opportunity=opportunity,
        snapshot=snapshot,
        limits=limits,
        decision=decision,
        is_answer=approval is not None,
        quantity=approval.quantity if approval is not None else None,
    )
    if base is not None and len(snapshot.exposures) + len(snapshot.day_trades.opened_today) > SHORT:
        from apex_cli.core.decision.kept_inputs import by_reference

        record = by_reference(record, base)
    seq = tx.emit(Decided(at=now, subject=decision.signal_id, data=record))
    if record.kept is None:
        tx.last_inputs = (seq, snapshot)
    if decision.kind is DecisionKind.REFUSE:
        tx.signals[decision.signal_id] = signal_row(opportunity.signal, SignalOutcome.REFUSED, now)
    if approval is None and decision.kind is not DecisionKind.EXECUTE:
        from apex_cli.core.learning.followed import follow
        from apex_cli.core.positions.lessons import entry_conditions

        follow(tx, opportunity, decision, limits, conditions=entry_conditions(opportunity), since=now)


def record_queued(
    tx: State,
    opportunity: Opportunity,
    snapshot: Snapshot,
    decision: Decision,
    *,
    limits: Limits,
    approval_id: str,
) -> None:
    """Queue an opportunity for a person; an older one for the same security and side is superseded."""
    signal, now = opportunity.signal, snapshot.taken_at
    supersede_older(tx, signal, now)
    approval = ApprovalRecord(
        approval_id=approval_id,
        opportunity=opportunity,
        decision=decision,
        quoted_price=snapshot.quote.price if snapshot.quote else signal.entry_price,
        created_at=now,
        expires_at=min(now + timedelta(minutes=limits.approval.expiry_minutes), signal.expires_at),
    )
    tx.approvals[approval_id] = approval
    row = signal_row(signal, SignalOutcome.QUEUED, now)
    tx.signals[signal.signal_id] = replace(row, approval_id=approval_id)
    tx.emit(approval_event(approval, now))


def supersede_older(tx: State, signal: Signal, now: datetime) -> None:
    """End pending approvals for the same security and side: the newer signal speaks; of an agent, only for itself."""
    for approval in list(tx.approvals.of(signal.instrument.key)):
        older = approval.opportunity.signal
        if older.side is signal.side and approval.status is ApprovalStatus.PENDING and _may_speak_for(signal, older):
            end_approval(
                tx, approval, ApprovalStatus.SUPERSEDED, now, reason=f"A newer signal came: {signal.signal_id}."
            )


def _may_speak_for(signal: Signal, older: Signal) -> bool:
    """Return whether *signal* takes the place of *older*: an agent ends no proposal but its own."""
    if signal.proposal is None:
        return True
    return older.proposal is not None and older.proposal.agent == signal.proposal.agent


def end_approval(
    tx: State,
    approval: ApprovalRecord,
    status: ApprovalStatus,
    now: datetime,
    *,
    reason: str,
    decided_by: str = "apex",
) -> ApprovalRecord:
    """Give an approval its next status and report the journal."""
    ended = transition(approval, status, now=now, by=decided_by, reason=reason)
    tx.approvals[approval.approval_id] = ended
    tx.emit(approval_event(ended, now))
    outcome = SIGNAL_OUTCOME_OF.get(status)
    row = tx.signals.get(approval.opportunity.signal.signal_id)
    if outcome and row:
        tx.signals[row.signal_id] = replace(row, outcome=outcome)
    return ended


SIGNAL_OUTCOME_OF = {
    ApprovalStatus.REJECTED: SignalOutcome.REFUSED,
    ApprovalStatus.EXPIRED: SignalOutcome.EXPIRED,
    ApprovalStatus.SUPERSEDED: SignalOutcome.REFUSED,
    ApprovalStatus.EXECUTED: SignalOutcome.EXECUTED,
    ApprovalStatus.FAILED: SignalOutcome.REFUSED,
}
"""What an approval's end means for its signal."""


def signal_row(signal: Signal, outcome: SignalOutcome, now: datetime) -> SignalRecord:
    """Return the row that keeps *signal* from being acted on twice."""
    return SignalRecord(
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        outcome=outcome,
        seen_at=now,
        expires_at=signal.expires_at,
        family=signal.family,
        side=market_side(signal) if signal.family else None,
        agent=signal.proposal.agent if signal.proposal is not None else "",
    )
