"""The technical picture of one symbol, judged in one direction: four sub-scores and their composite.

Every sub-score lies in 0..1 and is built from parts of equal form: a measure in units that do not depend on
the price level (mostly average true ranges), turned by *sign* so that positive speaks for the trade, then cut
off and scaled to 0..1 with 0.5 as "says nothing". A short is judged on the mirrored picture: for every frame,
``analyse(frame, -1)`` equals ``analyse`` of the frame turned upside down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Floats, Frame, finite_bars
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
USUAL_BARS = 100
Flags = NDArray[np.bool_]
_STRENGTH = np.array([30.0, 60.0, 70.0, 100.0]), np.array([0.0, 1.0, 1.0, 0.5])
_WILD, _WIDE = (np.array([0.01, 0.05]), np.array([0.0, 1.0])), (np.array([0.5, 2.0]), np.array([0.0, 1.0]))


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
    """Return the picture at the last bar of *frame* for a long (*sign* 1) or a short (-1).

    A beginning of a whole history is looked at in that: what is computed of it once holds for each of its bars, and a
    picture that was asked for before, as by another setting of a sweep, is kept.
    """
    whole = frame.whole
    if whole is None:
        return _picture(frame, len(frame) - 1, sign)
    pictures = _pictures.setdefault(whole, {})
    asked = len(frame), sign
    found = pictures.get(asked)
    if found is None:
        found = pictures[asked] = _picture(whole, len(frame) - 1, sign)
    return found


_pictures: WeakKeyDictionary[Frame, dict[tuple[int, int], Technical | Unusable]] = WeakKeyDictionary()


def _picture(frame: Frame, at: int, sign: int) -> Technical | Unusable:
    """Return the picture at bar *at* of *frame*, made of bars up to that one alone."""
    if at + 1 < MIN_BARS:
        return Unusable.TOO_SHORT
    if at >= finite_bars(frame):
        return Unusable.NOT_FINITE
    known = indicators_of(frame)
    if is_flat(frame, at) or not known.atr[at] > 0:
        return Unusable.FLAT
    trend, momentum = trend_score(frame, known, sign, at), momentum_score(frame, known, sign, at)
    volume, risk = volume_score(known, at), volatility_risk(frame, known, at)
    support, resistance = levels(frame, at)
    last_ratio = float(known.volume_ratio[at])
    return Technical(
        trend=trend,
        momentum=momentum,
        volume=volume,
        volatility=risk,
        composite=composite(trend, momentum, volume, risk),
        atr=float(known.atr[at]),
        volume_ratio=None if np.isnan(last_ratio) else last_ratio,
        dollar_volume=float(known.dollar_volume[at]),
        support=support,
        resistance=resistance,
        regime=regime(frame, known, at),
    )


def composite(trend: float, momentum: float, volume: float, risk: float) -> float:
    """Return 0.30 trend + 0.30 momentum + 0.20 volume + 0.20 (1 - volatility risk).

    >>> round(composite(1.0, 1.0, 1.0, 0.0), 12)
    1.0
    """
    return TREND_WEIGHT * trend + MOMENTUM_WEIGHT * momentum + VOLUME_WEIGHT * volume + CALM_WEIGHT * (1 - risk)


def trend_score(frame: Frame, known: Indicators, sign: int, at: int) -> float:
    """Return how clearly the trend runs in the direction of *sign*.

    0.30 s((EMA20 - EMA50) / 2 ATR) + 0.30 s((close - SMA200) / 5 ATR) + 0.15 s((close - EMA20) / 2 ATR)
    + 0.25 s((DI+ - DI-) / (DI+ + DI-) * min(ADX / 25, 1)), where s(x) = (1 + clip(sign * x, -1, 1)) / 2.

    The averages say where the price goes over weeks and months; ADX, a strength without direction, weighs
    how far the directional indicators may be believed. Two true ranges are a move that noise rarely makes.
    """
    atr, close = known.atr[at], frame.close[at]
    fast, slow, far = known.ema20[at], known.ema50[at], known.sma_long[at]
    total = known.plus_di[at] + known.minus_di[at]
    lean = (known.plus_di[at] - known.minus_di[at]) / total if total > 0 else 0.0
    return (
        0.30 * _lean(sign * (fast - slow) / (2 * atr))
        + 0.30 * _lean(sign * (close - far) / (5 * atr))
        + 0.15 * _lean(sign * (close - fast) / (2 * atr))
        + 0.25 * _lean(sign * lean * min(known.adx[at] / STRONG_ADX, 1.0))
    )


def momentum_score(frame: Frame, known: Indicators, sign: int, at: int) -> float:
    """Return the mean of four looks at the pace in the direction of *sign*.

    - RSI14 (100 - RSI for a short): 0 up to 30, rising to 1 at 60, 1 to 70, then falling to 0.5 at 100:
      strength is good until it is exhausted.
    - MACD histogram: s(histogram / 0.25 ATR): the pace is rising.
    - Stochastic: s((K - D) / 20), half, and the place of K in its range, half.
    - Rate of change over 10 bars: s((close - close 10 bars ago) / (ATR * sqrt(10))): a random walk moves
      that far in 10 bars. In true ranges, not percent, so that up and down weigh the same.
    """
    atr = known.atr[at]
    strength = known.rsi[at] if sign > 0 else 100 - known.rsi[at]
    place = known.stoch_k[at] if sign > 0 else 100 - known.stoch_k[at]
    parts = (
        float(np.interp(strength, *_STRENGTH)),
        _lean(sign * known.macd_hist[at] / (0.25 * atr)),
        0.5 * _lean(sign * (known.stoch_k[at] - known.stoch_d[at]) / 20) + 0.5 * _cut(place / 100),
        _lean(sign * (frame.close[at] - frame.close[at - 10]) / (atr * sqrt(10))),
    )
    return sum(parts) / len(parts)


def volume_score(known: Indicators, at: int) -> float:
    """Return how much the move is taken part in, whatever its direction.

    0.6 r(volume / mean of the 20 bars before) + 0.4 t(mean of 5 / mean of 20); r is 0 at 0, 0.5 at 1, 1 at 2;
    t is 0 at 0.5, 0.5 at 1, 1 at 1.5. Without volumes each part is 0.5.
    """
    now, tide = known.volume_ratio[at], known.volume_trend[at]
    return 0.6 * _cut(NEUTRAL if np.isnan(now) else now / 2) + 0.4 * _cut(NEUTRAL if np.isnan(tide) else tide - 0.5)


def volatility_risk(frame: Frame, known: Indicators, at: int) -> float:
    """Return how wild the symbol is: the mean of an absolute and a relative look.

    - ATR over close: 0 up to 1 %, 1 from 5 % a bar: a stop of two true ranges is then 10 % away.
    - Bollinger width over its own mean of up to 100 bars: 0 up to 0.5, 1 from 2: widening bands announce a
      change that older bars know nothing of.
    """
    first = max(at + 1 - USUAL_BARS, 0)
    width = known.bollinger_upper[first : at + 1] - known.bollinger_lower[first : at + 1]
    usual = _mean(width)
    wild = float(np.interp(known.atr[at] / frame.close[at], *_WILD))
    wide = float(np.interp(width[-1] / usual, *_WIDE)) if usual > 0 else 0.0
    return (wild + wide) / 2


def levels(frame: Frame, at: int) -> tuple[float | None, float | None]:
    """Return the nearest support below and resistance above the last close.

    They are the swing lows and highs of the last 120 bars: no lower low (higher high) within three bars on
    either side, so one is known three bars after it happened. None where no swing lies on that side.
    """
    first = max(at + 1 - LEVEL_BARS, 0) + SWING
    places = slice(first, max(at + 1 - SWING, first))
    is_top, is_bottom = _swings_of(frame)
    close = frame.close[at]
    tops, bottoms = frame.high[places][is_top[places]], frame.low[places][is_bottom[places]]
    above, below = tops[tops > close], bottoms[bottoms < close]
    return (float(below.max()) if len(below) else None), (float(above.min()) if len(above) else None)


def _swings_of(frame: Frame) -> tuple[Flags, Flags]:
    """Return at which bars there is a swing high and a swing low, found once for each frame."""
    known = _swings.get(frame)
    if known is None:
        known = _swings[frame] = _peaks(frame.high), _peaks(-frame.low)
    return known


_swings: WeakKeyDictionary[Frame, tuple[Flags, Flags]] = WeakKeyDictionary()


def _peaks(values: Floats) -> Flags:
    """Return which values no other within ``SWING`` bars exceeds."""
    found = np.zeros(len(values), dtype=np.bool_)
    if len(values) > 2 * SWING:
        windows = np.lib.stride_tricks.sliding_window_view(values, 2 * SWING + 1)
        found[SWING:-SWING] = values[SWING:-SWING] >= windows.max(axis=1)
    return found


def _mean(values: Floats) -> float:
    """Return the mean of what is a number."""
    return float(np.nanmean(values) if np.isnan(values[0]) else np.add.reduce(values) / len(values))


def regime(frame: Frame, known: Indicators, at: int) -> Regime:
    """Return the kind of market of the symbol itself.

    Volatile when the ATR is twice its mean of up to 100 bars; sideways when ADX is below 20 or the averages
    disagree; otherwise bull or bear by EMA20 against EMA50 and close against SMA200.
    """
    if known.atr[at] >= 2 * _mean(known.atr[max(at + 1 - USUAL_BARS, 0) : at + 1]):
        return Regime.VOLATILE
    up = known.ema20[at] > known.ema50[at]
    if known.adx[at] < WEAK_ADX or up != (frame.close[at] > known.sma_long[at]):
        return Regime.SIDEWAYS
    return Regime.BULL if up else Regime.BEAR


def _cut(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))


def _lean(value: float) -> float:
    """Return 0 for -1 and less, 0.5 for 0, 1 for 1 and more."""
    return (1 + float(min(max(value, -1.0), 1.0))) / 2
