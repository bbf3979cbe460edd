"""Protections: limits on new entries after losses, and the locks that follow from closed trades.

Everything is off until it is configured. A protection refuses openings only: nothing here ever keeps a position from
being closed or protected.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from apex_cli.core.model.base import Fraction, Range, Share, Value
from apex_cli.core.model.duration import DurationText
from apex_cli.core.model.ticker import Ticker


class CooldownLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.cooldown``: a pause after a stop."""

    after_stop: DurationText | None = None
    """How long nothing is opened in a security, its options included, after a stop in it was hit at a loss."""


class StopGuard(Value, frozen=True, kw_only=True):
    """A number of stops within a time, and what follows."""

    stops: Annotated[int, Range(1, 100)] | None = None
    """So many stops that lost, within the time below, lock it; null: off."""

    within: DurationText = "5 sessions"
    """How far back stops count."""

    lock: DurationText = "2 sessions"
    """How long it is locked, from the last of them on."""


class StopGuards(Value, frozen=True, kw_only=True):
    """Section ``protections.stop_guard``: too many stops within a time."""

    symbol: StopGuard = StopGuard()
    """Stops in one security, its options included."""

    strategy: StopGuard = StopGuard()
    """Stops of one strategy."""

    account: StopGuard = StopGuard()
    """Stops of all trades."""


class LossStreak(Value, frozen=True, kw_only=True):
    """A number of losses in a row, and what follows."""

    losses: Annotated[int, Range(2, 100)] | None = None
    """So many losing trades in a row, after costs and within the time below, lock it; null: off."""

    within: DurationText = "10 sessions"
    """How far back losses count."""

    lock: DurationText = "2 sessions"
    """How long it is locked, from the last of them on."""


class LossStreaks(Value, frozen=True, kw_only=True):
    """Section ``protections.loss_streak``: losses in a row."""

    symbol: LossStreak = LossStreak()
    """Losses in one security, its options included."""

    strategy: LossStreak = LossStreak()
    """Losses of one strategy."""

    account: LossStreak = LossStreak()
    """Losses of all trades."""


MeanR = Annotated[Decimal, Range(-100, 100)]
"""An expectation in multiples of the first risk, after costs."""


class LowExpectancy(Value, frozen=True, kw_only=True):
    """A result of the last trades that is too low, and what follows."""

    trades: Annotated[int, Range(2, 100)] | None = None
    """Look at the last so many trades with a known risk; with fewer nothing is locked; null: off."""

    min_mean_r: MeanR | None = Decimal(0)
    """Their mean R, after costs, below this locks it; null: the mean does not matter."""

    min_sum_r: Annotated[Decimal, Range(-1000, 1000)] | None = None
    """Their sum of R, after costs, below this locks it; null: the sum does not matter."""

    within: DurationText = "60 sessions"
    """How far back trades count."""

    lock: DurationText = "5 sessions"
    """How long it is locked, from the last of them on."""


class LowExpectancies(Value, frozen=True, kw_only=True):
    """Section ``protections.low_expectancy``: last trades that earned too little."""

    symbol: LowExpectancy = LowExpectancy()
    """Trades in one security, its options included."""

    strategy: LowExpectancy = LowExpectancy()
    """Trades of one strategy."""

    account: LowExpectancy = LowExpectancy()
    """All trades."""


class StrategyBudget(Value, frozen=True, kw_only=True):
    """What the open positions and working entries of one strategy may come to."""

    max_open_risk_pct: Fraction | None = None
    """Part of capital lost if every stop of the strategy is hit at once, this trade included; null: no bound."""

    max_positions: Annotated[int, Range(1, 10_000)] | None = None
    """Open positions and working entries of the strategy at the same time; null: no bound."""


class StrategyBudgets(StrategyBudget, frozen=True, kw_only=True):
    """Section ``protections.budget``: what each strategy may have open."""

    strategies: dict[str, StrategyBudget] = {}
    """Other values by strategy, such as breakout: {max_positions: 2}; keys left out are as above."""

    def budget_for(self, strategy: str) -> StrategyBudget:
        """Return the budget of *strategy*: its own, else the common one."""
        return self.strategies.get(strategy, self)


class CostLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.costs``: what a trade must be worth after commissions and half the spread at each end."""

    min_net_reward_risk: Annotated[Decimal, Range(0, 1000)] | None = None
    """Smallest reward over risk after costs; null: costs are not looked at."""

    min_net_expectancy_r: MeanR | None = None
    """Smallest expectation after costs in R, by the signal's confidence as the probability of its target; null: off."""

    spread_pct: Share | None = None
    """Bid to ask as a part of the price where none is quoted, as in a replay; null: then nothing is opened."""

    @property
    def is_on(self) -> bool:
        """True when costs are looked at."""
        return self.min_net_reward_risk is not None or self.min_net_expectancy_r is not None


class SectorLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.sectors``: what one sector may have open."""

    max_open_risk_pct: Fraction | None = None
    """Part of capital lost if every stop in one sector is hit at once, this trade included; null: off."""

    max_positions: Annotated[int, Range(1, 10_000)] | None = None
    """Open positions and working entries in one sector; null: off."""

    @property
    def is_on(self) -> bool:
        """True when sectors are looked at."""
        return self.max_open_risk_pct is not None or self.max_positions is not None


BarsCompared = Annotated[int, Range(21, 2000)]
"""Returns that are compared; twenty common ones are the least."""


class CorrelationLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.correlation``: what moves together may lose together."""

    max_open_risk_pct: Fraction | None = None
    """Part of capital lost if every stop of what moves with the signal is hit, this trade included; null: off."""

    min_correlation: Share = Decimal("0.7")
    """From here on two securities count as one, sides taken into account."""

    bars: BarsCompared = 60
    """Returns of the last bars that are compared."""


class BetaLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.beta``: what the whole book has at stake in the market."""

    max_exposure: Annotated[Decimal, Range(0, 100, above=True)] | None = None
    """Largest sum of value times beta, long less short, as a part of capital: 0.5 falls by half as much; null: off."""

    benchmark: Ticker = "SPY"
    """What the market is: a symbol with bars."""

    bars: BarsCompared = 120
    """Returns of the last bars that beta is made from."""


class BlackoutWindow(Value, frozen=True, kw_only=True):
    """How long nothing is opened around an event."""

    before: DurationText | None = None
    """How long before it nothing is opened; null: from its own day or moment on."""

    after: DurationText | None = None
    """How long after it nothing is opened; null: until its own day or moment is over."""


class BlackoutLimits(BlackoutWindow, frozen=True, kw_only=True):
    """Section ``protections.blackout``: dates on which nothing is opened."""

    kinds: dict[str, BlackoutWindow] = {}
    """Other times by kind of event, such as earnings: {before: 1 session}; keys left out are as above."""

    def window_for(self, kind: str) -> BlackoutWindow:
        """Return the times around events of *kind*."""
        return self.kinds.get(kind, self)


class SizingLimits(Value, frozen=True, kw_only=True):
    """Section ``protections.sizing``: multipliers of the size, at most 1 and under the caps."""

    volatility_target: Annotated[Decimal, Range(0, 10, above=True)] | None = None
    """Volatility a year up to which a position has its full size: twice as much halves it; null: off."""

    volatility_days: Annotated[int, Range(10, 1000)] = 60
    """Daily returns that volatility is made from."""

    kelly_fraction: Fraction | None = None
    """Part of Kelly's fraction that a trade may risk, such as 0.25; null: off."""

    kelly_trades: Annotated[int, Range(10, 100)] = 30
    """Closed trades of the strategy with a known risk that Kelly needs; with fewer it says nothing."""


class Protections(Value, frozen=True, kw_only=True):
    """Section ``protections``: locks after bad trades, budgets, caps and blackouts; all of it is off until set."""

    cooldown: CooldownLimits = CooldownLimits()
    """A pause after a stop, security by security."""

    stop_guard: StopGuards = StopGuards()
    """Too many stops within a time."""

    loss_streak: LossStreaks = LossStreaks()
    """Losses in a row."""

    low_expectancy: LowExpectancies = LowExpectancies()
    """Last trades that earned too little."""

    max_weekly_loss_pct: Fraction | None = None
    """Part of the week's opening equity; beyond it nothing is opened until the next week; null: off."""

    max_monthly_loss_pct: Fraction | None = None
    """Part of the month's opening equity; beyond it nothing is opened until the next month; null: off."""

    budget: StrategyBudgets = StrategyBudgets()
    """What each strategy may have open."""

    sizing: SizingLimits = SizingLimits()
    """Multipliers of the size, at most 1 and under the caps."""

    blackout: BlackoutLimits = BlackoutLimits()
    """Dates on which nothing is opened."""

    costs: CostLimits = CostLimits()
    """What a trade must be worth after its costs."""

    sectors: SectorLimits = SectorLimits()
    """What one sector may have open."""

    correlation: CorrelationLimits = CorrelationLimits()
    """What moves together may lose together."""

    beta: BetaLimits = BetaLimits()
    """What the whole book has at stake in the market."""


NO_PROTECTIONS = Protections()


class LockRule(StrEnum):
    """Which protection made a lock; the check of the same name refuses."""

    COOLDOWN = "cooldown"
    STOP_GUARD = "stop_guard"
    LOSS_STREAK = "loss_streak"
    LOW_EXPECTANCY = "low_expectancy"


class LockScope(StrEnum):
    """What a lock keeps from being opened."""

    SYMBOL = "symbol"
    """A security with its options."""

    STRATEGY = "strategy"
    ACCOUNT = "account"
    """Everything."""


class TradeLock(Value, frozen=True, kw_only=True):
    """What nothing is opened in for a while, after closed trades."""

    lock_id: str
    """Made of rule, scope, subject and the last trade: the same trades give the same lock."""

    rule: LockRule
    scope: LockScope
    subject: str
    """``Instrument.key``, of an option that of its underlying; the strategy, ``none`` without a name; or ``*``."""

    since: datetime
    """When the last of *trades* was closed."""

    until: datetime
    """The first moment at which it does not hold any more, aware UTC."""

    trades: tuple[str, ...]
    """Round trips that led to it, the last one last."""

    limit: str
    """The bound, as text."""

    value: str
    """What was found, as text."""

    lifted_at: datetime | None = None
    lifted_by: str = ""
    """Who lifted it: ``terminal``, ``telegram``; empty while nobody has."""

    lifted_why: str = ""

    def holds(self, at: datetime) -> bool:
        """Return whether nothing may be opened at *at*."""
        return self.lifted_at is None and at < self.until
