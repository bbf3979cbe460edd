"""What scanners look for: on real bars, on mirrored ones, and with no look ahead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.analysis.frame import Floats, Frame
from apex_cli.core.analysis.indicators import indicators
from apex_cli.core.analysis.scans import mean_reversion, momentum_breakout, trend_following, volume_reversal
from kit.bars import wander
from kit.frames import mirrored

SCANS = [mean_reversion, volume_reversal, momentum_breakout, trend_following]
Scan = Callable[..., Floats]


def spiky(seed: int, bars: int = 260) -> Frame:
    """Return a walk whose volumes jump often enough for every scanner to see something now and then."""
    frame = wander(seed, bars, step=0.03)
    frame.volume[::7] *= 4
    return frame


def hits(scan: Scan, frame: Frame, sign: int = 1) -> Floats:
    return scan(frame, indicators(frame), sign)


@pytest.mark.parametrize("scan", SCANS)
def test_each_finds_something_but_not_much_in_real_bars(scan: Scan, real_frames: list[Frame]) -> None:
    found = np.concatenate([hits(scan, frame, sign) for frame in real_frames for sign in (1, -1)])
    assert 0 < np.count_nonzero(found) < 0.1 * len(found)
    strong = found[found > 0]
    assert strong.min() >= 0.65
    assert strong.max() <= 0.90


@pytest.mark.parametrize("scan", SCANS)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), count=st.integers(101, 259), sign=st.sampled_from([1, -1]))
def test_no_hit_changes_when_later_bars_are_appended(scan: Scan, seed: int, count: int, sign: int) -> None:
    frame = spiky(seed)
    np.testing.assert_array_equal(hits(scan, frame.first(count), sign), hits(scan, frame, sign)[:count])


@pytest.mark.parametrize("scan", SCANS)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_a_short_is_found_where_the_mirror_shows_a_long(scan: Scan, seed: int) -> None:
    frame = spiky(seed)
    np.testing.assert_allclose(hits(scan, frame, -1), hits(scan, mirrored(frame), 1), atol=1e-6)


def test_mean_reversion_is_rsi_below_the_bound_and_surer_the_lower(real_frames: list[Frame]) -> None:
    frame = real_frames[-1]
    known = indicators(frame)
    found = mean_reversion(frame, known, 1)
    np.testing.assert_array_equal(found > 0, known.rsi < 30)
    assert np.count_nonzero(mean_reversion(frame, known, 1, rsi_below=20)) < np.count_nonzero(found)


def test_a_breakout_closes_above_every_high_before_on_enough_volume(real_frames: list[Frame]) -> None:
    for frame in real_frames:
        for bar in np.flatnonzero(hits(momentum_breakout, frame)):
            assert frame.close[bar] > frame.high[bar - 20 : bar].max()
            assert frame.volume[bar] >= 1.5 * frame.volume[bar - 20 : bar].mean() * (1 - 1e-9)


def test_a_volume_reversal_turns_a_fall_around_on_enough_volume(real_frames: list[Frame]) -> None:
    for frame in real_frames:
        for bar in np.flatnonzero(hits(volume_reversal, frame)):
            assert frame.volume[bar] >= 2.5 * frame.volume[bar - 20 : bar].mean() * (1 - 1e-9)
            assert frame.close[bar] > frame.open[bar]
            assert frame.close[bar - 1] < frame.close[bar - 6]


def test_trend_following_joins_after_a_pause_in_a_trend(real_frames: list[Frame]) -> None:
    for frame in real_frames:
        known = indicators(frame)
        for bar in np.flatnonzero(hits(trend_following, frame)):
            assert known.ema20[bar] > known.ema50[bar]
            assert known.adx[bar] >= 25
            assert frame.close[bar] > known.ema20[bar]
            assert frame.close[bar - 1] <= known.ema20[bar - 1]


@pytest.mark.parametrize("scan", SCANS)
def test_prices_that_do_not_move_are_no_signal(scan: Scan) -> None:
    frame = wander(1)
    for column in (frame.open, frame.high, frame.low, frame.close):
        column[:] = 42.0
    assert not hits(scan, frame).any()
    assert not hits(scan, frame, -1).any()
