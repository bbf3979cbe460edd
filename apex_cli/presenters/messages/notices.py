"""From committed events to notices: what happened, in words a person reads on a phone.

An event's class says whether it is news (``news``). One whose data cannot be read is reported all the same, without its
details; one that has no words of its own here is reported with its plain fields.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import assert_never

import msgspec

from apex_cli.core.model.account import AccountBadge
from apex_cli.core.model.base import Value, named
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import DayTradeStatus, DecisionKind, TradingMode
from apex_cli.core.model.notice import Fact, News, Notice, NoticeKind
from apex_cli.core.model.position import RoundTrip, risk_per_unit
from apex_cli.core.model.protections import LockScope
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import ApprovalRecord, OutboxRow, SignalRecord, TradingState
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.reports.activity import lock_news
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
from apex_cli.core.state.events.event import EVENT_TYPES, Event, UnreadEvent, read_event
from apex_cli.presenters.approvals import (
    ANSWER_WORDS,
    answer_lines,
    approval_name,
    approval_payload,
    question_lines,
)
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_NOTE,
    in_both,
    marked,
    money,
    percent,
    price,
    r_multiple,
    ratio,
    results_text,
    signed,
    units,
)

MOST_FACTS = 12
"""Plain fields of an event that are reported."""

LONGEST_LINE = 300

ACCOUNT_CHECKS = frozenset(
    {
        "trading_state",
        "instrument_blocked",
        "daily_loss",
        "drawdown",
        "weekly_loss",
        "monthly_loss",
        "buying_power",
        "day_trades",
        "open_risk",
        "orders_per_day",
        "max_positions",
    }
)
"""Checks of the account, not of the signal: a refusal by one of them concerns the next signal, too."""


class _Words(Value, frozen=True, kw_only=True):
    """The words for one event."""

    subject: str
    title: str
    lines: tuple[str, ...] = ()
    payload: dict[str, Fact] = {}
    approval: ApprovalRecord | None = None
    is_question: bool = False


def notice_of(row: OutboxRow, badge: AccountBadge | None = None) -> Notice | None:
    """Return what to report of an event, with the account that it happened in; None when it is no news."""
    event_type = EVENT_TYPES.get(row.kind)
    if event_type is None or event_type.news is None:
        return None
    news, event = event_type.news, read_event(row)
    try:
        data = _words_of(event, news)
    except (ArithmeticError, ValueError):
        data = _without_details(event)
    if data is None:
        return None
    approval = data.approval
    return Notice(
        event_id=row.seq,
        kind=news.kind,
        priority=news.priority,
        at=row.at,
        subject=data.subject,
        title=f"{badge.text} · {data.title}" if badge else data.title,
        lines=tuple(line[:LONGEST_LINE] for line in data.lines if line),
        payload=data.payload,
        approval_id=approval.approval_id if approval else "",
        approval_version=approval.version if approval else 0,
        is_question=data.is_question,
    )


def _words_of(  # noqa: C901, PLR0912 - one case for each kind of event
    event: Event | UnreadEvent, news: News
) -> _Words | None:
    """Return the words for *event*; None when there are none."""
    data: _Words | None
    match event:
        case order_events.EntryFilled(data=fill):
            data = _entry(fill)
        case position_events.PositionReduced(data=reduction):
            data = _reduced(reduction)
        case position_events.RoundTripClosed(data=trip):
            data = _exit(trip)
        case approval_events.ApprovalQueued(data=approval):
            data = _question(approval)
        case approval_events.ApprovalEvent(data=approval):
            data = _answer(approval)
        case signal_events.Decided(data=record):
            data = _refusal(record)
        case signal_events.SignalRefused(data=row):
            data = _rejected(row)
        case operation_events.AlarmRaised(data=alarm) | operation_events.RunOverdue(data=alarm):
            data = _alarm(event.subject, alarm)
        case account_events.DayTradeWarning(data=status):
            data = _day_trades(status)
        case account_events.DaySummarised(data=summary):
            data = _summary(summary)
        case position_events.LockEvent():
            data = _trade_lock(event)
        case operation_events.TradingStateChanged(data=trading):
            data = _trading_state(trading)
        case UnreadEvent():
            data = _without_details(event)
        case (
            base_event.Remark()
            | base_event.AccountEvent()
            | book_events.BooksEvent()
            | learning_events.LearningEvent()
            | order_events.FillEvent()
            | signal_events.SignalEnded()
            | signal_events.SignalInvalid()
            | order_events.IntentWritten()
            | order_events.OrderUpdated()
            | position_events.RoundTripVoided()
            | management_events.Repriced()
            | learning_events.FollowingEnded()
        ):
            data = _plain(event, news)
        case _:
            assert_never(event)
    return data


def _without_details(event: Event | UnreadEvent) -> _Words:
    line = "Its details cannot be read; apex explain may show more."
    title = f"{event.kind.replace('_', ' ')}: {event.subject}"
    return _Words(subject=event.subject, title=title, lines=(line,))


def hello_notice(at: datetime, badge: AccountBadge) -> Notice:
    """Return what ``apex notify test`` sends."""
    return Notice(
        event_id=0,
        kind=NoticeKind.HEARTBEAT,
        priority=1,
        at=at,
        title=f"{badge.text} · 🔔 apex can reach you",
        lines=("This is a test. Nothing was traded.",),
    )


def trouble_notice(message: str, at: datetime, badge: AccountBadge) -> Notice:
    """Return what is reported past the journal, as the journal cannot be used."""
    title = f"{badge.text} · 🚨 apex needs you"
    return Notice(event_id=0, kind=NoticeKind.HEARTBEAT, priority=1, at=at, title=title, lines=(message,))


def _entry(data: order_events.EntryFill) -> _Words:
    bracket = data.bracket
    symbol, side = bracket.instrument.key, "long" if bracket.side.sign > 0 else "short"
    of = "" if data.quantity == bracket.quantity else f" of {units(bracket.quantity)}"
    part = "" if data.is_complete else ", more may follow"
    targets = ", ".join(map(price, bracket.target_prices)) or DASH
    payload: dict[str, Fact] = {
        "symbol": symbol,
        "side": side,
        "quantity": str(data.quantity),
        "entry_price": str(data.price),
        "stop_loss": str(bracket.stop_price),
        "target_price": str(bracket.target_prices[0]) if bracket.target_prices else None,
        "risk_reward": _text(bracket.reward_risk),
        "strategy": bracket.strategy,
        "theoretical": data.is_theoretical,
        "emoji": "🟢" if bracket.side.sign > 0 else "🔴",
    }
    at = marked(data.price, is_theoretical=data.is_theoretical)
    return _Words(
        subject=symbol,
        title=f"{payload['emoji']} {symbol} {side} {units(data.quantity)}{of} at {at}{part}",
        lines=(
            f"Stop {price(bracket.stop_price)} · target {targets} · reward:risk {ratio(bracket.reward_risk)}",
            _stake(data),
            f"Strategy {bracket.strategy}" if bracket.strategy else "",
            THEORETICAL_NOTE if data.is_theoretical else "",
        ),
        payload=payload,
    )


def _stake(data: order_events.EntryFill) -> str:
    """Return what filled is worth, and what of it is lost at the stop before costs."""
    bracket, multiplier = data.bracket, data.bracket.instrument.multiplier
    value = worth(bracket.rate, data.quantity * multiplier * data.price, data.price)
    unit_loss = risk_per_unit(data.price, bracket.stop_price, multiplier)
    loss = worth(bracket.rate, data.quantity * unit_loss, data.price)
    return f"Value {money(value)} {account_currency()} · loss at stop {money(loss)}"


def profit_emoji(pnl: Decimal) -> str:
    """Return the sign that an exit is reported with."""
    return "💰" if pnl > 0 else "📉"


def _exit(trip: RoundTrip) -> _Words:
    symbol, emoji = trip.instrument.key, profit_emoji(trip.pnl)
    payload: dict[str, Fact] = {
        "symbol": symbol,
        **_texts(trip, "side", "quantity", "entry_price", "exit_price", "pnl", "pnl_pct", "commission"),
        "reason": trip.exit_reason,
        "strategy": trip.strategy,
        "theoretical": trip.is_theoretical,
        "emoji": emoji,
    }
    return _Words(
        subject=symbol,
        title=f"{emoji} {symbol} closed: {signed(trip.pnl)} {account_currency()} ({percent(trip.pnl_pct)})",
        lines=(
            *in_both(trip.instrument.currency, trip.quote_pnl, trip.rate),
            f"{trip.side} {units(trip.quantity)}: {_way(trip)}",
            f"{r_multiple(trip.r_multiple)} · by {trip.exit_reason or 'unknown'} · costs {money(trip.commission)}",
            THEORETICAL_NOTE if trip.is_theoretical else "",
        ),
        payload=payload,
    )


def _way(data: RoundTrip | position_events.Reduction) -> str:
    """Return from which price it came to which."""
    first, last = (marked(each, is_theoretical=data.is_theoretical) for each in (data.entry_price, data.exit_price))
    return f"{first} → {last}"


def _reduced(data: position_events.Reduction) -> _Words:
    symbol, emoji = data.instrument.key, profit_emoji(data.pnl)
    payload: dict[str, Fact] = {
        "symbol": symbol,
        **_texts(data, "side", "quantity", "remaining", "entry_price", "exit_price", "pnl", "pnl_pct", "reason"),
        "theoretical": data.is_theoretical,
        "emoji": emoji,
    }
    return _Words(
        subject=symbol,
        title=f"{emoji} {symbol} {units(data.quantity)} closed, {units(data.remaining)} held on: "
        f"{signed(data.pnl)} {account_currency()} ({percent(data.pnl_pct)})",
        lines=(
            f"{data.side}: {_way(data)} · by {data.reason}",
            *((THEORETICAL_NOTE,) if data.is_theoretical else ()),
        ),
        payload=payload,
    )


def _question(approval: ApprovalRecord) -> _Words:
    signal = approval.opportunity.signal
    return _Words(
        subject=signal.instrument.key,
        title=f"❓ {approval_name(approval)}?",
        lines=question_lines(approval),
        payload={**approval_payload(approval), "approval_required": True, "emoji": "❓"},
        approval=approval,
        is_question=True,
    )


def _answer(approval: ApprovalRecord) -> _Words:
    emoji, words = ANSWER_WORDS.get(approval.status, ("", approval.status.value))
    return _Words(
        subject=approval.opportunity.signal.instrument.key,
        title=f"{emoji} {approval_name(approval)}: {words}".strip(),
        lines=answer_lines(approval),
        payload={**approval_payload(approval), "emoji": emoji},
        approval=approval,
    )


def _refusal(data: signal_events.DecisionRecord) -> _Words | None:
    decision = data.decision
    grave = [reason for reason in decision.reasons if reason.code in ACCOUNT_CHECKS]
    if decision.kind is not DecisionKind.REFUSE or data.is_answer or not grave:
        return None
    return _refused(decision.instrument.key, f"{decision.side} {decision.instrument.key}", decision.reasons)


def _refused(symbol: str, what: str, reasons: tuple[Reason, ...]) -> _Words:
    return _Words(
        subject=symbol,
        title=f"⛔ {what} refused",
        lines=tuple(reason.message for reason in reasons),
        payload={"symbol": symbol, "codes": ",".join(reason.code for reason in reasons), "emoji": "⛔"},
    )


def _rejected(data: SignalRecord) -> _Words:
    reason = Reason(code="order_rejected", message="The broker rejected the entry; apex orders shows why.")
    return _refused(data.symbol, data.symbol, (reason,))


def _alarm(subject: str, data: operation_events.Alarm) -> _Words:
    return _Words(
        subject=subject,
        title=f"🚨 {data.code.replace('_', ' ')}",
        lines=(data.message,),
        payload={"code": data.code, "message": data.message, "emoji": "🚨"},
    )


def _day_trades(data: DayTradeStatus) -> _Words:
    verb = "is" if data.remaining == 1 else "are"
    left = f"{data.remaining} of {data.limit} day trades {verb} left" if data.remaining else "No day trade is left"
    closing = ", ".join(data.opened_today)
    return _Words(
        subject="day trades",
        title=f"⚠️ {left}",
        lines=(data.why, f"Opened today, a day trade if closed today: {closing}." if closing else "", data.mismatch),
        payload={
            **named(data, "used", "remaining", "limit", "session_date"),
            "emoji": "⚠️",
        },
    )


def _summary(data: account_events.DaySummary) -> _Words:
    return _Words(
        subject=data.session_date,
        title=f"📒 {data.session_date}: {signed(data.net_pnl)} closed, {signed(data.open_pnl)} open",
        lines=summary_lines(data),
        payload={name: _text(value) for name, value in msgspec.structs.asdict(data).items()} | {"emoji": "📒"},
    )


def summary_lines(data: account_events.DaySummary) -> tuple[str, ...]:
    """Return one session's numbers."""
    extremes = f"Best {data.best} · worst {data.worst}" if data.round_trips > 1 else ""
    naked = f"! {data.unprotected} of them not fully protected" if data.unprotected else ""
    rest = data.change - data.net_pnl
    parts = f"closed {signed(data.net_pnl)}, what is open and its costs {signed(rest)}"
    results = results_text(data.wins, data.losses, data.breakeven)
    return (
        f"{counted(data.entries, 'entry')} · {data.round_trips} closed ({results})",
        f"Costs {money(data.commission)}",
        extremes,
        f"{counted(data.open_positions, 'position')} open · {data.approvals_pending} to approve",
        naked,
        f"Equity {money(data.equity)} ({signed(data.change)} today: {parts})",
    )


def _trading_state(data: TradingState) -> _Words:
    emoji = "▶️" if data.mode is TradingMode.ACTIVE else "⏸️"
    return _Words(
        subject="trading",
        title=f"{emoji} Trading is {data.mode}",
        lines=(data.reason,),
        payload={"mode": data.mode, "reason": data.reason, "emoji": emoji},
    )


def _trade_lock(event: position_events.LockChange) -> _Words:
    lock = event.data
    is_locked = isinstance(event, position_events.TradeLocked)
    emoji = "🔒" if is_locked else "🔓"
    what = "the account" if lock.scope is LockScope.ACCOUNT else f"{lock.scope} {lock.subject}"
    return _Words(
        subject=lock.subject,
        title=f"{emoji} {what} is {'locked' if is_locked else 'open again'}",
        lines=(lock_news(event), f"Lift it with: apex locks --lift {lock.lock_id}" if is_locked else ""),
        payload={"lock_id": lock.lock_id, "rule": lock.rule, "until": lock.until.isoformat(), "emoji": emoji},
    )


def _plain(event: Event, news: News) -> _Words:
    """Return the words for an event that has none of its own: its sentences first, then its other plain fields."""
    plain = _plain_facts(event.data)
    facts = dict(plain)
    sentences = [str(facts.pop(name)) for name in ("message", "summary", "reason") if facts.get(name)]
    rest = (f"{name.replace('_', ' ')}: {value}" for name, value in facts.items())
    subject = event.subject or str(facts.get("symbol") or "")
    words = news.words or event.kind.replace("_", " ")
    return _Words(
        subject=subject,
        title=f"{news.emoji} {words}{f': {subject}' if subject else ''}",
        lines=(*sentences, *rest),
        payload={**plain, "emoji": news.emoji},
    )


def _plain_facts(data: Value) -> dict[str, Fact]:
    fields: dict[str, object] = msgspec.to_builtins(data)
    plain = {name: _text(value) for name, value in fields.items() if not isinstance(value, list | dict)}
    return dict(list(plain.items())[:MOST_FACTS])


def _texts(source: object, *names: str) -> dict[str, Fact]:
    return {name: _text(value) for name, value in named(source, *names).items()}


def _text(value: object) -> Fact:
    return value if value is None or isinstance(value, str | bool | int) else str(value)
