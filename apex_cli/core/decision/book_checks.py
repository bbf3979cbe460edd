"""Checks of section ``protections`` on the book as a whole: sectors, correlation, beta."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from apex_cli.core.decision.exposure_checks import cap_check, count_check
from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.model.decision import Check, Exposure
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.signal import market_view
from apex_cli.core.model.wording import decimals, money, percent


def sector_risk(ctx: CheckContext) -> Check | None:
    """The loss if every stop in the sector is hit stays within its limit, this trade included."""
    part = ctx.limits.protections.sectors.max_open_risk_pct
    if part is None:
        return None
    unknown = _unknown_sector(ctx, "sector_risk", f"at most {percent(part)} of capital")
    if unknown is not None:
        return unknown
    sector = ctx.snapshot.protections.sector
    total = ctx.risk_amount + sum((each.risk for each in _of_sector(ctx)), ZERO)
    return cap_check(ctx, "sector_risk", what=f"Open risk of sector {sector}", part=part, total=total)


def sector_positions(ctx: CheckContext) -> Check | None:
    """Positions and working entries of the sector leave room for one more."""
    most = ctx.limits.protections.sectors.max_positions
    if most is None:
        return None
    unknown = _unknown_sector(ctx, "sector_positions", f"at most {most}")
    if unknown is not None:
        return unknown
    what = f"sector {ctx.snapshot.protections.sector}"
    return count_check(ctx, "sector_positions", what=what, among=_of_sector(ctx), most=most)


def _of_sector(ctx: CheckContext) -> list[Exposure]:
    return [each for each in ctx.snapshot.exposures if each.sector == ctx.snapshot.protections.sector]


def _unknown_sector(ctx: CheckContext, code: str, limit: str) -> Check | None:
    """Return the refusal where a sector is missing: of the security, or of something that is at risk."""
    inputs = ctx.snapshot.protections
    names = [] if inputs.sector else [ctx.key]
    names += [each.key for each in ctx.snapshot.exposures if not each.sector]
    if inputs.sector_trouble:
        return verdict(code, passed=False, limit=limit, value="no sectors", message=inputs.sector_trouble)
    if not names:
        return None
    message = f"No sector is known of {_listed(names)}: add it to protections.sectors.file."
    return verdict(code, passed=False, limit=limit, value="unknown", message=message)


def correlated_risk(ctx: CheckContext) -> Check | None:
    """The loss if every stop of what moves with the security is hit stays within its limit, this trade included."""
    limits, inputs = ctx.limits.protections.correlation, ctx.snapshot.protections
    if limits.max_open_risk_pct is None:
        return None
    code = "correlated_risk"
    if inputs.unlike_unknown:
        message = f"It is not known whether {ctx.key} moves with {_listed(inputs.unlike_unknown)}: {_why_no_bars(ctx)}"
        limit = f"at most {percent(limits.max_open_risk_pct)} of capital"
        return verdict(code, passed=False, limit=limit, value="unknown", message=message)
    alike = {each.key for each in inputs.alike}
    total = ctx.risk_amount + sum((each.risk for each in ctx.snapshot.exposures if each.key in alike), ZERO)
    names = ", ".join(f"{each.key} ({each.correlation:.2f})" for each in inputs.alike[:MOST_NAMED])
    what = f"Open risk of {ctx.key} and what moves with it{f', {names},' if names else ''}"
    return cap_check(ctx, code, what=what, part=limits.max_open_risk_pct, total=total)


def beta_exposure(ctx: CheckContext) -> Check | None:
    """Value times beta of the whole book stays within its limit, unless this trade brings it nearer to zero."""
    limits, inputs = ctx.limits.protections.beta, ctx.snapshot.protections
    if limits.max_exposure is None:
        return None
    code, capital = "beta_exposure", ctx.risk.capital
    limit = f"at most {decimals(limits.max_exposure)} of capital, by {limits.benchmark}"
    names = [] if inputs.beta is not None else [ctx.key]
    names += [each.key for each in ctx.snapshot.exposures if each.beta is None]
    if names or inputs.beta is None:
        message = f"The beta of {_listed(names)} to {limits.benchmark} is not known: {_why_no_bars(ctx)}"
        return verdict(code, passed=False, limit=limit, value="unknown", message=message)
    before = beta_of_book(ctx.snapshot.exposures)
    after = before + ctx.notional * inputs.beta * market_view(ctx.signal)
    passed = abs(after) <= limits.max_exposure * capital or abs(after) < abs(before)
    if passed and not ctx.describe:
        return passing(code)
    return verdict(
        code,
        passed=passed,
        limit=limit,
        value=f"{decimals(after / capital) if capital else '-'} ({money(after)})",
        message=f"The book would move like {money(after)} of {limits.benchmark} with this trade ({money(before)} "
        f"before); the limit is {money(limits.max_exposure * capital)}. "
        "It opens again when a position is closed, or for a trade that goes against them.",
    )


def beta_of_book(exposures: Iterable[Exposure]) -> Decimal:
    """Return the sum of value times beta, long less short, in account currency; what has no beta is left out.

    An option counts with its own value: what can be lost of a bought one.
    """
    return sum((each.notional * each.beta * each.market_view for each in exposures if each.beta is not None), ZERO)


MOST_NAMED = 5
"""Securities that a message names; the others are counted."""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _why_no_bars(ctx: CheckContext) -> str:
    return ctx.snapshot.protections.trouble or "their price histories have too few bars in common."
