"""AdaptiveWeights: the expected R of each market and strategy, and the factor of each market."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.learning.expectation import expected_of, value_key
from apex_cli.core.learning.posterior import Group, below_zero, group_means
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import DEFAULT_MARKETS, PART_NAMES, Experience, StrategyValue, Weights

LEAST_TRADES = 10
"""New trades of a market before its weight moves."""

STEP = Decimal("0.05")
"""Part of the weight that one step changes."""

LOWEST, HIGHEST = Decimal("0.40"), Decimal("1.30")
LEAST_CHANCE = Decimal("0.8")
"""How probable a gain, or a loss, must be to move the weight."""

IDLE = timedelta(days=30)
ONE_DAY = timedelta(days=1)
PLACES = Decimal("0.0001")
ONE, ZERO = Decimal(1), Decimal(0)


class MarketStep(NamedTuple):
    """A market's new weight, and why."""

    weight: Decimal
    cause: str
    why: str


def step_by_value(market: MarketType, weight: Decimal, fresh: int, value: StrategyValue | None) -> MarketStep | None:
    """Return the weight after *fresh* new trades of *market*; None with fewer than ten.

    Up by 5 % where the market probably brings money, by what is believed of it now, and down by 5 % where it probably
    costs some: with at least four chances in five. In between it stays. Never outside 0.40 to 1.30.

    >>> step_by_value(MarketType.EQUITY, Decimal("0.70"), 9, None) is None
    True
    """
    if fresh < LEAST_TRADES or value is None:
        return None
    direction = (value.loses <= ONE - LEAST_CHANCE) - (value.loses >= LEAST_CHANCE)
    moved = _bounded((weight * (ONE + STEP * direction)).quantize(PLACES))
    why = f"{market} {weight} -> {moved}: {fresh} new trades, {value.mean:+.2f} R expected by all of them."
    return MarketStep(moved, "markets", why)


def values_of(weights: Weights, experience: Mapping[str, Experience], noise: Decimal, base: Weights) -> Weights:
    """Return *weights* with what each strategy, and each market, is expected to bring, R after costs.

    The strategies of a market are shrunk to what the market brings, and that to 0, as far as the noise of their
    trades asks for (``posterior.group_means``).

    Args:
        weights: their effects are taken out of the results first.
        experience: sums by market and strategy.
        noise: variance of R of a trade of weight 1.
        base: what the sums are measured from.
    """
    score, parts = _centers(experience)
    beyond = {name: effect.mean - _effect(base, name) for name, effect in weights.effects.items()}
    found = dict(base.values)
    for market in MarketType:
        own = {key: row for key, row in experience.items() if key.startswith(f"{market}/")}
        if own:
            found |= _values_of_market(value_key(market, ""), own, noise, base, (score, parts, beyond))
    return replace(weights, values=found, centers={**parts, "score": score})


def _centers(experience: Mapping[str, Experience]) -> tuple[Decimal, dict[str, Decimal]]:
    """Return the mean score and the mean components."""
    total = sum((row.weight for row in experience.values()), ZERO)
    sums = [sum(column, ZERO) for column in zip(*(row.x for row in experience.values()), strict=True)]
    score = (sum((row.score for row in experience.values()), ZERO) / total).quantize(PLACES)
    return score, {name: (each / total).quantize(PLACES) for name, each in zip(PART_NAMES, sums, strict=True)}


Center = tuple[Decimal, Mapping[str, Decimal], Mapping[str, Decimal]]
"""Mean score, mean components, and the effects beyond the base's."""


def _values_of_market(
    market: str, own: Mapping[str, Experience], noise: Decimal, base: Weights, center: Center
) -> dict[str, StrategyValue]:
    score, parts, beyond = center
    groups = [Group((row.y - _explained(row, parts, beyond)) / row.weight, row.weight) for row in own.values()]
    found = group_means(groups, noise)
    together = (*((row,) for row in own.values()), tuple(own.values()))
    values = {}
    for at, (key, counted) in enumerate(zip((*own, market), together, strict=True)):
        start = expected_of(base, key, score, parts)
        values[key] = StrategyValue(
            mean=(start + found.means[at]).quantize(PLACES),
            sd=found.sds[at].quantize(PLACES),
            loses=below_zero(start + found.full_means[at], found.sds[at]),
            trades=sum(each.trades for each in counted),
            followed=sum(each.followed for each in counted),
        )
    return values


def _explained(row: Experience, parts: Mapping[str, Decimal], beyond: Mapping[str, Decimal]) -> Decimal:
    """Return the sum of R that the components of *row* explain."""
    named = zip(PART_NAMES, row.x, strict=True)
    return sum((beyond.get(name, ZERO) * (x - parts[name] * row.weight) for name, x in named), ZERO)


def _effect(weights: Weights, name: str) -> Decimal:
    return weights.effects[name].mean if name in weights.effects else ZERO


def step_when_idle(
    market: MarketType, weight: Decimal, *, last_trade: datetime | None, last_step: datetime, now: datetime
) -> MarketStep | None:
    """Return the weight one 5 % step nearer to its default; None when nothing is due.

    Due is one step a day, once nothing was traded for thirty days. *last_trade* is the close of the newest lesson of
    *market*; None where all have been dropped.
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
