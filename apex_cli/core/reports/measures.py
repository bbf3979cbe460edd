"""Measures of a replay: pure functions over equity and round trips."""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import EquityPoint
from apex_cli.core.positions.performance import Drawdown, DrawdownMeter

RESAMPLES = 1000
LOW, HIGH = 0.05, 0.95
"""Quantiles of the 90 % interval."""

LEAST_RESAMPLED = 5
DRAWN_AT_ONCE = 50_000
PLACES = Decimal("0.0001")


class CurvePoint(EquityPoint, frozen=True, kw_only=True):
    """What the account was worth at the end of one session."""

    drawdown: Decimal
    """Part of the highest equity so far that is lost, 0..1."""


class Interval(Value, frozen=True, kw_only=True):
    """Where the truth may lie, given the trades there were."""

    low: Decimal
    high: Decimal


class EquityCurve:
    """Takes the account's worth step by step, and keeps one point a session."""

    def __init__(self) -> None:
        """Start without a point."""
        self.points: list[CurvePoint] = []
        self.start: Usd | None = None
        """What it was worth at the first moment, before anything could happen in it."""

        self._meter = DrawdownMeter()
        self._session = ""

    @property
    def drawdown(self) -> Drawdown:
        """The deepest fall so far."""
        return self._meter.drawdown()

    def add(self, at: datetime, equity: Usd, session: str) -> None:
        """Take the worth at *at*, which belongs to *session*."""
        self.start = equity if self.start is None else self.start
        fall = self._meter.add(equity, at)
        point = CurvePoint(at=at, equity=equity, drawdown=fall.quantize(PLACES))
        if session == self._session:
            self.points[-1] = point
        else:
            self.points.append(point)
        self._session = session


def expectancy_interval(results: Sequence[Decimal], seed: int) -> Interval | None:
    """Return the 90 % interval of the mean, by drawing as many trades again and again; None with fewer than five.

    *results* are R-multiples; the same seed draws the same.

    Source:
        The percentile bootstrap, B. Efron, "Bootstrap Methods", Annals of Statistics 7, 1979.
    """
    return _interval(tuple(float(result) for result in results), seed) if len(results) >= LEAST_RESAMPLED else None


@lru_cache(maxsize=8)
def _interval(values: tuple[float, ...], seed: int) -> Interval:
    places = (int(LOW * RESAMPLES), int(HIGH * RESAMPLES) - 1)
    if "numpy" in sys.modules:  # loading it takes longer than to do without
        near, margin = _near_means(values, seed)
        least, most = ([round(near[at] + by, 4) for at in places] for by in (-margin, margin))
        if repr(least) == repr(most):
            return Interval(low=_rounded(least[0]), high=_rounded(least[1]))
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    means = sorted(statistics.fmean(dice.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = (means[at] for at in places)
    return Interval(low=_rounded(low), high=_rounded(high))


def _near_means(values: Sequence[float], seed: int) -> tuple[list[float], float]:
    """Return the means of the same draws in order, and by how much each may be off.

    ``Random.random`` makes a number from 53 bits of two words of 32, which ``getrandbits`` gives one after the other.
    A sum of n floats is off by less than n times 2^-53 times the sum of their amounts.
    """
    import numpy as np  # noqa: PLC0415 - loaded already

    dice, count, column = random.Random(seed), len(values), np.array(values)  # noqa: S311 - repeatable on purpose
    means = np.empty(RESAMPLES)
    step = max(1, DRAWN_AT_ONCE // count)
    for first in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - first)
        words = np.frombuffer(dice.getrandbits(64 * rows * count).to_bytes(8 * rows * count, "little"), "<u4")
        draws = ((words[::2] >> 5) * 67108864.0 + (words[1::2] >> 6)) * 2.0**-53
        means[first : first + rows] = column[(draws * count).astype(np.intp)].reshape(rows, count).sum(axis=1) / count
    return np.sort(means).tolist(), (count + 2) * 2.0**-53 * max(map(abs, values))


def _rounded(number: float) -> Decimal:
    return Decimal(repr(round(number, 4)))
