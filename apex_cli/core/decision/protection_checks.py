"""Checks of section ``protections``: each reports only where it is configured, or where a lock of it holds."""

from __future__ import annotations

from collections.abc import Callable

from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.market.calendar import market_time
from apex_cli.core.model.decision import Check
from apex_cli.core.model.protections import (
    NO_PROTECTIONS,
    LockRule,
    LockScope,
    LossStreak,
    LowExpectancy,
    StopGuard,
    TradeLock,
)
from apex_cli.core.positions.lock_rules import cooldown_limit, expectancy_limit, stop_limit, streak_limit
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
    match lock.scope:
        case LockScope.SYMBOL:
            return f"{lock.subject} is locked"
        case LockScope.STRATEGY:
            return f"Strategy {lock.subject} is locked"
        case LockScope.ACCOUNT:
            return "The account is locked"


PROTECTION_CHECKS: tuple[ProtectionCheck, ...] = (cooldown, stop_guard, loss_streak, low_expectancy)
"""In the order they are reported, after those of ``checks.PRE_TRADE_CHECKS``."""
