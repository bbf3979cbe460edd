"""Intervals of a statistic by drawing blocks of sessions that follow each other, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

RESAMPLES = 1000

Sums = tuple[float, ...]
"""What one session adds to each sum that a statistic is made of."""


def block_interval(
    sessions: Sequence[Sums],
    statistic: Callable[[Sums], float],
    *,
    seed: int,
    level: float = 0.90,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return the interval of *statistic* at *level*; the same seed draws the same.

    Sessions that follow each other are not independent; blocks keep what binds them. Blocks are as long as the cube
    root of the number of sessions, and go on at the beginning after the end. Each of *sessions*, one or more, has as
    many sums; *statistic* is of the sums over all of them. *level* is the part of the draws inside, 0..1.

    Source:
        D. N. Politis, J. P. Romano, "A Circular Block-Resampling Procedure for Stationary Data", 1992.
    """
    from random import Random

    count = len(sessions)
    length = max(round(count ** (1 / 3)), 1)
    around = [*sessions, *sessions[:length]]
    blocks = [_added(around[at : at + length]) for at in range(count)]
    dice = Random(seed)  # noqa: S311 - repeatable on purpose
    drawn = max(count // length, 1)
    found = sorted(statistic(_added(dice.choices(blocks, k=drawn))) for _ in range(resamples))
    outside = (1 - level) / 2
    return found[int(outside * resamples)], found[int((1 - outside) * resamples) - 1]


def _added(sums: Sequence[Sums]) -> Sums:
    return tuple(map(sum, zip(*sums, strict=True)))
