"""Trades from each bar: which of stop and target comes first, by hand, and what was known at the entry."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from apex_cli.core.analysis.barriers import COLUMNS, MOST_BARS, STOPS, TERMS, decided, trade_row, trades_of
from apex_cli.core.analysis.features import FEATURES
from apex_cli.core.analysis.frame import Frame
from kit.bars import wander


def frame(*bars: tuple[float, float, float]) -> Frame:
    """Return bars of high, low, close."""
    high, low, close = (np.array(values, dtype=float) for values in zip(*bars, strict=True))
    count = len(bars)
    return Frame(
        symbol="X",
        ends=np.arange(count, dtype=np.int64) * 86_400,
        open=close,
        high=high,
        low=low,
        close=close,
        volume=np.ones(count),
    )


def test_the_first_barrier_decides_and_a_bar_with_both_counts_for_the_stop() -> None:
    bars = frame((100, 100, 100), (103, 99.5, 102), (104.5, 97.5, 100), (101, 99.2, 101), (105, 100, 104))
    two_and_four = np.tile([2.0, 4.0], (5, 1))
    won, last = decided(bars, two_and_four, 1)
    # 100: bar 2 has 97.50 (stop 98) and 104.50 (target 104). 102: bar 2 has 97.50, its stop is 100.
    # 100: bar 4 reaches 104. 101: bar 4 reaches 105. The last has no bar after it.
    assert won.tolist()[:4] == [0, 0, 1, 1]
    assert last.tolist() == [2, 2, 4, 4, -1]
    short, when = decided(bars, two_and_four, -1)
    # 100: bar 1 has 103, its stop is 102. 102: bar 2 has 104.50, its stop is 104. 100: bar 4 has 105, its stop is 102.
    assert short.tolist()[:4] == [0, 0, 0, 0]
    assert when.tolist() == [1, 2, 4, 4, -1]


def test_a_short_wins_where_prices_fall() -> None:
    bars = frame((100, 100, 100), (101, 97, 98), (99, 95.9, 96))
    won, last = decided(bars, np.tile([2.0, 4.0], (3, 1)), -1)
    assert (won.tolist()[0], last.tolist()[0]) == (1, 2)


def test_what_is_not_decided_in_time_is_left_out() -> None:
    quiet = frame(*[(100, 100, 100)] * (MOST_BARS + 2), (110, 110, 110))
    _, last = decided(quiet, np.tile([5.0, 5.0], (len(quiet), 1)), 1)
    assert last[0] == last[1] == -1
    assert last[2] == MOST_BARS + 2


def test_each_bar_with_features_gives_a_long_and_a_short_with_known_terms() -> None:
    walk = wander(3, 300)
    trades = trades_of([walk])
    assert trades.rows.shape[1] == len(COLUMNS)
    side, stop, target, fair = (trades.rows[:, COLUMNS.index(name)] for name in TERMS)
    assert set(side) == {1.0, -1.0}
    assert set(stop) == set(STOPS)
    np.testing.assert_allclose(fair, np.log(stop / target))
    assert (np.diff(trades.ends) >= 0).all()
    assert (trades.until > trades.ends).all()
    row = trade_row(np.zeros(len(FEATURES)), -1, 1.0, 2.0)
    assert row[-4:].tolist() == [-1, 1, 2, pytest.approx(log(0.5))]


def test_without_drift_targets_come_first_as_often_as_their_distance_says() -> None:
    frames = [wander(seed, 1500) for seed in range(4)]
    trades = trades_of(frames)
    fair = 1 / (1 + np.exp(-trades.rows[:, COLUMNS.index("fair_log_odds")]))
    assert trades.targets.mean() == pytest.approx(fair.mean(), abs=0.03)


def test_later_bars_change_no_row_of_an_earlier_one() -> None:
    walk = wander(5, 400)
    whole, part = trades_of([walk]), trades_of([walk.first(300)])
    known = {(end, row[-4]): row for end, row in zip(whole.ends.tolist(), whole.rows, strict=True)}
    for end, row in zip(part.ends.tolist(), part.rows, strict=True):
        np.testing.assert_allclose(row, known[end, row[-4]])


def test_frames_that_cannot_be_used_give_none() -> None:
    odd = wander(1)
    odd.close[50] = np.nan
    assert len(trades_of([odd, replace(wander(2)).first(1)])) == 0
