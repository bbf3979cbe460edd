"""Curves and distributions as plain points, for every kind of drawing: terminal, screen, page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate

from apex_cli.core.model.base import Value
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import EquityPoint
from apex_cli.core.positions.performance import Distribution, r_distribution
from apex_cli.presenters.formats import clock_time

BLOCKS = " ▁▂▃▄▅▆▇█"


class Curve(Value, frozen=True, kw_only=True):
    """A line: values with a label each."""

    title: str
    values: tuple[float, ...]
    labels: tuple[str, ...]
    empty: str = "nothing yet"


class Histogram(Value, frozen=True, kw_only=True):
    """Bars: counts with a label each."""

    title: str
    counts: tuple[int, ...]
    labels: tuple[str, ...]
    empty: str = "nothing yet"


def equity_curve(points: Sequence[EquityPoint]) -> Curve:
    """Return the equity of a session."""
    return Curve(
        title="Equity today, USD",
        values=tuple(float(point.equity) for point in points),
        labels=tuple(clock_time(point.at)[:5] for point in points),
    )


def trades_curve(trips: Sequence[RoundTrip]) -> Curve:
    """Return the net P&L of *trips* added up, trade by trade."""
    sums = accumulate((trip.net_pnl for trip in trips), initial=Decimal(0))
    return Curve(
        title=f"Net P&L of the last {len(trips)} trades, USD",
        values=tuple(map(float, sums)),
        labels=tuple(str(number) for number in range(len(trips) + 1)),
        empty="no closed trades",
    )


def r_histogram(trips: Iterable[RoundTrip]) -> Histogram:
    """Return how the R-multiples of *trips* are spread."""
    return histogram_of(r_distribution(trip.r_multiple for trip in trips if trip.r_multiple is not None))


def histogram_of(distribution: Distribution) -> Histogram:
    """Return a distribution of R-multiples as bars."""
    return Histogram(
        title="R of closed trades",
        counts=distribution.counts,
        labels=tuple(f"{low:+.1f}" for low in distribution.lows),
        empty="no closed trades",
    )


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return *values* as a line of small bars, at most *width* of them.

    >>> sparkline([1, 2, 3])
    '▁▄█'
    """
    if not values:
        return ""
    count = min(width, len(values))
    shown = [values[round(place * (len(values) - 1) / max(1, count - 1))] for place in range(count)]
    low, high = min(shown), max(shown)
    spread = (high - low) or 1.0
    return "".join(BLOCKS[1 + int((value - low) / spread * (len(BLOCKS) - 2))] for value in shown)
