"""The page of a report or a replay in values: curve, months, rolling results, groups, and every trade with its bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from math import sqrt
from statistics import fmean, stdev

from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import LAST_SECOND, NEW_YORK, day_of_bar
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import worth
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ONE, Usd
from apex_cli.core.model.position import RoundTrip, profit, r_multiple
from apex_cli.core.ports import BarSource
from apex_cli.core.positions.performance import FEWEST_TRADES, Tally
from apex_cli.core.reports.plans import TradePlan
from apex_cli.core.reports.trade_report import Group, SessionValue, every_session

WINDOW = 50
"""Trades with a known risk of which a rolling result is made; of fewer trades a fifth, and never below ten."""

LEAST_WINDOW = 10
SURE = 1.645
"""Standard deviations on either side of the middle of a 90 % interval."""

DAILY = timedelta(hours=6)
"""A bar as long as this is a session's."""

BARS_BEFORE, BARS_AFTER = 12, 6
LONGEST_CLOSURE = timedelta(days=7)
"""Between two bars no market was closed for longer."""


class MonthResult(Value, frozen=True, kw_only=True):
    """What one month came to."""

    year: int
    month: int
    change: float
    """Of the account's value, as a fraction."""


class RollingResult(Value, frozen=True, kw_only=True):
    """What the last trades before a moment came to, each with its 90 % interval."""

    at: datetime
    expectancy: float
    """Mean R after costs."""

    expectancy_low: float
    expectancy_high: float
    win_rate: float
    """Winners after costs over all, 0..1."""

    win_rate_low: float
    win_rate_high: float


class PricePath(Value, frozen=True, kw_only=True):
    """Bars around one trade."""

    bars: tuple[Bar, ...]
    entry: int
    """Number of the bar it was entered in."""

    exit: int


class TradeSheet(Value, frozen=True, kw_only=True):
    """One trade with everything its section shows."""

    trip: RoundTrip
    plan: TradePlan | None = None
    path: PricePath | None = None
    worst: Decimal | None = None
    """Deepest loss on the way in R, zero or less: from the bars between entry and exit, and the exit itself."""

    best: Decimal | None = None
    """Highest gain on the way in R, zero or more."""


class Benchmark(Value, frozen=True, kw_only=True):
    """What the start would have become in one security that is held all the time."""

    symbol: str
    values: tuple[float, ...]
    """One for each point of the curve."""


class Tearsheet(Value, frozen=True, kw_only=True):
    """Everything that a page shows beside the sums."""

    curve: tuple[SessionValue, ...]
    """Every session, the start before the first one included."""

    months: tuple[MonthResult, ...]
    window: int
    rolling: tuple[RollingResult, ...]
    by_strategy: tuple[Group, ...]
    by_exit: tuple[Group, ...]
    by_symbol: tuple[Group, ...]
    by_weekday: tuple[Group, ...]
    by_hour: tuple[Group, ...]
    trades: tuple[TradeSheet, ...]
    benchmark: Benchmark | None = None


def make_tearsheet(
    trips: Sequence[RoundTrip],
    plans: Mapping[str, TradePlan],
    curve: Sequence[SessionValue],
    bars: BarSource | None = None,
    benchmark: str = "",
) -> Tearsheet:
    """Return the page of *trips*, oldest first.

    *plans* are by bracket id. *curve* is what the account was worth at the start, and at the end of each session after
    it that is known. Without *bars* there are no prices around the trades, without *benchmark* no comparison.
    """
    filled = every_session(curve)
    known = sum(trip.net_r_multiple is not None for trip in trips)
    window = max(LEAST_WINDOW, min(WINDOW, known // 5))
    return Tearsheet(
        curve=filled,
        months=month_results(filled),
        window=window,
        rolling=rolling_results(trips, window),
        by_strategy=_grouped(trips, lambda trip: trip.strategy or "none"),
        by_exit=_grouped(trips, lambda trip: trip.exit_reason or "none"),
        by_symbol=_grouped(trips, lambda trip: trip.instrument.key),
        by_weekday=_grouped(trips, lambda trip: f"{_entered(trip):%A}", lambda trip: _entered(trip).weekday()),
        by_hour=_grouped(trips, lambda trip: f"{_entered(trip):%H}:00"),
        trades=tuple(_trade(trip, plans.get(trip.bracket_id), bars) for trip in trips),
        benchmark=_benchmark(benchmark, filled, bars) if bars is not None and benchmark else None,
    )


def month_results(curve: Sequence[SessionValue]) -> tuple[MonthResult, ...]:
    """Return the change of the account's value in each month; the first point is what the first month began with."""
    before, found = curve[0].equity if curve else Usd(Decimal(0)), []
    for (year, month), points in groupby(curve[1:], lambda point: (point.day.year, point.day.month)):
        *_, last = points
        if before > 0:
            found.append(MonthResult(year=year, month=month, change=float(last.equity / before - 1)))
        before = last.equity
    return tuple(found)


def rolling_results(trips: Sequence[RoundTrip], window: int) -> tuple[RollingResult, ...]:
    """Return what the last *window* trades came to after each trade whose risk is known; none of too few trades.

    The interval of the mean is that of its standard error; that of the win rate is Wilson's.

    Source:
        Edwin B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
        Statistical Association 22 (1927).
    """
    known = [(trip.exit_time, float(result)) for trip in trips if (result := trip.net_r_multiple) is not None]
    if len(known) < FEWEST_TRADES:
        return ()
    return tuple(
        _rolled(known[end - 1][0], [result for _, result in known[end - window : end]])
        for end in range(window, len(known) + 1)
    )


def _rolled(at: datetime, results: Sequence[float]) -> RollingResult:
    count = len(results)
    mean, error = fmean(results), stdev(results) / sqrt(count)
    rate, extra = sum(result > 0 for result in results) / count, SURE**2 / count
    middle = (rate + extra / 2) / (1 + extra)
    half = SURE / (1 + extra) * sqrt(rate * (1 - rate) / count + extra / (4 * count))
    return RollingResult(
        at=at,
        expectancy=mean,
        expectancy_low=mean - SURE * error,
        expectancy_high=mean + SURE * error,
        win_rate=rate,
        win_rate_low=middle - half,
        win_rate_high=middle + half,
    )


def _grouped(
    trips: Iterable[RoundTrip], name_of: Callable[[RoundTrip], str], place_of: Callable[[RoundTrip], int] | None = None
) -> tuple[Group, ...]:
    """Return *trips* by name, in the order of their places, else of the names."""
    tallies: dict[tuple[int, str], Tally] = {}
    for trip in trips:
        place = place_of(trip) if place_of is not None else 0
        tallies.setdefault((place, name_of(trip)), Tally()).add(trip)
    return tuple(
        Group(name=name, statistics=tally.statistics())
        for (_, name), tally in sorted(tallies.items(), key=lambda item: item[0])
    )


def _entered(trip: RoundTrip) -> datetime:
    return trip.entry_time.astimezone(NEW_YORK)


def _trade(trip: RoundTrip, plan: TradePlan | None, bars: BarSource | None) -> TradeSheet:
    try:
        path = price_path(trip, bars) if bars is not None else None
    except InputError:  # a file of bars that cannot be read takes no other trade's section away
        path = None
    if path is None:
        return TradeSheet(trip=trip, plan=plan)
    worst, best = excursions(trip, path)
    return TradeSheet(trip=trip, plan=plan, path=path, worst=worst, best=best)


def price_path(trip: RoundTrip, bars: BarSource) -> PricePath | None:
    """Return the bars from shortly before *trip* to shortly after it; None where none were there while it was held."""
    instrument = trip.instrument
    name = instrument.key if instrument.market_type is MarketType.OPTIONS else instrument.bars_name
    entered, left = trip.entry_time + LAST_SECOND, trip.exit_time + LAST_SECOND
    ended = bars.bars(name, after=entered - timedelta(days=10), until=entered)
    length = ended[-1].end - ended[-1].start if ended else DAILY
    step = timedelta(days=1.5) if length >= DAILY else length
    around = bars.bars(
        name,
        after=entered - max(BARS_BEFORE * step, (left - entered) / 3),
        until=left + max(BARS_AFTER * step, (left - entered) / 6),
    )
    entry = sum(bar.end <= entered for bar in around)
    exit_ = min(sum(bar.end < left for bar in around), len(around) - 1)
    if entry > exit_ or around[entry].start > entered + LONGEST_CLOSURE:
        return None
    return PricePath(bars=tuple(around), entry=entry, exit=exit_)


def excursions(trip: RoundTrip, path: PricePath) -> tuple[Decimal | None, Decimal | None]:
    """Return the deepest loss and the highest gain on the way in R; None where the risk is unknown.

    Bars count whole from the one of the entry to the one before the exit's; of that the exit's price alone counts, as
    what came after it is not known.
    """
    held = path.bars[path.entry : path.exit]
    prices = [trip.entry_price, trip.exit_price, *(bar.low for bar in held), *(bar.high for bar in held)]
    unit = trip.initial_risk / trip.quantity / trip.instrument.multiplier if trip.initial_risk else None
    ways = [profit(trip.side, trip.entry_price, price, ONE, ONE) for price in (min(prices), max(prices))]
    worst, best = (r_multiple(worth(trip.rate, way, trip.exit_price), unit) for way in sorted(ways))
    return worst, best


def _benchmark(symbol: str, curve: Sequence[SessionValue], bars: BarSource) -> Benchmark | None:
    """Return what the first value of *curve* would have become in *symbol*; None where its bars begin later."""
    closes = {day_of_bar(bar.end): float(bar.close) for bar in bars.bars(symbol)}
    days = sorted(closes)
    values: list[float] = []
    number, price, first = 0, 0.0, 0.0
    for point in curve:
        while number < len(days) and days[number] <= point.day:
            price, number = closes[days[number]], number + 1
        first = first or price
        if not price:
            return None
        values.append(float(curve[0].equity) * price / first)
    return Benchmark(symbol=symbol, values=tuple(values)) if values else None
