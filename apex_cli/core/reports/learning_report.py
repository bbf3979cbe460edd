"""History replayed with and without learning: what learning changed, and whether it is more than noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from apex_cli.core.analysis.resampling import Sums, block_interval
from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.position import RoundTrip

ZERO = Decimal(0)
PLACES = Decimal("0.0001")
LEAST_SESSIONS = 10
"""Sessions with a closed trade that an interval needs."""


class Side(Value, frozen=True, kw_only=True):
    """What one of the two replays came to."""

    trades: int
    mean_r: Decimal | None
    """R a trade after costs; None without trades."""

    total_r: Decimal


class LearningPeriod(Value, frozen=True, kw_only=True):
    """With and without learning over the same sessions."""

    first: date
    last: date
    with_learning: Side
    without: Side
    changed: int
    """Trades with learning that were not made without it."""

    difference: Decimal | None
    """R a trade that learning adds; None where one of the two has no trade."""

    low: Decimal | None = None
    """Ends of the 90 % interval of *difference*; None with too few sessions."""

    high: Decimal | None = None

    @property
    def is_beyond_noise(self) -> bool:
        """Return whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class LearningComparison(Value, frozen=True, kw_only=True):
    """All of it, and year by year; learning knew nothing of a trade before it was closed."""

    whole: LearningPeriod
    years: tuple[LearningPeriod, ...]
    versions: int
    """How often the weights were changed."""

    suspended: bool
    """Learning made results worse, and only reported from some day on."""


def compare_learning(
    learned: Sequence[RoundTrip],
    plain: Sequence[RoundTrip],
    *,
    first: date,
    last: date,
    versions: int,
    suspended: bool,
    seed: int,
) -> LearningComparison:
    """Return what *learned* trades have over *plain* ones, over all sessions and by years.

    *plain* are the same trades without learning; *suspended* says whether it was switched to only reporting on the way.
    """
    years = []
    for year in range(first.year, last.year + 1):
        begin, end = max(first, date(year, 1, 1)), min(last, date(year, 12, 31))
        years.append(_period(_closed(learned, begin, end), _closed(plain, begin, end), begin, end, seed))
    whole = _period(learned, plain, first, last, seed)
    return LearningComparison(whole=whole, years=tuple(years), versions=versions, suspended=suspended)


def _closed(trips: Iterable[RoundTrip], first: date, last: date) -> list[RoundTrip]:
    return [trip for trip in trips if first <= session_date(trip.exit_time) <= last]


def _period(
    learned: Sequence[RoundTrip], plain: Sequence[RoundTrip], first: date, last: date, seed: int
) -> LearningPeriod:
    with_learning, without = _side(learned), _side(plain)
    known = {_key(trip) for trip in plain}
    difference = None
    if with_learning.mean_r is not None and without.mean_r is not None:
        difference = with_learning.mean_r - without.mean_r
    low, high = _interval(learned, plain, seed) if difference is not None else (None, None)
    return LearningPeriod(
        first=first,
        last=last,
        with_learning=with_learning,
        without=without,
        changed=sum(1 for trip in learned if _key(trip) not in known),
        difference=difference,
        low=low,
        high=high,
    )


def _key(trip: RoundTrip) -> tuple[object, ...]:
    return trip.instrument.key, trip.side, trip.strategy, trip.entry_time


def _side(trips: Sequence[RoundTrip]) -> Side:
    results = [trip.net_r_multiple for trip in trips if trip.net_r_multiple is not None]
    total = sum(results, ZERO)
    mean = (total / len(results)).quantize(PLACES) if results else None
    return Side(trades=len(trips), mean_r=mean, total_r=total.quantize(PLACES))


def _interval(
    learned: Sequence[RoundTrip], plain: Sequence[RoundTrip], seed: int
) -> tuple[Decimal | None, Decimal | None]:
    days = sorted({session_date(trip.exit_time) for trip in (*learned, *plain)})
    if len(days) < LEAST_SESSIONS:
        return None, None
    sums: dict[date, list[float]] = {day: [0.0, 0.0, 0.0, 0.0] for day in days}
    for offset, trips in ((0, learned), (2, plain)):
        for trip in trips:
            if trip.net_r_multiple is not None:
                row = sums[session_date(trip.exit_time)]
                row[offset] += float(trip.net_r_multiple)
                row[offset + 1] += 1
    low, high = block_interval([tuple(sums[day]) for day in days], _difference, seed=seed)
    return _rounded(low), _rounded(high)


def _difference(sums: Sums) -> float:
    learned, learned_count, plain, plain_count = sums
    return learned / max(learned_count, 1.0) - plain / max(plain_count, 1.0)


def _rounded(value: float) -> Decimal:
    return Decimal(repr(round(value, 4))).quantize(PLACES)
