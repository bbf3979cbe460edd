"""Whether the best of many is more than luck: known cases, and by the formulas of their papers."""

from __future__ import annotations

import statistics
from math import sqrt
from random import Random

import pytest

from apex_cli.core.reports.overfitting import (
    expected_best,
    luck_of,
    overfitting_probability,
    probability_above,
    sharpe_interval,
    sharpe_of,
)


def walk(seed: int, mean: float = 0.0, count: int = 1000) -> list[float]:
    dice = Random(seed)
    return [dice.gauss(mean, 0.01) for _ in range(count)]


NOISE = [walk(seed) for seed in range(60)]


def test_the_best_of_many_worthless_settings_is_luck() -> None:
    luck = luck_of(NOISE, 1)
    assert luck is not None
    assert luck.is_luck
    assert luck.trials == 60
    assert luck.sharpe == pytest.approx(max(map(sharpe_of, NOISE)) * sqrt(252), abs=1e-4)
    assert luck.deflated_sharpe < 0.9
    assert luck.overfitting is not None
    assert luck.overfitting > 0.2


def test_one_that_earns_something_stands_out_of_the_same_crowd() -> None:
    luck = luck_of([*NOISE, walk(99, mean=0.002)], 1)
    assert luck is not None
    assert not luck.is_luck
    assert luck.deflated_sharpe > 0.99
    assert luck.overfitting == 0
    assert luck.sharpe_low > luck.expected_sharpe


def test_more_tries_make_the_same_result_less_credible() -> None:
    good = walk(7, mean=0.0008)
    few, many = luck_of([*NOISE[:5], good], 1), luck_of([*NOISE, good], 1)
    assert few is not None
    assert many is not None
    assert few.sharpe == many.sharpe
    assert few.deflated_sharpe > many.deflated_sharpe


def test_a_single_setting_is_no_choice() -> None:
    luck = luck_of([walk(7, mean=0.002)], 1)
    assert luck is not None
    assert (luck.trials, luck.overfitting, luck.expected_sharpe) == (1, None, 0)


@pytest.mark.parametrize("rows", [[], [[0.0] * 500] * 3, [[0.01] * 59], [walk(1), walk(2, count=999)]])
def test_nothing_is_said_of_too_little(rows: list[list[float]]) -> None:
    assert luck_of(rows, 1) is None


def test_the_ratio_is_mean_over_standard_deviation() -> None:
    row = walk(3, 0.001)
    assert sharpe_of(row) == pytest.approx(statistics.fmean(row) / statistics.stdev(row))
    assert sharpe_of([0.5, 0.5, 0.5]) == 0


def test_the_probability_above_is_that_of_the_paper() -> None:
    # Bailey and Lopez de Prado 2012: SR 0.458 a month, 24 months, skew -2.448, kurtosis 10.164: 0.913.
    width = sqrt(1 + 2.448 * 0.458 + (10.164 - 1) / 4 * 0.458**2)
    assert statistics.NormalDist().cdf(0.458 * sqrt(23) / width) == pytest.approx(0.913, abs=0.001)
    row = walk(3, 0.001)
    mean, count = statistics.fmean(row), len(row)
    second, third, fourth = (sum((x - mean) ** power for x in row) / count for power in (2, 3, 4))
    ratio, skew, kurtosis = sharpe_of(row), third / second**1.5, fourth / second**2
    by_hand = (ratio - 0.01) * sqrt(count - 1) / sqrt(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2)
    assert probability_above(row, 0.01) == pytest.approx(statistics.NormalDist().cdf(by_hand))
    assert probability_above([0.0] * 10, 0) == 0


def test_the_best_of_worthless_settings_is_what_chance_makes_it() -> None:
    dice = Random(5)
    ratios = [[dice.gauss(0, 0.03) for _ in range(100)] for _ in range(300)]
    drawn = statistics.fmean(max(each) for each in ratios)
    assert statistics.fmean(map(expected_best, ratios)) == pytest.approx(drawn, rel=0.03)
    assert expected_best([0.3]) == 0


def test_settings_that_swap_places_are_overfitted_and_those_that_keep_them_are_not() -> None:
    steady = [[0.001 * number + 0.01 * (-1) ** at for at in range(200)] for number in range(5)]
    assert overfitting_probability(steady) == 0
    block = [1 if at // 20 % 2 else -1 for at in range(200)]
    swapping = [[0.01 * sign * turn + 0.001 * (-1) ** at for at, turn in enumerate(block)] for sign in (1, -1)]
    assert overfitting_probability(swapping) > 0.5


def test_the_interval_holds_the_ratio_and_is_the_same_again() -> None:
    row = walk(3, 0.001)
    low, high = sharpe_interval(row, 1)
    assert low < sharpe_of(row) < high
    assert sharpe_interval(row, 1) == (low, high)
    # As wide as theory says of independent returns: 2 * 1.645 / sqrt(n).
    assert high - low == pytest.approx(2 * 1.645 / sqrt(len(row)), rel=0.15)
