"""Expected R of a signal, from what was learned: a number that results can be held against.

    E = value of the strategy + 0.35 * (plain score - its mean) + sum of effect * (component - its mean) + pattern

With nothing learned its order is that of the plain score, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import Weights
from apex_cli.core.model.signal import Expectation

ZERO, HALF = Decimal(0), Decimal("0.5")
PER_SCORE = Decimal("0.35")
"""R that one point of the plain score promises before anything is known."""

USUAL_SCORE = Decimal("0.40")
PLACES, SHOWN = Decimal("0.000001"), Decimal("0.0001")
NINETY_PERCENT = Decimal("1.645")
NEXT_LOOK = timedelta(days=30)
"""How long a value is believed without new trades."""


def value_key(market: MarketType, strategy: str) -> str:
    """Return the name of a strategy's value; with an empty *strategy* that of the market."""
    return f"{market}/{strategy}"


def value_at(weights: Weights, key: str) -> Decimal:
    """Return what an average signal of *key* is expected to bring: the strategy's value, else its market's, else 0."""
    value = weights.values.get(key) or weights.values.get(f"{key.partition('/')[0]}/")
    return value.mean if value else ZERO


def expected_of(weights: Weights, key: str, score: Decimal, parts: Mapping[str, Decimal]) -> Decimal:
    """Return expected R, to six places.

    An unknown strategy counts as its market, an unknown market as 0. *score* and *parts* are 0..1.
    """
    centers = weights.centers
    total = value_at(weights, key) + PER_SCORE * (score - centers.get("score", USUAL_SCORE))
    for name, effect in weights.effects.items():
        total += effect.mean * (parts.get(name, HALF) - centers.get(name, HALF))
    return total.quantize(PLACES)


def expectation(
    weights: Weights,
    key: str,
    score: Decimal,
    parts: Mapping[str, Decimal],
    *,
    pattern: Decimal,
    orders: bool,
) -> Expectation | None:
    """Return what was learned of a signal; None while nothing was.

    The interval is that of the mean: values and effects count as independent. *pattern* is what similar trades brought
    beyond that, R; *orders* says whether it decides what goes first.
    """
    if weights.estimated_at is None:
        return None
    own = weights.values.get(key)
    value = own or weights.values.get(f"{key.partition('/')[0]}/")
    mean = expected_of(weights, key, score, parts) + pattern
    variance = value.sd**2 if value else HALF**2
    for name, effect in weights.effects.items():
        variance += (effect.sd * (parts.get(name, HALF) - weights.centers.get(name, HALF))) ** 2
    reach = NINETY_PERCENT * variance.sqrt()
    return Expectation(
        mean=mean,
        low=(mean - reach).quantize(SHOWN),
        high=(mean + reach).quantize(SHOWN),
        default=(PER_SCORE * (score - weights.centers.get("score", USUAL_SCORE))).quantize(PLACES),
        orders=orders,
        trades=own.trades if own else 0,
        followed=own.followed if own else 0,
        loses=own.loses if own else None,
        next_look=next_look(weights.estimated_at),
    )


def next_look(estimated_at: datetime) -> datetime:
    """Return when a value is not believed any more unless it was found again."""
    return estimated_at + NEXT_LOOK
