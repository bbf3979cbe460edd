"""Multipliers of a size, at most 1: a volatility target, and a fraction of Kelly by the strategy's own trades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from apex_cli.core.model.money import ZERO
from apex_cli.core.model.trade_size import Binding, Multiplier
from apex_cli.core.model.wording import percent

if TYPE_CHECKING:
    from apex_cli.core.model.decision import ProtectionInputs, TradeRecord
    from apex_cli.core.model.position import RoundTrip
    from apex_cli.core.model.protections import SizingLimits
    from apex_cli.core.model.risk_limits import RiskLimits

ONE = Decimal(1)
STEP = Decimal("0.0001")
ONE_SIDED_80 = Decimal("0.8416")
"""Quantile of the normal distribution: the mean lies above the bound with 80 %."""


def multipliers_of(sizing: SizingLimits, inputs: ProtectionInputs, risk: RiskLimits) -> tuple[Multiplier, ...]:
    """Return the multipliers below 1 that a size takes; one whose input is missing is left to its check."""
    found: list[Multiplier] = []
    target, volatility = sizing.volatility_target, inputs.volatility
    if target is not None and volatility is not None and volatility > target:
        why = f"volatility {percent(volatility)} a year, target {percent(target)}"
        found.append(Multiplier(name=Binding.VOLATILITY, value=(target / volatility).quantize(STEP), why=why))
    if sizing.kelly_fraction is not None and inputs.record is not None:
        fraction = sizing.kelly_fraction * kelly(inputs.record)
        if fraction < risk.max_risk_pct:
            why = (
                f"{percent(fraction)} by Kelly over {inputs.record.trades} trades, {percent(risk.max_risk_pct)} by risk"
            )
            found.append(Multiplier(name=Binding.KELLY, value=(fraction / risk.max_risk_pct).quantize(STEP), why=why))
    return tuple(found)


def product_of(multipliers: Iterable[Multiplier]) -> Decimal:
    """Return what they come to together, 0..1."""
    product = ONE
    for each in multipliers:
        product *= each.value
    return product


def lower_bound(record: TradeRecord) -> Decimal:
    """Return the mean R less what it may be too high by: mean - 0.84 * standard error.

    The bound shrinks what few trades promise: with four times as many it lies half as far below.
    """
    variance = max(ZERO, record.mean_square - record.mean * record.mean)
    return record.mean - ONE_SIDED_80 * (variance / record.trades).sqrt()


def kelly(record: TradeRecord) -> Decimal:
    """Return the part of capital to risk on a trade for the largest growth, by the lower bound of its mean; 0..1.

    f = max(0, lower bound of mean R) / mean of R^2: the growth of 1 + f R, to the second order.

    Source:
        J. L. Kelly, "A New Interpretation of Information Rate", 1956; E. O. Thorp, "The Kelly Criterion in Blackjack,
        Sports Betting and the Stock Market", 2006, section 7.

    >>> from apex_cli.core.model.decision import TradeRecord
    >>> kelly(TradeRecord(trades=100, mean=Decimal("0.3"), mean_square=Decimal("1.5"))).quantize(Decimal("0.0001"))
    Decimal('0.1334')
    """
    if not record.mean_square:
        return ZERO
    return min(ONE, max(ZERO, lower_bound(record)) / record.mean_square)


def record_of(trips: Sequence[RoundTrip], strategy: str, least: int) -> TradeRecord | None:
    """Return what the closed trades of *strategy* came to in R after costs; None with fewer than *least*.

    Args:
        trips: closed trades, in any order.
        strategy: those of no other count.
        least: trades with a known risk that are needed.
    """
    results = [trip.net_r_multiple for trip in trips if trip.strategy == strategy and trip.net_r_multiple is not None]
    if len(results) < least:
        return None
    count, places = len(results), Decimal("0.000001")
    mean = sum(results, ZERO) / count
    square = sum((each * each for each in results), ZERO) / count
    from apex_cli.core.model.decision import TradeRecord

    return TradeRecord(trades=count, mean=mean.quantize(places), mean_square=square.quantize(places))
