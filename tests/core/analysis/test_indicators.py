"""Indicators: TA-Lib's numbers, the same however much comes after."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.analysis.frame import Frame
from apex_cli.core.analysis.indicators import Indicators, LazyIndicators, delayed, flat_bars, indicators, ratio
from kit.bars import wander
from kit.frames import mirrored

COUNT = st.integers(min_value=101, max_value=259)


def test_each_equals_ta_lib_by_its_definition_on_real_bars(real_frames: list[Frame]) -> None:
    for frame in real_frames:
        known = indicators(frame)
        expected = {
            "ema20": talib.EMA(frame.close, timeperiod=20),
            "ema50": talib.EMA(frame.close, timeperiod=50),
            "adx": talib.ADX(frame.high, frame.low, frame.close, timeperiod=14),
            "plus_di": talib.PLUS_DI(frame.high, frame.low, frame.close, timeperiod=14),
            "minus_di": talib.MINUS_DI(frame.high, frame.low, frame.close, timeperiod=14),
            "rsi": talib.RSI(frame.close, timeperiod=14),
            "macd_hist": talib.MACD(frame.close, fastperiod=12, slowperiod=26, signalperiod=9)[2],
            "stoch_k": talib.STOCH(frame.high, frame.low, frame.close, fastk_period=14, slowk_period=3, slowd_period=3)[
                0
            ],
            "stoch_d": talib.STOCH(frame.high, frame.low, frame.close, fastk_period=14, slowk_period=3, slowd_period=3)[
                1
            ],
            "roc10": talib.ROC(frame.close, timeperiod=10),
            "atr": talib.ATR(frame.high, frame.low, frame.close, timeperiod=14),
            "bollinger_upper": talib.BBANDS(frame.close, timeperiod=20, nbdevup=2, nbdevdn=2)[0],
        }
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(known, name), values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_one_at_a_time_they_are_the_same(real_frames: list[Frame]) -> None:
    frame = real_frames[0]
    all_of_them, one_by_one = indicators(frame), LazyIndicators(frame)
    for field in fields(Indicators):
        np.testing.assert_array_equal(getattr(one_by_one, field.name), getattr(all_of_them, field.name))
    assert one_by_one.rsi is one_by_one.rsi
    with pytest.raises(AttributeError, match="no indicator 'rsi14'; known are ema20, ema50"):
        _ = one_by_one.rsi14


def test_a_few_are_what_their_textbook_formula_gives(real_frames: list[Frame]) -> None:
    frame = real_frames[0]
    known = indicators(frame)
    assert known.sma_long[-1] == pytest.approx(frame.close[-200:].mean(), rel=1e-9)
    assert known.sma_long[150] == pytest.approx(frame.close[51:151].mean(), rel=1e-9)
    assert known.roc10[-1] == pytest.approx(100 * (frame.close[-1] / frame.close[-11] - 1), rel=1e-9)
    assert known.bollinger_upper[-1] == pytest.approx(frame.close[-20:].mean() + 2 * frame.close[-20:].std(), rel=1e-9)
    assert known.volume_ratio[-1] == pytest.approx(frame.volume[-1] / frame.volume[-21:-1].mean(), rel=1e-9)
    assert known.volume_trend[-1] == pytest.approx(frame.volume[-5:].mean() / frame.volume[-20:].mean(), rel=1e-9)
    alpha, ema = 2 / 21, frame.close[:20].mean()
    for close in frame.close[20:]:
        ema += alpha * (close - ema)
    assert known.ema20[-1] == pytest.approx(ema, rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), count=COUNT)
def test_no_value_changes_when_later_bars_are_appended(seed: int, count: int) -> None:
    frame = wander(seed)
    whole, part = indicators(frame), indicators(frame.first(count))
    for field in fields(Indicators):
        np.testing.assert_array_equal(getattr(part, field.name), getattr(whole, field.name)[:count], field.name)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_the_mirror_turns_every_indicator_around(seed: int) -> None:
    frame = wander(seed)
    up, down = indicators(frame), indicators(mirrored(frame))
    axis = 2 * frame.close[-1]
    for name in ("ema20", "ema50", "sma_long", "bollinger_middle"):
        np.testing.assert_allclose(getattr(down, name), axis - getattr(up, name), rtol=1e-8)
    np.testing.assert_allclose(down.rsi, 100 - up.rsi, atol=1e-7)
    np.testing.assert_allclose(down.stoch_k, 100 - up.stoch_k, atol=1e-7)
    np.testing.assert_allclose(down.macd_hist, -up.macd_hist, atol=1e-8)
    np.testing.assert_allclose(down.plus_di, up.minus_di, atol=1e-7)
    for name in ("atr", "adx", "volume_ratio", "volume_trend"):
        np.testing.assert_allclose(getattr(down, name), getattr(up, name), rtol=1e-7)


def test_a_window_without_any_range_is_flat() -> None:
    frame = wander(1)
    assert not flat_bars(frame).any()
    for column in (frame.open, frame.high, frame.low, frame.close):
        column[-16:-2] = 50.0
    assert flat_bars(frame)[-1]
    assert not flat_bars(frame)[-7]


def test_ratio_and_delay_say_nan_where_nothing_is_known() -> None:
    values = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(delayed(values), [np.nan, 1.0, 2.0])
    np.testing.assert_array_equal(ratio(values, np.array([0.0, np.nan, 2.0])), [np.nan, np.nan, 1.5])
