"""Finds oddities in a history of bars; it reports them and repairs nothing. Needs no numpy."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import islice, pairwise

from apex_cli.core.market.calendar import is_certain, next_session, session_bounds, session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.market import Bar

JUMP = Decimal("0.4")
"""Change from a close to the next open that looks like a split."""

CLOSE_TO_RATIO = Decimal("0.08")
SPLITS = (Decimal("1.5"), *map(Decimal, (2, 3, 4, 5, 7, 10, 20, 50)))
STILL_BARS = 14
SHOWN = 3
MOST_MISSING = 2000


class BarIssue(Value, frozen=True, kw_only=True):
    """One kind of oddity in one symbol's bars."""

    code: str
    """``order``, ``not_a_number``, ``inconsistent``, ``gap``, ``jump``, ``zero_volume``, ``no_volume``, ``still``."""

    count: int
    message: str


def look_at(bars: Sequence[Bar]) -> tuple[BarIssue, ...]:
    """Return what is odd about *bars*, the worst kind first; nothing when all is well."""
    is_sound: Callable[[], bool] | None = getattr(bars, "is_sound", None)
    looks = LOOKS if is_sound is None or not is_sound() else (_gaps, _still)
    found = (look(bars) for look in looks)
    return tuple(issue for issue in found if issue is not None)


def _order(bars: Sequence[Bar]) -> BarIssue | None:
    """Find bars that do not end after the one before: unsorted, or twice."""
    bad = [after for bar, after in pairwise(bars) if after.end <= bar.end]
    return _issue("order", [f"{bar.end:%Y-%m-%d %H:%M}" for bar in bad], "bars twice or out of order")


def _numbers(bars: Sequence[Bar]) -> BarIssue | None:
    """Find values that are no numbers, and prices that are not positive."""
    bad = [bar for bar in bars if not _is_sound(bar)]
    return _issue("not_a_number", _days(bad), "bars with a value that is no number, or no positive price")


def _is_sound(bar: Bar) -> bool:
    prices = (bar.open, bar.high, bar.low, bar.close)
    return all(price.is_finite() and price > 0 for price in prices) and bar.volume.is_finite() and bar.volume >= 0


def _inconsistent(bars: Sequence[Bar]) -> BarIssue | None:
    """Find bars whose open or close lies outside low and high."""
    bad = [
        bar
        for bar in bars
        if _is_sound(bar) and not (bar.low <= min(bar.open, bar.close) and max(bar.open, bar.close) <= bar.high)
    ]
    return _issue("inconsistent", _days(bad), "bars with an open or close outside low and high")


def _gaps(bars: Sequence[Bar]) -> BarIssue | None:
    """Find NYSE sessions without a daily bar, and holes inside a session between intraday bars."""
    if not bars:
        return None
    if _is_daily(bars):
        starts_are: Callable[[Sequence[int]], bool] | None = getattr(bars, "starts_are", None)
        days = session_date(bars[0].start), session_date(bars[-1].start)
        if starts_are is not None and days[0] <= days[1] and starts_are(_session_starts(*days)):
            return None
        missing = list(islice(_missing_sessions(bars), MOST_MISSING))
        return _issue("gap", [day.isoformat() for day in missing], "sessions without a bar")
    breaks: Callable[[], list[int]] | None = getattr(bars, "breaks", None)
    places = range(len(bars) - 1) if breaks is None else breaks()
    pairs = ((bars[place], bars[place + 1]) for place in places)
    holes = [bar for bar, after in pairs if bar.end < after.start and _is_same_session(bar, after)]
    return _issue("gap", [f"{bar.end:%Y-%m-%d %H:%M}" for bar in holes], "holes inside a session")


def _is_daily(bars: Sequence[Bar]) -> bool:
    return all((bar.start, bar.end) == session_bounds(session_date(bar.start)) for bar in (bars[0], bars[-1]))


@lru_cache(maxsize=16)
def _session_starts(first: date, last: date) -> Sequence[int]:
    """Return when each session from *first* to *last* opens, seconds since 1970."""
    found, day = array("q"), first
    while day <= last:
        if bounds := session_bounds(day):
            found.append(int(bounds[0].timestamp()))
        day = next_session(day)
    return found


def _is_same_session(bar: Bar, after: Bar) -> bool:
    return session_date(bar.start) == session_date(after.start) and after.start - bar.end < timedelta(hours=7)


def _missing_sessions(bars: Sequence[Bar]) -> Iterator[date]:
    days = (session_date(bar.start) for bar in bars)
    return (missing for day, following in pairwise(days) for missing in _between(day, following))


@lru_cache(maxsize=1 << 14)
def _between(day: date, following: date) -> tuple[date, ...]:
    """Return the sure sessions between two days."""
    found = []
    while (day := next_session(day)) < following:
        if is_certain(day):
            found.append(day)
    return tuple(found)


def _jumps(bars: Sequence[Bar]) -> BarIssue | None:
    """Find opens so far from the close before that a split is likelier than news."""
    found = []
    for bar, after in pairwise(bars):
        if _is_sound(bar) and _is_sound(after) and abs(after.open / bar.close - 1) > JUMP:
            found.append(f"{after.start.date()} {bar.close} -> {after.open}{_as_split(bar.close / after.open)}")
    return _issue("jump", found, "opens that look like a split")


def _as_split(ratio: Decimal) -> str:
    """Return the split that *ratio*, old price over new, is close to."""
    forward = next((n for n in SPLITS if abs(ratio / n - 1) < CLOSE_TO_RATIO), None)
    reverse = next((n for n in SPLITS if abs(ratio * n - 1) < CLOSE_TO_RATIO), None)
    if forward is not None:
        return f" ({'3 for 2' if forward < 2 else f'{forward} for 1'})"  # noqa: PLR2004 - 1.5 alone is below 2
    return f" (1 for {reverse})" if reverse is not None else ""


def _volumes(bars: Sequence[Bar]) -> BarIssue | None:
    """Find bars without volume; a history without any volume is one finding."""
    still = [bar for bar in bars if not bar.volume]
    if bars and len(still) == len(bars):
        return BarIssue(code="no_volume", count=len(bars), message="no bar has a volume")
    return _issue("zero_volume", _days(still), "bars without volume")


def _still(bars: Sequence[Bar]) -> BarIssue | None:
    """Report prices that did not move at all in the last bars."""
    last = bars[-STILL_BARS:]
    prices = {price for bar in last for price in (bar.open, bar.high, bar.low, bar.close)}
    if len(last) < STILL_BARS or len(prices) > 1:
        return None
    return BarIssue(code="still", count=len(last), message=f"the last {len(last)} bars did not move")


LOOKS: tuple[Callable[[Sequence[Bar]], BarIssue | None], ...] = (
    _order,
    _numbers,
    _inconsistent,
    _jumps,
    _gaps,
    _volumes,
    _still,
)


def _days(bars: Sequence[Bar]) -> list[str]:
    return [f"{bar.start.date()}" for bar in bars]


def _issue(code: str, places: Sequence[str], what: str) -> BarIssue | None:
    if not places:
        return None
    more = f", and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return BarIssue(code=code, count=len(places), message=f"{what}: {len(places)} ({', '.join(places[:SHOWN])}{more})")
