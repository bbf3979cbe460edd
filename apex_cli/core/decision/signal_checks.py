"""Checks of the signal itself: its levels, age, size, reward and confidence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from apex_cli.core.decision.tranches import tranche_quantities
from apex_cli.core.decision.verdict import CheckContext, passing, verdict
from apex_cli.core.market.calendar import NEW_YORK, market_time
from apex_cli.core.market.expiry import has_expired, is_adjusted, is_settled_at_opening, last_trade_at
from apex_cli.core.market.ticks import levels_on_ticks
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import Check
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight
from apex_cli.core.model.money import ONE, ZERO, Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import word_problem
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.model.wording import beside, decimals, plain, price, units
from apex_cli.core.venue.costs import CostModel

MAX_CLOCK_LEAD = timedelta(minutes=5)
"""How far a signal's clock may run ahead of ours."""

MOST_ROUNDING = Decimal("0.25")
"""How much of the risk may be lost when the levels are rounded to price steps."""

_SURELY_APART = 8
"""Ticks between entry and stop from which rounding cannot take a quarter of the risk."""


def signal_levels(ctx: CheckContext) -> Check:
    """Prices are positive, the stop lies on the losing side of the entry and every target on the winning side."""
    signal = ctx.signal
    entry, stop, targets = ctx.entry_price, signal.stop_loss, signal.target_prices
    passed = are_levels_sound(signal.instrument, ctx.side, entry, stop, targets)
    if passed and not ctx.describe:
        return passing("signal_levels")
    below, above = ("stop", "targets") if ctx.side is OrderSide.BUY else ("targets", "stop")
    tick = plain(signal.instrument.tick_at(entry))
    names = ", ".join(map(price, targets)) or "none"
    found = f"stop {price(stop)}, entry {price(entry)}, targets {names}"
    return verdict(
        "signal_levels",
        passed=passed,
        limit=f"0 < {below} < entry < {above}, in ticks of {tick}, with at least 0.75 of the risk left",
        value=found,
        message=f"The levels do not fit a {ctx.side} in ticks of {tick}: {found}.",
    )


def are_levels_sound(
    instrument: Instrument, side: OrderSide, entry: Price, stop: Price, targets: tuple[Price, ...]
) -> bool:
    """Return whether the levels, as orders on the tick grid will carry them, are in the right order and positive.

    A distance of a few steps may lose up to a quarter of the risk to rounding.
    """
    tick, sign = instrument.tick_at(max(entry, stop)), side.sign
    wanted = (entry - stop) * sign
    if wanted < tick * _SURELY_APART or min((entry, stop, *targets)) < tick:
        entry, stop, targets = levels_on_ticks(entry, stop, targets, instrument, side)
        risk = (entry - stop) * sign
        if min((entry, stop, *targets)) <= ZERO or risk <= ZERO or risk < wanted * (ONE - MOST_ROUNDING):
            return False
    return all((target - entry) * sign > ZERO for target in targets)


def contract(ctx: CheckContext) -> Check:
    """The signal's type fits the security; an option has not expired, and names a contract where a broker is asked."""
    signal, instrument = ctx.signal, ctx.signal.instrument
    problem = word_problem(signal.signal_type, instrument)
    if not problem and has_expired(instrument, ctx.snapshot.taken_at):
        problem = f"{instrument.key} has expired on {instrument.expiry}"
    if not problem and is_adjusted(instrument):
        problem = f"{instrument.key} is an adjusted contract, and what it delivers is not known here"
    if not problem and instrument.is_unspecified and not ctx.snapshot.account.is_simulated:
        problem = f"{instrument.key} names no contract, and a broker needs expiry, strike and right"
    if not problem and not ctx.describe:
        return passing("contract")
    return verdict(
        "contract",
        passed=not problem,
        limit="a security that the signal's type fits, not expired",
        value=f"{signal.signal_type} {instrument.key}",
        message=f"{problem}.",
    )


def signal_expired(ctx: CheckContext) -> Check:
    """The signal still holds now, and was not made by a clock far ahead of ours."""
    signal, now = ctx.signal, ctx.snapshot.taken_at
    is_early = signal.created_at > now + MAX_CLOCK_LEAD
    passed = now < signal.expires_at and not is_early
    if passed and not ctx.describe:
        return passing("signal_expired")
    if is_early:
        made = signal.created_at.isoformat()
        return verdict(
            "signal_expired",
            passed=False,
            limit=(now + MAX_CLOCK_LEAD).isoformat(),
            value=made,
            message=f"The signal was made at {market_time(signal.created_at)}, more than 5 minutes from now. "
            "Compare the clocks.",
        )
    return verdict(
        "signal_expired",
        passed=passed,
        limit=signal.expires_at.isoformat(),
        value=now.isoformat(),
        message=f"The signal expired at {market_time(signal.expires_at)}.",
    )


def size(ctx: CheckContext) -> Check:
    """A quantity could be worked out."""
    sized = ctx.sized
    if isinstance(sized, Reason):
        return Check(code="size", passed=False, limit=sized.limit, value=sized.value, message=sized.message)
    if not ctx.describe:
        return passing("size")
    market = ctx.signal.instrument.market_type
    return verdict(
        "size",
        passed=True,
        limit=f"{units(sized.quantity_by_risk, market)} by risk, {units(sized.quantity_by_capital, market)} by capital",
        value=units(sized.quantity, market),
        message="",
    )


def reward_risk_min(ctx: CheckContext) -> Check:
    """Reward over risk reaches the minimum; without a target it does not, unless the minimum is 0."""
    found, minimum = ctx.reward_risk, ctx.risk.min_reward_risk
    passed = minimum <= ZERO or (found is not None and found >= minimum)
    if passed and not ctx.describe:
        return passing("reward_risk_min")
    shown = "none" if found is None else beside(found, minimum)
    wrong = f"{shown} is below the minimum of {decimals(minimum)}"
    if found is None:
        wrong = "cannot be worked out without a target and a distance to the stop"
    return verdict(
        "reward_risk_min",
        passed=passed,
        limit=f"at least {decimals(minimum)}",
        value=shown,
        message=f"Reward:risk {wrong}.",
    )


def confidence_min(ctx: CheckContext) -> Check:
    """Confidence reaches the minimum; where the source reported none it does not, unless the minimum is 0."""
    found, minimum = ctx.signal.confidence, ctx.risk.min_confidence
    passed = minimum <= ZERO or (found is not None and found >= minimum)
    if passed and not ctx.describe:
        return passing("confidence_min")
    shown = "none" if found is None else beside(found, minimum)
    missing = "is missing: give the signal one, or set risk.min_confidence to 0"
    wrong = missing if found is None else f"{shown} is below the minimum of {decimals(minimum)}"
    return verdict(
        "confidence_min",
        passed=passed,
        limit=f"at least {decimals(minimum)}",
        value=shown,
        message=f"Confidence {wrong}.",
    )


def option_warnings(ctx: CheckContext) -> tuple[Reason, ...]:
    """Return what the end of an option obliges to, and where it ends on another day than its name says."""
    if ctx.signal.instrument.market_type is not MarketType.OPTIONS:
        return ()
    return tuple(filter(None, (_last_session_warning(ctx), _assignment_warning(ctx))))


def _last_session_warning(ctx: CheckContext) -> Reason | None:
    instrument = ctx.signal.instrument
    last = last_trade_at(instrument)
    day = "" if last is None else f"{last.astimezone(NEW_YORK):%Y-%m-%d}"
    if day == (instrument.expiry or ""):
        return None
    why = f"{instrument.expiry} is no session"
    if is_settled_at_opening(instrument):
        why = f"it is settled at the opening of {instrument.expiry}"
    message = f"{ctx.key} trades for the last time on {day}: {why}."
    return Reason(code="last_session", message=message, limit=instrument.expiry or "", value=day)


def _assignment_warning(ctx: CheckContext) -> Reason | None:
    instrument, sized = ctx.signal.instrument, ctx.sized
    if ctx.side is OrderSide.BUY or instrument.strike is None or not isinstance(sized, Sized):
        return None
    shares = sized.quantity * instrument.multiplier
    worth = f"{shares * instrument.strike:.2f}"
    duty = f"to buy {plain(shares)} {instrument.symbol} for {worth}"
    if instrument.right is OptionRight.CALL:
        duty = f"to sell {plain(shares)} {instrument.symbol} for {worth}, and without the shares the loss has no bound"
    message = (
        f"{ctx.key} is sold short: its buyer may exercise it at any time, which obliges {duty}. No stop holds that off."
    )
    return Reason(code="assignment", message=message, value=worth)


def split_warnings(ctx: CheckContext) -> tuple[Reason, ...]:
    """Return the warning that several targets are entered by several orders, and pay that many minimum commissions."""
    signal, sized = ctx.signal, ctx.sized
    if ctx.limits.execution.one_entry or len(signal.target_prices) <= 1 or not isinstance(sized, Sized):
        return ()
    parts = tranche_quantities(sized.quantity, signal.instrument, len(signal.target_prices), signal.target_fractions)
    costs = CostModel(plan=ctx.limits.commission)
    unit = worth(sized.rate, ctx.entry_price * signal.instrument.multiplier, ctx.entry_price)
    several = sum((costs.commission(signal.instrument, part, part * unit) for part in parts), ZERO)
    one = costs.commission(signal.instrument, sized.quantity, sized.quantity * unit)
    if several <= one:
        return ()
    message = (
        f"{len(parts)} targets are entered by {len(parts)} orders: a commission of {several:.2f} in all, not {one:.2f}."
        " execution.one_entry: true enters them by one."
    )
    return (Reason(code="entry_split", message=message, limit=f"{one:.2f}", value=f"{several:.2f}"),)
