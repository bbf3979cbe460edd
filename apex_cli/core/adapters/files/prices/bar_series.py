"""Rows of a price file to bars: sessions for daily rows, the length of intraday ones, order, and rows left out."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from itertools import pairwise
from math import gcd
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.adapters.files.prices.price_files import PriceRow, PriceTable, unknown_zone, weekly
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import NEW_YORK, SATURDAY, session_date
from apex_cli.core.model.corporate_action import ActionKind, CorporateAction, split_before
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.text.problems import Problems

ONE_DAY = timedelta(days=1)
MAX_PROBLEMS = 100
DAY_S = 86_400
MOST_OF = 0.8
"""Part of the steps between rows that decides what kind of bars they are."""

LEAST_WEEKENDS = 0.15
"""Part of daily rows on weekends from which a file is of a market that never closes."""

A_DAY_APART = timedelta(hours=20)
EVENING = 17
"""From this hour on, New York time, the stamp of a daily bar belongs to the next day."""

ENOUGH_ROWS = 5
"""Rows, or gaps between them, from which a pattern counts."""

FIRST_ROWS = 2000
"""Rows by which wall times of another session are known."""

SESSION, SESSION_BEGIN = timedelta(hours=6, minutes=30), time(9, 30)
SMALLEST_PRICE, ZERO_CENTS = Decimal("0.0001"), Decimal("0.00")
LEAST_TWICE = 3
"""Pairs of rows of one time from which a file may be of several symbols."""

LEAST_GAPS = 3
"""Gaps between days that show, where all are alike, that bars are weekly or monthly."""

_COINS = (
    "BTC|XBT|ETH|XRP|LTC|ADA|SOL|DOGE|DOT|BNB|AVAX|LINK|MATIC|SHIB|TRX|ATOM|UNI|XLM|BCH|ETC|NEAR|FIL|APT|ARB|OP|SUI"
)
_MONEY = "USD|USDT|USDC|EUR|GBP|JPY|CHF|CAD|AUD|NZD|SEK|NOK|MXN|BTC|ETH|BUSD"
_CURRENCIES = "EUR|GBP|AUD|NZD|USD|CAD|CHF|JPY|SEK|NOK|MXN"
_PAIR = re.compile(
    rf"[A-Z0-9]{{2,10}}[-./](?:{_MONEY})|(?:{_COINS})(?:{_MONEY})|(?:EUR|GBP|AUD|NZD|USD|CAD|CHF|JPY)(?:USD|JPY|CHF|CAD|GBP|EUR|AUD|NZD|SEK|NOK|MXN)",
    re.ASCII,
)
_COIN_PAIR = re.compile(
    rf"(?!(?:{_CURRENCIES})[-./])[A-Z0-9]{{2,10}}[-./](?:{_MONEY})|(?:{_COINS})(?:{_MONEY})", re.ASCII
)


class Series(NamedTuple):
    """The bars of one symbol, oldest first, and what was odd about them."""

    bars: Sequence[Bar]
    ends: Sequence[datetime]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the file was taken for."""


NO_BARS = Series((), ())


def ended_by(series: Series, at: datetime) -> int:
    """Return how many bars of *series* have ended by *at*."""
    return search_of(series.ends)(at)


def search_of(ends: Sequence[datetime]) -> Callable[[datetime], int]:
    """Return what finds how many of *ends* have come by a time."""
    search: Callable[[datetime], int] | None = getattr(ends, "by", None)
    return partial(bisect_right, ends) if search is None else search


class _Timed(NamedTuple):
    row: PriceRow
    at: datetime
    """Aware UTC."""


OUTSIDE = "lie outside the calendar"


def is_pair(symbol: str) -> bool:
    """Return True for a currency pair or a coin, which are traded on days when NYSE is closed.

    >>> [is_pair(name) for name in ("BTC-USD", "EURUSD", "BTCUSDT", "AAPL", "BRK-B")]
    [True, True, True, False, False]
    """
    return _PAIR.fullmatch(symbol) is not None


def zone_of(symbol: str, name: str, *, is_server_time: bool = False) -> tzinfo:
    """Return the zone of intraday times that name none: UTC for coins, New York for stocks.

    Raises:
        InputError: they are those of a broker's server, or of a currency pair: any zone is possible.
    """
    if is_server_time:
        raise unknown_zone(name, "MetaTrader writes those of the broker's server")
    if _COIN_PAIR.fullmatch(symbol):
        return UTC
    if is_pair(symbol):
        raise unknown_zone(name, "sources of currency pairs use different ones")
    return NEW_YORK


def refuse_foreign(starts: Sequence[datetime], zone: tzinfo, name: str) -> None:
    """Refuse wall times of a session that is as long as New York's and begins at another time.

    *starts* are those of bars, oldest first, taken for *zone*; the last day may be cut.

    Raises:
        InputError: most days begin at one time that is not 9:30, and end six and a half hours later.
    """
    if zone is not NEW_YORK:
        return
    days: dict[date, list[datetime]] = {}
    for start in starts:
        local = start.astimezone(zone)
        days.setdefault(local.date(), []).append(local)
    spans = Counter(
        (times[0].time(), times[-1] - times[0] + (times[1] - times[0]))
        for times in days.values()
        if len(times) > ENOUGH_ROWS
    )
    if not spans:
        return
    (begin, span), count = spans.most_common(1)[0]
    if span == SESSION and begin != SESSION_BEGIN and count >= MOST_OF * sum(spans.values()):
        end = datetime.combine(date.min, begin) + span
        raise unknown_zone(
            name, f"bars of each day run from {begin:%H:%M} to {end:%H:%M}, while New York trades from 09:30 to 16:00"
        )


def without_splits(series: Series, actions: Sequence[CorporateAction], symbol: str) -> Series:
    """Return *series* without the splits of *symbol*: prices before them are divided, and volumes multiplied."""
    ratios = {each.ex_date for each in actions if each.symbol == symbol and each.kind is ActionKind.SPLIT}
    if not ratios or not series.bars:
        return series
    bars = []
    for bar in series.bars:
        ratio = split_before(actions, symbol, session_date(bar.start))
        prices = {name: Price(_divided(getattr(bar, name), ratio)) for name in ("open", "high", "low", "close")}
        bars.append(bar if ratio == 1 else replace(bar, **prices, volume=bar.volume * ratio))
    note = f"{len(ratios)} splits taken out"
    return series._replace(bars=tuple(bars), ends=tuple(bar.end for bar in bars), notes=(*series.notes, note))


def _divided(price: Decimal, ratio: Decimal) -> Decimal:
    return price if ratio == 1 else (price / ratio).quantize(SMALLEST_PRICE).normalize() + ZERO_CENTS


def make_series(table: PriceTable, rows: Sequence[PriceRow], symbol: str, name: str) -> Series:
    """Return the bars of *rows*.

    Raises:
        InputError: times cannot be distinguished from dates, or the bars are longer than a day.
    """
    problems: list[str] = list(table.problems)
    zone = table.zone or NEW_YORK
    timed = _in_order(rows, zone, name, problems)
    days = _days(timed, problems)
    if days is None and table.zone is None and any(item.row.when.zone is None for item in timed):
        zone = zone_of(symbol, name, is_server_time=table.is_server_time)
        problems = list(table.problems)
        timed = _in_order(rows, zone, name, problems)
        refuse_foreign([item.at for item in timed[:FIRST_ROWS]], zone, name)
    if days is None:
        bars = tuple(_intraday(timed, symbol, problems))
        longest = max((bar.end - bar.start for bar in bars[:1000]), default=timedelta())
        notes = [*table.notes, *([length_in_words(_microseconds(longest))] if bars else [])]
        if any(item.row.when.zone is None for item in timed):
            notes.append(f"times without a zone are those of {zone}")
    else:
        _refuse_long(sorted(set(days.values())), name)
        bars = tuple(_daily(days, symbol, problems))
        notes = [*table.notes, "daily sessions" if not bars or bars[0].start.time() != time() else "days of UTC"]
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"{len(problems) - MAX_PROBLEMS} more problems"]
    named = tuple(f"{name}: {problem}" for problem in problems)
    return Series(bars, tuple(bar.end for bar in bars), named, tuple(note for note in notes if note))


def _in_order(rows: Sequence[PriceRow], zone: tzinfo, name: str, problems: list[str]) -> list[_Timed]:
    """Return the rows by time, the later one of two with the same time."""
    _refuse_mixed(rows, name)
    timed = [_Timed(row, row.when.at(zone if row.when.clock else UTC)) for row in rows]
    ordered = sorted(timed, key=lambda item: item.at)
    if ordered != timed and list(reversed(timed)) != ordered:
        line = next(after.row.line for item, after in pairwise(timed) if after.at < item.at)
        problems.append(f"line {line} is older than the one before: rows were sorted")
    kept: list[_Timed] = []
    _refuse_several(ordered, name)
    for item in ordered:
        if kept and kept[-1].at == item.at:
            when = item.row.when.day if item.row.when.clock is None else item.at
            problems.append(f"lines {kept[-1].row.line} and {item.row.line} are both of {when}: the later one counts")
            kept[-1] = item
        else:
            kept.append(item)
    return kept


def _refuse_several(ordered: Sequence[_Timed], name: str) -> None:
    """Refuse rows most of which have the time of another one and other prices: no correction is like that.

    Raises:
        InputError: they are of several symbols, or stand apart by a time of day that is not known as one.
    """
    twice = [
        (item.row, after.row)
        for item, after in pairwise(ordered)
        if item.at == after.at and item.row[2:6] != after.row[2:6]
    ]
    if len(twice) < LEAST_TWICE or 2 * len(twice) < len({item.at for item in ordered}):
        return
    one, other = sorted(row.line for row in twice[0])
    when = twice[0][0].when
    raise InputError(
        "bars_ambiguous",
        f"{name}: lines {one} and {other} are both of {when.naive if when.clock else when.day} with different prices, "
        f"and so are {len(twice)} pairs of rows.",
        hint="Name the column of the symbols, or of the times of day, in prices.columns: symbol or clock.",
        details={"file": name, "lines": [one, other], "pairs": len(twice)},
    )


def _refuse_mixed(rows: Sequence[PriceRow], name: str) -> None:
    bare = [row for row in rows if row.when.clock is None]
    if not bare or len(bare) == len(rows) or all(row.when.clock == time() for row in rows if row.when.clock):
        return
    odd = [row for row in rows if (row.when.clock is None) is not (rows[0].when.clock is None)]
    problems = Problems()
    for row in odd:
        found = row.when.naive if row.when.clock else row.when.day
        problems.add(
            f"{name}:{row.line}", f"column time holds '{found}', allowed: dates in every row, or times in every row"
        )
    problems.stop("bars_invalid", hint="Correct or remove the lines.", details={"file": name, "line": odd[0].line})


# ---- days -------------------------------------------------------------------------------------------------------


def _days(timed: Sequence[_Timed], problems: list[str]) -> dict[PriceRow, date] | None:
    """Return the day of each row where rows are daily ones; None for intraday rows.

    A date alone is a day, and so is midnight in whatever zone; so is one row a day at whatever time. Only the last
    row may have another time: it is the running day's, and counts if that session was over by then.
    """
    if all(item.row.when.clock is None for item in timed):
        return {item.row: item.row.when.day for item in timed}
    body = timed[:-1] if len(timed) > 2 else timed  # noqa: PLR2004 - the last of three may be off the grid
    day_of = next((reading for reading in (_own_midnight, _new_york_midnight, _one_a_day) if reading(body)), None)
    if day_of is None:
        return None
    is_own, begins_before = day_of is _own_midnight, _begins_before(timed)
    days = {item.row: _day(item, is_own=is_own, begins_before=begins_before) for item in body}
    for last in timed[len(body) :]:
        if day_of((*body, last)):
            days[last.row] = _day(last, is_own=is_own, begins_before=begins_before)
        else:
            _take_last(last, days, problems)
    return days


def _own_midnight(timed: Sequence[_Timed]) -> bool:
    return all(item.row.when.clock in {None, time()} for item in timed)


def _new_york_midnight(timed: Sequence[_Timed]) -> bool:
    return all(item.at.astimezone(NEW_YORK).time() == time() for item in timed)


def _one_a_day(timed: Sequence[_Timed]) -> bool:
    """Return True when rows are at least 20 hours apart, and there are enough of them or all have one time of day."""
    if len(timed) < 2 or any(after.at - item.at < A_DAY_APART for item, after in pairwise(timed)):  # noqa: PLR2004
        return False
    return len(timed) >= ENOUGH_ROWS or len({item.at.astimezone(NEW_YORK).time() for item in timed}) == 1


def _begins_before(timed: Sequence[_Timed]) -> bool:
    """Return True when stamps of the evening are begins of the next day, False when they are ends of their own.

    A Sunday evening proves the one, and a Friday evening without any Sunday the other. Where neither is there, a stamp
    with a zone is taken as a begin, and one without as an end.
    """
    evenings = [item for item in timed if item.at.astimezone(NEW_YORK).hour >= EVENING]
    days = {item.at.astimezone(NEW_YORK).weekday() for item in evenings}
    if SATURDAY + 1 in days:
        return True
    return SATURDAY - 1 not in days and all(item.row.when.zone is not None for item in evenings)


def _day(item: _Timed, *, is_own: bool, begins_before: bool) -> date:
    if is_own:
        return item.row.when.day
    local = item.at.astimezone(NEW_YORK)
    return local.date() + ONE_DAY if begins_before and local.hour >= EVENING else local.date()


def _take_last(last: _Timed, days: dict[PriceRow, date], problems: list[str]) -> None:
    """Add the last row if its session was over at its time; name it otherwise."""
    from apex_cli.core.market.calendar import session_bounds

    local = last.at.astimezone(NEW_YORK)
    bounds = session_bounds(local.date())
    if bounds and last.at >= bounds[1] and local.date() not in days.values():
        days[last.row] = local.date()
    else:
        problems.append(f"line {last.row.line} is left out: its day was not over at {local:%Y-%m-%d %H:%M} New York")


def _refuse_long(days: Sequence[date], name: str) -> None:
    """Refuse weekly and monthly bars."""
    gaps = [(after - day).days for day, after in pairwise(days)]
    for least, most, word in ((25, 32, "monthly"), (5, 9, "weekly")):
        is_mostly = len(gaps) >= ENOUGH_ROWS and sum(gap >= least for gap in gaps) >= MOST_OF * len(gaps)
        is_even = len(gaps) >= LEAST_GAPS and all(least <= gap <= most for gap in gaps)
        if is_mostly or is_even:
            raise weekly(name, word)


def _daily(days: Mapping[PriceRow, date], symbol: str, problems: list[str]) -> Iterator[Bar]:
    """Give each day its session; a day without one is left out and named."""
    from apex_cli.core.market.calendar import FIRST_YEAR, LAST_YEAR, is_certain, session_bounds

    unsure: list[date] = []
    weekends = sum(day.weekday() >= SATURDAY for day in days.values())
    is_continuous = is_pair(symbol) or (weekends > 1 and weekends >= LEAST_WEEKENDS * len(days))
    seen: dict[date, PriceRow] = {}
    for row, day in days.items():
        if other := seen.get(day):
            problems.append(f"lines {other.line} and {row.line} are both of {day}: the later one counts")
        seen[day] = row
    for day, row in seen.items():
        start = datetime.combine(day, time(), UTC)
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            problems.append(f"line {row.line} is left out: {day} lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
            continue
        bounds = (start, start + ONE_DAY) if is_continuous else session_bounds(day)
        if bounds is None:
            why = f"{day} is a {day:%A}" if day.weekday() >= SATURDAY else f"NYSE was closed on {day}"
            why += "" if is_certain(day) else " by the rule of its holidays"
            problems.append(f"line {row.line} is left out: {why}")
        else:
            unsure += [] if is_continuous or is_certain(day) else [day]
            yield _bar(row, symbol, *bounds)
    if unsure:
        problems.insert(0, outside_calendar(unsure[0], unsure[-1]))


def outside_calendar(first: date, last: date) -> str:
    """Return what to say of days whose sessions follow the rule alone."""
    from apex_cli.core.market.calendar import FIRST_DAY, LAST_DAY

    return (
        f"{first} to {last} {OUTSIDE} of {FIRST_DAY} to {LAST_DAY}: they are taken as sessions by the "
        "rule, and closures of single days are not known"
    )


# ---- intraday ---------------------------------------------------------------------------------------------------


def bar_length(steps: Mapping[int, int], last: int) -> int:
    """Return the length of bars whose starts are *steps* apart.

    Args:
        steps: distance -> how many starts are that far from the one before, without the last.
        last: distance of the last start, which may be off the grid: it counts only where there is no other.

    >>> bar_length({300: 77, 63000: 1}, 137), bar_length({120: 5, 60: 1, 180: 2}, 60)
    (300, 60)
    """
    inside = {step: count for step, count in steps.items() if step < DAY_S} or steps or {last: 1}
    commonest = max(inside, key=lambda step: (inside[step], -step))
    if inside[commonest] >= MOST_OF * sum(inside.values()) or all(step % commonest == 0 for step in inside):
        return commonest
    return gcd(*inside)


def _intraday(timed: Sequence[_Timed], symbol: str, problems: list[str]) -> Iterator[Bar]:
    """Give each row the length of the bars, up to the next start at most; a last row off the grid is left out."""
    steps = [_microseconds(after.at - item.at) for item, after in pairwise(timed)]
    length = bar_length(Counter(steps[:-1]), steps[-1]) if steps else 60_000_000
    if len(steps) > 1 and steps[-1] < length:
        problems.append(f"line {timed[-1].row.line} is left out: its bar had just begun at {timed[-1].at:%H:%M:%S} UTC")
        timed, steps = timed[:-1], steps[:-1]
    for item, step in zip(timed, (*steps, length + 1), strict=True):
        end = item.at + timedelta(microseconds=min(step, length))
        yield _bar(item.row, symbol, item.at, end_at_close(symbol, item.at, end) if step > length else end)


def end_at_close(symbol: str, start: datetime, end: datetime) -> datetime:
    """Return the end of a bar that none follows at *end*: the close, where the length of the bars leads beyond it.

    Bars of an hour from 9:30 on, as most vendors have them, end with one of half an hour.
    """
    from apex_cli.core.market.calendar import session_bounds

    bounds = None if is_pair(symbol) else session_bounds(start.astimezone(NEW_YORK).date())
    return bounds[1] if bounds is not None and bounds[0] <= start < bounds[1] < end else end


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def length_in_words(microseconds: int) -> str:
    """Return what bars of this length are called.

    >>> length_in_words(300_000_000), length_in_words(3_600_000_000)
    ('5-minute bars', '1-hour bars')
    """
    for unit, size in (("hour", 3_600_000_000), ("minute", 60_000_000), ("second", 1_000_000)):
        if microseconds >= size and microseconds % size == 0:
            return f"{microseconds // size}-{unit} bars"
    return "bars of less than a second"


def _bar(row: PriceRow, symbol: str, start: datetime, end: datetime) -> Bar:
    return Bar(
        symbol=symbol,
        start=start,
        end=end,
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        volume=row.volume,
    )
