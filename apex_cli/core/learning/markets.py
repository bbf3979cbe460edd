"""AdaptiveWeights: each market's factor goes up or down by what its trades brought."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import DEFAULT_MARKETS
from apex_cli.core.model.lesson import Lesson

LEAST_TRADES = 10
"""New trades of a market before its weight moves."""

STEP = Decimal("0.05")
"""Part of the weight that one step changes."""

LOWEST, HIGHEST = Decimal("0.40"), Decimal("1.30")
NEUTRAL_R = Decimal("0.05")
"""Mean R this close to zero moves nothing."""

IDLE = timedelta(days=30)
ONE_DAY = timedelta(days=1)
PLACES = Decimal("0.0001")
ONE, ZERO = Decimal(1), Decimal(0)


class MarketStep(NamedTuple):
    """A market's new weight, and why."""

    weight: Decimal
    cause: str
    why: str


def step_by_trades(market: MarketType, weight: Decimal, fresh: Sequence[Lesson]) -> MarketStep | None:
    """Return the weight after *fresh*, the new lessons of *market*; None with fewer than ten.

    Mean R after costs above 0.05 raises it by 5 %, below -0.05 lowers it by 5 %, in between it stays; never outside
    0.40 to 1.30.

    >>> step_by_trades(MarketType.EQUITY, Decimal("0.70"), []) is None
    True
    """
    if len(fresh) < LEAST_TRADES:
        return None
    mean = sum((lesson.r for lesson in fresh), ZERO) / len(fresh)
    wins = sum(1 for lesson in fresh if lesson.is_win)
    direction = (mean > NEUTRAL_R) - (mean < -NEUTRAL_R)
    moved = _bounded((weight * (ONE + STEP * direction)).quantize(PLACES))
    why = f"{market} {weight} -> {moved}: {len(fresh)} trades, {wins} won, {mean:+.2f} R on average."
    return MarketStep(moved, "markets", why)


def step_when_idle(
    market: MarketType, weight: Decimal, *, last_trade: datetime | None, last_step: datetime, now: datetime
) -> MarketStep | None:
    """Return the weight one 5 % step nearer to its default; None when nothing is due.

    Due is one step a day, once nothing was traded for thirty days.

    Args:
        market: one of the four.
        weight: in force.
        last_trade: close of the newest lesson of *market*; None where all have been dropped.
        last_step: when the weight was last moved.
        now: aware UTC.
    """
    default = DEFAULT_MARKETS[market]
    is_quiet = last_trade is None or now - last_trade >= IDLE
    if weight == default or not is_quiet or now - last_step < ONE_DAY:
        return None
    step = (default * STEP).quantize(PLACES)
    moved = max(default, weight - step) if weight > default else min(default, weight + step)
    return MarketStep(moved, "idle", f"{market} {weight} -> {moved}: nothing traded for 30 days.")


def _bounded(weight: Decimal) -> Decimal:
    return min(max(weight, LOWEST), HIGHEST)
