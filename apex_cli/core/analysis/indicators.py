"""The usual indicators, by TA-Lib; each value at bar t is made of bars up to t alone.

Where history is too short a value is NaN. Definitions: ta-lib.org/functions; Wilder, *New Concepts in
Technical Trading Systems* (1978), for RSI, ATR and ADX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Floats, Frame, once_a_frame
from apex_cli.core.analysis.ta_lib import talib

VOLUME_DAYS = 20
LONG, LONG_IF_SHORT = 200, 100
STILL_BARS, LOOKS = 14, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Indicators:
    """One array per indicator, as long as the frame."""

    ema20: Floats
    ema50: Floats
    sma_long: Floats
    """SMA200, and SMA100 where there are not 200 bars yet."""

    adx: Floats
    plus_di: Floats
    minus_di: Floats
    rsi: Floats
    macd: Floats
    macd_signal: Floats
    macd_hist: Floats
    stoch_k: Floats
    stoch_d: Floats
    roc10: Floats
    """Change over 10 bars in percent."""

    atr: Floats
    """Average true range, price units."""

    bollinger_upper: Floats
    bollinger_middle: Floats
    bollinger_lower: Floats
    volume_ratio: Floats
    """Volume over the mean of the 20 bars before it; NaN where that mean is 0."""

    volume_trend: Floats
    """Mean volume of 5 bars over that of 20; NaN where the latter is 0."""

    dollar_volume: Floats
    """Mean of close * volume over 20 bars."""


FORMULAS: dict[str, Callable[[Frame], Floats]] = {
    "ema20": lambda f: talib.EMA(f.close, 20),
    "ema50": lambda f: talib.EMA(f.close, 50),
    "sma_long": lambda f: np.where(
        np.isnan(sma200 := talib.SMA(f.close, LONG)), talib.SMA(f.close, LONG_IF_SHORT), sma200
    ),
    "adx": lambda f: talib.ADX(f.high, f.low, f.close, 14),
    "plus_di": lambda f: talib.PLUS_DI(f.high, f.low, f.close, 14),
    "minus_di": lambda f: talib.MINUS_DI(f.high, f.low, f.close, 14),
    "rsi": lambda f: talib.RSI(f.close, 14),
    "macd": lambda f: talib.MACD(f.close, 12, 26, 9)[0],
    "macd_signal": lambda f: talib.MACD(f.close, 12, 26, 9)[1],
    "macd_hist": lambda f: talib.MACD(f.close, 12, 26, 9)[2],
    "stoch_k": lambda f: _stochastic(f)[0],
    "stoch_d": lambda f: _stochastic(f)[1],
    "roc10": lambda f: talib.ROC(f.close, 10),
    "atr": lambda f: talib.ATR(f.high, f.low, f.close, 14),
    "bollinger_upper": lambda f: talib.BBANDS(f.close, timeperiod=20, nbdevup=2, nbdevdn=2)[0],
    "bollinger_middle": lambda f: talib.BBANDS(f.close, timeperiod=20, nbdevup=2, nbdevdn=2)[1],
    "bollinger_lower": lambda f: talib.BBANDS(f.close, timeperiod=20, nbdevup=2, nbdevdn=2)[2],
    "volume_ratio": lambda f: ratio(f.volume, delayed(talib.SMA(f.volume, VOLUME_DAYS))),
    "volume_trend": lambda f: ratio(talib.SMA(f.volume, 5), talib.SMA(f.volume, VOLUME_DAYS)),
    "dollar_volume": lambda f: talib.SMA(f.close * f.volume, VOLUME_DAYS),
}
"""How each indicator is computed, by its field in ``Indicators``."""


def _stochastic(frame: Frame) -> tuple[Floats, Floats]:
    found: tuple[Floats, Floats] = talib.STOCH(
        frame.high, frame.low, frame.close, fastk_period=14, slowk_period=3, slowd_period=3
    )
    return found


def indicators(frame: Frame) -> Indicators:
    """Return every indicator of *frame*, which must be finite."""
    return Indicators(**{name: formula(frame) for name, formula in FORMULAS.items()})


indicators_of = once_a_frame(indicators)


class LazyIndicators:
    """The indicators of a frame, each computed when it is first asked for."""

    def __init__(self, frame: Frame) -> None:
        """Compute nothing yet."""
        self._frame = frame

    def __getattr__(self, name: str) -> Floats:
        """Return an indicator by the name of its field in ``Indicators``."""
        formula = FORMULAS.get(name)
        if formula is None:
            raise AttributeError(f"there is no indicator {name!r}; known are {', '.join(FORMULAS)}")
        found = self.__dict__[name] = formula(self._frame)
        return found


def delayed(values: Floats, bars: int = 1) -> Floats:
    """Return what *values* were *bars* ago; NaN at the start."""
    moved = np.full_like(values, np.nan)
    moved[bars:] = values[:-bars]
    return moved


def ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where *below* is not a positive number."""
    good = below > 0
    result: Floats = np.where(good, above / np.where(good, below, 1.0), np.nan)
    return result


def flat_bars(frame: Frame) -> NDArray[np.bool_]:
    """Return at which bars any ``STILL_BARS`` bars that ended in the last five bars up to it had no range at all.

    Oscillators divide by that range: their value would be an artefact of the library.
    """
    still = talib.MAX(frame.high, STILL_BARS) <= talib.MIN(frame.low, STILL_BARS)
    found: NDArray[np.bool_] = np.convolve(still, np.ones(LOOKS, dtype=np.int64))[: len(still)] > 0
    return found
