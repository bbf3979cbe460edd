"""Curves and distributions: as plain points for every kind of drawing, and drawn with characters for any terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from apex_cli.core.model.base import Value
from apex_cli.core.model.market import Bar
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.records import EquityPoint
from apex_cli.core.model.wording import account_currency, counted
from apex_cli.presenters.screen.blocks import Tone
from apex_cli.presenters.screen.formats import clock_time, short_time

if TYPE_CHECKING:  # statistics cost 6 ms of start-up, and only distributions need them
    from apex_cli.core.positions.performance import Distribution
    from apex_cli.core.reports.trade_report import SessionValue

N = TypeVar("N", int, float)

EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 72, 8
"""Columns and rows of a curve drawn with characters."""


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
        title=f"Equity today, {account_currency()}",
        values=tuple(float(point.equity) for point in points),
        labels=tuple(clock_time(point.at)[:5] for point in points),
    )


def month_curve(values: Sequence[SessionValue]) -> Curve:
    """Return the account's worth session by session."""
    return Curve(
        title=f"Equity of the last month, {account_currency()}",
        values=tuple(float(value.equity) for value in values),
        labels=tuple(f"{value.day:%m-%d}" for value in values),
        empty="fewer than two sessions are known",
    )


def trades_curve(trips: Sequence[RoundTrip]) -> Curve:
    """Return the net P&L of *trips* added up, trade by trade."""
    sums = accumulate((trip.net_pnl for trip in trips), initial=Decimal(0))
    newest = trips[-1].exit_time if trips else None
    times = [short_time(trip.exit_time, newest)[:5] for trip in trips]
    return Curve(
        title=f"Net P&L of the last {counted(len(trips), 'trade')}, {account_currency()}",
        values=tuple(map(float, sums)),
        labels=(*times[:1], *times),
        empty="no closed trades",
    )


def r_histogram(trips: Iterable[RoundTrip]) -> Histogram:
    """Return how the R-multiples of *trips* are spread."""
    from apex_cli.core.positions.performance import r_distribution

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
    shown = sampled(values, width)
    low, high = min(shown), max(shown)
    spread = (high - low) or 1.0
    return "".join(EIGHTHS[1 + int((value - low) / spread * (len(EIGHTHS) - 2))] for value in shown)


def sampled(values: Sequence[N], width: int) -> list[N]:
    """Return at most *width* values, evenly spread, the first and the last among them.

    >>> sampled([1, 2, 3, 4, 5], 3)
    [1, 3, 5]
    """
    if len(values) <= width:
        return list(values)
    return [values[round(number * (len(values) - 1) / (width - 1))] for number in range(width)]


def curve_rows(values: Sequence[float], *, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """Return *values* drawn upwards from the least one, top row first.

    >>> curve_rows([0, 1, 2], height=1)
    ['▁▄█']
    """
    shown = sampled(values, width)
    low, high = min(shown), max(shown)
    steps = height * (len(EIGHTHS) - 1)
    levels = [max(1, round((value - low) / (high - low) * steps)) if high > low else 1 for value in shown]
    return [_row(levels, floor) for floor in range((height - 1) * 8, -1, -8)]


def depth_rows(values: Sequence[float], *, width: int = WIDTH, height: int = 3) -> list[str]:
    """Return *values*, 0 and more, hanging from the top: what is deeper reaches lower.

    >>> depth_rows([0, 1, 2], height=2)
    [' ██', '  █']
    """
    shown = sampled(values, width)
    deepest = max(shown, default=0.0)
    levels = [round(value / deepest * height * 2) if deepest else 0 for value in shown]
    return ["".join(_hanging(level - 2 * row) for level in levels) for row in range(height)]


def _row(levels: Sequence[int], floor: int) -> str:
    return "".join(EIGHTHS[min(max(level - floor, 0), 8)] for level in levels)


def _hanging(halves: int) -> str:
    return " " if halves <= 0 else "▀" if halves == 1 else "█"


class Level(NamedTuple):
    """A price that a chart names at its right edge."""

    name: str
    price: Decimal
    tone: Tone


class ChartRow(NamedTuple):
    """One line of a chart drawn with characters."""

    text: str
    level: Level | None = None
    """What stands at its height."""


BARS_WIDTH, BARS_HEIGHT = 44, 10


def price_rows(bars: Sequence[Bar], levels: Sequence[Level], stops: Sequence[Decimal | None]) -> list[ChartRow]:
    """Return *bars*, oldest first, from their lows to their highs, and *levels* as lines across.

    Of more than ``BARS_WIDTH`` bars several share a column; *stops* say where the stop stood in each, None before it.
    """
    prices = [price for bar in bars for price in (bar.low, bar.high)] + [level.price for level in levels]
    if not prices:
        return []
    low, high = min(prices), max(prices)

    def row_of(price: Decimal) -> int:
        return round(float((high - price) / (high - low)) * (BARS_HEIGHT - 1)) if high > low else 0

    named = {row_of(level.price): level for level in levels}
    rows = [["╌" if row in named else " "] * BARS_WIDTH for row in range(BARS_HEIGHT)]
    share = max(1, -(-len(bars) // BARS_WIDTH))
    for column, first in enumerate(range(0, len(bars), share)):
        part = bars[first : first + share]
        for row in range(row_of(max(bar.high for bar in part)), row_of(min(bar.low for bar in part)) + 1):
            rows[row][column] = "│"
        rows[row_of(part[-1].close)][column] = "┤"
        stood = stops[first]
        if stood is not None and low <= stood <= high:
            rows[row_of(stood)][column] = "▔"
    return [ChartRow("".join(row), named.get(number)) for number, row in enumerate(rows)]
