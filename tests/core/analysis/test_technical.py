"""The technical picture: its parts, its mirror, and what it refuses to judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.analysis.frame import Frame
from apex_cli.core.analysis.technical import Regime, Technical, Unusable, analyse, composite, pictures
from kit.bars import wander
from kit.frames import mirrored

SEEDS = st.integers(0, 10_000)


def judged(frame: Frame, sign: int = 1) -> Technical:
    found = analyse(frame, sign)
    assert isinstance(found, Technical)
    return found


def rising(step: float = 0.004) -> Frame:
    """Return a year of steady gains with little noise, and rising volumes."""
    frame = wander(3, 260, step=0.002, drift=step)
    return replace(frame, volume=np.linspace(1e6, 4e6, 260))


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, step=st.sampled_from([0.002, 0.01, 0.05]), drift=st.sampled_from([-0.005, 0.0, 0.005]))
def test_a_short_sees_the_mirrored_picture(seed: int, step: float, drift: float) -> None:
    frame = wander(seed, step=step, drift=drift)
    short, long = judged(frame, -1), judged(mirrored(frame), 1)
    for name in ("trend", "momentum", "volume", "volatility", "composite", "atr", "volume_ratio"):
        assert getattr(short, name) == pytest.approx(getattr(long, name), abs=1e-7), name


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, sign=st.sampled_from([1, -1]), step=st.sampled_from([0.0005, 0.02, 0.3]))
def test_every_score_lies_between_0_and_1_and_the_composite_is_their_weighted_sum(
    seed: int, sign: int, step: float
) -> None:
    found = judged(wander(seed, step=step), sign)
    scores = (found.trend, found.momentum, found.volume, found.volatility, found.composite)
    assert all(0 <= score <= 1 for score in scores)
    assert found.composite == pytest.approx(
        0.3 * found.trend + 0.3 * found.momentum + 0.2 * found.volume + 0.2 * (1 - found.volatility)
    )


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_the_trend_of_a_long_and_a_short_add_up_to_one(seed: int) -> None:
    frame = wander(seed)
    assert judged(frame, 1).trend + judged(frame, -1).trend == pytest.approx(1)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, scale=st.floats(0.01, 100))
def test_the_price_level_does_not_matter(seed: int, scale: float) -> None:
    frame = wander(seed)
    scaled = replace(frame, **{name: getattr(frame, name) * scale for name in ("open", "high", "low", "close")})
    assert judged(scaled).composite == pytest.approx(judged(frame).composite, abs=1e-7)


def test_a_steady_rise_is_a_bull_market_good_for_a_long_and_bad_for_a_short() -> None:
    long, short = judged(rising(), 1), judged(rising(), -1)
    assert long.trend > 0.9
    assert long.composite > 0.7
    assert short.trend < 0.1
    assert short.composite < 0.5
    assert long.regime is Regime.BULL
    assert judged(mirrored(rising()), 1).regime is Regime.BEAR


def test_a_shock_makes_the_market_volatile_and_the_risk_high() -> None:
    frame = wander(5, step=0.005)
    calm = judged(frame)
    shock = np.ones(260)
    shock[-5:] = [1.1, 0.85, 1.15, 0.9, 1.2]
    wild = judged(replace(frame, **{name: getattr(frame, name) * shock for name in ("open", "high", "low", "close")}))
    assert wild.regime is Regime.VOLATILE
    assert wild.volatility > 0.9
    assert calm.volatility < 0.5


def test_more_volume_scores_higher_and_none_says_nothing() -> None:
    frame = wander(7)
    volumes = [replace(frame, volume=np.r_[np.full(259, 1e6), last]) for last in (0.0, 1e6, 2e6, 9e6)]
    scores = [judged(one).volume for one in volumes]
    assert scores == sorted(scores)
    assert scores[1] == pytest.approx(0.5)
    silent = judged(replace(frame, volume=np.zeros(260)))
    assert silent.volume == 0.5
    assert silent.volume_ratio is None


def test_support_lies_below_and_resistance_above_at_real_swings() -> None:
    frame = wander(11)
    found = judged(frame)
    assert found.support is None or (found.support < frame.close[-1] and found.support in frame.low)
    assert found.resistance is None or (found.resistance > frame.close[-1] and found.resistance in frame.high)
    assert found.support is not None or found.resistance is not None


def test_at_the_highest_price_ever_nothing_resists() -> None:
    frame = rising()
    top = frame.close.copy()
    top[-1] = frame.high.max() * 1.01
    found = judged(replace(frame, close=top, high=np.maximum(frame.high, top)))
    assert found.resistance is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f.first(99), Unusable.TOO_SHORT),
        (lambda f: replace(f, close=np.where(np.arange(260) == 130, np.nan, f.close)), Unusable.NOT_FINITE),
        (lambda f: replace(f, volume=np.where(np.arange(260) == 259, np.inf, f.volume)), Unusable.NOT_FINITE),
        (lambda f: replace(f, **dict.fromkeys(("open", "high", "low", "close"), np.full(260, 50.0))), Unusable.FLAT),
    ],
)
def test_what_cannot_be_judged_is_said(change: object, expected: Unusable) -> None:
    assert callable(change)
    assert analyse(change(wander(1)), 1) is expected


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    sign=st.sampled_from([1, -1]),
    step=st.sampled_from([0.002, 0.02, 0.1]),
    counts=st.sets(st.integers(90, 260), min_size=1, max_size=12),
    odd=st.sampled_from(["", "silent", "still", "no number"]),
)
def test_many_bars_at_once_give_to_the_last_bit_what_each_beginning_gives(
    seed: int, sign: int, step: float, counts: set[int], odd: str
) -> None:
    frame = wander(seed, step=step)
    if odd == "silent":
        frame.volume[100:180] = 0
    if odd == "still":
        for column in (frame.open, frame.high, frame.low, frame.close):
            column[150:170] = column[150]
    if odd == "no number":
        frame.close[230] = np.nan
    at = np.array(sorted(counts)) - 1
    alone = [analyse(frame.first(count), sign) for count in sorted(counts)]
    assert pictures(frame, sign, at) == alone
    assert [analyse(frame, sign, count, at) for count in sorted(counts)] == alone
    assert [analyse(replace(frame), sign, count) for count in sorted(counts)] == alone


def test_the_weights_are_those_that_are_reported() -> None:
    assert composite(1, 0, 0, 1) == pytest.approx(0.30)
    assert composite(0, 1, 0, 1) == pytest.approx(0.30)
    assert composite(0, 0, 1, 1) == pytest.approx(0.20)
    assert composite(0, 0, 0, 0) == pytest.approx(0.20)
