"""The five components of a score, each a pure function to 0..1."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from math import log10
from typing import NamedTuple

from apex_cli.core.market.calendar import session_bounds, session_date
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.signal import Signal, market_view
from apex_cli.core.positions.lessons import fraction_in, number_in, prediction_in

ZERO, ONE, HALF = Decimal(0), Decimal(1), Decimal("0.5")
STEP = Decimal("0.0001")
CONFIDENCE_SHARES = {"signal": Decimal("0.30"), "technical": Decimal("0.35"), "predictor": Decimal("0.35")}
WORST, BEST = Decimal("0.2"), ONE
REWARD_RISK_SPAN = (Decimal(1), Decimal(5))
"""Reward:risk of the worst and of the best score."""

DOLLAR_VOLUME = "avg_dollar_volume"
"""Where a signal may say it: then the bars are not asked."""

QUIET_DOLLARS = Decimal(1_000_000)
"""Average dollar volume a day that scores 0.2; a hundred times as much scores 1."""

OVERLAP, ACTIVE = range(12, 16), range(7, 20)
"""Hours, UTC, in which London and New York trade at once, and in which one of them does."""


class Part(NamedTuple):
    """A component's value, and what to report it."""

    value: Decimal
    note: str = ""


class Style(StrEnum):
    """How a strategy trades, as far as the time of day matters."""

    MOMENTUM = "momentum"
    REVERSAL = "reversal"
    OTHER = "other"


class DayPart(StrEnum):
    """Parts of a session."""

    OPENING = "opening"
    MORNING = "morning"
    MIDDAY = "midday"
    AFTERNOON = "afternoon"
    CLOSING = "closing"
    OUTSIDE = "outside"


STYLE_WORDS = {
    Style.MOMENTUM: ("breakout", "momentum", "gap", "trend", "orb"),
    Style.REVERSAL: ("reversion", "reversal", "pullback", "oversold", "overbought", "fade"),
}
TIMING = {
    style: {part: Part(Decimal(value)) for part, value in zip(DayPart, values.split(), strict=True)}
    for style, values in {
        Style.MOMENTUM: "0.9 1.0 0.5 0.8 0.6 0.4",
        Style.REVERSAL: "0.5 0.7 0.9 0.8 0.6 0.4",
        Style.OTHER: "0.6 0.8 0.7 0.8 0.7 0.4",
    }.items()
}
"""Value by style and part of the session.

Volume and volatility are high after the opening and before the close and low between (Jain and Joh, "The Dependence
between Hourly Prices and Trading Volume", J. Financial and Quantitative Analysis 23, 1988): breakouts want them,
reversals do not.
"""


def reward_risk_part(signal: Signal) -> Part:
    """Return 0.2 at 1:1 to 1.0 at 5:1, linear; 0 without a target."""
    ratio = reward_risk(signal.entry_price, signal.stop_loss, signal.target_prices)
    if ratio is None or ratio <= 0:
        return Part(ZERO, "no reward:risk without a target and a stop on the right sides")
    low, high = REWARD_RISK_SPAN
    value = WORST + (BEST - WORST) * (ratio - low) / (high - low)
    return Part(_unit(value))


def confidence_part(signal: Signal) -> Part:
    """Return the mean of the signal's word, the technical composite and the prediction, 0.30 : 0.35 : 0.35.

    What is absent leaves its share to the others. A prediction against the signal counts as one minus its probability.
    """
    predicted = prediction_in(signal.metadata)
    found = {
        "signal": signal.confidence,
        "technical": fraction_in(signal.metadata, "technical_composite"),
        "predictor": agreement(signal, *predicted) if predicted else None,
    }
    present = {name: value for name, value in found.items() if value is not None}
    if not present:
        return Part(ZERO, "no confidence is given: 0")
    total = sum([CONFIDENCE_SHARES[name] for name in present], ZERO)
    value = sum([CONFIDENCE_SHARES[name] * each for name, each in present.items()], ZERO) / total
    absent = [name for name in found if name not in present]
    note = f"confidence without {' and '.join(absent)}: the others count for it" if absent else ""
    return Part(_unit(value), note)


def agreement(signal: Signal, direction: int, probability: Decimal) -> Decimal:
    """Return the probability that the market goes the signal's way."""
    return probability if direction == market_view(signal) else ONE - probability


def timing_part(signal: Signal, now: datetime) -> Part:
    """Return how well the time of day suits the strategy."""
    market = signal.instrument.market_type
    if market is MarketType.CRYPTO:
        return Part(Decimal("0.7"))
    if market is MarketType.FOREX:
        return Part(Decimal("1.0") if now.hour in OVERLAP else Decimal("0.8") if now.hour in ACTIVE else HALF)
    return TIMING[style_of(signal.strategy)][day_part(now)]


@lru_cache(maxsize=256)
def style_of(strategy: str) -> Style:
    """Return how a strategy trades, by the words in its name."""
    name = strategy.lower()
    return next((style for style, words in STYLE_WORDS.items() if any(w in name for w in words)), Style.OTHER)


@lru_cache(maxsize=1)
def day_part(now: datetime) -> DayPart:
    """Return the part of the NYSE session that *now*, aware, lies in."""
    bounds = session_bounds(session_date(now))
    if bounds is None or not bounds[0] <= now < bounds[1]:
        return DayPart.OUTSIDE
    since, left = now - bounds[0], bounds[1] - now
    if left <= timedelta(minutes=30):
        return DayPart.CLOSING
    if since < timedelta(minutes=30):
        return DayPart.OPENING
    if since < timedelta(hours=2):
        return DayPart.MORNING
    return DayPart.AFTERNOON if left <= timedelta(hours=2) else DayPart.MIDDAY


def liquidity_part(signal: Signal, from_bars: Decimal | None) -> Part:
    """Return 0.2 at 1 million USD a day to 1.0 at 100 million, by the logarithm; unknown is 0.5.

    Args:
        signal: ``avg_dollar_volume`` in its metadata comes first, then *from_bars*, then ``volume_ratio``, where
            twice the usual volume is full marks.
        from_bars: average of close times volume over the last bars, USD; None when unknown.
    """
    dollars = number_in(signal.metadata, DOLLAR_VOLUME) or from_bars
    if dollars is not None:
        if dollars <= 0:
            return Part(ZERO, "no volume at all")
        return Part(_unit(WORST + Decimal("0.4") * Decimal(repr(log10(dollars / QUIET_DOLLARS)))))
    ratio = number_in(signal.metadata, "volume_ratio")
    if ratio is not None:
        return Part(_unit(ratio / 2), "liquidity by the volume ratio: the dollar volume is unknown")
    return Part(HALF, "liquidity unknown: 0.5")


def diversification_part(same_side: int, max_positions: int) -> Part:
    """Return 1 with nothing held on the signal's side, 0 with every slot taken on it."""
    return Part(_unit(ONE - Decimal(same_side) / max(max_positions, 1)))


def _unit(value: Decimal) -> Decimal:
    """Clip to 0..1, to four places."""
    return min(max(value, ZERO), ONE).quantize(STEP)
