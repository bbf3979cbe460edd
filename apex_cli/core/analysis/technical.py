"""Technical scores of one symbol in one direction: four sub-scores and their composite.

Every sub-score lies in 0..1 and is built from parts of equal form: a measure in units that do not depend on
the price level (mostly average true ranges), turned by *sign* so that positive speaks for the trade, then cut
off and scaled to 0..1 with 0.5 as "says nothing". A short is judged on the mirrored picture: for every frame,
``analyse(frame, -1)`` equals ``analyse`` of the frame turned upside down.

Scores are computed for many bars at once, *at* being their numbers, each of bars up to that one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from math import sqrt
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Floats, Frame, finite_bars, once_a_frame
from apex_cli.core.analysis.indicators import Indicators, flat_bars, indicators_of

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
Rows = NDArray[np.int64]
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


class Technical(NamedTuple):
    """What the bars say of a trade in one direction at one bar."""

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


def analyse(frame: Frame, sign: int, count: int | None = None, among: Rows | None = None) -> Technical | Unusable:
    """Return the picture at the last of the first *count* bars of *frame*, by default of all of them.

    A picture that was asked for before, as by another setting of a sweep, is kept.

    Args:
        frame: the bars; those after the first *count* are not looked at.
        sign: 1 for a long, -1 for a short.
        count: how many bars are known.
        among: numbers of bars that will be asked about; the first question among them has all of them looked at.
    """
    last = (len(frame) if count is None else count) - 1
    known = _pictures.setdefault(frame, {}).setdefault(sign, {})
    found = known.get(last)
    if found is None:
        at = np.array([last]) if among is None or last not in among else among
        known.update(zip(at.tolist(), pictures(frame, sign, at), strict=True))
        found = known[last]
    return found


_pictures: WeakKeyDictionary[Frame, dict[int, dict[int, Technical | Unusable]]] = WeakKeyDictionary()


def pictures(frame: Frame, sign: int, at: Rows) -> list[Technical | Unusable]:
    """Return the picture at each of the bars *at* of *frame*, made of bars up to that one alone."""
    is_long, is_finite = at + 1 >= MIN_BARS, at < finite_bars(frame)
    is_good = is_long & is_finite
    if is_good.any():
        is_good[is_good] = ~flat_bars(frame)[at[is_good]] & (indicators_of(frame).atr[at[is_good]] > 0)
    found = _found(frame, sign, at[is_good]) if is_good.any() else iter(())
    return [
        next(found) if good else Unusable.FLAT if long and finite else _UNUSABLE[long]
        for good, long, finite in zip(is_good.tolist(), is_long.tolist(), is_finite.tolist(), strict=True)
    ]


_UNUSABLE = {False: Unusable.TOO_SHORT, True: Unusable.NOT_FINITE}


def _found(frame: Frame, sign: int, at: Rows) -> Iterator[Technical]:
    """Yield the picture at each of *at*, where there is one."""
    known = indicators_of(frame)
    trend, momentum = trend_score(frame, known, sign, at), momentum_score(frame, known, sign, at)
    volume, risk = volume_score(known, at), volatility_risk(frame, known, at)
    support, resistance = levels(frame, at)
    columns = (
        trend.tolist(),
        momentum.tolist(),
        volume.tolist(),
        risk.tolist(),
        composite(trend, momentum, volume, risk).tolist(),
        known.atr[at].tolist(),
        _numbers(known.volume_ratio[at]),
        known.dollar_volume[at].tolist(),
        _numbers(support),
        _numbers(resistance),
        regimes(frame, known, at),
    )
    return map(Technical._make, zip(*columns, strict=True))


def _numbers(values: Floats) -> list[float | None]:
    """Return *values*, None for those that are no number."""
    return [value if value == value else None for value in values.tolist()]  # noqa: PLR0124 - NaN is not itself


def composite(trend: Floats, momentum: Floats, volume: Floats, risk: Floats) -> Floats:
    """Return 0.30 trend + 0.30 momentum + 0.20 volume + 0.20 (1 - volatility risk).

    >>> composite(*np.array([[1.0], [1.0], [1.0], [0.0]])).round(12).tolist()
    [1.0]
    """
    return TREND_WEIGHT * trend + MOMENTUM_WEIGHT * momentum + VOLUME_WEIGHT * volume + CALM_WEIGHT * (1 - risk)


def trend_score(frame: Frame, known: Indicators, sign: int, at: Rows) -> Floats:
    """Return how clearly the trend runs in the direction of *sign*.

    0.30 s((EMA20 - EMA50) / 2 ATR) + 0.30 s((close - SMA200) / 5 ATR) + 0.15 s((close - EMA20) / 2 ATR)
    + 0.25 s((DI+ - DI-) / (DI+ + DI-) * min(ADX / 25, 1)), where s(x) = (1 + clip(sign * x, -1, 1)) / 2.

    The averages say where the price goes over weeks and months; ADX, a strength without direction, weighs
    how far the directional indicators may be believed. Two true ranges are a move that noise rarely makes.
    """
    atr, close = known.atr[at], frame.close[at]
    fast, slow, far = known.ema20[at], known.ema50[at], known.sma_long[at]
    total = known.plus_di[at] + known.minus_di[at]
    lean = np.where(total > 0, (known.plus_di[at] - known.minus_di[at]) / np.where(total > 0, total, 1.0), 0.0)
    return (
        0.30 * _lean(sign * (fast - slow) / (2 * atr))
        + 0.30 * _lean(sign * (close - far) / (5 * atr))
        + 0.15 * _lean(sign * (close - fast) / (2 * atr))
        + 0.25 * _lean(sign * lean * np.minimum(known.adx[at] / STRONG_ADX, 1.0))
    )


def momentum_score(frame: Frame, known: Indicators, sign: int, at: Rows) -> Floats:
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
    total: Floats = (
        np.interp(strength, *_STRENGTH)
        + _lean(sign * known.macd_hist[at] / (0.25 * atr))
        + (0.5 * _lean(sign * (known.stoch_k[at] - known.stoch_d[at]) / 20) + 0.5 * np.clip(place / 100, 0.0, 1.0))
        + _lean(sign * (frame.close[at] - frame.close[at - 10]) / (atr * sqrt(10)))
    )
    return total / 4


def volume_score(known: Indicators, at: Rows) -> Floats:
    """Return how much the move is taken part in, whatever its direction.

    0.6 r(volume / mean of the 20 bars before) + 0.4 t(mean of 5 / mean of 20); r is 0 at 0, 0.5 at 1, 1 at 2;
    t is 0 at 0.5, 0.5 at 1, 1 at 1.5. Without volumes each part is 0.5.
    """
    now, tide = known.volume_ratio[at], known.volume_trend[at]
    part, flow = np.where(np.isnan(now), NEUTRAL, now / 2), np.where(np.isnan(tide), NEUTRAL, tide - 0.5)
    return 0.6 * np.clip(part, 0.0, 1.0) + 0.4 * np.clip(flow, 0.0, 1.0)


def volatility_risk(frame: Frame, known: Indicators, at: Rows) -> Floats:
    """Return how wild the symbol is: the mean of an absolute and a relative look.

    - ATR over close: 0 up to 1 %, 1 from 5 % a bar: a stop of two true ranges is then 10 % away.
    - Bollinger width over its own mean of up to 100 bars: 0 up to 0.5, 1 from 2: widening bands announce a
      change that older bars know nothing of.
    """
    width = known.bollinger_upper - known.bollinger_lower
    usual = _usual(width, at)
    wild = np.interp(known.atr[at] / frame.close[at], *_WILD)
    wide = np.interp(width[at] / np.where(usual > 0, usual, 1.0), *_WIDE)
    risk: Floats = wild + np.where(usual > 0, wide, 0.0)
    return risk / 2


def levels(frame: Frame, at: Rows) -> tuple[Floats, Floats]:
    """Return the nearest support below and resistance above the close of each bar; NaN where there is none.

    They are the swing lows and highs of the last 120 bars: no lower low (higher high) within three bars on
    either side, so one is known three bars after it happened.
    """
    places = at[:, None] + np.arange(SWING - LEVEL_BARS + 1, 1 - SWING)
    is_there = places >= SWING
    places = np.where(is_there, places, 0)
    is_top, is_bottom = _swings_of(frame)
    close, high, low = frame.close[at][:, None], frame.high[places], frame.low[places]
    support = np.where(is_there & is_bottom[places] & (low < close), low, -np.inf).max(axis=1)
    resistance = np.where(is_there & is_top[places] & (high > close), high, np.inf).min(axis=1)
    return np.where(np.isinf(support), np.nan, support), np.where(np.isinf(resistance), np.nan, resistance)


@once_a_frame
def _swings_of(frame: Frame) -> tuple[Flags, Flags]:
    """Return at which bars there is a swing high and a swing low."""
    return _peaks(frame.high), _peaks(-frame.low)


def _peaks(values: Floats) -> Flags:
    """Return which values no other within ``SWING`` bars exceeds."""
    found = np.zeros(len(values), dtype=np.bool_)
    if len(values) > 2 * SWING:
        windows = np.lib.stride_tricks.sliding_window_view(values, 2 * SWING + 1)
        found[SWING:-SWING] = values[SWING:-SWING] >= windows.max(axis=1)
    return found


def _usual(values: Floats, at: Rows) -> Floats:
    """Return the mean of the ``USUAL_BARS`` values up to each bar, of those that are numbers."""
    windows = values[at[:, None] + np.arange(1 - USUAL_BARS, 1)]
    found: Floats = np.add.reduce(windows, axis=1) / USUAL_BARS
    for row in np.flatnonzero(np.isnan(windows[:, 0])):
        found[row] = np.nanmean(windows[row])
    return found


def regimes(frame: Frame, known: Indicators, at: Rows) -> list[Regime]:
    """Return the kind of market of the symbol itself.

    Volatile when the ATR is twice its mean of up to 100 bars; sideways when ADX is below 20 or the averages
    disagree; otherwise bull or bear by EMA20 against EMA50 and close against SMA200.
    """
    is_wild = known.atr[at] >= 2 * _usual(known.atr, at)
    is_up = known.ema20[at] > known.ema50[at]
    is_aimless = (known.adx[at] < WEAK_ADX) | (is_up != (frame.close[at] > known.sma_long[at]))
    kinds = np.where(is_wild, 0, np.where(is_aimless, 1, np.where(is_up, 2, 3)))
    return [_KINDS[kind] for kind in kinds.tolist()]


_KINDS = (Regime.VOLATILE, Regime.SIDEWAYS, Regime.BULL, Regime.BEAR)


def _lean(values: Floats) -> Floats:
    """Return 0 for -1 and less, 0.5 for 0, 1 for 1 and more."""
    return (1 + np.clip(values, -1.0, 1.0)) / 2
