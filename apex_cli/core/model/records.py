"""Rows of the tables of the state."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.decision import Decision, TradingMode
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.lesson import EntryConditions
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.position import Position
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import Opportunity, SignalFamily


class SignalOutcome(StrEnum):
    """How a signal ended, or where it stands."""

    RECEIVED = "received"
    EXECUTED = "executed"
    QUEUED = "queued"
    REFUSED = "refused"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """Orders were sent, and only the broker can say what became of them."""


class RejectedRow(Value, frozen=True, kw_only=True):
    """A row that is not a signal, with the reason: file, line and field."""

    where: str
    """``signals.csv:3`` or ``inbox/a.json[2]``."""

    symbol: str = ""
    signal_id: str = ""
    reason: Reason
    file_version: str = ""
    """In the journal: ``SignalBatch.file_version`` of the read that found it."""


class RejectedFile(Value, frozen=True, kw_only=True):
    """A file whose rejected rows are in the journal: read again, it adds nothing there."""

    file_version: str
    recorded_at: datetime


class SignalRecord(Value, frozen=True, kw_only=True):
    """A signal seen: so that it is never acted on twice."""

    signal_id: str
    symbol: str
    outcome: SignalOutcome
    seen_at: datetime
    expires_at: datetime
    approval_id: str | None = None
    bracket_id: str | None = None
    family: SignalFamily = SignalFamily.NONE
    """Set for signals that confirm others; then *side* is, too."""

    side: OrderSide | None = None
    agent: str = ""
    """Who proposed it; empty where no agent did."""


class ApprovalStatus(StrEnum):
    """States of an approval."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """The market or a newer signal for the same security made it void."""

    EXECUTED = "executed"
    FAILED = "failed"


class ApprovalRecord(Value, frozen=True, kw_only=True):
    """An opportunity waiting for a person, and what became of it."""

    approval_id: str
    opportunity: Opportunity
    decision: Decision
    """As it was when queued: the *was* of "was / now"."""

    quoted_price: Price
    """Latest price when queued."""

    status: ApprovalStatus = ApprovalStatus.PENDING
    version: int = 1
    """Raised by every change; an answer names the version it saw."""

    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""
    quantity: Quantity | None = None
    """Set when the person changed the size."""

    bracket_id: str | None = None


class BracketRecord(Value, frozen=True, kw_only=True):
    """One entry decision: what was planned, from the first intent to the flat position."""

    bracket_id: str
    """A ULID; every client order id of the bracket contains it."""

    signal_id: str
    strategy: str = ""
    instrument: Instrument
    side: OrderSide
    quantity: Quantity
    entry_price: Price
    stop_price: Price
    target_prices: tuple[Price, ...] = ()
    risk_per_unit: Usd
    """Loss of one unit at the first stop: |entry - stop| * multiplier, in account currency."""

    rate: Rate | None = None
    """What its prices are in, in account currency, when it was decided; None where it is that."""

    stop_limit_pct: Decimal | None = None
    """How far the limit of its stops lies beyond their trigger, part of the trigger; None: they have no limit."""

    confidence: Decimal | None = None
    reward_risk: Decimal | None = None
    created_at: datetime
    conditions: EntryConditions | None = None
    """What the learners will want to know of the entry."""

    agent: str = ""
    """Who proposed it; empty where no agent did."""

    @property
    def price_risk(self) -> Decimal:
        """Price from the planned entry to the first stop: 1 R, without any rate."""
        unit = self.instrument.multiplier
        if self.rate is None:
            return self.risk_per_unit / unit
        return self.risk_per_unit / (self.rate.worth(Decimal(1), self.stop_price) * unit)


class RestingEntry(Value, frozen=True, kw_only=True):
    """A limit entry whose price may follow the market, and what that is decided by."""

    bracket_id: str
    opportunity: Opportunity
    """As it was decided on."""

    entries: tuple[str, ...]
    """Client order ids of the entries that rest now, or are being cancelled."""

    first_price: Price
    """Limit that was decided."""

    price: Price
    """Limit of *entries*."""

    since: datetime
    """When they were sent."""

    times: int = 0
    """How often the price was changed."""

    next_price: Price | None = None
    """Set while *entries* are being cancelled: what their rest will be sent at."""


class PositionRecord(Value, frozen=True, kw_only=True):
    """An open position with its latest price."""

    position: Position
    carried: Position | None = None
    """The position before the oldest fill that is still kept: where a refold starts."""

    current_price: Price
    priced_at: datetime
    is_theoretical: bool = False
    """True where a model made the latest price."""

    rate: Rate | None = None
    """Newest rate of the currency of its prices; None where that is the account's."""

    def worth(self, amount: Decimal) -> Usd:
        """Return *amount* of the currency of its prices in that of the account."""
        return worth(self.rate, amount, self.current_price)


class Counters(Value, frozen=True, kw_only=True):
    """What is counted per session, and the high-water mark."""

    session_date: str = ""
    session_start_equity: Usd = Usd(ZERO)
    session_scaled: Usd = Usd(ZERO)
    """By how much more than was paid in or out deposits and withdrawals moved that value: no profit and no loss."""

    peak_equity: Usd = Usd(ZERO)
    week_since: str = ""
    """Session from which the loss of the running week is measured, YYYY-MM-DD; empty before the first one."""

    week_start_equity: Usd = Usd(ZERO)
    """What the account was worth when that session began, moved with deposits and withdrawals as the day's value is."""

    month_since: str = ""
    """The same of the running month."""

    month_start_equity: Usd = Usd(ZERO)
    entries_today: int = 0
    last_learning_check: datetime | None = None
    last_fill_at: datetime | None = None
    """Time of the newest fill ever booked: an older one that comes late makes a refold."""

    last_fill_key: str = ""
    """Its key: fills of one moment are ordered by their keys."""

    last_run_at: datetime | None = None
    """When a ``run`` last did its work without failing, by the machine's clock."""

    overdue_told: datetime | None = None
    """Time of the last alarm about overdue runs."""

    outage_told: datetime | None = None
    """When the broker was last reported to be out of reach, by the machine's clock."""

    day_trades_told: str = ""
    """The day-trade count that was last warned of: session, used, remaining."""

    expiries_told: str = ""
    """The options that were last warned of as nearing their expiry: session and keys."""

    summary_for: str = ""
    """Session date of the newest daily summary, YYYY-MM-DD."""

    pdt_rejected_on: str = ""
    """Session date of the last order that was refused as a potential pattern day trade, YYYY-MM-DD."""

    fills_since: str = ""
    """Session date from which on all trades of the account are known, YYYY-MM-DD; empty before the first session."""

    def raised(self, equity: Usd) -> Counters:
        """Return these with *equity* as the peak where it is above it."""
        return self if equity <= self.peak_equity else msgspec.structs.replace(self, peak_equity=equity)


class DeficitRecord(Value, frozen=True, kw_only=True):
    """The intraday margin deficit of one session."""

    session_date: str
    """YYYY-MM-DD."""

    amount: Usd
    """How far the margin level fell below zero at the worst opening fill."""

    is_de_minimis: bool
    """Too small to count toward a practice of not paying."""

    met_on: str = ""
    """Session in which the level was zero or more again; empty while it was not."""


class EquityPoint(Value, frozen=True, kw_only=True):
    """What the account was worth at one moment."""

    at: datetime
    equity: Usd


class AccountRecord(Value, frozen=True, kw_only=True):
    """The account as the process that talks to the broker saw it last: what those that only look know of it."""

    account: AccountSnapshot
    session_date: str
    """Session of *curve*, YYYY-MM-DD."""

    curve: tuple[EquityPoint, ...] = ()
    """Equity of the running session, oldest first, one point for each five minutes in which it changed."""


class TradingState(Value, frozen=True, kw_only=True):
    """What apex may do, who said so, and why."""

    mode: TradingMode = TradingMode.ACTIVE
    reason: str = ""
    changed_at: datetime | None = None


class OutboxRow(Value, frozen=True, kw_only=True, omit_defaults=False):
    """An event on its way to the journal, committed with the change that it describes; encoded as it stands there."""

    seq: int
    """Unique and rising for the life of the state."""

    at: datetime
    kind: str
    """``signal_received``, ``decided``, ``order_updated``, ``fill``, ``round_trip_closed``, ..."""

    subject: str = ""
    """Signal, approval, bracket or symbol it is about: what ``explain`` looks for."""

    data: msgspec.Raw = msgspec.Raw(b"{}")
    """JSON of the event's payload."""


class SignalReport(Value, frozen=True, kw_only=True):
    """What ``run`` says of one signal."""

    signal_id: str
    symbol: str
    key: str = ""
    """The security, as positions name it; empty where a row named none."""

    outcome: SignalOutcome
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    approval_id: str | None = None
    orders: tuple[str, ...] = ()
    """Client order ids."""

    score: Decimal | None = None
    quantity: Quantity | None = None
    where: str = ""
    """File and line it came from."""
