"""Checks of section ``protections``: each reports only where it is configured, or where a lock of it holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from apex_cli.core.decision import book_checks, exposure_checks, trade_costs
from apex_cli.core.decision.size_multipliers import lower_bound
from apex_cli.core.decision.trade_costs import TradeCosts
from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.market.calendar import market_time, next_month_opening, next_week_opening, session_date
from apex_cli.core.model.calendar_event import CalendarEvent
from apex_cli.core.model.decision import Check, Exposure, Mark
from apex_cli.core.model.money import CENT, ZERO
from apex_cli.core.model.protections import (
    NO_PROTECTIONS,
    LockRule,
    LockScope,
    LossStreak,
    LowExpectancy,
    StopGuard,
    StrategyBudget,
    TradeLock,
)
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.model.wording import beside, decimals, money, percent
from apex_cli.core.positions.lock_rules import NO_STRATEGY, cooldown_limit, expectancy_limit, stop_limit, streak_limit
from apex_cli.core.positions.trade_locks import is_locked_by

ProtectionCheck = Callable[[CheckContext], Check | None]
"""Returns None where the protection is not configured."""


def has_protections(ctx: CheckContext) -> bool:
    """Return whether any protection is configured, or any lock holds."""
    return bool(ctx.limits.protections is not NO_PROTECTIONS or ctx.snapshot.trade_locks)


def cooldown(ctx: CheckContext) -> Check | None:
    """No stop was hit in the security within ``protections.cooldown.after_stop``."""
    lasting = ctx.limits.protections.cooldown.after_stop
    return _lock_check(ctx, LockRule.COOLDOWN, None if lasting is None else cooldown_limit(lasting))


def stop_guard(ctx: CheckContext) -> Check | None:
    """Security, strategy and account are not locked for their stops."""
    guards = ctx.limits.protections.stop_guard
    rules: dict[str, StopGuard] = {scope: getattr(guards, scope) for scope in LockScope}
    limits = [f"{scope}: {stop_limit(rule)}" for scope, rule in rules.items() if rule.stops is not None]
    return _lock_check(ctx, LockRule.STOP_GUARD, "; ".join(limits) or None)


def loss_streak(ctx: CheckContext) -> Check | None:
    """Security, strategy and account are not locked for losses in a row."""
    streaks = ctx.limits.protections.loss_streak
    rules: dict[str, LossStreak] = {scope: getattr(streaks, scope) for scope in LockScope}
    limits = [f"{scope}: {streak_limit(rule)}" for scope, rule in rules.items() if rule.losses is not None]
    return _lock_check(ctx, LockRule.LOSS_STREAK, "; ".join(limits) or None)


def low_expectancy(ctx: CheckContext) -> Check | None:
    """Security, strategy and account are not locked for what their last trades earned."""
    lows = ctx.limits.protections.low_expectancy
    rules: dict[str, LowExpectancy] = {scope: getattr(lows, scope) for scope in LockScope}
    limits = [
        f"{scope}: {expectancy_limit(word, least, rule)}"
        for scope, rule in rules.items()
        for word, least in (("mean", rule.min_mean_r), ("sum", rule.min_sum_r))
        if rule.trades is not None and least is not None
    ]
    return _lock_check(ctx, LockRule.LOW_EXPECTANCY, "; ".join(limits) or None)


def weekly_loss(ctx: CheckContext) -> Check | None:
    """The loss since the week's start stays below ``protections.max_weekly_loss_pct``."""
    most = ctx.limits.protections.max_weekly_loss_pct
    if most is None:
        return None
    lifts_at = next_week_opening(session_date(ctx.snapshot.taken_at))
    return _period_check(ctx, "weekly_loss", ctx.snapshot.protections.week, most, lifts_at)


def monthly_loss(ctx: CheckContext) -> Check | None:
    """The loss since the month's start stays below ``protections.max_monthly_loss_pct``."""
    most = ctx.limits.protections.max_monthly_loss_pct
    if most is None:
        return None
    lifts_at = next_month_opening(session_date(ctx.snapshot.taken_at))
    return _period_check(ctx, "monthly_loss", ctx.snapshot.protections.month, most, lifts_at)


def _period_check(ctx: CheckContext, code: str, mark: Mark | None, most: Decimal, lifts_at: datetime) -> Check:
    base = ZERO if mark is None else mark.equity
    since = "when the period began" if mark is None else f"since {mark.since}"
    return exposure_checks.loss_check(ctx, code, base=base, most=most, since=since, lifts_at=lifts_at)


def blackout(ctx: CheckContext) -> Check | None:
    """No event of a calendar keeps the security from being opened now."""
    inputs, limit = ctx.snapshot.protections, "no blackout"
    if not inputs.has_calendar:
        return None
    if inputs.calendar_trouble:
        return verdict("blackout", passed=False, limit=limit, value="no calendar", message=inputs.calendar_trouble)
    if not inputs.blackouts:
        return verdict("blackout", passed=True, limit=limit, value="none", message="")
    last = inputs.blackouts[-1]
    return verdict(
        "blackout",
        passed=False,
        limit=limit,
        value=last.event.title,
        message=f"{ctx.key} is in a blackout for {last.event.title} on {_day_or_moment(last.event)}. "
        f"It opens again at {market_time(last.ends_at)}.",
        lifts_at=last.ends_at,
    )


def _day_or_moment(event: CalendarEvent) -> str:
    shown = market_time(event.starts_at)
    return shown.partition(" ")[0] if event.is_whole_day else shown


def strategy_risk(ctx: CheckContext) -> Check | None:
    """The loss if every stop of the strategy is hit stays within its budget, this trade included."""
    part = _budget(ctx).max_open_risk_pct
    if part is None:
        return None
    name = ctx.signal.strategy or NO_STRATEGY
    total = ctx.risk_amount + sum((exposure.risk for exposure in _of_strategy(ctx)), ZERO)
    return exposure_checks.cap_check(ctx, "strategy_risk", what=f"Open risk of strategy {name}", part=part, total=total)


def strategy_positions(ctx: CheckContext) -> Check | None:
    """Positions and working entries of the strategy, counted per security, leave room for one more."""
    most = _budget(ctx).max_positions
    if most is None:
        return None
    name = ctx.signal.strategy or NO_STRATEGY
    what = f"strategy {name}"
    return exposure_checks.count_check(ctx, "strategy_positions", what=what, among=_of_strategy(ctx), most=most)


def _budget(ctx: CheckContext) -> StrategyBudget:
    return ctx.limits.protections.budget.budget_for(ctx.signal.strategy)


def _of_strategy(ctx: CheckContext) -> list[Exposure]:
    return [exposure for exposure in ctx.snapshot.exposures if exposure.strategy == ctx.signal.strategy]


def volatility(ctx: CheckContext) -> Check | None:
    """The volatility that a size is to be made by is known."""
    target, found = ctx.limits.protections.sizing.volatility_target, ctx.snapshot.protections.volatility
    if target is None:
        return None
    if found is not None and not ctx.describe:
        return passing("volatility")
    why = ctx.snapshot.protections.trouble or "its price history has too few days."
    return verdict(
        "volatility",
        passed=found is not None,
        limit=f"full size up to {percent(target)} a year",
        value="unknown" if found is None else f"{percent(found)} a year",
        message=f"The volatility of {ctx.key} is not known: {why}",
    )


def kelly(ctx: CheckContext) -> Check | None:
    """Kelly leaves something to risk: the lower bound of the strategy's expectancy is above 0."""
    sizing, record = ctx.limits.protections.sizing, ctx.snapshot.protections.record
    if sizing.kelly_fraction is None:
        return None
    if record is None:
        value = f"fewer than {sizing.kelly_trades} closed trades"
        return verdict("kelly", passed=True, limit="above 0 R", value=value, message="")
    bound = lower_bound(record)
    if bound > ZERO and not ctx.describe:
        return passing("kelly")
    return verdict(
        "kelly",
        passed=bound > ZERO,
        limit="above 0 R",
        value=f"{bound:+.2f} R at least",
        message=f"Strategy {ctx.signal.strategy or NO_STRATEGY} brought {record.mean:+.2f} R on average in "
        f"{record.trades} trades, which is not surely above 0 ({bound:+.2f} R at least): Kelly risks nothing on it.",
    )


def net_reward_risk(ctx: CheckContext) -> Check | None:
    """Reward over risk after costs reaches ``protections.costs.min_net_reward_risk``."""
    least = ctx.limits.protections.costs.min_net_reward_risk
    if least is None or not isinstance(ctx.sized, Sized):
        return None
    costs, gross, risk = costs_of(ctx, ctx.sized), ctx.reward_risk, ctx.sized.risk_amount
    code, limit = "net_reward_risk", f"at least {decimals(least)}"
    if costs is None or gross is None or not risk:
        return _unknown_costs(code, limit, gross)
    net = trade_costs.net_reward_risk(gross, risk, costs)
    if net >= least and not ctx.describe:
        return passing(code)
    after, before = beside(net, least), beside(gross, least)
    return verdict(
        code,
        passed=net >= least,
        limit=limit,
        value=f"{after} net, {before} gross",
        message=f"Reward:risk is {after} after costs ({before} before): {_cost_words(costs)}; "
        f"the least allowed is {decimals(least)}. A larger size or wider levels cost less of it.",
    )


def net_expectancy(ctx: CheckContext) -> Check | None:
    """What the trade is expected to bring after costs reaches ``protections.costs.min_net_expectancy_r``."""
    least = ctx.limits.protections.costs.min_net_expectancy_r
    if least is None or not isinstance(ctx.sized, Sized):
        return None
    costs, gross, risk = costs_of(ctx, ctx.sized), ctx.reward_risk, ctx.sized.risk_amount
    probability = ctx.signal.confidence
    code, limit = "net_expectancy", f"at least {decimals(least)} R"
    if probability is None:
        message = "Its expectancy after costs is unknown: the signal gives no confidence."
        return verdict(code, passed=False, limit=limit, value="no confidence", message=message)
    if costs is None or gross is None or not risk:
        return _unknown_costs(code, limit, gross)
    net = trade_costs.net_expectancy(probability, gross, risk, costs)
    if net >= least and not ctx.describe:
        return passing(code)
    before = probability * (gross + 1) - 1
    return verdict(
        code,
        passed=net >= least,
        limit=limit,
        value=f"{net:+.2f} R net, {before:+.2f} R gross",
        message=f"With a confidence of {decimals(probability)} it is expected to bring {net:+.2f} R after costs "
        f"({before:+.2f} R before): {_cost_words(costs)}; the least allowed is {decimals(least)} R.",
    )


def costs_of(ctx: CheckContext, sized: Sized) -> TradeCosts | None:
    """Return what the trade costs; None where its spread is not known."""
    signal, snapshot = ctx.signal, ctx.snapshot
    half = trade_costs.half_spread(snapshot.quote, ctx.entry_price, ctx.limits.protections.costs.spread_pct)
    if half is None:
        return None
    return trade_costs.trade_costs(
        signal.instrument,
        sized,
        entry=ctx.entry_price,
        stop=signal.stop_loss,
        targets=signal.target_prices,
        fractions=signal.target_fractions,
        plan=ctx.limits.commission,
        half=half,
        is_market_entry=not ctx.limits.entry_order(signal.strategy).has_limit,
    )


def _unknown_costs(code: str, limit: str, gross: Decimal | None) -> Check:
    if gross is None:
        message = "It has no target: what it brings after costs is unknown."
        return verdict(code, passed=False, limit=limit, value="no target", message=message)
    message = (
        "Its costs are unknown: no bid and ask are quoted. Set protections.costs.spread_pct to count with a part of "
        "the price instead."
    )
    return verdict(code, passed=False, limit=limit, value="no spread", message=message)


def _cost_words(costs: TradeCosts) -> str:
    return f"{money(costs.if_won.quantize(CENT))} if it wins, {money(costs.if_lost.quantize(CENT))} if it loses"


def _lock_check(ctx: CheckContext, rule: LockRule, limit: str | None) -> Check | None:
    """Return the verdict on the locks of *rule*; *limit* is None where the rule is not configured."""
    lock = _last_lock(ctx, rule)
    if lock is None:
        if limit is None:
            return None
        return verdict(rule, passed=True, limit=limit, value="no lock", message="") if ctx.describe else passing(rule)
    return verdict(
        rule,
        passed=False,
        limit=lock.limit,
        value=lock.value,
        message=f"{lock_words(lock)}: {lock.value}; the limit is {lock.limit}. "
        f"It opens again at {market_time(lock.until)}, or with apex locks --lift {lock.lock_id}.",
        lifts_at=lock.until,
    )


def _last_lock(ctx: CheckContext, rule: LockRule) -> TradeLock | None:
    """Return the lock of *rule* on the opportunity that ends last."""
    found = [
        lock
        for lock in ctx.snapshot.trade_locks
        if lock.rule is rule and is_locked_by(lock, ctx.signal.instrument, ctx.signal.strategy)
    ]
    return max(found, key=lambda lock: (lock.until, lock.lock_id), default=None)


def lock_words(lock: TradeLock) -> str:
    """Return what *lock* is on, as the beginning of a sentence."""
    words = {
        LockScope.SYMBOL: lock.subject,
        LockScope.STRATEGY: f"Strategy {lock.subject}",
        LockScope.ACCOUNT: "The account",
    }
    return f"{words[lock.scope]} is locked"


PROTECTION_CHECKS: tuple[ProtectionCheck, ...] = (
    cooldown,
    stop_guard,
    loss_streak,
    low_expectancy,
    weekly_loss,
    monthly_loss,
    blackout,
    strategy_risk,
    strategy_positions,
    book_checks.sector_risk,
    book_checks.sector_positions,
    book_checks.correlated_risk,
    book_checks.beta_exposure,
    net_reward_risk,
    net_expectancy,
    volatility,
    kelly,
)
"""In the order they are reported, after those of ``checks.PRE_TRADE_CHECKS``."""
