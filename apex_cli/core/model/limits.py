"""The user's limits: the parts of the configuration that rules read.

A field's docstring is its documentation: the reference configuration carries the same keys.
Fractions are fractions: ``max_risk_pct: 0.01`` is 1 %.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, assert_never

from msgspec.structs import replace

from apex_cli.core.model.agent import AgentLimits
from apex_cli.core.model.base import MOST_MONEY, Fraction, Minutes, Range, Share, Value
from apex_cli.core.model.instrument import HOME_CURRENCY
from apex_cli.core.model.learning import LearningLimits
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.money import ZERO, Quantity, Usd
from apex_cli.core.model.order import EntryOrder
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.model.spelling import Currency, Ticker


class DayTradeRegime(StrEnum):
    """Which day-trading rule book applies to the account."""

    AUTO = "auto"
    CLASSIC = "classic"
    INTRADAY_MARGIN = "intraday_margin"
    OFF = "off"


class RepriceLimits(Value, frozen=True, kw_only=True):
    """Section ``execution.reprice``: a limit entry that rests follows the price, within bounds."""

    after_s: Annotated[int, Range(1, 86_400)] | None = None
    """How long a limit entry rests before its price is raised (for a sale: lowered), in seconds; null: off."""

    step_pct: Fraction = Decimal("0.001")
    """Part of the decision's price that each step adds."""

    max_times: Annotated[int, Range(1, 100)] = 3
    """Steps for one signal."""

    max_pct: Fraction = Decimal("0.003")
    """Part of the decision's price that all steps together may add."""


class ExecutionLimits(Value, frozen=True, kw_only=True):
    """Section ``execution``: who decides, and where orders go."""

    simulation_mode: bool = True
    """True: the simulated broker inside apex. False: Interactive Brokers."""

    auto_execute: bool = False
    """True: execute what passes every check. False: ask for every trade."""

    auto_min_score: Share = Decimal(0)
    """With auto_execute, opportunities that score below this are queued for approval."""

    entry_order: EntryOrder = EntryOrder.MARKET
    """market, limit (at the signal's entry price), market_on_close, limit_on_close, market_on_open, limit_on_open,
    adaptive_market or adaptive_limit."""

    entry_minutes: Minutes | None = None
    """A market or limit entry that rests is cancelled by the broker after this long; null: at the session's end."""

    one_entry: bool = True
    """True: a signal with several targets buys with one order, and pays one commission; each target has its own stop.
    False: one entry for each target, for a broker that takes no exits smaller than their entry."""

    reprice: RepriceLimits = RepriceLimits()
    """A limit entry that rests follows the price, within bounds."""


class CapitalBase(StrEnum):
    """What sizing counts with."""

    FIXED = "fixed"
    """risk.capital."""

    EQUITY = "equity"
    """What the account is worth."""

    LOWER_OF_BOTH = "lower_of_both"


class OnObstacle(StrEnum):
    """What an obstacle at the market does to an entry."""

    REFUSE = "refuse"
    WARN = "warn"


class RiskLimits(Value, frozen=True, kw_only=True):
    """Section ``risk``: how much may be lost, and where."""

    capital: Annotated[Usd, Range(0, MOST_MONEY, above=True)] = Usd(Decimal(3000))
    """What sizing counts with, in account currency."""

    capital_base: CapitalBase = CapitalBase.FIXED
    """fixed: capital. equity: what the account is worth now. lower_of_both: the smaller of the two."""

    max_risk_pct: Fraction = Decimal("0.01")
    """Part of capital lost when a stop is hit."""

    max_risk_pct_ceiling: Fraction = Decimal("0.5")
    """A larger max_risk_pct is refused: 1 is 100 %, and 1 % is 0.01."""

    max_position_pct: Fraction = Decimal("0.05")
    """Part of capital in one position."""

    max_positions: Annotated[int, Range(1, 10_000)] = 10
    """Open positions and working entries at the same time."""

    min_quantity: Annotated[Quantity, Range(0, 1_000_000)] = Quantity(Decimal(1))
    """Smallest quantity bought even when a cap allows less (market's step where that is finer)."""

    enforce_caps: bool = False
    """True: refuse where the smallest quantity breaks a cap. False: warn."""

    min_reward_risk: Annotated[Decimal, Range(0, 1000)] = Decimal("2.0")
    """Smallest distance to the target over the distance to the stop."""

    min_confidence: Share = Decimal("0.65")
    """Smallest confidence of a signal, 0..1."""

    max_daily_loss_pct: Fraction = Decimal("0.10")
    """Part of the day's opening equity; beyond it nothing is opened until the next session."""

    max_drawdown_pct: Fraction = Decimal("0.25")
    """Part of the highest equity seen; beyond it nothing is opened."""

    max_open_risk_pct: Fraction = Decimal("0.10")
    """Part of capital lost if every stop is hit at once, this trade included."""

    max_orders_per_day: Annotated[int, Range(1, 100_000)] = 50
    """Entries a session."""

    max_notional: Annotated[Usd, Range(0, MOST_MONEY, above=True)] | None = None
    """Largest value of one order; none by default."""

    allow_symbols: tuple[Ticker, ...] = ()
    """When not empty, only these are traded."""

    deny_symbols: tuple[Ticker, ...] = ()
    """These are never traded."""

    allow_short: bool = True
    """False: signals that would open a short position are refused."""

    on_no_borrow: OnObstacle = OnObstacle.REFUSE
    """A sale that opens, of more units than the broker can borrow: refuse it, or warn and let it find them."""

    on_halt: OnObstacle = OnObstacle.REFUSE
    """An entry in a security whose trading is halted: refuse it, or warn and let it wait at the broker."""

    max_price_deviation_pct: Fraction = Decimal("0.03")
    """Collar: how far the signal's entry may lie from the latest price."""

    enforce_market_hours: bool = True
    """False: decide and send at any time."""

    def for_equity(self, equity: Usd) -> RiskLimits:
        """Return these limits with the capital that counts when the account is worth *equity*."""
        match self.capital_base:
            case CapitalBase.FIXED:
                return self
            case CapitalBase.EQUITY:
                capital = equity
            case CapitalBase.LOWER_OF_BOTH:
                capital = min(self.capital, equity)
            case _:
                assert_never(self.capital_base)
        return replace(self, capital=Usd(max(capital, ZERO)))


class ApprovalLimits(Value, frozen=True, kw_only=True):
    """Section ``approval``: how long an opportunity waits, and what voids it."""

    expiry_minutes: Minutes = 30
    """How long an opportunity waits for an answer."""

    max_price_drift_pct: Fraction = Decimal("0.01")
    """An approval is void when the price moved further from the one it was queued at."""


class DayTradeLimits(Value, frozen=True, kw_only=True):
    """Section ``day_trades``: the pattern-day-trader rule."""

    regime: DayTradeRegime = DayTradeRegime.AUTO
    """auto, classic, intraday_margin or off."""

    limit: Annotated[int, Range(0, 1000)] = 3
    """Day trades in the window before openings are refused."""

    window_sessions: Annotated[int, Range(1, 100)] = 5
    """Sessions the count looks back, today included."""

    equity_threshold: Annotated[Usd, Range(0, MOST_MONEY)] = Usd(Decimal(25000))
    """From this equity on, the count does not matter."""


class OnRejectedStop(StrEnum):
    """What follows when the broker takes no protective stop."""

    ALARM = "alarm"
    FLATTEN = "flatten"


class ProtectionLimits(Value, frozen=True, kw_only=True):
    """Section ``protection``: what happens when the broker rejects a protective stop."""

    stop_attempts: Annotated[int, Range(1, 100)] = 3
    """How often the same stop is tried in a session before apex gives up."""

    retry_pause_s: Annotated[int, Range(0, 86_400)] = 30
    """Shortest time between two tries, in seconds."""

    on_rejected_stop: OnRejectedStop = OnRejectedStop.ALARM
    """alarm: raise an alarm and leave it. flatten: close the position at market."""


class ReconcileLimits(Value, frozen=True, kw_only=True):
    """Section ``reconcile``: comparing the state with the broker's own books."""

    interval_minutes: Minutes = 5
    """Time between two comparisons in a loop; every start and every reconnect compares at once."""

    auto_repair: bool = True
    """True: a comparison also corrects what needs no person. False: it only reports and locks."""

    require_complete: bool = True
    """True: nothing is opened while the broker's answer is incomplete."""


class Patience(Value, frozen=True, kw_only=True):
    """How long a broker may take; the defaults are those of a broker inside this process."""

    ack_timeout_s: float = 10.0
    """Longest wait for the confirmation of an order, a change or a cancel, in seconds."""

    settle_s: float = 0.0
    """How long after its acknowledgement an order may still be refused, in seconds."""

    never_sent_after_s: float = 0.0
    """How long after sending an order may still turn up, in seconds; before that its absence proves nothing."""


class CurrencyLimits(Value, frozen=True, kw_only=True):
    """Section ``currency``: what the account is kept in, and what other currencies are worth in it."""

    base: Currency = HOME_CURRENCY
    """What every amount of this file, of sizes, limits and reports is in: the currency of the account."""

    rates: dict[str, Annotated[Decimal, Range(0, MOST_MONEY, above=True)]] = {}
    """Value of one unit of another currency or coin, as {EUR: 1.08, JPY: 0.0067}, where neither the broker nor bars of
    the pair have a newer rate."""

    rates_as_of: date | None = None
    """When these rates were true, as YYYY-MM-DD; null: they always hold."""

    max_age_hours: Annotated[int, Range(1, 10_000)] = 96
    """An older rate is none, and nothing is opened by it; the default covers a long weekend."""


class CommissionPlan(StrEnum):
    """Which price list applies."""

    NONE = "none"
    IB_FIXED = "ib_fixed"
    IB_TIERED = "ib_tiered"


class Limits(Value, frozen=True, kw_only=True):
    """Everything a decision reads of the configuration."""

    execution: ExecutionLimits = ExecutionLimits()
    risk: RiskLimits = RiskLimits()
    approval: ApprovalLimits = ApprovalLimits()
    day_trades: DayTradeLimits = DayTradeLimits()
    management: ManagementLimits = ManagementLimits()
    currency: CurrencyLimits = CurrencyLimits()
    protections: Protections = NO_PROTECTIONS
    agents: AgentLimits = AgentLimits()
    learning: LearningLimits = LearningLimits()
    commission: CommissionPlan = CommissionPlan.NONE
    """The price list that commissions are expected by."""

    stop_limit_pct: Decimal | None = None
    """How far the limit of a stop lies beyond its trigger, part of the trigger; None: a stop sells at market."""

    def entry_order(self, strategy: str) -> EntryOrder:
        """Return how an entry of *strategy* meets the market."""
        return self.management.plan_for(strategy).entry_order or self.execution.entry_order

    def follows_price(self, strategy: str) -> bool:
        """Return whether an entry of *strategy* that rests is re-priced."""
        return self.entry_order(strategy) is EntryOrder.LIMIT and self.execution.reprice.after_s is not None
