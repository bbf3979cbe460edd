"""Checks of the account's exposure: positions, losses, open risk, orders of the day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.market.calendar import market_time
from apex_cli.core.model.decision import Check, Exposure
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.wording import money, percent, percent_beside

TAKEN_OUT = "If money was taken out, apex state reset-peak measures from now on."


def duplicate_symbol(ctx: CheckContext) -> Check:
    """No position or working entry in the same security."""
    key = ctx.key
    passed = True
    for exposure in ctx.snapshot.exposures:
        if exposure.key == key:
            passed = False
            break
    if passed and not ctx.describe:
        return passing("duplicate_symbol")
    return verdict(
        "duplicate_symbol",
        passed=passed,
        limit=f"no exposure in {key}",
        value="none" if passed else "a position or a working entry",
        message=f"There is already a position or a working entry in {key}.",
    )


def max_positions(ctx: CheckContext) -> Check:
    """Positions and working entries, counted per security, leave room for one more."""
    exposures, most = ctx.snapshot.exposures, ctx.risk.max_positions
    if len(exposures) < most and not ctx.describe:
        return passing("max_positions")
    held = len({exposure.key for exposure in exposures})
    return verdict(
        "max_positions",
        passed=held < most,
        limit=f"at most {most} positions",
        value=f"{held} positions",
        message=f"{held} positions and working entries are open; the most allowed is {most}.",
    )


def daily_loss(ctx: CheckContext) -> Check:
    """The loss since the session's start stays below its limit: (start - equity) / start < max_daily_loss_pct."""
    return loss_check(
        ctx,
        "daily_loss",
        base=ctx.snapshot.session_start_equity,
        most=ctx.risk.max_daily_loss_pct,
        since="since the session began",
    )


def drawdown(ctx: CheckContext) -> Check:
    """The fall from the highest equity stays below its limit: (peak - equity) / peak < max_drawdown_pct."""
    return loss_check(
        ctx,
        "drawdown",
        base=ctx.snapshot.peak_equity,
        most=ctx.risk.max_drawdown_pct,
        since="from its highest value",
    )


def loss_check(
    ctx: CheckContext, code: str, *, base: Decimal, most: Decimal, since: str, lifts_at: datetime | None = None
) -> Check:
    """Return whether the account lost less than *most* of *base*; a base that is not known refuses."""
    equity = ctx.snapshot.account.equity
    loss = base - equity
    passed = base > ZERO and loss < most * base
    if passed and not ctx.describe:
        return passing(code)
    if base <= ZERO:
        value, message = "unknown", f"The account's value {since} is unknown: opening needs it."
    else:
        value = f"{percent_beside(loss / base, most)} ({money(loss)})"
        until = "" if lifts_at is None else f" It opens again at {market_time(lifts_at)}."
        message = f"The account lost {value} {since}; the limit is {percent(most)}.{until} {TAKEN_OUT}"
    return verdict(code, passed=passed, limit=f"below {percent(most)}", value=value, message=message, lifts_at=lifts_at)


def open_risk(ctx: CheckContext) -> Check:
    """The loss if every stop is hit at once, this trade included, stays within max_open_risk_pct of capital."""
    risk = ctx.risk
    total = ctx.risk_amount
    for exposure in ctx.snapshot.exposures:
        total += exposure.risk
    most = risk.max_open_risk_pct * risk.capital
    passed = total <= most
    if passed and not ctx.describe:
        return passing("open_risk")
    return verdict(
        "open_risk",
        passed=passed,
        limit=f"at most {money(most)} ({percent(risk.max_open_risk_pct)} of capital)",
        value=money(total),
        message=f"Open risk would be {money(total)} with this trade; the limit is {money(most)}.",
    )


def cap_check(ctx: CheckContext, code: str, *, what: str, part: Decimal, total: Decimal) -> Check:
    """Return whether *total*, this trade included, stays within *part* of capital."""
    most = part * ctx.risk.capital
    passed = total <= most
    if passed and not ctx.describe:
        return passing(code)
    return verdict(
        code,
        passed=passed,
        limit=f"at most {money(most)} ({percent(part)} of capital)",
        value=money(total),
        message=f"{what} would be {money(total)} with this trade; the limit is {money(most)}. "
        "It opens again when a position is closed or its stop is nearer.",
    )


def count_check(ctx: CheckContext, code: str, *, what: str, among: Iterable[Exposure], most: int) -> Check:
    """Return whether positions and working entries *among*, counted per security, leave room for one more."""
    held = len({exposure.key for exposure in among})
    if held < most and not ctx.describe:
        return passing(code)
    return verdict(
        code,
        passed=held < most,
        limit=f"at most {most} of {what}",
        value=f"{held} open",
        message=f"{what[0].upper()}{what[1:]} has {held} positions and working entries; the most allowed is {most}. "
        "It opens again when one of them is closed.",
    )


def orders_per_day(ctx: CheckContext) -> Check:
    """Entries of the session leave room for one more."""
    done, most = ctx.snapshot.entries_today, ctx.risk.max_orders_per_day
    passed = done < most
    if passed and not ctx.describe:
        return passing("orders_per_day")
    return verdict(
        "orders_per_day",
        passed=passed,
        limit=f"at most {most} entries a session",
        value=f"{done} entries",
        message=f"{done} entries were sent this session; the most allowed is {most}.",
    )


def max_notional(ctx: CheckContext) -> Check:
    """The value of the order stays within max_notional, where one is set."""
    most = ctx.risk.max_notional
    passed = most is None or ctx.notional <= most
    if passed and not ctx.describe:
        return passing("max_notional")
    limit = "none" if most is None else f"at most {money(most)}"
    return verdict(
        "max_notional",
        passed=passed,
        limit=limit,
        value=money(ctx.notional),
        message=f"The order is worth {money(ctx.notional)}; the limit is {limit}.",
    )


def buying_power(ctx: CheckContext) -> Check:
    """The value of the order stays within the account's buying power."""
    available = ctx.snapshot.account.buying_power
    passed = ctx.notional <= available
    if passed and not ctx.describe:
        return passing("buying_power")
    return verdict(
        "buying_power",
        passed=passed,
        limit=f"at most {money(available)}",
        value=money(ctx.notional),
        message=f"The order is worth {money(ctx.notional)}; buying power is {money(available)}.",
    )
