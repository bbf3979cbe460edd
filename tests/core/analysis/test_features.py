"""Features: what they hold, and that nothing of the future is in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.analysis.features import FEATURES, features, outcomes
from apex_cli.core.analysis.frame import Frame
from kit.bars import wander

WARM = 100


def column(frame: Frame, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = features(frame)[:, FEATURES.index(name)]
    return found


def test_there_are_about_thirty_and_every_one_is_known_after_a_hundred_bars(real_frames: list[Frame]) -> None:
    assert 28 <= len(FEATURES) == len(set(FEATURES)) <= 35
    for frame in real_frames:
        table = features(frame)
        assert table.shape == (len(frame), len(FEATURES))
        assert np.isfinite(table[WARM:]).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(101, 259))
def test_no_feature_changes_when_later_bars_are_appended(seed: int, count: int) -> None:
    frame = wander(seed)
    np.testing.assert_array_equal(features(frame.first(count)), features(frame)[:count])


@pytest.mark.parametrize("count", [120, 200, 299])
def test_nor_on_real_bars(count: int, real_frames: list[Frame]) -> None:
    for frame in real_frames:
        if len(frame) > count:
            np.testing.assert_array_equal(features(frame.first(count)), features(frame)[:count])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 3.0, 100.0]))
def test_the_price_level_is_in_none_of_them(seed: int, scale: float) -> None:
    frame = wander(seed)
    scaled = replace(frame, **{name: getattr(frame, name) * scale for name in ("open", "high", "low", "close")})
    np.testing.assert_allclose(features(scaled)[WARM:], features(frame)[WARM:], atol=1e-6)


def test_a_few_by_hand() -> None:
    frame = wander(5)
    assert column(frame, "return_5")[-1] == pytest.approx(np.log(frame.close[-1] / frame.close[-6]))
    assert column(frame, "return_1_lag_2")[-1] == pytest.approx(np.log(frame.close[-3] / frame.close[-4]))
    assert column(frame, "gap")[-1] == pytest.approx(frame.open[-1] / frame.close[-2] - 1)
    reach = frame.high[-1] - frame.low[-1]
    assert column(frame, "candle_body")[-1] == pytest.approx((frame.close[-1] - frame.open[-1]) / reach)


def test_a_bar_without_range_and_a_symbol_without_volume_are_neutral() -> None:
    frame = wander(5)
    for name in ("open", "high", "low"):
        getattr(frame, name)[-1] = frame.close[-1]
    assert column(frame, "candle_body")[-1] == column(frame, "candle_upper_shadow")[-1] == 0
    silent = replace(frame, volume=np.zeros(260))
    assert column(silent, "volume_ratio")[-1] == column(silent, "volume_trend")[-1] == 1
    assert np.isfinite(features(silent)[WARM:]).all()


def test_an_outcome_is_whether_the_next_close_is_higher() -> None:
    frame = wander(5, 101)
    known = outcomes(frame)
    assert np.isnan(known[-1])
    np.testing.assert_array_equal(known[:-1], np.diff(frame.close) > 0)
