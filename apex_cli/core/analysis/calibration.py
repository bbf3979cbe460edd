"""How good probabilities are: their log-loss, and how often what was given a chance came true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log

from apex_cli.core.model.prediction import CalibrationBin

WIDTH = 0.05
"""Of a bin of probabilities."""

BINS = round(1 / WIDTH)
LEAST = 1e-6
"""A probability nearer to 0 or 1 counts as this far from it: one sure error would otherwise outweigh all others."""

Pair = tuple[float, bool]
"""A probability, and whether what it was given for came true."""


def log_loss(pairs: Sequence[Pair]) -> float | None:
    """Return the mean of -ln(probability of what happened); ln 2 = 0.693 is guessing. None without pairs.

    Source:
        I. J. Good, "Rational Decisions", Journal of the Royal Statistical Society B 14, 1952.

    >>> log_loss([(0.5, True), (0.5, False)]) == log(2)
    True
    """
    if not pairs:
        return None
    chances = (min(max(chance if is_true else 1 - chance, LEAST), 1 - LEAST) for chance, is_true in pairs)
    return -sum(map(log, chances)) / len(pairs)


def calibration_bins(pairs: Iterable[Pair]) -> tuple[CalibrationBin, ...]:
    """Return *pairs* by the probability that was given, in steps of 5 %; bins without any are left out.

    >>> [(each.low, each.count, each.came_true) for each in calibration_bins([(0.61, True), (0.64, False), (1, True)])]
    [(0.6, 2, 0.5), (0.95, 1, 1.0)]
    """
    bins: dict[int, list[Pair]] = {}
    for chance, is_true in pairs:
        bins.setdefault(min(int(chance / WIDTH + LEAST), BINS - 1), []).append((chance, is_true))
    return tuple(
        CalibrationBin(
            low=round(number * WIDTH, 2),
            high=round((number + 1) * WIDTH, 2),
            count=len(found),
            said=round(sum(chance for chance, _ in found) / len(found), 4),
            came_true=round(sum(is_true for _, is_true in found) / len(found), 4),
        )
        for number, found in sorted(bins.items())
    )
