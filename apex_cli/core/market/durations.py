"""Durations in market time: when one ends, and what it still reaches.

Sessions follow the exchange: the session of the beginning is the first one, and the last one is over when the next one
opens. Weekends and holidays are no sessions, and a half day is one. Markets that are open around the clock have no
sessions: one stands for 24 hours in which the market is open.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

from apex_cli.core.market.calendar import (
    NEW_YORK,
    ONE_DAY,
    forex_week,
    market_status,
    next_session,
    previous_sessions,
    session_bounds,
    session_date,
    session_opening,
    session_start,
)
from apex_cli.core.model.duration import Duration, DurationUnit
from apex_cli.core.model.instrument import MarketType

HOUR = timedelta(hours=1)
CLOCK = {DurationUnit.HOURS: HOUR, DurationUnit.MINUTES: timedelta(minutes=1)}
OPEN_TIME = {DurationUnit.MARKET_HOURS: HOUR, DurationUnit.SESSIONS: timedelta(days=1)}
"""Time in which the market is open; a session of a market around the clock is a day of it."""

EXCHANGES = frozenset({MarketType.EQUITY, MarketType.OPTIONS})
"""Markets with sessions; the others are open around the clock."""


def end_of(duration: Duration, market: MarketType, since: datetime, *, counts_own: bool = True) -> datetime:
    """Return the first moment after *duration* from *since* on, aware UTC.

    Args:
        duration: how long.
        market: whose sessions and hours count.
        since: aware.
        counts_own: whether the session of *since* is the first one; else that is the one after it.

    >>> from datetime import UTC
    >>> from apex_cli.core.model.duration import read_duration
    >>> friday = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)  # the half day after Thanksgiving, 12:00 in New York
    >>> end_of(read_duration("1 session"), MarketType.EQUITY, friday).isoformat()
    '2026-11-30T14:30:00+00:00'
    >>> end_of(read_duration("2 market hours"), MarketType.EQUITY, friday).isoformat()
    '2026-11-30T15:30:00+00:00'
    """
    number = duration.number
    if duration.unit in CLOCK:
        return since + number * CLOCK[duration.unit]
    if duration.unit is DurationUnit.SESSIONS and market in EXCHANGES:
        return session_opening(_sessions_on(session_date(since), number if counts_own else number + 1))
    return _open_time_after(market, since, number * OPEN_TIME[duration.unit])


def opening_after(day: date, number: int) -> datetime:
    """Return when the exchange opens after *number* sessions that follow *day*, aware UTC.

    >>> opening_after(date(2026, 11, 28), 1).isoformat()  # a Saturday: Monday is the session, Tuesday opens
    '2026-12-01T14:30:00+00:00'
    """
    return session_opening(_sessions_on(day, number + 1))


def start_of(duration: Duration, market: MarketType, until: datetime) -> datetime:
    """Return the moment from which on *until* lies within *duration*, aware UTC.

    Sessions are whole ones before that of *until*: ``1 session`` begins with the session before, at 20:00 New York.

    Args:
        duration: how long.
        market: whose sessions and hours count.
        until: aware.

    >>> from datetime import UTC
    >>> from apex_cli.core.model.duration import read_duration
    >>> monday = datetime(2026, 11, 30, 15, 30, tzinfo=UTC)  # 10:30 in New York, after a half day and a weekend
    >>> start_of(read_duration("1 session"), MarketType.EQUITY, monday).isoformat()
    '2026-11-26T01:00:00+00:00'
    >>> start_of(read_duration("2 market hours"), MarketType.EQUITY, monday).isoformat()
    '2026-11-27T17:00:00+00:00'
    """
    number = duration.number
    if duration.unit in CLOCK:
        return until - number * CLOCK[duration.unit]
    if duration.unit is DurationUnit.SESSIONS and market in EXCHANGES:
        return session_start(previous_sessions(session_date(until), number)[0])
    return _open_time_before(market, until, number * OPEN_TIME[duration.unit])


def reaches(duration: Duration, market: MarketType, since: datetime, at: datetime) -> bool:
    """Return whether *at* still lies within *duration* from *since* on; of a look-back in sessions whole ones count."""
    if duration.unit is DurationUnit.SESSIONS and market in EXCHANGES:
        return session_date(at) < _sessions_on(session_date(since), duration.number)
    return at <= end_of(duration, market, since)


@cache
def _sessions_on(day: date, number: int) -> date:
    """Return the session that is *number* sessions after *day*."""
    for _ in range(number):
        day = next_session(day)
    return day


def _open_time_after(market: MarketType, at: datetime, left: timedelta) -> datetime:
    """Return when *market* has been open for *left* since *at*."""
    while True:
        status = market_status(market, at)
        opens = status.opens_at or at
        closes = market_status(market, opens).closes_at
        if closes is None or left <= closes - opens:
            return opens + left
        left -= closes - opens
        at = closes


def _open_time_before(market: MarketType, at: datetime, left: timedelta) -> datetime:
    """Return since when *market* has been open for *left* until *at*."""
    if market is MarketType.CRYPTO:
        return at - left
    while True:
        opens, closes = _last_open(market, at)
        if left <= closes - opens:
            return closes - left
        left -= closes - opens
        at = opens


def _last_open(market: MarketType, at: datetime) -> tuple[datetime, datetime]:
    """Return the last time that *market* was open before *at*, cut off there."""
    day = at.astimezone(NEW_YORK).date()
    while True:
        bounds = session_bounds(day) if market in EXCHANGES else forex_week(day)
        if bounds is not None and bounds[0] < at:
            return bounds[0], min(bounds[1], at)
        day -= ONE_DAY
