"""The account: its sessions, its cash, its day trades and its margin."""

from __future__ import annotations

from typing import TypeAlias

from apex_cli.core.model.account import CashFlow
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus
from apex_cli.core.model.money import Usd
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.records import Counters, DeficitRecord
from apex_cli.core.state.events.base_event import AccountEvent


class SessionStarted(AccountEvent, frozen=True, kw_only=True, tag="session_started"):
    """The first run of a session reset the counters."""

    data: Counters


class CashMoved(AccountEvent, frozen=True, kw_only=True, tag="cash_moved"):
    """Money was paid in or taken out: the marks that losses are measured from moved with it."""

    data: CashFlow


class MarksReset(AccountEvent, frozen=True, kw_only=True, tag="marks_reset"):
    """A person took the account's present value for its highest and for the day's first."""

    data: CashFlow
    """Without an amount: from the highest value before to the value now, and why."""


class DaySummary(Value, frozen=True, kw_only=True):
    """One session in numbers."""

    session_date: str
    entries: int
    round_trips: int
    wins: int
    losses: int
    breakeven: int = 0
    """Closed without a gain or a loss before costs."""

    net_pnl: Usd
    commission: Usd
    best: str = ""
    worst: str = ""
    open_positions: int
    open_pnl: Usd
    unprotected: int
    approvals_pending: int
    equity: Usd
    change: Usd
    """Of equity since the session began."""


class DaySummarised(AccountEvent, frozen=True, kw_only=True, tag="daily_summary"):
    """A session is over."""

    news = News(kind=NoticeKind.SUMMARY, priority=3)
    data: DaySummary


class DayTradeWarning(AccountEvent, frozen=True, kw_only=True, tag="day_trade_warning"):
    """Day trades run out."""

    news = News(kind=NoticeKind.DAY_TRADES)
    data: DayTradeStatus


class DeficitEvent(AccountEvent, frozen=True, kw_only=True):
    """The margin level fell below zero, or is back."""

    data: DeficitRecord


class MarginDeficit(DeficitEvent, frozen=True, kw_only=True, tag="margin_deficit"):
    """The margin level fell below zero during the session."""


class MarginDeficitMet(DeficitEvent, frozen=True, kw_only=True, tag="margin_deficit_met"):
    """The level of an earlier deficit is zero or more again."""


Event: TypeAlias = (
    DayTradeWarning | MarginDeficit | MarginDeficitMet | SessionStarted | CashMoved | MarksReset | DaySummarised
)
"""Any event of this module."""
