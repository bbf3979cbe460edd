"""Durations in market time: when one ends, and what it still reaches.

Sessions follow the exchange: the session of the beginning is the first one, and the last one is over when the next one
opens. Weekends and holidays are no sessions, and a half day is one. Markets that are open around the clock have no
sessions: one stands for 24 hours in which the market is open.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from apex_cli.core.market.calendar import market_status, next_session, session_bounds, session_date
from apex_cli.core.model.duration import Duration, DurationUnit
from apex_cli.core.model.instrument import MarketType

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
EXCHANGES = frozenset({MarketType.EQUITY, MarketType.OPTIONS})
"""Markets with sessions; the others are open around the clock."""


def end_of(duration: Duration, market: MarketType, since: datetime) -> datetime:
    """Return the first moment after *duration* from *since* on, aware UTC.

    Args:
        duration: how long.
        market: whose sessions and hours count.
        since: aware.

    >>> from datetime import UTC
    >>> from apex_cli.core.model.duration import read_duration
    >>> friday = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)  # the half day after Thanksgiving, 12:00 in New York
    >>> end_of(read_duration("1 session"), MarketType.EQUITY, friday).isoformat()
    '2026-11-30T14:30:00+00:00'
    >>> end_of(read_duration("2 market hours"), MarketType.EQUITY, friday).isoformat()
    '2026-11-30T15:30:00+00:00'
    """
    number = duration.number
    match duration.unit:
        case DurationUnit.MINUTES:
            return since + number * MINUTE
        case DurationUnit.HOURS:
            return since + number * HOUR
        case DurationUnit.MARKET_HOURS:
            return _open_time_after(market, since, number * HOUR)
        case DurationUnit.SESSIONS:
            if market not in EXCHANGES:
                return _open_time_after(market, since, number * DAY)
            return _opening(_sessions_on(session_date(since), number))


def reaches(duration: Duration, market: MarketType, since: datetime, at: datetime) -> bool:
    """Return whether *at* still lies within *duration* from *since* on; of a look-back in sessions whole ones count."""
    if duration.unit is DurationUnit.SESSIONS and market in EXCHANGES:
        return session_date(at) < _sessions_on(session_date(since), duration.number)
    return at <= end_of(duration, market, since)


def _sessions_on(day: date, number: int) -> date:
    """Return the session that is *number* sessions after *day*."""
    for _ in range(number):
        day = next_session(day)
    return day


def _opening(session: date) -> datetime:
    bounds = session_bounds(session)
    if bounds is None:
        raise ValueError(f"{session} is no session")
    return bounds[0]


def _open_time_after(market: MarketType, at: datetime, left: timedelta) -> datetime:
    """Return when *market* has been open for *left* since *at*."""
    while True:
        status = market_status(market, at)
        if not status.is_open:
            if status.opens_at is None:
                return at + left
            at = status.opens_at
            continue
        if status.closes_at is None or left <= status.closes_at - at:
            return at + left
        left -= status.closes_at - at
        at = status.closes_at
