"""The user's limits: the parts of the configuration that rules read.

A field's docstring is its documentation: the reference configuration carries the same keys.
Fractions are fractions: ``max_risk_pct: 0.01`` is 1 %.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from apex_cli.core.model.agent import AgentLimits
from apex_cli.core.model.base import MOST_MONEY, Amount, Fraction, Minutes, Range, Value
from apex_cli.core.model.currency import CurrencyLimits
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.learning import LearningLimits
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import EntryOrder
from apex_cli.core.model.protections import NO_PROTECTIONS, Protections
from apex_cli.core.model.risk_limits import RiskLimits


class DayTradeRegime(StrEnum):
    """Which day-trading rule book applies to the account."""

    AUTO = "auto"
    CLASSIC = "classic"
    INTRADAY_MARGIN = "intraday_margin"
    OFF = "off"


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

    equity_threshold: Annotated[Usd, Amount(0, MOST_MONEY)] = Usd(Decimal(25000))
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
