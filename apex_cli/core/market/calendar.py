"""NYSE sessions, half days and market hours, as pure functions on dates.

From 2000-01-01 to 2027-12-31 the days are certain: NYSE Rule 7.2 (holidays), the half days NYSE announces, and a table
of its special closures; source nyse.com/trade/hours-calendars. A library that knows them costs 150 ms of start-up.
The tests compare every day and every close with ``exchange_calendars`` XNYS.

Past either end sessions follow the rule alone, and ``is_certain`` says so: a special closure may be missing. What looks
and what closes continues with them; nothing is opened on them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.market import MarketStatus
from apex_cli.core.model.order import Phase

NEW_YORK = ZoneInfo("America/New_York")


def market_time(at: datetime) -> str:
    """Return a moment to the minute, where the sessions are.

    >>> market_time(datetime(2026, 11, 30, 14, 30, tzinfo=UTC))
    '2026-11-30 09:30 ET'
    """
    return at.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M ET")


def minute_digits(at: datetime) -> str:
    """Return a moment to the minute, in its own zone, as an identity writes it; faster than ``strftime``.

    >>> minute_digits(datetime(2026, 3, 24, 15, 0, 7, tzinfo=UTC))
    '20260324T1500'
    """
    return at.isoformat()[:16].replace("-", "").replace(":", "")


FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2027, 12, 31)
FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Dates of other years are taken for mistakes where they are read."""

YEAR = 365
"""Days before the last certain day from which on its end is warned of."""


OPENING_TIME = time(9, 30)
CLOSING_TIME = time(16)
HALF_DAY_CLOSING_TIME = time(13)
SESSION_ROLL_TIME = time(20)
"""From then on, New York time, a trade belongs to the next session."""

FOREX_WEEK_TIME = time(17)
"""Forex opens on Sunday and closes on Friday at this time, New York."""

MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6
ONE_DAY = timedelta(days=1)

_SPECIAL_CLOSURES = {
    date(2001, 9, 11): "attacks of September 11",
    date(2001, 9, 12): "attacks of September 11",
    date(2001, 9, 13): "attacks of September 11",
    date(2001, 9, 14): "attacks of September 11",
    date(2004, 6, 11): "mourning for President Reagan",
    date(2007, 1, 2): "mourning for President Ford",
    date(2012, 10, 29): "Hurricane Sandy",
    date(2012, 10, 30): "Hurricane Sandy",
    date(2018, 12, 5): "mourning for President Bush",
    date(2025, 1, 9): "mourning for President Carter",
}

_FIRST_KING_DAY = 1998
_FIRST_HALF_DAYS = 1993
_FIRST_JUNETEENTH = 2022
_FIRST_MONDAY_HOLIDAYS = 1971
_SPECIAL_HALF_DAYS = {date(2002, 7, 5), date(2003, 12, 26)}
_NOT_HALF_DAYS = {date(2002, 7, 3)}


def is_certain(day: date) -> bool:
    """Return whether *day* lies in the years whose special closures are known; else sessions follow the rule alone."""
    return FIRST_DAY <= day <= LAST_DAY


def end_warning(day: date) -> str:
    """Return what to warn of on *day*: the certain days end within a year, or do not reach it; else an empty string."""
    if day < FIRST_DAY:
        return f"The NYSE calendar begins on {FIRST_DAY}, and the date is {day}: nothing is opened."
    left = (LAST_DAY - day).days
    if left < 0:
        return f"The NYSE calendar ended on {LAST_DAY}, and the date is {day}: nothing is opened."
    return f"The NYSE calendar ends on {LAST_DAY}, in {left} days; after it nothing is opened." if left <= YEAR else ""


def nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    """Return the *n*-th *weekday* of a month; n = 0 is the last one of the month before.

    >>> nth_weekday(2026, 12, FRIDAY, 3)
    datetime.date(2026, 12, 18)
    """
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


@cache
def _good_friday(year: int) -> date:
    """Return the Friday before Easter Sunday of the Gregorian calendar.

    Source:
        J. Meeus, Astronomical Algorithms, chapter 8.
    """
    century, rest = divmod(year, 100)
    golden = year % 19
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - century // 4 - correction + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1) - timedelta(days=2)


def _observed(day: date) -> date:
    """Return the session that is closed for a holiday on *day*: Saturday's on Friday, Sunday's on Monday."""
    return day + timedelta(days={SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0))


@cache
def _closures(year: int) -> dict[date, str]:
    """Return the closed days of *year* that are not weekends, each with its name."""
    days = {
        _good_friday(year): "Good Friday",
        _observed(date(year, 7, 4)): "Independence Day",
        nth_weekday(year, 9, MONDAY, 1): "Labor Day",
        nth_weekday(year, 11, THURSDAY, 4): "Thanksgiving",
        _observed(date(year, 12, 25)): "Christmas",
    }
    is_on_monday = year >= _FIRST_MONDAY_HOLIDAYS
    days[nth_weekday(year, 2, MONDAY, 3) if is_on_monday else _observed(date(year, 2, 22))] = "Washington's Birthday"
    days[nth_weekday(year, 6, MONDAY, 0) if is_on_monday else _observed(date(year, 5, 30))] = "Memorial Day"
    if year >= _FIRST_KING_DAY:
        days[nth_weekday(year, 1, MONDAY, 3)] = "Martin Luther King Jr. Day"
    new_year = date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # Rule 7.2: never moved into the old year, when books are closed
        days[_observed(new_year)] = "New Year's Day"
    if year >= _FIRST_JUNETEENTH:
        days[_observed(date(year, 6, 19))] = "Juneteenth"
    days.update({day: name for day, name in _SPECIAL_CLOSURES.items() if day.year == year})
    return days


@cache
def _half_days(year: int) -> frozenset[date]:
    """Return the sessions of *year* that close at 13:00."""
    if year < _FIRST_HALF_DAYS:
        return frozenset()
    days = {nth_weekday(year, 11, THURSDAY, 4) + ONE_DAY}
    days |= {eve for eve in (date(year, 7, 3), date(year, 12, 24)) if eve.weekday() <= THURSDAY}
    days |= {day for day in _SPECIAL_HALF_DAYS if day.year == year}
    return frozenset(days - _NOT_HALF_DAYS)


def closed_why(day: date) -> str:
    """Return ``weekend`` or the holiday's name for a closed day, an empty string for a session."""
    if day.weekday() >= SATURDAY:
        return "weekend"
    return _closures(day.year).get(day, "")


@cache
def is_session(day: date) -> bool:
    """Return whether NYSE trades on *day*."""
    return not closed_why(day)


def is_half_day(day: date) -> bool:
    """Return whether *day* is a session that closes at 13:00."""
    return is_session(day) and day in _half_days(day.year)


@cache
def session_bounds(day: date) -> tuple[datetime, datetime] | None:
    """Return the opening and the close of NYSE on *day*, aware UTC; None when it is closed."""
    if not is_session(day):
        return None
    close = HALF_DAY_CLOSING_TIME if is_half_day(day) else CLOSING_TIME
    return _utc(day, OPENING_TIME), _utc(day, close)


def session_opening(day: date) -> datetime:
    """Return when the exchange opens in session *day*, aware UTC."""
    return _utc(day, OPENING_TIME)


@cache
def next_session(day: date) -> date:
    """Return the first session after *day*."""
    following = day + ONE_DAY
    return following if is_session(following) else next_session(following)


def week_of(day: date) -> tuple[int, int]:
    """Return year and number of the week that *day* belongs to, from Monday to Sunday (ISO 8601)."""
    year, week, _ = day.isocalendar()
    return year, week


def next_week_opening(day: date) -> datetime:
    """Return the opening of the first session of the week after that of *day*, aware UTC."""
    following = next_session(day)
    while week_of(following) == week_of(day):
        following = next_session(following)
    return session_opening(following)


def next_month_opening(day: date) -> datetime:
    """Return the opening of the first session of the month after that of *day*, aware UTC."""
    following = next_session(day)
    while following.month == day.month:
        following = next_session(following)
    return session_opening(following)


@cache
def previous_sessions(day: date, n: int) -> tuple[date, ...]:
    """Return the *n* sessions before *day*, oldest first, *day* itself left out."""
    found: list[date] = []
    for _ in range(n):
        day = _session_before(day)
        found.append(day)
    return tuple(reversed(found))


@cache
def _session_before(day: date) -> date:
    before = day - ONE_DAY
    return before if is_session(before) else _session_before(before)


@cache
def session_start(day: date) -> datetime:
    """Return the first moment, aware UTC, that belongs to session *day*: 20:00 after the session before."""
    return _utc(previous_sessions(day, 1)[0], SESSION_ROLL_TIME)


LAST_SECOND = timedelta(seconds=1)
"""What happens at the end of a bar or a session is dated this long before it, while the session still runs."""


@cache
def session_end(day: date) -> datetime:
    """Return the first moment, aware UTC, that belongs to the session after *day*: 20:00 New York on *day*."""
    return _utc(day, SESSION_ROLL_TIME)


def auctions_in(start: datetime, end: datetime) -> tuple[Phase, ...]:
    """Return which of NYSE's auctions a bar from *start* to *end* holds: the session opens or closes with it.

    Args:
        start: aware.
        end: aware, after *start*.
    """
    bounds = session_bounds(start.astimezone(NEW_YORK).date())
    if bounds is None:
        return ()
    opens, closes = bounds
    held = {Phase.OPENING: start <= opens < end, Phase.CLOSING: start < closes <= end}
    return tuple(phase for phase, is_held in held.items() if is_held)


def next_auction(phase: Phase, after: datetime) -> datetime | None:
    """Return the first opening, or the last second of the first session, that is not before *after*; aware UTC.

    Args:
        phase: the opening or the closing.
        after: aware.
    """
    if phase is Phase.ANY:
        return None
    day = after.astimezone(NEW_YORK).date()
    while True:
        bounds = session_bounds(day)
        if bounds is not None:
            at = bounds[0] if phase is Phase.OPENING else bounds[1] - LAST_SECOND
            if at >= after:
                return at
        day = next_session(day)


def day_of_bar(end: datetime) -> date:
    """Return the New York date of a bar that ends at *end*; one that ends at midnight is of the day before."""
    return (end - LAST_SECOND).astimezone(NEW_YORK).date()


@lru_cache(maxsize=1 << 12)
def session_date(moment: datetime) -> date:
    """Return the session that a trade at *moment* belongs to.

    It is the New York date; from 20:00 on, on weekends and holidays it is the next session.

    Args:
        moment: aware, in any zone.

    Source:
        Overnight venues stamp trades from 20:00 Eastern on with the following trade date.
    """
    local = moment.astimezone(NEW_YORK)
    day = local.date()
    return next_session(day) if local.hour >= SESSION_ROLL_TIME.hour or not is_session(day) else day


def market_status(market_type: MarketType, moment: datetime) -> MarketStatus:
    """Return whether a market trades at *moment*, until when or from when on, and a word why.

    Equity and options: NYSE's regular hours. Crypto: always. Forex: Sunday 17:00 to Friday 17:00 New York;
    banks' holidays are not known here.

    Args:
        market_type: the market of the instrument.
        moment: aware, in any zone.
    """
    day = session_date(moment)
    status = _status(market_type, moment, day.isoformat())
    return status if is_certain(day) else replace(status, is_certain=False)


def _status(market_type: MarketType, moment: datetime, session: str) -> MarketStatus:
    if market_type is MarketType.CRYPTO:
        return MarketStatus(is_open=True, session_date=session, why="always open")
    if market_type is MarketType.FOREX:
        return _forex_status(moment.astimezone(NEW_YORK), session)
    return _nyse_status(moment, session)


def _nyse_status(moment: datetime, session: str) -> MarketStatus:
    """Return the status of NYSE's regular hours."""
    today = moment.astimezone(NEW_YORK).date()
    bounds = session_bounds(today)
    if bounds and bounds[0] <= moment < bounds[1]:
        why = "half day" if is_half_day(today) else ""
        return MarketStatus(is_open=True, session_date=session, closes_at=bounds[1], why=why)
    if bounds and moment < bounds[0]:
        return MarketStatus(is_open=False, session_date=session, opens_at=bounds[0], why="before 09:30")
    why = f"after {bounds[1].astimezone(NEW_YORK):%H:%M}" if bounds else closed_why(today)
    return MarketStatus(is_open=False, session_date=session, opens_at=session_opening(next_session(today)), why=why)


def _forex_status(local: datetime, session: str) -> MarketStatus:
    """Return the status of the forex week at *local*, New York time."""
    day, clock = local.date(), local.timetz().replace(tzinfo=None)
    weekday = day.weekday()
    is_closed = (
        weekday == SATURDAY
        or (weekday == FRIDAY and clock >= FOREX_WEEK_TIME)
        or (weekday == SUNDAY and clock < FOREX_WEEK_TIME)
    )
    turning_day = day + timedelta(days=((SUNDAY if is_closed else FRIDAY) - weekday) % 7)
    turns_at = _utc(turning_day, FOREX_WEEK_TIME)
    if is_closed:
        return MarketStatus(is_open=False, session_date=session, opens_at=turns_at, why="weekend")
    return MarketStatus(is_open=True, session_date=session, closes_at=turns_at)


def forex_week(day: date) -> tuple[datetime, datetime] | None:
    """Return opening and close, aware UTC, of the forex week that opens on *day*; None on any day but Sunday."""
    if day.weekday() != SUNDAY:
        return None
    return _utc(day, FOREX_WEEK_TIME), _utc(day + timedelta(days=5), FOREX_WEEK_TIME)


def _utc(day: date, clock: time) -> datetime:
    """Return New York's *clock* time of *day* as aware UTC."""
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)
