"""From committed events to notices: what happened, in words a person reads on a phone.

An event that is not in ``READERS`` is nobody's news. One whose payload is not what it was is told all the same,
without its details.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from apex_cli.core.decision.record import Alarm
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Decision, DecisionKind, Reason, TradingMode
from apex_cli.core.model.notice import Fact, Notice, NoticeKind
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus, OutboxRow, SignalRecord, TradingState
from apex_cli.core.positions.announcements import DaySummary, EntryFilled, PositionReduced
from apex_cli.presenters.approval_words import (
    ANSWER_WORDS,
    answer_lines,
    approval_name,
    approval_payload,
    question_lines,
)
from apex_cli.presenters.formats import DASH, money, percent, price, r_multiple, ratio, results_text, units

MOST_FACTS = 12
"""Fields of an unknown payload that are told."""

LONGEST_LINE = 300

WORTH_KNOWING = frozenset(
    {
        "trading_state",
        "instrument_blocked",
        "daily_loss",
        "drawdown",
        "buying_power",
        "day_trades",
        "open_risk",
        "orders_per_day",
        "max_positions",
    }
)
"""Checks that speak of the account, not of the signal: a refusal by one of them concerns the next signal, too."""


class _Decided(Value, frozen=True, kw_only=True):
    """As much of a decision's event as is told."""

    decision: Decision
    is_answer: bool = False


class _Told(Value, frozen=True, kw_only=True):
    """What a reader says of one event."""

    kind: NoticeKind
    priority: int
    subject: str
    title: str
    lines: tuple[str, ...] = ()
    payload: dict[str, Fact] = {}
    approval: ApprovalRecord | None = None
    is_question: bool = False


def notice_of(event: OutboxRow) -> Notice | None:
    """Return what to tell of *event*; None when it is no news."""
    found = READERS.get(event.kind)
    if found is None:
        return None
    payload_type, kind, read = found
    try:
        told = read(event, msgspec.json.decode(event.data, type=payload_type))
    except (msgspec.DecodeError, ArithmeticError, ValueError):
        words = event.kind.replace("_", " ")
        line = "Its details cannot be read; apex explain may tell more."
        told = _Told(kind=kind, priority=2, subject=event.subject, title=f"{words}: {event.subject}", lines=(line,))
    if told is None:
        return None
    approval = told.approval
    return Notice(
        event_id=event.seq,
        kind=told.kind,
        priority=told.priority,
        at=event.at,
        subject=told.subject,
        title=told.title,
        lines=tuple(line[:LONGEST_LINE] for line in told.lines if line),
        payload=told.payload,
        approval_id=approval.approval_id if approval else "",
        approval_version=approval.version if approval else 0,
        is_question=told.is_question,
    )


def hello_notice(at: datetime) -> Notice:
    """Return what ``apex notify test`` sends."""
    return Notice(
        event_id=0,
        kind=NoticeKind.HEARTBEAT,
        priority=1,
        at=at,
        title="🔔 apex can reach you",
        lines=("This is a test. Nothing was traded.",),
    )


def trouble_notice(message: str, at: datetime) -> Notice:
    """Return what is told past the journal, as the journal cannot be used."""
    return Notice(event_id=0, kind=NoticeKind.HEARTBEAT, priority=1, at=at, title="🚨 apex needs you", lines=(message,))


def _entry(_: OutboxRow, told: EntryFilled) -> _Told:
    bracket = told.bracket
    symbol, side = bracket.instrument.key, "long" if bracket.side.sign > 0 else "short"
    of = "" if told.quantity == bracket.quantity else f" of {units(bracket.quantity)}"
    part = "" if told.is_complete else ", more may follow"
    targets = ", ".join(map(price, bracket.target_prices)) or DASH
    payload: dict[str, Fact] = {
        "symbol": symbol,
        "side": side,
        "quantity": str(told.quantity),
        "entry_price": str(told.price),
        "stop_loss": str(bracket.stop_price),
        "target_price": str(bracket.target_prices[0]) if bracket.target_prices else None,
        "risk_reward": _text(bracket.reward_risk),
        "strategy": bracket.strategy,
        "emoji": "🟢" if bracket.side.sign > 0 else "🔴",
    }
    return _Told(
        kind=NoticeKind.ENTRY,
        priority=1,
        subject=symbol,
        title=f"{payload['emoji']} {symbol} {side} {units(told.quantity)}{of} at {price(told.price)}{part}",
        lines=(
            f"Stop {price(bracket.stop_price)} · target {targets} · reward:risk {ratio(bracket.reward_risk)}",
            f"Strategy {bracket.strategy}" if bracket.strategy else "",
        ),
        payload=payload,
    )


def profit_emoji(pnl: Decimal) -> str:
    """Return the sign that an exit is told with."""
    return "💰" if pnl > 0 else "📉"


def _exit(_: OutboxRow, trip: RoundTrip) -> _Told:
    symbol, emoji = trip.instrument.key, profit_emoji(trip.pnl)
    payload: dict[str, Fact] = {
        "symbol": symbol,
        "side": trip.side,
        "quantity": str(trip.quantity),
        "entry_price": str(trip.entry_price),
        "exit_price": str(trip.exit_price),
        "pnl": str(trip.pnl),
        "pnl_pct": str(trip.pnl_pct),
        "commission": str(trip.commission),
        "reason": trip.exit_reason,
        "strategy": trip.strategy,
        "emoji": emoji,
    }
    return _Told(
        kind=NoticeKind.EXIT,
        priority=1,
        subject=symbol,
        title=f"{emoji} {symbol} closed: {trip.pnl:+,.2f} {trip.instrument.currency} ({percent(trip.pnl_pct)})",
        lines=(
            f"{trip.side} {units(trip.quantity)}: {price(trip.entry_price)} → {price(trip.exit_price)}",
            f"{r_multiple(trip.r_multiple)} · by {trip.exit_reason or 'unknown'} · costs {money(trip.commission)}",
        ),
        payload=payload,
    )


def _reduced(_: OutboxRow, told: PositionReduced) -> _Told:
    symbol, emoji = told.instrument.key, profit_emoji(told.pnl)
    payload: dict[str, Fact] = {
        "symbol": symbol,
        "side": told.side,
        "quantity": str(told.quantity),
        "remaining": str(told.remaining),
        "entry_price": str(told.entry_price),
        "exit_price": str(told.exit_price),
        "pnl": str(told.pnl),
        "pnl_pct": str(told.pnl_pct),
        "reason": told.reason,
        "emoji": emoji,
    }
    return _Told(
        kind=NoticeKind.EXIT,
        priority=1,
        subject=symbol,
        title=f"{emoji} {symbol} {units(told.quantity)} closed, {units(told.remaining)} held on: "
        f"{told.pnl:+,.2f} {told.instrument.currency} ({percent(told.pnl_pct)})",
        lines=(f"{told.side}: {price(told.entry_price)} → {price(told.exit_price)} · by {told.reason}",),
        payload=payload,
    )


def _question(_: OutboxRow, approval: ApprovalRecord) -> _Told:
    signal = approval.opportunity.signal
    return _Told(
        kind=NoticeKind.OPPORTUNITY,
        priority=2,
        subject=signal.instrument.key,
        title=f"❓ {approval_name(approval)}?",
        lines=question_lines(approval),
        payload={**approval_payload(approval), "approval_required": True, "emoji": "❓"},
        approval=approval,
        is_question=True,
    )


def _answer(_: OutboxRow, approval: ApprovalRecord) -> _Told | None:
    emoji, words = ANSWER_WORDS.get(approval.status, ("", approval.status.value))
    if approval.status is ApprovalStatus.APPROVED:
        return None  # what came of it follows at once
    return _Told(
        kind=NoticeKind.APPROVAL,
        priority=2,
        subject=approval.opportunity.signal.instrument.key,
        title=f"{emoji} {approval_name(approval)}: {words}".strip(),
        lines=answer_lines(approval),
        payload={**approval_payload(approval), "emoji": emoji},
        approval=approval,
    )


def _refusal(_: OutboxRow, told: _Decided) -> _Told | None:
    decision = told.decision
    grave = [reason for reason in decision.reasons if reason.code in WORTH_KNOWING]
    if decision.kind is not DecisionKind.REFUSE or told.is_answer or not grave:
        return None
    return _refused(decision.instrument.key, f"{decision.side} {decision.instrument.key}", decision.reasons)


def _refused(symbol: str, what: str, reasons: tuple[Reason, ...]) -> _Told:
    return _Told(
        kind=NoticeKind.REFUSAL,
        priority=2,
        subject=symbol,
        title=f"⛔ {what} refused",
        lines=tuple(reason.message for reason in reasons),
        payload={"symbol": symbol, "codes": ",".join(reason.code for reason in reasons), "emoji": "⛔"},
    )


def _rejected(_: OutboxRow, told: SignalRecord) -> _Told:
    reason = Reason(code="order_rejected", message="The broker rejected the entry; apex orders tells why.")
    return _refused(told.symbol, told.symbol, (reason,))


def _alarm(event: OutboxRow, told: Alarm) -> _Told:
    return _Told(
        kind=NoticeKind.ALARM,
        priority=1,
        subject=event.subject,
        title=f"🚨 {told.code.replace('_', ' ')}",
        lines=(told.message,),
        payload={"code": told.code, "message": told.message, "emoji": "🚨"},
    )


def _day_trades(_: OutboxRow, told: DayTradeStatus) -> _Told:
    left = "No day trade is left" if not told.remaining else f"{told.remaining} of {told.limit} day trades is left"
    closing = ", ".join(told.opened_today)
    return _Told(
        kind=NoticeKind.DAY_TRADES,
        priority=2,
        subject="day trades",
        title=f"⚠️ {left}",
        lines=(told.why, f"Opened today, a day trade if closed today: {closing}." if closing else "", told.mismatch),
        payload={
            "used": told.used,
            "remaining": told.remaining,
            "limit": told.limit,
            "session_date": told.session_date,
            "emoji": "⚠️",
        },
    )


def _summary(_: OutboxRow, told: DaySummary) -> _Told:
    return _Told(
        kind=NoticeKind.SUMMARY,
        priority=3,
        subject=told.session_date,
        title=f"📒 {told.session_date}: {told.net_pnl:+,.2f} closed, {told.open_pnl:+,.2f} open",
        lines=summary_lines(told),
        payload={name: _text(value) for name, value in msgspec.structs.asdict(told).items()} | {"emoji": "📒"},
    )


def summary_lines(told: DaySummary) -> tuple[str, ...]:
    """Return one session's numbers."""
    extremes = f"Best {told.best} · worst {told.worst}" if told.round_trips > 1 else ""
    naked = f"! {told.unprotected} of them not fully protected" if told.unprotected else ""
    return (
        f"{told.entries} entries · {told.round_trips} closed ({results_text(told.wins, told.losses, told.breakeven)})",
        f"Costs {money(told.commission)}",
        extremes,
        f"{told.open_positions} positions open · {told.approvals_pending} to approve",
        naked,
        f"Equity {money(told.equity)} ({told.change:+,.2f} today)",
    )


def _trading_state(_: OutboxRow, told: TradingState) -> _Told:
    emoji = "▶️" if told.mode is TradingMode.ACTIVE else "⏸️"
    return _Told(
        kind=NoticeKind.TRADING_STATE,
        priority=2,
        subject="trading",
        title=f"{emoji} Trading is {told.mode}",
        lines=(told.reason,),
        payload={"mode": told.mode, "reason": told.reason, "emoji": emoji},
    )


def _of_others(kind: NoticeKind, emoji: str, priority: int, words: str) -> Callable[[OutboxRow, Any], _Told]:
    """Return a reader of payloads whose fields are not known here: sentences first, then plain fields."""

    def read(event: OutboxRow, told: object) -> _Told:
        facts = _plain_facts(told) if isinstance(told, Mapping) else {}
        sentences = [str(facts.pop(name)) for name in ("message", "summary", "reason") if facts.get(name)]
        rest = (f"{name.replace('_', ' ')}: {value}" for name, value in facts.items())
        subject = event.subject or str(facts.get("symbol") or "")
        return _Told(
            kind=kind,
            priority=priority,
            subject=subject,
            title=f"{emoji} {words}{f': {subject}' if subject else ''}",
            lines=(*sentences, *rest),
            payload={**_plain_facts(told), "emoji": emoji} if isinstance(told, Mapping) else {"emoji": emoji},
        )

    return read


def _plain_facts(told: Mapping[Any, Any]) -> dict[str, Fact]:
    plain = {str(name): _text(value) for name, value in told.items() if not isinstance(value, list | dict)}
    return dict(list(plain.items())[:MOST_FACTS])


def _text(value: object) -> Fact:
    return value if value is None or isinstance(value, str | bool | int) else str(value)


READERS: dict[str, tuple[Any, NoticeKind, Callable[[OutboxRow, Any], _Told | None]]] = {
    "entry_filled": (EntryFilled, NoticeKind.ENTRY, _entry),
    "position_reduced": (PositionReduced, NoticeKind.EXIT, _reduced),
    "round_trip_closed": (RoundTrip, NoticeKind.EXIT, _exit),
    "approval_queued": (ApprovalRecord, NoticeKind.OPPORTUNITY, _question),
    **{f"approval_{status}": (ApprovalRecord, NoticeKind.APPROVAL, _answer) for status in ANSWER_WORDS},
    "decided": (_Decided, NoticeKind.REFUSAL, _refusal),
    "signal_refused": (SignalRecord, NoticeKind.REFUSAL, _rejected),
    "alarm": (Alarm, NoticeKind.ALARM, _alarm),
    "day_trade_warning": (DayTradeStatus, NoticeKind.DAY_TRADES, _day_trades),
    "daily_summary": (DaySummary, NoticeKind.SUMMARY, _summary),
    "trading_state_changed": (TradingState, NoticeKind.TRADING_STATE, _trading_state),
    "run_overdue": (Alarm, NoticeKind.HEARTBEAT, _alarm),
    "reconciliation_break": (
        object,
        NoticeKind.RECONCILIATION,
        _of_others(NoticeKind.RECONCILIATION, "🧮", 1, "Books differ"),
    ),
    "weight_adaptation": (object, NoticeKind.ADAPTATION, _of_others(NoticeKind.ADAPTATION, "🎛️", 3, "Weights adapted")),
}
"""By kind of event: the type of its payload, what it counts as, and who reads it."""
