from __future__ import annotations

import sys
from datetime import timedelta
from decimal import Decimal
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.money import Usd
from apex_cli.core.reports import measures
from apex_cli.core.reports.measures import EquityCurve, expectancy_interval
from kit import START

pytest.importorskip("numpy")
D = Decimal


def curve(*equity: str | int) -> EquityCurve:
    found = EquityCurve()
    for day, value in enumerate(equity):
        found.add(START + timedelta(days=day), Usd(D(value)), f"day {day:04}")
    return found


def test_the_deepest_fall_is_measured_from_the_high_before_it() -> None:
    found = curve(100, 120, 90, 130, 117, 125)
    assert found.drawdown.fraction == D("0.25")
    assert (found.drawdown.peak_at, found.drawdown.low_at) == (START + timedelta(days=1), START + timedelta(days=2))
    assert [point.drawdown for point in found.points] == [0, 0, D("0.25"), 0, D("0.1"), D("0.0385")]


def test_a_session_is_one_point_and_its_worst_moment_still_counts() -> None:
    found = EquityCurve()
    for minute, value in enumerate((100, 80, 110)):
        found.add(START + timedelta(minutes=minute), Usd(D(value)), "today")
    assert [point.equity for point in found.points] == [110]
    assert found.start == 100
    assert found.drawdown.fraction == D("0.2")


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40))
def test_a_drawdown_is_between_nothing_and_all(equity: list[int]) -> None:
    found = curve(*equity)
    assert 0 <= found.drawdown.fraction < 1
    worst = max((max(equity[: n + 1]) - value) / max(equity[: n + 1]) for n, value in enumerate(equity))
    assert float(found.drawdown.fraction) == pytest.approx(worst)


def test_an_interval_holds_the_mean_and_is_the_same_for_the_same_seed() -> None:
    results = [D(r) for r in ("-1", "2.5", "-1", "-1", "2.5", "0.4", "-0.2", "2.5")]
    found = expectancy_interval(results, 7)
    assert found is not None
    assert found.low < sum(results) / len(results) < found.high
    assert found == expectancy_interval(results, 7) != expectancy_interval(results, 8)
    assert expectancy_interval(results[:4], 7) is None


@given(
    values=st.lists(st.floats(-5, 5) | st.sampled_from([-1.0, 0.5, 1e300, -1e-300]), min_size=5, max_size=60),
    seed=st.integers(0, 2**32),
)
def test_an_interval_is_the_same_with_numpy_and_without(values: list[float], seed: int) -> None:
    measures._interval.cache_clear()
    with_numpy = measures._interval(tuple(values), seed)
    near, margin = measures._near_means(values, seed)
    dice = Random(seed)
    exact = sorted(fmean(dice.choices(values, k=len(values))) for _ in range(measures.RESAMPLES))
    assert all(abs(one - other) <= margin for one, other in zip(near, exact, strict=True))
    measures._interval.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        assert repr(with_numpy) == repr(measures._interval(tuple(values), seed))
