"""Activity as lines of text: decisions with their reasons, fills, closed trades, alarms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from apex_cli.core.market.calendar import market_time
from apex_cli.core.model.base import Value
from apex_cli.core.model.protections import LockScope
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.model.wording import account_currency, plain, price
from apex_cli.core.state.events import (
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
from apex_cli.core.state.events.event import UnreadEvent, read_event

MODEL = " (theoretical, by a model)"
"""Said of a price that a model made."""


class ActivityKind(StrEnum):
    """What a line is about: what the log is filtered by."""

    DECISION = "decision"
    APPROVAL = "approval"
    FILL = "fill"
    CLOSED = "closed"
    ALARM = "alarm"
    STATE = "state"


class Activity(Value, frozen=True, kw_only=True):
    """One line of the log."""

    seq: int
    at: datetime
    kind: ActivityKind
    symbol: str
    """Security, or empty."""

    verdict: str
    """A word: ``execute``, ``refuse``, ``expired``, ``stop``, an alarm's code."""

    text: str
    """Reasons, numbers, in sentences."""

    subject: str = ""
    """What ``apex explain`` takes."""


def activities(rows: Iterable[OutboxRow]) -> list[Activity]:
    """Return the lines of *rows*, in their order; kinds that say nothing to people are left out."""
    return [line for row in rows if (line := activity_of(row)) is not None]


def activity_of(row: OutboxRow) -> Activity | None:  # noqa: C901 - one case for each kind of event
    """Return the line of one event; None when it has none, or is of another version."""
    event = read_event(row)
    line: Activity | None = None
    match event:
        case signal_events.Decided():
            line = _decided(event)
        case signal_events.SignalEnded():
            line = _ended(event)
        case signal_events.SignalInvalid():
            line = _invalid(event)
        case approval_events.ApprovalApproved():
            pass  # what comes of it follows at once
        case approval_events.ApprovalEvent():
            line = _approval(event)
        case order_events.FillEvent():
            line = _fill(event)
        case position_events.RoundTripClosed():
            line = _closed(event)
        case operation_events.AlarmRaised(data=alarm):
            line = _line(event, ActivityKind.ALARM, "", alarm.code, alarm.message)
        case position_events.LockEvent():
            line = _line(event, ActivityKind.STATE, "", event.kind, lock_news(event))
        case operation_events.TradingStateChanged(data=trading):
            line = _line(event, ActivityKind.STATE, "", trading.mode, trading.reason)
        case (
            base_event.Remark()
            | learning_events.LearningEvent()
            | learning_events.FollowingEnded()
            | signal_events.SignalRefused()
            | order_events.IntentWritten()
            | order_events.OrderUpdated()
            | position_events.RoundTripVoided()
            | management_events.Repriced()
            | book_events.BooksEvent()
            | base_event.AccountEvent()
            | operation_events.RunOverdue()
            | UnreadEvent()
        ):
            pass
        case _:
            assert_never(event)
    return line


def lock_news(event: position_events.LockChange) -> str:
    """Return what became of a lock, in one sentence."""
    lock = event.data
    what = "account" if lock.scope is LockScope.ACCOUNT else f"{lock.scope} {lock.subject}"
    match event:
        case position_events.TradeLocked():
            return f"{what} locked until {market_time(lock.until)} by {lock.rule.replace('_', ' ')}: {lock.value}"
        case position_events.TradeLockLifted():
            why = f": {lock.lifted_why}" if lock.lifted_why else ""
            return f"lock {lock.lock_id} of {what} lifted by {lock.lifted_by}{why}"
        case position_events.TradeLockVoided():
            return f"lock {lock.lock_id} of {what} taken back, as its trades were corrected"


def _line(event: base_event.BaseEvent, kind: ActivityKind, symbol: str, verdict: str, text: str) -> Activity:
    return Activity(
        seq=event.seq, at=event.at, kind=kind, symbol=symbol, verdict=verdict, text=text, subject=event.subject
    )


def _decided(event: signal_events.Decided) -> Activity:
    decision = event.data.decision
    quantity = f"{plain(decision.sized.quantity)} " if decision.sized else ""
    why = " ".join(reason.message for reason in (*decision.reasons, *decision.warnings))
    text = f"{decision.side} {quantity}{decision.instrument.key}{'. ' + why if why else ''}"
    return _line(event, ActivityKind.DECISION, decision.instrument.key, decision.kind, text)


def _ended(event: signal_events.SignalEnded) -> Activity:
    end = event.data
    why = " ".join(reason.message for reason in end.reasons)
    return _line(event, ActivityKind.DECISION, end.signal.instrument.key, end.outcome, why)


def _invalid(event: signal_events.SignalInvalid) -> Activity:
    row = event.data
    return _line(event, ActivityKind.DECISION, row.symbol, "invalid", f"{row.where}: {row.reason.message}")


def _approval(event: approval_events.ApprovalEvent) -> Activity:
    approval = event.data
    by = f"by {approval.decided_by}" if approval.decided_by else ""
    text = " ".join(part for part in (by, approval.reason) if part)
    return _line(event, ActivityKind.APPROVAL, approval.opportunity.signal.instrument.key, approval.status, text)


def _fill(event: order_events.FillEvent) -> Activity:
    fill = event.data
    role = fill.role.lower() if fill.role else fill.settlement or "fill"
    costs = f", commission {fill.cost:.2f}" if fill.cost else ""
    text = f"{fill.side} {plain(fill.quantity)} at {price(fill.price)}{MODEL if fill.is_theoretical else ''}{costs}"
    return _line(event, ActivityKind.FILL, fill.instrument.key, role, text)


def _closed(event: position_events.RoundTripClosed) -> Activity:
    trip = event.data
    r = f", {trip.r_multiple:+.2f} R" if trip.r_multiple is not None else ""
    text = f"{trip.pnl:+.2f} {account_currency()}{r}, {plain(trip.quantity)} at {price(trip.exit_price)}"
    text += MODEL if trip.is_theoretical else ""
    return _line(event, ActivityKind.CLOSED, trip.instrument.key, trip.exit_reason, text)
