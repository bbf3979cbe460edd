"""What happened, as lines a person reads: decisions with their reasons, fills, closed trades, alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from apex_cli.core.decision.record import Alarm
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Reason
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.order import OrderSide
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import OutboxRow, TradingState
from apex_cli.core.model.wording import plain


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


class _Sized(Value, frozen=True, kw_only=True):
    quantity: Quantity


class _Decision(Value, frozen=True, kw_only=True):
    """The part of a decision that the log tells; the rest of the event is passed over."""

    kind: str
    instrument: Instrument
    side: OrderSide
    sized: _Sized | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()


class _Decided(Value, frozen=True, kw_only=True):
    decision: _Decision
    is_answer: bool = False


class _Signal(Value, frozen=True, kw_only=True):
    instrument: Instrument


class _Ended(Value, frozen=True, kw_only=True):
    signal: _Signal
    outcome: str
    reasons: tuple[Reason, ...] = ()


class _Rejected(Value, frozen=True, kw_only=True):
    where: str
    reason: Reason
    symbol: str = ""


class _Opportunity(Value, frozen=True, kw_only=True):
    signal: _Signal


class _Approval(Value, frozen=True, kw_only=True):
    opportunity: _Opportunity
    status: str = "pending"
    reason: str = ""
    decided_by: str = ""


def activities(events: Iterable[OutboxRow]) -> list[Activity]:
    """Return the lines of *events*, in their order; kinds that say nothing to people are left out."""
    return [line for event in events if (line := activity_of(event)) is not None]


def activity_of(event: OutboxRow) -> Activity | None:
    """Return the line of one event; None when it has none, or its payload is of another version."""
    known = _TELLERS.get(event.kind)
    if known is None:
        return None
    payload, tell = known
    try:
        return tell(event, msgspec.json.decode(event.data, type=payload))
    except msgspec.DecodeError:
        return None


def _line(event: OutboxRow, kind: ActivityKind, symbol: str, verdict: str, text: str) -> Activity:
    return Activity(
        seq=event.seq, at=event.at, kind=kind, symbol=symbol, verdict=verdict, text=text, subject=event.subject
    )


def _decided(event: OutboxRow, data: _Decided) -> Activity:
    decision = data.decision
    quantity = f"{plain(decision.sized.quantity)} " if decision.sized else ""
    why = " ".join(reason.message for reason in (*decision.reasons, *decision.warnings))
    text = f"{decision.side} {quantity}{decision.instrument.key}{'. ' + why if why else ''}"
    return _line(event, ActivityKind.DECISION, decision.instrument.key, decision.kind, text)


def _ended(event: OutboxRow, data: _Ended) -> Activity:
    why = " ".join(reason.message for reason in data.reasons)
    return _line(event, ActivityKind.DECISION, data.signal.instrument.key, data.outcome, why)


def _invalid(event: OutboxRow, data: _Rejected) -> Activity:
    return _line(event, ActivityKind.DECISION, data.symbol, "invalid", f"{data.where}: {data.reason.message}")


def _approval(event: OutboxRow, data: _Approval) -> Activity:
    by = f"by {data.decided_by}" if data.decided_by else ""
    text = " ".join(part for part in (by, data.reason) if part)
    return _line(event, ActivityKind.APPROVAL, data.opportunity.signal.instrument.key, data.status, text)


def _fill(event: OutboxRow, fill: Fill) -> Activity:
    role = fill.role.lower() if fill.role else "fill"
    costs = f", commission {plain(fill.commission)}" if fill.commission else ""
    text = f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}{costs}"
    return _line(event, ActivityKind.FILL, fill.instrument.key, role, text)


def _closed(event: OutboxRow, trip: RoundTrip) -> Activity:
    r = f", {trip.r_multiple:+.2f} R" if trip.r_multiple is not None else ""
    text = f"{trip.pnl:+.2f} USD{r}, {plain(trip.quantity)} at {plain(trip.exit_price)}"
    return _line(event, ActivityKind.CLOSED, trip.instrument.key, trip.exit_reason, text)


def _alarm(event: OutboxRow, alarm: Alarm) -> Activity:
    return _line(event, ActivityKind.ALARM, "", alarm.code, alarm.message)


def _trading(event: OutboxRow, data: TradingState) -> Activity:
    return _line(event, ActivityKind.STATE, "", data.mode, data.reason)


_TELLERS: dict[str, tuple[type[Any], Callable[[OutboxRow, Any], Activity]]] = {
    "decided": (_Decided, _decided),
    "signal_ended": (_Ended, _ended),
    "signal_invalid": (_Rejected, _invalid),
    "fill": (Fill, _fill),
    "fill_corrected": (Fill, _fill),
    "round_trip_closed": (RoundTrip, _closed),
    "alarm": (Alarm, _alarm),
    "trading_state_changed": (TradingState, _trading),
    **{
        f"approval_{status}": (_Approval, _approval)
        for status in ("queued", "rejected", "expired", "superseded", "executed", "failed")
    },
}
