from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.analysis.resampling import Sums, block_interval


def mean(sums: Sums) -> float:
    return sums[1] / sums[0]


def test_the_interval_holds_the_mean_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(40):
        dice = Random(seed)
        low, high = block_interval([(1.0, dice.gauss(0.3, 1)) for _ in range(120)], mean, seed=seed, resamples=200)
        hits += low <= 0.3 <= high
    assert 30 <= hits <= 40


def test_sessions_that_hang_together_make_it_wider() -> None:
    dice = Random(1)
    alone = [(1.0, dice.choice((-1.0, 1.0))) for _ in range(200)]
    runs = [row for row in alone[:40] for _ in range(5)]
    widths = [high - low for low, high in (block_interval(rows, mean, seed=1) for rows in (alone, runs))]
    assert widths[1] > widths[0] * 1.5


@given(rows=st.lists(st.floats(-5, 5), min_size=1, max_size=30), seed=st.integers(0, 9))
def test_it_is_repeatable_and_ordered(rows: list[float], seed: int) -> None:
    sessions = [(1.0, row) for row in rows]
    low, high = block_interval(sessions, mean, seed=seed, resamples=100)
    assert min(rows) - 1e-9 <= low <= high <= max(rows) + 1e-9
    assert block_interval(sessions, mean, seed=seed, resamples=100) == (low, high)
