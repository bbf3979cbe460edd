"""What multiplies the sum of a score's components, each a pure function to one factor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import ScoreFactor, Signal, SignalFamily, market_side, market_view
from apex_cli.core.positions.lessons import fraction_in, prediction_in
from apex_cli.core.signals.score_parts import agreement

ONE = Decimal(1)
STEP = Decimal("0.0001")
TECHNICAL, TECHNICAL_FROM = Decimal("1.10"), Decimal("0.7")
PREDICTOR, PREDICTOR_FROM = Decimal("1.08"), Decimal("0.6")
CONFLUENCE = {
    SignalFamily.INSIDER: (Decimal("1.15"), timedelta(days=7)),
    SignalFamily.OPTIONS_FLOW: (Decimal("1.12"), timedelta(days=3)),
}
"""Factor and reach of each family."""

MOST_DECAY = Decimal("0.25")
"""Part of the score that a signal loses until it expires."""

FREE_CORRELATION = Decimal("0.5")
MOST_CORRELATION_PENALTY = Decimal("0.30")
"""Taken off at correlation 1; nothing up to ``FREE_CORRELATION``, linear between."""

SAME_SYMBOL = Decimal("0.85")


class Arrival(Value, frozen=True, kw_only=True):
    """A signal that confirms others."""

    signal_id: str
    symbol: str
    family: SignalFamily
    side: OrderSide
    seen_at: datetime


def technical_factor(signal: Signal) -> ScoreFactor | None:
    """Return 1.10 when the technical composite is above 0.7."""
    composite = fraction_in(signal.metadata, "technical_composite")
    if composite is None or composite <= TECHNICAL_FROM:
        return None
    return ScoreFactor(name="technical", value=TECHNICAL, why=f"composite {composite:.2f} is above {TECHNICAL_FROM}")


def predictor_factor(signal: Signal) -> ScoreFactor | None:
    """Return 1.08 when the predictor sees the signal's direction with more than 0.6."""
    predicted = prediction_in(signal.metadata)
    if predicted is None or predicted[0] != market_view(signal):
        return None
    probability = agreement(signal, *predicted)
    if probability <= PREDICTOR_FROM:
        return None
    return ScoreFactor(name="predictor", value=PREDICTOR, why=f"same direction with {probability:.2f}")


def confluence_factors(signal: Signal, arrivals: Iterable[Arrival], now: datetime) -> tuple[ScoreFactor, ...]:
    """Return a factor for each family that spoke for the same symbol and side within its reach.

    A signal does not confirm its own family.
    """
    spoken: dict[SignalFamily, str] = {}
    for arrival in arrivals:
        reach = CONFLUENCE[arrival.family][1]
        is_same = arrival.symbol == signal.symbol and arrival.side is market_side(signal)
        if is_same and arrival.family is not signal.family and now - reach <= arrival.seen_at <= now:
            spoken.setdefault(arrival.family, arrival.signal_id)
    return tuple(
        ScoreFactor(name=family, value=CONFLUENCE[family][0], why=f"confirmed by {spoken[family]}")
        for family in CONFLUENCE
        if family in spoken
    )


def decay_factor(signal: Signal, now: datetime) -> ScoreFactor | None:
    """Return 1 for a signal just made, falling evenly to 0.75 when it expires."""
    life = signal.expires_at - signal.created_at
    age = min(max(now - signal.created_at, timedelta()), life)
    if not age:
        return None
    value = (ONE - MOST_DECAY * _seconds(age) / _seconds(life)).quantize(STEP)
    return ScoreFactor(name="waiting", value=value, why=f"{_hours(age)} of {_hours(life)} are over")


def correlation_factor(signal: Signal, correlations: dict[str, Decimal]) -> ScoreFactor | None:
    """Return the penalty for the holding that moves most like the signal would.

    1 up to 0.5, then falling to 0.70 at 1.

    Args:
        signal: only for its name.
        correlations: by symbol held; positive when both would lose together, sides taken into account.
    """
    if not correlations:
        return None
    symbol, worst = max(correlations.items(), key=lambda item: (item[1], item[0]))
    if worst <= FREE_CORRELATION:
        return None
    share = (worst - FREE_CORRELATION) / (ONE - FREE_CORRELATION)
    value = (ONE - MOST_CORRELATION_PENALTY * share).quantize(STEP)
    return ScoreFactor(name="correlation", value=value, why=f"{signal.symbol} moves with {symbol}: {worst:.2f}")


def same_symbol_factor(signal: Signal, exposures: Iterable[Exposure]) -> ScoreFactor | None:
    """Return the penalty that needs no bars: 0.85 when the same symbol is held in another form."""
    held = {exposure.key.partition("@")[0] for exposure in exposures}
    if signal.symbol not in held:
        return None
    return ScoreFactor(name="correlation", value=SAME_SYMBOL, why=f"{signal.symbol} is held already")


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def _hours(span: timedelta) -> str:
    return f"{_seconds(span) / 3600:.1f} h"
