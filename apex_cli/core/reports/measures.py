"""What a replay is judged by: pure functions over equity and round trips."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import Usd
from apex_cli.core.model.records import EquityPoint
from apex_cli.core.positions.performance import Drawdown, DrawdownMeter

RESAMPLES = 1000
LOW, HIGH = 0.05, 0.95
"""Quantiles of the 90 % interval."""

LEAST_RESAMPLED = 5
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

    Args:
        results: R-multiples.
        seed: the same seed draws the same.

    Source:
        The percentile bootstrap, B. Efron, "Bootstrap Methods", Annals of Statistics 7, 1979.
    """
    if len(results) < LEAST_RESAMPLED:
        return None
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    values = [float(result) for result in results]
    means = sorted(statistics.fmean(dice.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = means[int(LOW * RESAMPLES)], means[int(HIGH * RESAMPLES) - 1]
    return Interval(low=_rounded(low), high=_rounded(high))


def _rounded(number: float) -> Decimal:
    return Decimal(repr(round(number, 4)))
