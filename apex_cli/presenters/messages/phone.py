"""Words for a small screen: questions and their ends, positions, day trades, the day so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apex_cli.core.model.decision import DayTradeStatus, TradingMode
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Answered, Closed, EntriesCancelled, Preview, StopsMoved, WorkDone
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.core.positions.position_views import PositionView, Totals
from apex_cli.core.reports.board import Day
from apex_cli.core.reports.trade_report import TradeReport
from apex_cli.core.state.events.account_events import DaySummary
from apex_cli.presenters.approvals import (
    ANSWER_WORDS,
    answer_lines,
    approval_name,
    filled_units,
    proposal_lines,
    question_lines,
    was_now_pairs,
)
from apex_cli.presenters.history import ratio_figures
from apex_cli.presenters.messages.message import telegram_html, telegram_pages
from apex_cli.presenters.messages.notices import summary_lines
from apex_cli.presenters.orders import order_status
from apex_cli.presenters.report import headline
from apex_cli.presenters.screen.blocks import Block
from apex_cli.presenters.screen.formats import (
    DASH,
    marked,
    moment,
    money,
    percent,
    price,
    r_multiple,
    signed,
    units,
)
from apex_cli.presenters.screen.plain import render

COMMANDS = {
    "status": "Account, day, what is open",
    "positions": "What is held, with buttons",
    "orders": "What works at the broker",
    "approvals": "What waits, with buttons",
    "pdt": "Day trades used and left",
    "daily": "The day so far",
    "weekly": "The last seven days",
    "performance": "Everything so far",
    "explain SYMBOL": "The story of its newest signal",
    "close SYMBOL": "Close a position (asks first)",
    "halt": "Stop everything but protective exits and closing",
    "reduce": "Exits only (asks first)",
    "resume": "Trade again (asks first)",
    "help": "What you can say",
}
"""What each command of the chat does."""

HELP = tuple(f"/{command}: {text[0].lower()}{text[1:]}" for command, text in COMMANDS.items() if command != "help")
MENU = (
    ("/status", "/positions", "/orders"),
    ("/approvals", "/daily", "/performance"),
    ("/halt", "/reduce", "/resume"),
)
"""Rows of commands that the phone shows in place of its keyboard."""


def pending_html(approval: ApprovalRecord, remark: str = "") -> str:
    """Return a question as it stands."""
    return telegram_html(f"❓ {approval_name(approval)}?", question_lines(approval), (remark,) if remark else ())


def decided_html(approval: ApprovalRecord, preview: Preview | None = None) -> str:
    """Return a question that has its end: what, who, when, why, and "was / now" where it was looked at again."""
    emoji, words = ANSWER_WORDS.get(approval.status, ("", approval.status.value))
    lines = (*answer_lines(approval), *(was_now_lines(approval, preview) if preview else ()))
    asked = (*proposal_lines(approval.opportunity.signal), *question_lines(approval)[:3])
    return telegram_html(f"{emoji} {approval_name(approval)}: {words}".strip(), (*lines, *asked))


def was_now_lines(approval: ApprovalRecord, preview: Preview) -> tuple[str, ...]:
    """Return what changed since the opportunity was queued."""
    pairs = was_now_pairs(approval, preview)
    return tuple(f"{name}: was {old}, now {new}{'' if old == new else ' ⚠️'}" for name, old, new in pairs)


def details_html(approval: ApprovalRecord, preview: Preview) -> str:
    """Return everything about one opportunity as it is now."""
    score = (
        f"{part.name.replace('_', ' ')}: {part.value:.2f} x {part.weight:.2f}"
        for part in approval.opportunity.breakdown
    )
    against = tuple(f"✗ {reason.message}" for reason in preview.reasons) or ("✓ A yes would be executed now.",)
    mark = proposal_lines(approval.opportunity.signal)
    lines = (*mark, *was_now_lines(approval, preview), f"Day trades: {preview.day_trade_effect}", *score, *against)
    return telegram_html(f"🔍 {approval_name(approval)}", lines)


def outcome_text(done: WorkDone) -> str:
    """Return what work came to in one sentence."""
    for result in done.results:
        match result:
            case Answered():
                return _answered_text(result)
            case Closed():
                return _closed_text(result)
            case StopsMoved():
                return moved_text(result)
            case EntriesCancelled():
                return cancelled_text(result)
            case _:
                pass
    return done.failures[0].message if done.failures else "Nothing was done."


def _answered_text(done: Answered) -> str:
    emoji, words = ANSWER_WORDS.get(done.approval.status, ("", done.approval.status.value))
    filled = filled_units(done)
    fills = f": {units(filled)} filled" if filled else ""
    return f"{emoji} {done.approval.opportunity.signal.instrument.key} {words}{fills}"


def moved_text(done: StopsMoved) -> str:
    """Return where a stop stands now."""
    return f"{done.symbol}: stop at {price(done.to_price)}, was {price(done.from_price)}, for {units(done.quantity)}"


def cancelled_text(done: EntriesCancelled) -> str:
    """Return what will buy no more."""
    return f"{done.symbol}: the entry is cancelled ({len(done.client_order_ids)})"


def _closed_text(done: Closed) -> str:
    pnl = f", {signed(done.pnl)} ({percent(done.pnl_pct)})" if done.pnl is not None and done.pnl_pct is not None else ""
    left = f", {units(done.remaining)} left" if done.remaining else ""
    at = marked(done.exit_price, is_theoretical=done.is_theoretical)
    return f"{done.symbol} {done.status}: {units(done.quantity)} at {at}{pnl}{left}"


def positions_pages(views: Iterable[PositionView], totals: Totals, mode: TradingMode) -> tuple[str, ...]:
    """Return what is held."""
    lines = tuple(line for view in views for line in _position_lines(view))
    return telegram_pages(f"{totals.positions} open, {signed(totals.pnl)} · {mode}", lines or ("Nothing is held.",))


def status_html(day: Day) -> str:
    """Return account, day and what is open."""
    equity = DASH if day.equity is None else f"{money(day.equity)} {account_currency()}"
    earned = "" if day.pnl is None else f", today {signed(day.pnl)}"
    unknown = (
        f"! {counted(day.unknown_orders, 'order')} of unknown outcome: look at /orders" if day.unknown_orders else ""
    )
    naked = f"! {counted(day.totals.unprotected, 'position')} not fully protected" if day.totals.unprotected else ""
    lines = (
        f"Trading {day.mode}" + (f": {day.mode_reason}" if day.mode_reason else ""),
        f"Equity {equity}{earned}",
        f"{day.totals.positions} open, {signed(day.totals.pnl)} · {day.pending} to approve",
        f"{counted(day.entries_today, 'entry')} today",
        unknown,
        naked,
        f"As of {moment(day.equity_at)}",
    )
    return telegram_html("Status", lines)


def orders_pages(records: Sequence[OrderRecord]) -> tuple[str, ...]:
    """Return what works at the broker."""
    lines = tuple(map(_order_line, records))
    return telegram_pages(counted(len(records), "working order"), lines or ("None.",))


def _order_line(record: OrderRecord) -> str:
    order = record.order
    limit = "" if order.limit_price is None else f" at {price(order.limit_price)}"
    stop = "" if order.stop_price is None else f" from {price(order.stop_price)}"
    filled = f", {units(record.filled_quantity)} filled" if record.filled_quantity else ""
    what = f"{order.instrument.key} {order.role.lower()}: {order.side} {units(order.quantity)}"
    return f"{what}{limit}{stop}{filled}, {order_status(record)}"


def report_pages(title: str, found: TradeReport) -> tuple[str, ...]:
    """Return what a span of trading came to."""
    if not found.statistics.round_trips:
        return telegram_pages(title, ("No closed trades.",))
    figures = (*headline(found), *(each for each in ratio_figures(found.ratios) if each.value != DASH))
    lines = (f"{figure.name}: {figure.value}" + (f" ({figure.below})" if figure.below else "") for figure in figures)
    groups = (
        f"{group.name}: {group.statistics.round_trips}, {signed(group.statistics.net_pnl)}"
        for group in found.by_strategy
    )
    return telegram_pages(title, (*lines, *groups))


def story_pages(name: str, blocks: Iterable[Block]) -> tuple[str, ...]:
    """Return the story of a signal."""
    return telegram_pages(name, render(blocks).splitlines())


def _position_lines(view: PositionView) -> tuple[str, ...]:
    sign = "🟢" if view.pnl >= 0 else "🔴"
    stop = price(view.stop_price) + ("" if view.protected_quantity >= view.quantity else " ⚠️ not fully protected")
    last = marked(view.current_price, is_theoretical=view.is_theoretical)
    return (
        f"{sign} {view.symbol} {view.side} {units(view.quantity)}: {signed(view.pnl)} ({percent(view.pnl_pct)})",
        f"{price(view.entry_price)} → {last} · {r_multiple(view.r_multiple)} · stop {stop}",
    )


def day_trades_html(status: DayTradeStatus) -> str:
    """Return day trades used and left."""
    if status.remaining is None:
        left = "day trades are not counted"
    elif status.remaining < 0:
        left = "unlimited day trades"
    else:
        left = f"{status.remaining} of {status.limit} day trades left"
    opened = ", ".join(status.opened_today)
    lines = (
        f"Rule {status.regime.replace('_', ' ')}, session {status.session_date}",
        status.why,
        f"Opened today: {opened}" if opened else "",
        status.mismatch,
    )
    return telegram_html(left.capitalize(), lines)


def summary_html(summary: DaySummary) -> str:
    """Return the day so far."""
    title = f"📒 {summary.session_date}: {signed(summary.net_pnl)} closed, {signed(summary.open_pnl)} open"
    return telegram_html(title, summary_lines(summary))
