"""The pre-trade checks: all run and all report, so that every reason shows at once."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from apex_cli.core.decision import agent_checks, exposure_checks, market_checks, signal_checks
from apex_cli.core.decision.protection_checks import PROTECTION_CHECKS, has_protections
from apex_cli.core.decision.verdict import CheckContext
from apex_cli.core.model.decision import Check

PRE_TRADE_CHECKS: tuple[Callable[[CheckContext], Check], ...] = (
    market_checks.trading_state,
    market_checks.instrument_blocked,
    market_checks.reconciled,
    signal_checks.contract,
    signal_checks.signal_levels,
    signal_checks.signal_expired,
    signal_checks.size,
    signal_checks.reward_risk_min,
    signal_checks.confidence_min,
    exposure_checks.duplicate_symbol,
    exposure_checks.max_positions,
    exposure_checks.daily_loss,
    exposure_checks.drawdown,
    exposure_checks.open_risk,
    exposure_checks.orders_per_day,
    exposure_checks.max_notional,
    market_checks.symbol_allowed,
    market_checks.shorting_allowed,
    market_checks.borrowable,
    market_checks.not_halted,
    market_checks.market_hours,
    market_checks.flat_at_close,
    market_checks.price_collar,
    exposure_checks.buying_power,
    market_checks.day_trades,
)
"""In the order they are reported. Each is named by the code of its verdict."""


AGENT_CHECKS: tuple[Callable[[CheckContext], Check], ...] = (
    agent_checks.agent_proposals,
    agent_checks.agent_waiting,
    agent_checks.agent_risk,
)
"""Before all others, for what an agent proposed."""


def run_checks(ctx: CheckContext) -> tuple[Check, ...]:
    """Return every verdict; one that passed carries no numbers."""
    wanted = PRE_TRADE_CHECKS if ctx.signal.proposal is None else (*AGENT_CHECKS, *PRE_TRADE_CHECKS)
    checks = tuple([check(ctx) for check in wanted])
    if not has_protections(ctx):
        return checks
    return (*checks, *(found for check in PROTECTION_CHECKS if (found := check(ctx)) is not None))


def describe_checks(ctx: CheckContext) -> tuple[Check, ...]:
    """Return every verdict with limit and value, passed or not."""
    return run_checks(replace(ctx, describe=True))
