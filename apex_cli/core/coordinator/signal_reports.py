"""Reports of single signals, built from signals, decisions and orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.errors import SecurityError
from apex_cli.core.execution.order_manager import NOTHING_SENT, UNSETTLED
from apex_cli.core.market.calendar import market_time
from apex_cli.core.model.decision import Decision, DecisionKind
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow, SignalOutcome, SignalReport
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.positions.booking import entries_of
from apex_cli.core.state.tables import State


def outcome_of(kind: DecisionKind) -> SignalOutcome:
    """Return the outcome a decision leads to when nothing comes between."""
    return {
        DecisionKind.EXECUTE: SignalOutcome.EXECUTED,
        DecisionKind.QUEUE: SignalOutcome.QUEUED,
        DecisionKind.REFUSE: SignalOutcome.REFUSED,
    }[kind]


def decided_report(opportunity: Opportunity, decision: Decision, outcome: SignalOutcome, where: str) -> SignalReport:
    """Return the report of a decided signal."""
    return SignalReport(
        signal_id=opportunity.signal.signal_id,
        symbol=opportunity.signal.symbol,
        key=opportunity.signal.instrument.key,
        outcome=outcome,
        reasons=decision.reasons,
        warnings=decision.warnings,
        score=opportunity.opportunity_score,
        quantity=decision.sized.quantity if decision.sized else None,
        where=where,
    )


def executed_report(
    opportunity: Opportunity, decision: Decision, records: Sequence[OrderRecord], where: str
) -> SignalReport:
    """Return the report of a signal whose orders were sent, as they stand."""
    report = decided_report(opportunity, decision, outcome_of_orders(records), where)
    ids = tuple(record.order.client_order_id for record in records)
    return replace(report, orders=ids, reasons=trouble_with(records))


def ended_report(signal: Signal, outcome: SignalOutcome, reasons: tuple[Reason, ...], where: str) -> SignalReport:
    """Return the report of a signal that came to no decision."""
    return SignalReport(
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        key=signal.instrument.key,
        outcome=outcome,
        reasons=reasons,
        where=where,
    )


def rejected_report(row: RejectedRow) -> SignalReport:
    """Return the report of a row that is no signal."""
    return SignalReport(
        signal_id=row.signal_id,
        symbol=row.symbol,
        outcome=SignalOutcome.INVALID,
        reasons=(row.reason,),
        where=row.where,
    )


def duplicate_report(signal: Signal, where: str) -> SignalReport:
    """Return the report of a signal seen before."""
    reason = Reason(code="duplicate", message=f"Signal {signal.signal_id} was seen before.")
    return SignalReport(
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        outcome=SignalOutcome.DUPLICATE,
        reasons=(reason,),
        where=where,
    )


def expired_reason(signal: Signal, now: datetime) -> Reason:
    """Return why a signal past its time is not acted on."""
    return Reason(
        code="signal_expired",
        message=f"The signal expired at {market_time(signal.expires_at)}.",
        limit=signal.expires_at.isoformat(),
        value=now.isoformat(),
    )


def outcome_of_orders(records: Sequence[OrderRecord]) -> SignalOutcome:
    """Return the outcome of sending: unknown while that of every entry is, refused when none came to anything."""
    statuses = {r.status for r in records if r.order.role is OrderRole.ENTRY and not _came_to_nothing(r)}
    if statuses - UNSETTLED:
        return SignalOutcome.EXECUTED
    return SignalOutcome.UNKNOWN if statuses else SignalOutcome.REFUSED


def _came_to_nothing(record: OrderRecord) -> bool:
    """Return whether an order was never taken, or was cancelled before anything of it filled."""
    is_cancelled = record.status is OrderStatus.CANCELLED and not record.filled_quantity
    return is_cancelled or record.status in NOTHING_SENT


def settled_report(report: SignalReport, state: State) -> SignalReport:
    """Return *report* with the outcome that its orders have now; where its entries are kept no longer, as it was.

    An entry that took the place of a cancelled one counts with it.
    """
    records = [state.orders[name] for name in report.orders if name in state.orders]
    sent = [record for record in records if record.order.role is OrderRole.ENTRY]
    if not sent:
        return report
    entries = entries_of(state, sent[0].order.bracket_id, sent[0].order.instrument)
    return replace(report, outcome=outcome_of_orders(entries), reasons=trouble_with(records))


def trouble_with(records: Sequence[OrderRecord]) -> tuple[Reason, ...]:
    """Return what went wrong with orders that were to be sent, and what the broker holds them for."""
    bad = {OrderStatus.REJECTED, OrderStatus.UNKNOWN, OrderStatus.NEVER_SENT}
    return tuple(
        Reason(
            code=f"order_{record.status.value.lower()}",
            message=f"{record.order.client_order_id}: {record.reason or record.status.value.lower()}",
            value=record.status,
        )
        for record in records
        if record.status in bad or (record.order.role is OrderRole.ENTRY and _came_to_nothing(record))
    ) + tuple(
        Reason(code="order_held", message=f"{record.order.client_order_id} is {record.reason}.", value=record.status)
        for record in records
        if record.is_held
    )


def reason_of(error: SecurityError) -> Reason:
    """Return why a signal in a security that the broker cannot trade is refused."""
    return Reason(code=error.code, message=f"{error.message} {error.hint}".strip())
