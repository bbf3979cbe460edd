"""The technical picture of one symbol, judged in one direction: four sub-scores and their composite.

Every sub-score lies in 0..1 and is built from parts of equal form: a measure in units that do not depend on
the price level (mostly average true ranges), turned by *sign* so that positive speaks for the trade, then cut
off and scaled to 0..1 with 0.5 as "says nothing". A short is judged on the mirrored picture: for every frame,
``analyse(frame, -1)`` equals ``analyse`` of the frame turned upside down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np

from apex_cli.core.analysis.frame import Frame
from apex_cli.core.analysis.indicators import Indicators, indicators_of, is_flat

MIN_BARS = 100
"""Below it the longest average does not exist: nothing is said."""

TREND_WEIGHT, MOMENTUM_WEIGHT, VOLUME_WEIGHT, CALM_WEIGHT = 0.30, 0.30, 0.20, 0.20
NEUTRAL = 0.5
STRONG_ADX, WEAK_ADX = 25.0, 20.0
"""Wilder's bounds: above 25 there is a trend, below 20 no trend."""

SWING = 3
"""A swing high has no higher high within this many bars on either side."""

LEVEL_BARS = 120
RANGE_BARS = 20


class Regime(StrEnum):
    """What kind of market the symbol is in."""

    BULL = "bull"
    BEAR = "bear"
    SIDEWAYS = "sideways"
    VOLATILE = "volatile"


class Unusable(StrEnum):
    """Why nothing can be said of a frame."""

    TOO_SHORT = "too_short"
    NOT_FINITE = "not_finite"
    FLAT = "flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Technical:
    """What the bars say of a trade in one direction at the last bar."""

    trend: float
    momentum: float
    volume: float
    volatility: float
    """Risk: 1 is wild."""

    composite: float
    atr: float
    """Price units."""

    volume_ratio: float | None
    """Last volume over the mean of the 20 before; None without volumes."""

    dollar_volume: float
    support: float | None
    """Nearest swing low below the close; None where no swing was found."""

    resistance: float | None
    regime: Regime


def analyse(frame: Frame, sign: int) -> Technical | Unusable:
    """Return the picture at the last bar of *frame* for a long (*sign* 1) or a short (-1)."""
    if len(frame) < MIN_BARS:
        return Unusable.TOO_SHORT
    if not frame.is_finite:
        return Unusable.NOT_FINITE
    known = indicators_of(frame)
    if is_flat(frame) or not known.atr[-1] > 0:
        return Unusable.FLAT
    trend, momentum = trend_score(frame, known, sign), momentum_score(frame, known, sign)
    volume, risk = volume_score(known), volatility_risk(frame, known)
    support, resistance = levels(frame)
    last_ratio = float(known.volume_ratio[-1])
    return Technical(
        trend=trend,
        momentum=momentum,
        volume=volume,
        volatility=risk,
        composite=composite(trend, momentum, volume, risk),
        atr=float(known.atr[-1]),
        volume_ratio=None if np.isnan(last_ratio) else last_ratio,
        dollar_volume=float(known.dollar_volume[-1]),
        support=support,
        resistance=resistance,
        regime=regime(frame, known),
    )


def composite(trend: float, momentum: float, volume: float, risk: float) -> float:
    """Return 0.30 trend + 0.30 momentum + 0.20 volume + 0.20 (1 - volatility risk).

    >>> round(composite(1.0, 1.0, 1.0, 0.0), 12)
    1.0
    """
    return TREND_WEIGHT * trend + MOMENTUM_WEIGHT * momentum + VOLUME_WEIGHT * volume + CALM_WEIGHT * (1 - risk)


def trend_score(frame: Frame, known: Indicators, sign: int) -> float:
    """Return how clearly the trend runs in the direction of *sign*.

    0.30 s((EMA20 - EMA50) / 2 ATR) + 0.30 s((close - SMA200) / 5 ATR) + 0.15 s((close - EMA20) / 2 ATR)
    + 0.25 s((DI+ - DI-) / (DI+ + DI-) * min(ADX / 25, 1)), where s(x) = (1 + clip(sign * x, -1, 1)) / 2.

    The averages say where the price goes over weeks and months; ADX, a strength without direction, weighs
    how far the directional indicators may be believed. Two true ranges are a move that noise rarely makes.
    """
    atr, close = known.atr[-1], frame.close[-1]
    fast, slow, far = known.ema20[-1], known.ema50[-1], known.sma_long[-1]
    total = known.plus_di[-1] + known.minus_di[-1]
    lean = (known.plus_di[-1] - known.minus_di[-1]) / total if total > 0 else 0.0
    return (
        0.30 * _lean(sign * (fast - slow) / (2 * atr))
        + 0.30 * _lean(sign * (close - far) / (5 * atr))
        + 0.15 * _lean(sign * (close - fast) / (2 * atr))
        + 0.25 * _lean(sign * lean * min(known.adx[-1] / STRONG_ADX, 1.0))
    )


def momentum_score(frame: Frame, known: Indicators, sign: int) -> float:
    """Return the mean of four looks at the pace in the direction of *sign*.

    - RSI14 (100 - RSI for a short): 0 up to 30, rising to 1 at 60, 1 to 70, then falling to 0.5 at 100:
      strength is good until it is exhausted.
    - MACD histogram: s(histogram / 0.25 ATR): the pace is rising.
    - Stochastic: s((K - D) / 20), half, and the place of K in its range, half.
    - Rate of change over 10 bars: s((close - close 10 bars ago) / (ATR * sqrt(10))): a random walk moves
      that far in 10 bars. In true ranges, not percent, so that up and down weigh the same.
    """
    atr = known.atr[-1]
    strength = known.rsi[-1] if sign > 0 else 100 - known.rsi[-1]
    place = known.stoch_k[-1] if sign > 0 else 100 - known.stoch_k[-1]
    parts = (
        float(np.interp(strength, (30.0, 60.0, 70.0, 100.0), (0.0, 1.0, 1.0, 0.5))),
        _lean(sign * known.macd_hist[-1] / (0.25 * atr)),
        0.5 * _lean(sign * (known.stoch_k[-1] - known.stoch_d[-1]) / 20) + 0.5 * _cut(place / 100),
        _lean(sign * (frame.close[-1] - frame.close[-11]) / (atr * sqrt(10))),
    )
    return sum(parts) / len(parts)


def volume_score(known: Indicators) -> float:
    """Return how much the move is taken part in, whatever its direction.

    0.6 r(volume / mean of the 20 bars before) + 0.4 t(mean of 5 / mean of 20); r is 0 at 0, 0.5 at 1, 1 at 2;
    t is 0 at 0.5, 0.5 at 1, 1 at 1.5. Without volumes each part is 0.5.
    """
    now, tide = known.volume_ratio[-1], known.volume_trend[-1]
    return 0.6 * _cut(NEUTRAL if np.isnan(now) else now / 2) + 0.4 * _cut(NEUTRAL if np.isnan(tide) else tide - 0.5)


def volatility_risk(frame: Frame, known: Indicators) -> float:
    """Return how wild the symbol is: the mean of an absolute and a relative look.

    - ATR over close: 0 up to 1 %, 1 from 5 % a bar: a stop of two true ranges is then 10 % away.
    - Bollinger width over its own mean of up to 100 bars: 0 up to 0.5, 1 from 2: widening bands announce a
      change that older bars know nothing of.
    """
    width = known.bollinger_upper - known.bollinger_lower
    usual = float(np.nanmean(width[-100:]))
    wild = float(np.interp(known.atr[-1] / frame.close[-1], (0.01, 0.05), (0.0, 1.0)))
    wide = float(np.interp(width[-1] / usual, (0.5, 2.0), (0.0, 1.0))) if usual > 0 else 0.0
    return (wild + wide) / 2


def levels(frame: Frame) -> tuple[float | None, float | None]:
    """Return the nearest support below and resistance above the last close.

    They are the swing lows and highs of the last 120 bars: no lower low (higher high) within three bars on
    either side, so one is known three bars after it happened. None where no swing lies on that side.
    """
    high, low, close = frame.high[-LEVEL_BARS:], frame.low[-LEVEL_BARS:], frame.close[-1]
    below = [value for value in _swings(-low) if -value < close]
    above = [value for value in _swings(high) if value > close]
    return (-min(below) if below else None), (min(above) if above else None)


def _swings(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Sequence[float]:
    """Return the values that no other within ``SWING`` bars exceeds."""
    if len(values) < 2 * SWING + 1:
        return ()
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * SWING + 1)
    middle = windows[:, SWING]
    return [float(value) for value in middle[middle >= windows.max(axis=1)]]


def regime(frame: Frame, known: Indicators) -> Regime:
    """Return the kind of market of the symbol itself.

    Volatile when the ATR is twice its mean of up to 100 bars; sideways when ADX is below 20 or the averages
    disagree; otherwise bull or bear by EMA20 against EMA50 and close against SMA200.
    """
    if known.atr[-1] >= 2 * float(np.nanmean(known.atr[-100:])):
        return Regime.VOLATILE
    up = known.ema20[-1] > known.ema50[-1]
    if known.adx[-1] < WEAK_ADX or up != (frame.close[-1] > known.sma_long[-1]):
        return Regime.SIDEWAYS
    return Regime.BULL if up else Regime.BEAR


def _cut(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))


def _lean(value: float) -> float:
    """Return 0 for -1 and less, 0.5 for 0, 1 for 1 and more."""
    return (1 + float(min(max(value, -1.0), 1.0))) / 2
