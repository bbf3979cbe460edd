"""What the predictor sees of a bar: numbers without a price level, made of bars up to that one alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from apex_cli.core.analysis.frame import Floats, Frame, once_a_frame
from apex_cli.core.analysis.indicators import Indicators, delayed, indicators_of, ratio
from apex_cli.core.analysis.ta_lib import talib

FEATURES = (
    "return_1", "return_2", "return_3", "return_5", "return_10", "return_20",
    "return_1_lag_1", "return_1_lag_2", "return_1_lag_3",
    "volatility_5", "volatility_20", "volatility_ratio",
    "close_to_ema20", "close_to_ema50", "ema20_to_ema50", "close_to_sma100",
    "rsi_14", "rsi_7", "macd", "macd_histogram", "stochastic_k", "stochastic_d",
    "bollinger_position", "bollinger_width", "atr_fraction", "adx", "di_difference",
    "volume_ratio", "volume_trend",
    "candle_body", "candle_upper_shadow", "candle_lower_shadow", "gap",
)  # fmt: skip
"""Names of the columns, in their order; a stored model is bound to them."""

RETURNS = (1, 2, 3, 5, 10, 20)
LAGS = (1, 2, 3)


def features(frame: Frame) -> Floats:
    """Return one row per bar and one column per name of ``FEATURES``; NaN where history is too short.

    Returns are logarithmic. Averages, MACD and true ranges are parts of the close, the candle's parts are parts of
    its range, volumes are parts of their mean; a symbol without volumes counts as at its mean.
    """
    known = indicators_of(frame)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {**_returns(frame), **_averages(frame, known), **_oscillators(frame, known), **_shape(frame)}
    columns |= {name: np.nan_to_num(getattr(known, name), nan=1.0) for name in ("volume_ratio", "volume_trend")}
    return np.column_stack([columns[name] for name in FEATURES])


features_of = once_a_frame(features)


def _returns(frame: Frame) -> dict[str, Floats]:
    logs = np.log(frame.close)
    moves = logs - delayed(logs)
    fast, slow = talib.STDDEV(moves, 5), talib.STDDEV(moves, 20)
    return {
        **{f"return_{bars}": logs - delayed(logs, bars) for bars in RETURNS},
        **{f"return_1_lag_{bars}": delayed(moves, bars) for bars in LAGS},
        "volatility_5": fast,
        "volatility_20": slow,
        "volatility_ratio": ratio(fast, slow),
    }


def _averages(frame: Frame, known: Indicators) -> dict[str, Floats]:
    return {
        "close_to_ema20": frame.close / known.ema20 - 1,
        "close_to_ema50": frame.close / known.ema50 - 1,
        "ema20_to_ema50": known.ema20 / known.ema50 - 1,
        "close_to_sma100": frame.close / talib.SMA(frame.close, 100) - 1,
    }


def _oscillators(frame: Frame, known: Indicators) -> dict[str, Floats]:
    width = known.bollinger_upper - known.bollinger_lower
    return {
        "rsi_14": known.rsi / 100,
        "rsi_7": talib.RSI(frame.close, 7) / 100,
        "macd": known.macd / frame.close,
        "macd_histogram": known.macd_hist / frame.close,
        "stochastic_k": known.stoch_k / 100,
        "stochastic_d": known.stoch_d / 100,
        "bollinger_position": ratio(frame.close - known.bollinger_lower, width),
        "bollinger_width": width / known.bollinger_middle,
        "atr_fraction": known.atr / frame.close,
        "adx": known.adx / 100,
        "di_difference": (known.plus_di - known.minus_di) / 100,
    }


def _shape(frame: Frame) -> dict[str, Floats]:
    """Return the candle's parts; a bar without range has none."""
    reach = frame.high - frame.low
    upper = frame.high - np.maximum(frame.open, frame.close)
    lower = np.minimum(frame.open, frame.close) - frame.low
    parts = {"candle_body": frame.close - frame.open, "candle_upper_shadow": upper, "candle_lower_shadow": lower}
    shape = {name: np.where(reach > 0, part / np.where(reach > 0, reach, 1.0), 0.0) for name, part in parts.items()}
    return {**shape, "gap": frame.open / delayed(frame.close) - 1}


def outcomes(frame: Frame) -> Floats:
    """Return what each bar's prediction is about: 1 where the next close is higher, else 0; NaN at the last bar."""
    result = np.full(len(frame), np.nan)
    result[:-1] = frame.close[1:] > frame.close[:-1]
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Rows of all symbols with their outcomes, oldest first."""

    rows: Floats
    """One row per sample, columns as ``FEATURES``."""

    targets: NDArray[np.int64]
    """1 where the next close was higher, else 0."""

    ends: NDArray[np.int64]
    """End of the bar of each row, seconds since 1970 UTC."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.targets)

    def where(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the samples where *which* is true, or those with these numbers, in their order."""
        columns = {field.name: getattr(self, field.name)[which] for field in fields(self)}
        return replace(self, **columns)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the samples of one or more *parts*, in the order of time."""
        columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        found = cls(**columns)
        return found.where(np.argsort(found.ends, kind="stable"))
