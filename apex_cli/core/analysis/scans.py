"""What scanners look for: functions over all bars that give a confidence where a signal is, and 0 elsewhere.

The value at bar t is made of bars up to t alone. *sign* is 1 for a purchase, -1 for a short sale, which is the
same rule on the mirrored picture. Confidence starts at 0.65 where the bound is just met and reaches 0.90.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Floats, Frame
from apex_cli.core.analysis.indicators import Indicators, delayed
from apex_cli.core.analysis.ta_lib import talib

LEAST, SPAN = 0.65, 0.25
FALL_BARS = 5


def mean_reversion(frame: Frame, known: Indicators, sign: int, *, rsi_below: float = 30.0) -> Floats:
    """Find closes whose RSI14 is below *rsi_below*: what fell too fast tends to come back.

    Confidence grows until RSI is 15 points below the bound.
    """
    strength = known.rsi if sign > 0 else 100 - known.rsi
    moves = talib.MAX(frame.high, 14) > talib.MIN(frame.low, 14)
    return _confidence((strength < rsi_below) & moves, (rsi_below - strength) / 15)


def volume_reversal(frame: Frame, known: Indicators, sign: int, *, volume_multiple: float = 2.5) -> Floats:
    """Find the bar where a spike of volume turns a fall around.

    The five bars before fell by at least one ATR; this bar has *volume_multiple* times the usual volume, closes
    above its open and in the upper half of its range: sellers gave up, buyers took it all. Confidence grows until
    the volume is twice the bound.
    """
    before = delayed(frame.close)
    fell = sign * (delayed(frame.close, FALL_BARS + 1) - before) >= delayed(known.atr)
    turned = (sign * (frame.close - frame.open) > 0) & (sign * (2 * frame.close - frame.high - frame.low) > 0)
    spike = known.volume_ratio >= volume_multiple
    return _confidence(fell & turned & spike, known.volume_ratio / volume_multiple - 1)


def momentum_breakout(
    frame: Frame, known: Indicators, sign: int, *, volume_multiple: float = 1.5, lookback: int = 20
) -> Floats:
    """Find closes beyond every price of the *lookback* bars before, on *volume_multiple* times the usual volume.

    Confidence grows until the volume is twice the bound.
    """
    beyond = (
        frame.close > delayed(talib.MAX(frame.high, lookback))
        if sign > 0
        else frame.close < delayed(talib.MIN(frame.low, lookback))
    )
    confirmed = known.volume_ratio >= volume_multiple
    return _confidence(beyond & confirmed, known.volume_ratio / volume_multiple - 1)


def trend_following(frame: Frame, known: Indicators, sign: int, *, min_adx: float = 25.0) -> Floats:
    """Find closes that come back over EMA20 in a strong trend: EMA20 beyond EMA50, close beyond SMA200, ADX high.

    Confidence grows until ADX is 25 points above the bound.
    """
    gap = sign * (frame.close - known.ema20)
    trend = (sign * (known.ema20 - known.ema50) > 0) & (sign * (frame.close - known.sma_long) > 0)
    strong = (known.adx >= min_adx) & (sign * (known.plus_di - known.minus_di) > 0)
    return _confidence((gap > 0) & (delayed(gap) <= 0) & trend & strong, (known.adx - min_adx) / 25)


def _confidence(hits: NDArray[np.bool_], excess: Floats) -> Floats:
    """Return 0.65 + 0.25 * *excess*, cut to 0..1, where there is a hit, and 0 elsewhere."""
    grown = LEAST + SPAN * np.clip(np.nan_to_num(excess), 0.0, 1.0)
    result: Floats = np.where(hits, grown, 0.0)
    return result
