"""Outcomes: what a decision was made from, and what it says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.account import AccountSnapshot, MarginPreview
from apex_cli.core.model.agent import AgentStanding
from apex_cli.core.model.base import Value
from apex_cli.core.model.calendar_event import Blackout
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.market import MarketStatus, Quote
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.protections import TradeLock
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import Lock
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.trade_size import Sized


class TradingMode(StrEnum):
    """What apex may do; persisted until someone changes it."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    """Exits only."""

    HALTED = "HALTED"
    """apex does nothing by itself but cancels and protective exits; a person may still close."""


class Exposure(Value, frozen=True, kw_only=True):
    """One open position or working entry, as far as a decision needs it."""

    key: str
    """``Instrument.key``."""

    side: PositionSide
    notional: Usd
    risk: Usd
    """Loss if its stop is hit now, from the entry price; the whole notional without a stop; >= 0."""

    is_working_entry: bool = False
    quantity: Quantity = Quantity(ZERO)
    """Units held; 0 for a working entry."""

    opened_on: str = ""
    """Session date of the first opening fill, YYYY-MM-DD; empty for a working entry."""

    is_put: bool = False
    """True for a put, which gains when its underlying falls."""

    strategy: str = ""
    """Of the plan that opened it; empty without one."""

    sector: str = ""
    """Set where sectors are limited; empty where the file names none."""

    beta: Decimal | None = None
    """Set where beta is limited; None where it is not known."""

    @property
    def market_view(self) -> int:
        """1 when it gains from a rising underlying, -1 when from a falling one."""
        return -self.side.sign if self.is_put else self.side.sign


class Regime(StrEnum):
    """A rule book of day trading."""

    CLASSIC = "classic"
    """Pattern day trader: day trades are counted."""

    INTRADAY_MARGIN = "intraday_margin"
    """The margin level is watched during the day; day trades are not counted."""

    CASH_SETTLEMENT = "cash_settlement"
    """A cash account: only settled cash may be spent."""

    PORTFOLIO_MARGIN = "portfolio_margin"
    """Neither the count nor the intraday margin standard holds."""

    OFF = "off"
    UNKNOWN = "unknown"


RULE_UNKNOWN = "rule unknown: nothing is opened"
"""What is shown instead of the day trades left while no rule is known."""


class DayTradeStatus(Value, frozen=True, kw_only=True):
    """The day-trade count a decision is gated on."""

    regime: Regime
    """The first of *regimes*."""

    regimes: tuple[Regime, ...] = ()
    """Every rule book in force; empty: only *regime*."""

    regime_source: str = ""
    """What that was concluded from."""

    is_regime_known: bool = True
    """False: nothing may be opened."""

    session_date: str = ""
    """The session an order sent now belongs to, YYYY-MM-DD."""

    used: int
    """Day trades inside the window."""

    remaining: int | None
    """-1 unlimited, None not applicable."""

    limit: int
    window: tuple[str, ...] = ()
    """Session dates, oldest first."""

    by_session: dict[str, int] = {}
    local_remaining: int | None = None
    """By our own count, whatever the broker says."""

    broker_remaining: int | None = None
    mismatch: str = ""
    """Why the broker's number differs from ours; empty when it does not, or is not reported."""

    uncertain: bool = False
    """Executions of one moment leave their order open; the higher count was taken."""

    is_partial: bool = False
    """The fills may not cover the whole window."""

    opened_today: tuple[str, ...] = ()
    """Keys of the securities whose closing now would be a day trade."""

    why: str = ""


class Mark(Value, frozen=True, kw_only=True):
    """What the account was worth when a week or a month began."""

    since: str
    """Session from which on it is known, YYYY-MM-DD."""

    equity: Usd


class Likeness(Value, frozen=True, kw_only=True):
    """An exposure that would lose together with the opportunity."""

    key: str
    correlation: Decimal
    """Of the returns, positive when both would lose together, sides taken into account."""


class TradeRecord(Value, frozen=True, kw_only=True):
    """What the closed trades of a strategy came to."""

    trades: int
    mean: Decimal
    """R after costs."""

    mean_square: Decimal
    """Mean of R^2."""


class ProtectionInputs(Value, frozen=True, kw_only=True):
    """What protections read; gathered only where one is configured that reads it."""

    week: Mark | None = None
    month: Mark | None = None
    has_calendar: bool = False
    """True where a calendar is configured."""

    blackouts: tuple[Blackout, ...] = ()
    """What of it keeps the opportunity from being opened now."""

    calendar_trouble: str = ""
    """Why a calendar cannot be used."""

    sector: str = ""
    """Of the opportunity's security; empty where the file names none."""

    sector_trouble: str = ""
    """Why the file of sectors cannot be used."""

    alike: tuple[Likeness, ...] = ()
    """What moves with the opportunity as much as the limit names."""

    unlike_unknown: tuple[str, ...] = ()
    """Exposures of which no correlation is known."""

    beta: Decimal | None = None
    """Of the opportunity's security; None where it is not known."""

    volatility: Decimal | None = None
    """Of the opportunity's security, of an option that of its underlying, a year; None where it is not known."""

    record: TradeRecord | None = None
    """Of the opportunity's strategy; None with too few closed trades."""

    trouble: str = ""
    """Why the last price history that was asked for is not there; empty where it is only too short."""


NO_INPUTS = ProtectionInputs()


class Snapshot(Value, frozen=True, kw_only=True):
    """Everything a decision looks at besides the opportunity and the limits."""

    taken_at: datetime
    trading_mode: TradingMode
    trading_mode_reason: str = ""
    account: AccountSnapshot
    session_start_equity: Usd
    """Equity when this session was first seen."""

    peak_equity: Usd
    exposures: tuple[Exposure, ...] = ()
    entries_today: int = 0
    quote: Quote | None
    """Latest price of the opportunity's instrument; None without one."""

    market: MarketStatus
    day_trades: DayTradeStatus
    blocked_instruments: tuple[str, ...] = ()
    """Keys with an order of unknown outcome."""

    locks: tuple[Lock, ...] = ()
    """Securities in which our books and the broker's differ."""

    trade_locks: tuple[TradeLock, ...] = ()
    """What closed trades keep from being opened now."""

    protections: ProtectionInputs = NO_INPUTS

    rate: Rate | None = None
    """What the opportunity's instrument is priced in, in account currency; None where it is that, or none is known."""

    margin_preview: MarginPreview | None = None
    """The broker's "what if" for the opportunity's entry; None when it was not asked or did not answer."""

    agent: AgentStanding | None = None
    """What the agent that proposed the opportunity has used of its budget; None where none did."""


class Check(Value, frozen=True, kw_only=True):
    """One pre-trade check and its verdict."""

    code: str
    passed: bool
    limit: str | None = None
    value: str | None = None
    message: str = ""
    """A sentence; empty when passed."""

    lifts_at: datetime | None = None
    """When it passes again by itself; None where it passes, or waits for something else than time."""


class DecisionKind(StrEnum):
    """The three answers."""

    EXECUTE = "execute"
    QUEUE = "queue"
    REFUSE = "refuse"


class Decision(Value, frozen=True, kw_only=True):
    """The answer for one opportunity, with everything that led to it."""

    kind: DecisionKind
    signal_id: str
    instrument: Instrument
    side: OrderSide
    sized: Sized | None
    """None when no quantity could be worked out."""

    entry_price: Price
    """Price the size was worked out at."""

    reward_risk: Decimal | None
    checks: tuple[Check, ...]
    """All of them, in order, passed or not."""

    reasons: tuple[Reason, ...]
    """Why it is refused or queued; empty when it is executed."""

    warnings: tuple[Reason, ...] = ()
