"""Tests of whether the best of many settings is more than luck: pure functions over the returns of each.

The more settings are tried, the better the best one looks, whatever they are worth. What is said here counts the tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, combinations
from math import e, log, sqrt
from random import Random
from statistics import NormalDist

from apex_cli.core.model.base import Value

RESAMPLES = 1000
LOW, HIGH = 0.05, 0.95
BLOCKS = 10
"""Parts of the time, of which each half is once the past and once the future: 252 ways."""

EULER = 0.5772156649015329
SESSIONS_A_YEAR = 252
LEAST_SESSIONS = 60
CREDIBLE, COIN = 0.95, 0.5
Returns = Sequence[float]


class Luck(Value, frozen=True, kw_only=True):
    """What chance alone may have done for the best of some settings."""

    trials: int
    sharpe: float
    """A year's, of the setting with the highest one."""

    sharpe_low: float
    sharpe_high: float
    """90 % interval of that."""

    expected_sharpe: float
    """What the best of as many settings without any merit would show, a year's."""

    deflated_sharpe: float
    """Probability that the true ratio is above nothing, 0..1, after as many tries."""

    overfitting: float | None
    """Part of the ways to split the time in which the best of one half is below the middle of the other.

    None for a single setting.
    """

    @property
    def is_luck(self) -> bool:
        """True when the best setting cannot be distinguished from luck."""
        return self.deflated_sharpe < CREDIBLE or self.sharpe_low <= 0 or (self.overfitting or 0) >= COIN


def luck_of(returns: Sequence[Returns], seed: int) -> Luck | None:
    """Return what is said of the best of *returns*; None where that is too little.

    Rows that do not move, as of settings that never traded, are tries all the same. All rows have one length; the same
    seed draws the same.
    """
    if not returns or len(returns[0]) < LEAST_SESSIONS or len({len(row) for row in returns}) != 1:
        return None
    ratios = [sharpe_of(row) for row in returns]
    best = max(range(len(ratios)), key=lambda number: ratios[number])
    if not any(returns[best]):
        return None
    year = sqrt(SESSIONS_A_YEAR)
    low, high = sharpe_interval(returns[best], seed)
    bar = expected_best(ratios)
    return Luck(
        trials=len(ratios),
        sharpe=round(ratios[best] * year, 4),
        sharpe_low=round(low * year, 4),
        sharpe_high=round(high * year, 4),
        expected_sharpe=round(bar * year, 4),
        deflated_sharpe=round(probability_above(returns[best], bar), 4),
        overfitting=None if len(ratios) < 2 else round(overfitting_probability(returns), 4),  # noqa: PLR2004
    )


def sharpe_of(returns: Returns) -> float:
    """Return mean over standard deviation, of one session; 0 where nothing moved."""
    count = len(returns)
    mean = sum(returns) / count
    return _ratio(count, sum(returns), sum((value - mean) ** 2 for value in returns) + count * mean * mean)


def _ratio(count: int, total: float, squares: float) -> float:
    """Return the ratio from the sum and the sum of squares."""
    mean = total / count
    variance = (squares - count * mean * mean) / (count - 1)
    return mean / sqrt(variance) if variance > 0 else 0.0


def expected_best(ratios: Sequence[float]) -> float:
    """Return the highest ratio that as many settings show by chance when all are worth nothing.

    sqrt(V) * ((1 - g) * Z(1 - 1/N) + g * Z(1 - 1/(N e))), V the variance of the ratios, g Euler's constant, Z the
    quantile of the normal distribution.

    Source:
        D. H. Bailey, M. Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40 (5), 2014.
    """
    count = len(ratios)
    if count < 2:  # noqa: PLR2004 - one try is no choice
        return 0.0
    mean = sum(ratios) / count
    spread = sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / (count - 1))
    quantile = NormalDist().inv_cdf
    return spread * ((1 - EULER) * quantile(1 - 1 / count) + EULER * quantile(1 - 1 / (count * e)))


def probability_above(returns: Returns, bar: float) -> float:
    """Return the probability that the true ratio of *returns* is above *bar*, both of one session.

    Phi((SR - bar) * sqrt(n - 1) / sqrt(1 - skew * SR + (kurtosis - 1) / 4 * SR^2))

    Source:
        The probabilistic Sharpe ratio, as in "The Deflated Sharpe Ratio", see ``expected_best``.
    """
    count = len(returns)
    mean = sum(returns) / count
    moments = [sum((value - mean) ** power for value in returns) / count for power in (2, 3, 4)]
    if not moments[0]:
        return 0.0
    skew, kurtosis = moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2
    ratio = sharpe_of(returns)
    width = max(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2, 1e-12)
    return NormalDist().cdf((ratio - bar) * sqrt(count - 1) / sqrt(width))


def overfitting_probability(returns: Sequence[Returns]) -> float:
    """Return in which part of all ways to split the time the best of one half is in the worse half of the other.

    The time is cut into ``BLOCKS``; each half of them is once the past and the rest the future. The setting with the
    highest ratio of the past is ranked in the future; counted are the ways with logit(rank / (N + 1)) <= 0.

    Source:
        D. H. Bailey, J. M. Borwein, M. Lopez de Prado, Q. J. Zhu, "The Probability of Backtest Overfitting", Journal
        of Computational Finance 20 (4), 2017: combinatorially symmetric cross-validation.
    """
    size = len(returns[0]) // BLOCKS
    sums = [[_sums(row[at * size : (at + 1) * size]) for at in range(BLOCKS)] for row in returns]
    half, count = range(BLOCKS), size * BLOCKS // 2
    poor = ways = 0
    for past in combinations(half, BLOCKS // 2):
        future = tuple(at for at in half if at not in past)
        seen = [_joined(row, past, count) for row in sums]
        later = [_joined(row, future, count) for row in sums]
        chosen = later[max(range(len(seen)), key=lambda number: seen[number])]
        rank = (sum(value < chosen for value in later) + sum(value <= chosen for value in later) + 1) / 2
        share = rank / (len(later) + 1)
        poor += log(share / (1 - share)) <= 0
        ways += 1
    return poor / ways


def _sums(returns: Returns) -> tuple[float, float]:
    return sum(returns), sum(value * value for value in returns)


def _joined(sums: Sequence[tuple[float, float]], places: Sequence[int], count: int) -> float:
    return _ratio(count, sum(sums[at][0] for at in places), sum(sums[at][1] for at in places))


def sharpe_interval(returns: Returns, seed: int) -> tuple[float, float]:
    """Return the 90 % interval of the ratio of one session, by drawing blocks of sessions that follow each other.

    Returns of days that follow each other are not independent; blocks keep what binds them. Blocks are as long as the
    cube root of the number of sessions, and continue at the beginning after the end.

    Source:
        D. N. Politis, J. P. Romano, "A Circular Block-Resampling Procedure for Stationary Data", 1992.
    """
    count = len(returns)
    length = max(round(count ** (1 / 3)), 1)
    around = [*returns, *returns[:length]]
    totals = [0.0, *accumulate(around)]
    squares = [0.0, *accumulate(value * value for value in around)]
    dice = Random(seed)  # noqa: S311 - repeatable on purpose
    drawn = count // length
    found = []
    for _ in range(RESAMPLES):
        begins = [dice.randrange(count) for _ in range(drawn)]
        total = sum(totals[at + length] - totals[at] for at in begins)
        found.append(_ratio(drawn * length, total, sum(squares[at + length] - squares[at] for at in begins)))
    found.sort()
    return found[int(LOW * RESAMPLES)], found[int(HIGH * RESAMPLES) - 1]
